"""The notifier: tells receivers of committed events, once per event and cluster.

Every node runs one. How far each receiver is stands in the log, and whose turn it is follows from that (``lane``);
before anything is sent a read barrier makes sure that this node belongs to the majority's side. A node that dies
after a receiver took a notice and before the log knows has it sent once more, under the same key: at least once.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from node.notify.choosing import Maintenances
from node.notify.lane import Lane, Step, next_step
from node.notify.notice import NotAccepted, Notice, of_our_own
from node.notify.sending import send
from node.notify.settings import NotifierSettings, Receiver, kind_of, place_of
from node.state.command import Command
from node.state.notices import ReportNotice, Word
from node.state.state import Accepted, Event, State
from node.state.state import Receiver as Progress
from raft.proposal import Committed, Outcome

logger = structlog.get_logger()

Propose = Callable[[Command], Awaitable[Outcome]]
Send = Callable[[Receiver, Sequence[Notice], str], Awaitable[str]]

_LOOK_AGAIN_S = 1.0
"""Which nodes are reachable may change without an entry in the log."""
_AFTER_FAULT_S = 5.0
_FAULTS_MAX = 3
"""A notice that a receiver will not have is given up after so many tries."""


@dataclass(frozen=True, slots=True)
class ReceiverStatus:
    """One receiver as this node's configuration and the log have it."""

    name: str
    kind: str
    place: str
    progress: Progress | None


class Notifier:
    """Follows the events of the State and tells every receiver what it wants to hear."""

    def __init__(
        self,
        node: str,
        state: Callable[[], State],
        propose: Propose,
        is_current: Callable[[], Awaitable[bool]],
        reachable: Callable[[], Collection[str]],
        settings: NotifierSettings,
        *,
        send: Send = send,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._node = node
        self._state = state
        self._propose = propose
        self._is_current = is_current
        self._reachable = reachable
        self._settings = settings
        self._send = send
        self._wall_ms = wall_ms
        self._quiet = Maintenances()
        self._wakes: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to follow the State."""
        for receiver in self._settings.receivers.values():
            wake = self._wakes[receiver.name] = asyncio.Event()
            task = asyncio.create_task(self._follow(Lane(receiver), wake), name=f"notify {receiver.name}")
            self._tasks.append(task)

    async def stop(self) -> None:
        """End all tries; what was taken and is not in the log yet is told once more by another node."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def state_changed(self) -> None:
        """Take notice of new events; cheap, to be called in the event loop."""
        for wake in self._wakes.values():
            wake.set()

    def status(self) -> tuple[ReceiverStatus, ...]:
        """Return one row a receiver, by name."""
        known, receivers = self._state().receivers, self._settings.receivers
        return tuple(
            ReceiverStatus(name, kind_of(receivers[name]), place_of(receivers[name]), known.get(name))
            for name in sorted(receivers)
        )

    async def test(self, name: str, text: str) -> str | None:
        """Tell a receiver of nothing, from this node and at once; return how it was taken, None for no such one.

        Raises ``NotAccepted``.
        """
        receiver = self._settings.receivers.get(name)
        if receiver is None:
            return None
        at_ms = self._wall_ms()
        event = of_our_own("notice.test", self._state().index, at_ms, name, text, f"{name}-{at_ms}")
        return await self._send(receiver, (self._notice(event),), self._node)

    # --- following --------------------------------------------------------------------------------

    async def _follow(self, lane: Lane, wake: asyncio.Event) -> None:
        while True:
            wake.clear()
            try:
                wait_s = await self._step(lane)
            except Exception:
                logger.exception("notice.crashed", receiver=lane.receiver.name)
                wait_s = _AFTER_FAULT_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await wake.wait()

    async def _step(self, lane: Lane) -> float:
        """Do what is due; return how long to wait before looking again, unless woken."""
        now = _now()
        step = next_step(lane, self._state(), self._node, self._reachable(), self._settings, self._quiet, now)
        if step.action == "none":
            return _LOOK_AGAIN_S
        if step.at > now:
            return min(step.at - now, _LOOK_AGAIN_S)
        if step.action == "begin":
            await self._report(lane, "begun", 0, "")
        elif step.action == "report":
            await self._report_accepted(lane)
        elif step.action == "skip":
            await self._report(lane, "skipped", step.next, "")
        else:
            await self._tell(lane, step)
        return 0.0

    async def _tell(self, lane: Lane, step: Step) -> None:
        if not await self._is_current():
            await asyncio.sleep(_LOOK_AGAIN_S)
            return
        name, age_s = lane.receiver.name, (self._wall_ms() - step.events[0].at_ms) / 1000
        if step.progress.failures and age_s > self._settings.give_up_s:
            await self._report(lane, "given-up", step.next, f"not accepted within {age_s / 3600:.0f} hours")
            return
        notices = tuple(self._notice(event) for event in step.events)
        try:
            detail = await self._send(lane.receiver, notices, self._node)
        except NotAccepted as refusal:
            await self._not_accepted(lane, step, refusal)
            return
        logger.info("notice.sent", receiver=name, id=notices[0].key, count=len(notices), detail=detail)
        lane.unreported = (step.next, detail)
        await self._report_accepted(lane)

    async def _report_accepted(self, lane: Lane) -> None:
        assert lane.unreported is not None
        if await self._report(lane, "accepted", *lane.unreported):
            lane.unreported = None

    async def _not_accepted(self, lane: Lane, step: Step, refusal: NotAccepted) -> None:
        name, detail, failures = lane.receiver.name, str(refusal), step.progress.failures + 1
        logger.warning("notice.not_sent", receiver=name, detail=detail, failures=failures)
        if refusal.is_its_fault and failures >= _FAULTS_MAX:
            await self._report(lane, "given-up", step.next, detail)
        else:
            await self._report(lane, "failed", step.progress.next, detail)

    async def _report(self, lane: Lane, word: Word, place: int, detail: str) -> bool:
        """Write into the log how far a receiver is; say whether it is there."""
        outcome = await self._propose(ReportNotice(lane.receiver.name, self._node, word, place, detail))
        if isinstance(outcome, Committed) and isinstance(outcome.result, Accepted):
            return True
        await asyncio.sleep(_LOOK_AGAIN_S)
        return isinstance(outcome, Committed)  # refused: this receiver is forgotten

    def _notice(self, event: Event) -> Notice:
        return Notice(self._settings.cluster, event)


def _now() -> float:
    return asyncio.get_running_loop().time()
