"""The pusher: carries what the log has decided to other servers, one attempt at a time per target.

Every node runs one. Who acts is worked out from the State (``turns``); before anything is sent a read
barrier makes sure that this node still belongs to the majority's side, so that a node that was cut off
or deposed never pushes what it last knew.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Collection, Iterable

import structlog

from node.counted import counted
from node.push.attempt import Attempt, Done, compare, perform
from node.push.breaker import Withdrawals
from node.push.carriers import carrier_for
from node.push.delivery import Carrier
from node.push.errors import PushError
from node.push.lane import (
    Lane,
    back_off_s,
    next_step,
    should_report_failure,
    should_report_success,
    verify_every_s,
)
from node.push.orders import Replacement
from node.push.settings import PusherSettings
from node.push.status import TargetStatus, describe
from node.push.targets import wanted
from node.state.command import Command
from node.state.pushes import HoldPush, ReportPush, Target
from node.state.state import Accepted, Delivery, Refused, State
from node.zone.name import Name
from raft.proposal import Committed, Outcome

logger = structlog.get_logger()

Propose = Callable[[Command], Awaitable[Outcome]]
MakeCarrier = Callable[[Target, PusherSettings], Carrier]

_LOOK_AGAIN_S = 1.0
"""Which nodes are reachable may change without an entry in the log."""
_FIRST_VERIFY_S = 2.0


class Pusher:
    """Follows the State and keeps every target at what it asks for."""

    def __init__(
        self,
        node: str,
        state: Callable[[], State],
        propose: Propose,
        is_current: Callable[[], Awaitable[bool]],
        settings: PusherSettings,
        *,
        reachable: Callable[[], Collection[str]] | None = None,
        make_carrier: MakeCarrier = carrier_for,
        chance: Callable[[], float] = random.random,
        on_attempt: Callable[[str, bool, float], object] = lambda *_: None,
    ) -> None:
        self._node = node
        self._state = state
        self._propose = propose
        self._is_current = is_current
        self._settings = settings
        self._reachable = reachable
        self._make_carrier = make_carrier
        self._chance = chance
        self._on_attempt = on_attempt
        self._flights = asyncio.Semaphore(settings.flights_max)
        self._withdrawals = Withdrawals()
        self._seen: State | None = None
        self._lanes: dict[str, Lane] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running = False

    async def start(self) -> None:
        """Begin to follow the State."""
        self._running = True
        self.state_changed()

    async def stop(self) -> None:
        """End all attempts; what was already sent is found by whoever reads the target next."""
        self._running = False
        tasks = list(self._tasks.values())
        for name in list(self._lanes):
            self._drop(name)
        await asyncio.gather(*tasks, return_exceptions=True)

    def state_changed(self, services: Iterable[Name] | None = None) -> None:
        """Take notice of a new State in which these services may be other ones, None for any.

        Cheap; to be called in the event loop after every change.
        """
        if not self._running:
            return
        self._seen = self._state()
        self._withdrawals.observe(self._seen, services, _now())
        targets = self._seen.targets
        for name in [name for name in self._lanes if name not in targets]:
            self._drop(name)
        for name in sorted(targets):
            self._take_up(targets[name])
        for wake in self._wakes.values():
            wake.set()

    def refresh(self, target: str) -> bool:
        """Read the target as soon as possible and repair what differs; False when there is no such target."""
        lane = self._lanes.get(target)
        if lane is None:
            return False
        lane.forget()
        lane.refresh = True
        self._wakes[target].set()
        return True

    async def diff(self, target: str) -> tuple[tuple[Name, Replacement], ...] | None:
        """Return what a delivery would replace, by zone, sending no change; None when there is no such target.

        Raises ``PushError`` when the target cannot be read.
        """
        found = self._state().targets.get(target)
        if found is None:
            return None
        async with self._flights:
            try:
                async with asyncio.timeout(self._settings.attempt_s):
                    with contextlib.closing(self._make_carrier(found, self._settings)) as carrier:
                        return await compare(carrier, self._state(), found)
            except TimeoutError:
                raise PushError("retryable", "deadline", self._late()) from None

    def status(self) -> tuple[TargetStatus, ...]:
        """Return one row a target, by name."""
        state = self._state()
        now = asyncio.get_running_loop().time()
        return tuple(
            describe(state, state.targets[name], self._lanes.get(name), now) for name in sorted(state.targets)
        )

    # --- lanes ------------------------------------------------------------------------------------

    def _take_up(self, target: Target) -> None:
        """Start to follow a target, or take notice that its definition changed."""
        lane = self._lanes.get(target.name)
        if lane is not None:
            if lane.target != target:
                lane.target = target
                lane.forget()
            return
        first_at = _now() + _FIRST_VERIFY_S * self._chance()
        self._lanes[target.name] = Lane(target, next_verify_at=first_at, next_serial_at=first_at)
        self._wakes[target.name] = asyncio.Event()
        self._tasks[target.name] = asyncio.create_task(self._follow(target.name), name=f"push {target.name}")

    def _drop(self, name: str) -> None:
        del self._lanes[name], self._wakes[name]
        self._tasks.pop(name).cancel()

    async def _follow(self, name: str) -> None:
        lane, wake = self._lanes[name], self._wakes[name]
        while True:
            wake.clear()
            try:
                wait_s = await self._step(lane)
            except Exception:
                logger.exception("push.crashed", target=name)
                wait_s = self._fail(
                    lane, PushError("retryable", "crashed", "the push failed on this node; see its log")
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await wake.wait()

    async def _step(self, lane: Lane) -> float:
        """Do what is due; return how long to wait before looking again, unless woken."""
        now = _now()
        reachable = None if self._reachable is None else self._reachable()
        step = next_step(lane, self._state(), self._node, reachable, self._settings, now)
        lane.next_at = None if step.action == "none" else step.at
        if step.action == "none":
            return _LOOK_AGAIN_S
        if step.at > now:
            return min(step.at - now, _LOOK_AGAIN_S)
        if step.action == "report":
            await self._report_success(lane, "carried earlier")
            return 0.0
        if await self._hold_mass(lane):
            return _LOOK_AGAIN_S
        await self._attempt(lane, verifying=step.action == "verify")
        return 0.0

    # --- attempts ---------------------------------------------------------------------------------

    async def _attempt(self, lane: Lane, *, verifying: bool) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        attempt = Attempt(
            target=lane.target,
            full=self._is_full(lane, verifying, started),
            verifying=verifying,
            since=lane.verified,
            serials=dict(lane.serials),
        )
        lane.next_serial_at = started + self._settings.serial_every_s * (0.9 + self._chance() / 5)
        try:
            async with self._flights, asyncio.timeout(self._settings.attempt_s):
                with contextlib.closing(self._make_carrier(lane.target, self._settings)) as carrier:
                    done = await perform(carrier, attempt, self._judged, lambda: self._guard(lane))
        except TimeoutError:
            self._on_attempt(lane.target.name, False, loop.time() - started)
            await self._failed(lane, PushError("retryable", "deadline", self._late()))
        except PushError as error:
            if error.kind != "cut-off":
                self._on_attempt(lane.target.name, False, loop.time() - started)
            await self._failed(lane, error)
        else:
            self._on_attempt(lane.target.name, True, loop.time() - started)
            await self._succeeded(lane, attempt, done, loop.time() - started)

    def _is_full(self, lane: Lane, verifying: bool, now: float) -> bool:
        """Say whether everything is to be read, whatever was seen before."""
        asked = self._state().deliveries.get(lane.target.name, Delivery()).refresh_index
        return lane.refresh or lane.verified < asked or (verifying and now >= lane.next_verify_at)

    def _judged(self) -> State:
        """Return the newest State that the breaker has seen, too."""
        assert self._seen is not None
        return self._seen

    async def _hold_mass(self, lane: Lane) -> bool:
        """Have the log hold the target when most of a zone went; say whether nothing may be sent."""
        mass = self._withdrawals.judge(self._judged(), lane.target, _now())
        if mass is None:
            return False
        name = lane.target.name
        logger.error("push.mass_withdrawal", target=name, withdrawn=mass.withdrawn, of=mass.of)
        await self._propose(HoldPush(name, self._node, mass.index, mass.zone, mass.withdrawn, mass.of))
        return True

    async def _guard(self, lane: Lane) -> None:
        """Raise ``PushError`` when this node may not send to the target now."""
        if not await self._is_current():
            raise PushError("cut-off", "cut-off", "this node cannot reach the majority; another one pushes")
        seen, name = self._judged(), lane.target.name
        if seen.deliveries.get(name, Delivery()).is_stopped:
            raise PushError("cut-off", "stopped", f"{name} was paused or held meanwhile")
        if self._withdrawals.judge(seen, lane.target, _now()) is not None:
            raise PushError("cut-off", "mass-withdrawal", "most of a zone's service records went at once")

    async def _succeeded(self, lane: Lane, attempt: Attempt, done: Done, took_s: float) -> None:
        now = _now()
        lane.refresh = False
        lane.failures, lane.retry_at, lane.problem = 0, 0.0, None
        if done.was_full:
            lane.next_verify_at = now + verify_every_s(lane, self._settings) * (0.9 + self._chance() / 5)
        lane.verified, lane.serials = done.plan, dict(done.serials)
        if done.replaced:
            lane.sent_at = now
            event = "push.repaired" if attempt.verifying else "push.sent"
            logger.info(
                event, target=lane.target.name, plan=done.plan, rrsets=done.replaced, took_ms=_ms(took_s)
            )
        delivery = self._state().deliveries.get(lane.target.name, Delivery())
        if should_report_success(delivery, self._node, done.plan):
            lane.unreported = done.plan
            rrsets = f"{counted(done.replaced, 'RRset')} replaced" if done.replaced else "nothing to replace"
            await self._report_success(lane, f"{rrsets} in {_ms(took_s)} ms")

    async def _failed(self, lane: Lane, error: PushError) -> None:
        self._fail(lane, error)
        if error.kind == "cut-off":
            return
        state = self._state()
        delivery = state.deliveries.get(lane.target.name, Delivery())
        if should_report_failure(lane, delivery, self._node, error.code):
            logger.warning("push.failed", target=lane.target.name, kind=error.kind, detail=str(error))
            plan = wanted(state, lane.target)
            if await self._report(lane, plan, False, str(error)):
                lane.reported_code = error.code

    def _fail(self, lane: Lane, error: PushError) -> float:
        """Note a failure; return how long to wait."""
        lane.refresh = False
        lane.failures = min(lane.failures + 1, 100)
        lane.problem = error
        wait_s = back_off_s(lane.failures, self._settings, self._chance(), error)
        lane.retry_at = _now() + wait_s
        return wait_s

    # --- reports ----------------------------------------------------------------------------------

    async def _report_success(self, lane: Lane, detail: str) -> None:
        plan = lane.unreported
        if plan is None:
            return
        if await self._report(lane, plan, True, detail):
            lane.unreported, lane.reported_code = None, ""
            lane.failures, lane.retry_at = 0, 0.0
        else:
            lane.failures = min(lane.failures + 1, 100)
            lane.retry_at = _now() + back_off_s(lane.failures, self._settings, self._chance())

    async def _report(self, lane: Lane, plan: int, ok: bool, detail: str) -> bool:
        """Write into the log what became of a plan; say whether it is there (or not wanted any more)."""
        outcome = await self._propose(ReportPush(lane.target.name, self._node, plan, ok, detail))
        return isinstance(outcome, Committed) and isinstance(outcome.result, Accepted | Refused)

    def _late(self) -> str:
        return f"the attempt took longer than {self._settings.attempt_s:g} s"


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
