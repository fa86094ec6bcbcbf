"""One core, or one stock library object, at hand: a clock to turn, a wire to read, no thread and no socket."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pysyncobj.syncobj as library
from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.transport import Transport

from raft.core import Core
from raft.library import NO_OPERATION, REGULAR, Node, VolatileJournal
from raft.membership import Membership
from raft.settings import RaftSettings

Message = dict[str, Any]


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    @contextmanager
    def installed(self) -> Iterator["Clock"]:
        with patch.object(library, "monotonicTime", self):
            yield self


class Recording(Transport):
    """A transport that keeps what it is given."""

    ready = True
    messages_max = 10_000

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self.sent: list[tuple[str, Message]] = []

    def send(self, node: Node, message: Message, *, bulk: bool = False) -> bool:
        assert len(self.sent) < self.messages_max, "a flood of messages"
        self.sent.append((str(node.id), dict(message)))
        return True

    def push(self) -> None:
        pass

    def history_of(self, _node: Node) -> str:
        return ""

    def directory_of(self, _node: Node) -> str:
        return ""

    def backlog_bytes(self, _node: Node) -> int:
        return 0

    def take(self) -> list[tuple[str, Message]]:
        taken, self.sent = self.sent, []
        return taken


class CountingJournal(VolatileJournal):
    """A journal that owes a disk what was added, and counts how often it was paid."""

    def __init__(self) -> None:
        super().__init__()
        self.needs_sync = False
        self.syncs = 0

    def add(self, command: bytes, idx: int, term: int) -> None:
        super().add(command, idx, term)
        self.needs_sync = True

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:  # noqa: N802, N803
        super().setCurrentTerm(term, votedForNodeId)
        self.sync()

    def sync(self) -> None:
        self.syncs += self.needs_sync
        self.needs_sync = False


class Listener:
    """A host that writes down what it is told."""

    def __init__(self) -> None:
        self.applied: list[tuple[int, bytes | None]] = []
        self.cuts: list[int] = []
        self.changes = 0
        self.on_apply: Callable[[], None] = lambda: None

    def apply(self, index: int, _term: int, command: bytes | None) -> None:
        self.applied.append((index, command))
        self.on_apply()

    def apply_membership(self, _index: int, _term: int, _membership: Membership) -> None:
        pass

    def entries_cut(self, index: int) -> None:
        self.cuts.append(index)

    def leader_changed(self) -> None:
        self.changes += 1

    def take_piece(self, identity: str, offset: int, total: int, data: bytes) -> None:
        pass

    def on_request(self, node: Node, message: Message) -> None:
        pass

    def peer_lost(self, _node: Node) -> None:
        pass

    def wake(self) -> None:
        pass


class Pocket:
    """The core of ``n1`` among ``n1`` to ``n3`` (or more), all connected."""

    def __init__(self, clock: Clock, entries: list[tuple[bytes, int]] | None = None, nodes: int = 3) -> None:
        names = [f"n{number}" for number in range(1, nodes + 1)]
        self.clock = clock
        self.peers = {name: Node(name, address="127.0.0.1:7300") for name in names[1:]}
        self.wire = Recording()
        self.journal = CountingJournal()
        self.journal.add(NO_OPERATION, 1, 0)
        for index, (command, term) in enumerate(entries or [], start=2):
            self.journal.add(REGULAR + command, index, term)
        self.host = Listener()
        members = dict.fromkeys(names, "127.0.0.1:7300")
        settings = RaftSettings("n1", members, members["n1"], "test", None, None)
        own = Node("n1", address="127.0.0.1:7300")
        self.core = Core(settings, own, self.peers.values(), self.journal, self.wire, self.host)
        for node in self.peers.values():
            self.wire._onNodeConnected(node)

    def tell(self, name: str, **message: Any) -> list[tuple[str, Message]]:
        """Let a message arrive, tick, and return what was sent."""
        self.wire._onMessageReceived(self.peers[name], message)
        return self.tick()

    def tick(self, after_s: float = 0.0) -> list[tuple[str, Message]]:
        """Let time pass and tick; return what was sent."""
        self.clock.now_s += after_s
        self.core.tick()
        return self.wire.take()

    def append(
        self, name: str, term: int, previous: tuple[int, int], *entries: Any, commit: int = 1
    ) -> Message:
        """Let a leader's entries arrive; return the reply."""
        message = {"term": term, "round": 1, "commit_index": commit, "entries": list(entries)}
        sent = self.tell(
            name, type="append_entries", prevLogIdx=previous[0], prevLogTerm=previous[1], **message
        )
        (reply,) = [each for _, each in sent if each["type"] == "append_reply"]
        return reply

    def lead(self) -> None:
        """Make it the leader by the votes of the others."""
        self.tick(1.0)
        asked = self.tick(1.0)
        (term,) = {each["term"] for _, each in asked if each["type"] == "pre_vote"}
        for name in list(self.peers)[: len(self.peers) // 2]:
            self.tell(name, type="pre_vote_reply", term=self.core.term, asked=term, granted=True)
        for name in list(self.peers)[: len(self.peers) // 2]:
            self.tell(name, type="vote_reply", term=term, granted=True)
        assert self.core.is_open or self.core.leader is self.core.selfNode

    def acknowledge(self, name: str, matched: int, **changes: Any) -> list[tuple[str, Message]]:
        """Let a follower's acknowledgement arrive; return what was sent."""
        core = self.core
        reply = {"term": core.term, "round": core.round, "matched": matched, "next": matched + 1, **changes}
        return self.tell(name, type="append_reply", **reply)


class Counter(SyncObj):
    """The stock library with the smallest machine: what goes wrong without the corrections."""

    def __init__(self, clock: Clock, nodes: int = 3, **configuration: Any) -> None:
        self.clock = clock
        self.wire = Recording()
        self.peers = {f"n{number}": Node(f"n{number}") for number in range(2, nodes + 1)}
        conf = SyncObjConf(autoTick=False, useFork=False, **configuration)
        super().__init__(Node("n1"), list(self.peers.values()), conf, transport=self.wire)
        self.values: list[int] = []
        for node in self.peers.values():
            self.wire._onNodeConnected(node)

    @replicated
    def put(self, value: int) -> int:
        self.values.append(value)
        return len(self.values)

    def hidden(self, name: str) -> Any:
        return getattr(self, f"_SyncObj__{name}")

    def tell(self, name: str, **message: Any) -> list[tuple[str, Message]]:
        self.wire._onMessageReceived(self.peers[name], message)
        return self.tick()

    def tick(self, after_s: float = 0.0) -> list[tuple[str, Message]]:
        self.clock.now_s += after_s
        self._onTick(0.0)
        return self.wire.take()

    def append(self, name: str, term: int, previous: tuple[int, int], *entries: Any, commit: int = 1) -> None:
        message = {"term": term, "commit_index": commit, "entries": list(entries)}
        self.tell(name, type="append_entries", prevLogIdx=previous[0], prevLogTerm=previous[1], **message)
