"""Three notifiers on one log, and receivers in memory that take notices or do not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from node.notify.notice import NotAccepted, Notice
from node.notify.notifier import Notifier
from node.notify.settings import Mail, NotifierSettings, Receiver, Webhook, Wish
from node.state.command import Command, PutService
from node.state.notices import ReportNotice
from raft.proposal import Committed, NotCommitted, Outcome
from tests.push.lab import NODES, Log, service

HOOK = Receiver("ops", Webhook("https://hooks.example.net/secret"))
MAIL = Receiver("mail", Mail("mail.example.net", 25, "none", "dns@example.net", ("ops@example.net",)))


class World:
    """A cluster that tells one receiver."""

    def __init__(self, receiver: Receiver = HOOK, log: Log | None = None, **settings: float) -> None:
        self.log = log or Log(PutService(service("192.0.2.1", "192.0.2.2", "192.0.2.3", fail_open_percent=100)))
        self.receiver = receiver
        self.settings = NotifierSettings("prod", {receiver.name: receiver}, **settings)
        self.heard: list[tuple[str, str]] = []
        """Node and key of every notice that was taken."""
        self.mails: list[int] = []
        self.tries: list[tuple[float, str]] = []
        self.refusal: NotAccepted | None = None
        self.dead: set[str] = set()
        self.minority: set[str] = set()
        self.deaf: set[str] = set()
        """Nodes whose reports do not get into the log."""
        self.wall_ms = 1_000
        self.notifiers = {node: self.notifier(node) for node in NODES}

    def notifier(self, node: str) -> Notifier:
        async def propose(command: Command) -> Outcome:
            await asyncio.sleep(0.001)
            if node in self.deaf:
                return NotCommitted("no-leader", "there is no leader")
            return Committed(self.log.state.index + 1, self.log.do(command).result)

        async def is_current() -> bool:
            return node not in self.minority

        async def send(receiver: Receiver, notices: Sequence[Notice], by: str) -> str:
            await asyncio.sleep(0.01)
            self.tries.append((asyncio.get_running_loop().time(), by))
            if self.refusal is not None:
                raise self.refusal
            self.heard += [(by, each.key) for each in notices]
            self.mails.append(len(notices))
            return "HTTP 200"

        return Notifier(
            node,
            lambda: self.log.state,
            propose,
            is_current,
            lambda: [each for each in NODES if each not in self.dead],
            self.settings,
            send=send,
            wall_ms=lambda: self.wall_ms,
        )

    @contextlib.asynccontextmanager
    async def running(self, *nodes: str) -> AsyncIterator[None]:
        names = nodes or NODES
        chosen = [self.notifiers[node] for node in names]
        self.dead |= set(NODES) - set(names)
        self.log.listeners = [each.state_changed for each in chosen]
        for each in chosen:
            await each.start()
        try:
            yield
        finally:
            for each in chosen:
                await each.stop()

    @property
    def begun(self) -> bool:
        return self.receiver.name in self.log.state.receivers

    def keys(self) -> list[str]:
        return [key for _, key in self.heard]

    def told(self, *names: str) -> list[str]:
        """Return the keys of the events of these kinds that the log has."""
        events = self.log.state.events
        return [f"{events[n].index}-{events[n].number}" for n in sorted(events) if events[n].kind in names]

    def reports(self) -> list[ReportNotice]:
        return [each for each in self.log.entries if isinstance(each, ReportNotice)]


__all__ = ["HOOK", "MAIL", "Wish", "World"]
