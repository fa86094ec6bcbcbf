"""The one way out of the core: what a message tells of is on the medium before the message leaves.

Messages that tell of the log, the term or a vote wait until the next tick has written them with all else
that gathered meanwhile, so that a hundred messages cost one wait for the disk. The others tell nothing that
must last and leave at once: the place that a leader gave to a proposal is no promise.

A leader's entries are no promise either. They may be on their way while its own disk writes them (Raft thesis,
section 10.2.1), for nobody takes them for its word that it holds them: it counts itself in a majority as far as
its journal is on the medium, and its term, in which nobody else makes entries, was there before it stood.
"""

from typing import Any, Final, Protocol

from raft.elections import Message
from raft.library import Node

DISCLOSING: Final = frozenset({"append_reply", "pre_vote", "request_vote", "vote_reply"})


class Owner(Protocol):
    """Whose log and round the messages tell of."""

    log: Any
    round: int


class Gate:
    """The transport as the core uses it: durable before disclosed, rounds numbered."""

    def __init__(self, transport: Any, core: Owner) -> None:
        self._transport = transport
        self._core = core
        self._owed: list[tuple[Node, Message]] = []

    def send(self, node: Node, message: Message) -> bool:
        """Send one message, now or with the next ``flush``; False when it is known not to get there."""
        if message["type"] == "append_entries":
            message["round"] = self._core.round
        if message["type"] not in DISCLOSING:
            return self._pass_on(node, message)
        if self._owed or self._core.log.needs_sync:
            self._owed.append((node, message))
            return True
        return self._pass_on(node, message)

    def flush(self) -> None:
        """Let go what may go, write what gathered to the medium, then send what waited for that. Raises ``RaftError``."""
        if self._core.log.needs_sync:
            self._transport.push()
            self._core.log.sync()
        owed, self._owed = self._owed, []
        for node, message in owed:
            self._pass_on(node, message)

    def _pass_on(self, node: Node, message: Message) -> bool:
        is_bulk = message.get("serialized") is not None
        return bool(
            self._transport.send(node, message, bulk=True) if is_bulk else self._transport.send(node, message)
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
