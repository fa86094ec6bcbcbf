"""When to probe which endpoint, and what this node makes of it: one task paces all probes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from hashlib import blake2b
from random import random as random_share

import structlog

from node.health.service import Check
from node.health.vote import Opinion, observe, wants_recheck
from node.probe import checks
from node.probe.ballots import is_up_for_others
from node.probe.guard import Guard
from node.probe.heartbeats import Heartbeats
from node.probe.history import History
from node.probe.result import ProbeResult
from node.probe.roster import Roster
from node.probe.schedule import Schedule
from node.probe.settings import ProberSettings
from node.probe.slot import Slot
from node.probe.summary import BEHIND_PERCENT, Meter, ProberSummary
from node.probe.toolbox import Toolbox
from node.probe.voter import Voter
from node.state.command import Command
from node.state.state import State
from node.zone.name import Name, to_text
from raft.proposal import Outcome

__all__ = ["Prober", "ProberSettings"]

logger = structlog.get_logger()

Run = Callable[[Check, Name, str, float, Toolbox, bool], Awaitable[ProbeResult]]
"""As ``checks.run``."""

_START_SPREAD_MAX_S = 10.0
_TICK_S = 0.005
"""Probes due within one tick start together: a wake-up for each would cost more than it gives."""
_REFRESH_S = 0.05
_WITNESSES_MAX = 16
_COMPARE_S = 10.0
"""Every opinion is compared with the State this often, beside each time when one of both changes."""


_LOOK_S = 1.0
"""This often what has become too old to vote on is looked for."""


class Prober:
    """Probes every endpoint of the State that this node is to probe, and votes."""

    def __init__(
        self,
        node: str,
        state: Callable[[], State],
        propose: Callable[[Command], Awaitable[Outcome]],
        settings: ProberSettings,
        *,
        run: Run = checks.run,
        clock_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
        random: Callable[[], float] = random_share,
        is_local: Callable[[str], bool] | None = None,
        on_probe: Callable[[Name, bool, float], object] = lambda *_: None,
    ) -> None:
        """Raises ``ValueError`` when a reference is not ``ip:port``. Clock and chance are handed in by tests."""
        self._node = node
        self._state = state
        self._settings = settings
        self._run = run
        self._clock_s = clock_s
        self._wall_s = wall_s
        self._random = random
        self.history = History(clock_s)
        self._guard = Guard(settings.isolation_hold_s)
        self._roster = Roster(node, self._guard, settings.references, is_local)
        self._voter = Voter(node, state, propose, self._guard, settings.batch_s, self._call_witnesses, random)
        self._schedule = Schedule()
        self._on_probe = on_probe
        self._meter = Meter(settings.flights_max)
        self._heartbeats = Heartbeats(node, state, clock_s)
        self._toolbox = Toolbox(settings.ca_file, settings.exec_checks, self._heartbeats, clock_s)
        self._flights: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stale: dict[Name, None] | None = None
        """Services that have changed since the last refresh; None: it may be any."""
        self._refreshed_s = float("-inf")
        self._wakes_s = float("inf")
        self._compared_s = float("-inf")
        self._looked_s = clock_s()
        self._awake_s = 0.0
        self._doubted_s = 0.0
        self._is_behind = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to probe."""
        for slot in self._roster.references:
            self._begin(slot)
        self._tasks = [asyncio.create_task(self._pace()), asyncio.create_task(self._voter.run())]

    async def stop(self) -> None:
        """End quietly: probes in the air are given up, nothing is voted."""
        tasks = [*self._tasks, *self._flights]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        await self._toolbox.close()

    def services_changed(self, fqdns: Iterable[Name] | None = None) -> None:
        """Take note that these services of the State, or votes on them, have changed; None means any."""
        if fqdns is None:
            self._stale = None
        elif self._stale is not None:
            self._stale.update(dict.fromkeys(fqdns))
        self._wake.set()

    @property
    def is_running(self) -> bool:
        """Say whether the tasks that probe and vote go on."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def summary(self) -> ProberSummary:
        """Return how this node's probing goes."""
        now_s = self._clock_s()
        waiting = (slot for slot in self._roster.endpoints() if slot in self._schedule)
        overdue = sum(slot.due_s + slot.plan.interval_s < now_s for slot in waiting)
        return ProberSummary(
            len(self._roster),
            self._meter.probes,
            self._meter.failures,
            self._meter.started_late,
            overdue,
            round(self._meter.late_percent, 1),
            round(self._meter.schedule_delay_s * 1000),
            round(self._meter.load_factor, 3),
            len(self._flights),
            self._guard.is_isolated,
            sum(slot.is_stale for slot in self._roster.endpoints()),
        )

    def hear(self, fqdn: Name, address: str) -> bool:
        """Take note that an endpoint reported; False when this node does not listen to it."""
        slot = self._roster.find(fqdn, address)
        if slot is None or slot.plan.check.kind != "push":
            return False
        self._heartbeats.hear(fqdn, address)
        if slot.opinion.vote is not True and slot in self._schedule:
            self._schedule.put(slot, self._clock_s())
            self._wake.set()
        return True

    # --- pacing ------------------------------------------------------------------------------------

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            try:
                delay_s = self._do_due()
            except Exception:
                logger.exception("probe.pace_failed")
                delay_s = 1.0
            self._wakes_s = self._clock_s() + delay_s
            timer = loop.call_later(delay_s, self._wake.set)
            await self._wake.wait()
            timer.cancel()

    def _do_due(self) -> float:
        """Do what is due, and return for how long there is nothing to do."""
        now_s = self._clock_s()
        refresh_in_s = self._refreshed_s + _REFRESH_S - now_s
        if self._stale != {} and refresh_in_s <= 0:
            self._refresh(now_s)
        if now_s >= self._compared_s + _COMPARE_S:
            self._compared_s = now_s
            self._voter.note(self._roster.endpoints())
        if now_s >= self._looked_s + _LOOK_S:
            self._take_back_stale(now_s)
        if self._meter.turn(now_s, time.thread_time()):
            self._tell_lateness()
        while len(self._flights) < self._settings.flights_max:
            slot = self._schedule.pop_due(now_s)
            if slot is None:
                break
            self._launch(slot, now_s)
        delay_s = min(self._schedule.next_due_s() - now_s, 1.0)
        if len(self._flights) >= self._settings.flights_max:
            delay_s = 1.0  # the next landing wakes us
        if self._stale != {}:
            delay_s = min(delay_s, refresh_in_s)
        return max(delay_s, _TICK_S)

    def _refresh(self, now_s: float) -> None:
        """Bring the roster up to the State, and compare what changed there with this node's opinions."""
        stale, self._stale = self._stale, {}
        self._refreshed_s = now_s
        changes = self._roster.refresh(self._state(), stale)
        for slot in changes.gone:
            self._schedule.remove(slot)
            self.history.forget(slot.fqdn, slot.address)
            self._heartbeats.forget(slot.fqdn, slot.address)
            if slot.flight is not None:
                slot.flight.cancel()
        for slot in changes.new:
            self._begin(slot)
        for slot in changes.replanned:
            slot.beat_s = now_s + self._until_beat_s(slot)
            if slot in self._schedule:
                self._schedule.put(slot, min(slot.due_s, slot.beat_s))
        for slot in changes.contradicted:  # another node has seen something: look now, and judge by oneself
            slot.doubt(now_s)
            if slot in self._schedule and slot.due_s > now_s:
                self._schedule.put(slot, now_s)
        self._voter.note(changes.touched)

    def _awake(self, now_s: float) -> float:
        """Return for how long this process has run: a pause of its own makes nothing old that it will look at now."""
        return self._awake_s + min(now_s - self._looked_s, 2 * _LOOK_S)

    def _take_back_stale(self, now_s: float) -> None:
        """Say nothing more of endpoints on which there has been no result for longer than a vote is good for.

        That is so while this node cannot even try (no descriptor, no permission), is far behind its schedule, or a
        probe does not come back. The node itself may be well, and its lease goes on.
        """
        self._awake_s, self._looked_s = self._awake(now_s), now_s
        stale = [
            slot
            for slot in self._roster.endpoints()
            if not slot.is_stale and self._awake_s - slot.tried_s > slot.plan.vote_s
        ]
        for slot in stale:
            slot.is_stale, slot.opinion = True, Opinion()
        if stale:
            self._voter.note(stale)

    def _begin(self, slot: Slot) -> None:
        """Let the first probe come at the endpoint's beat, or soon where the beat is slow."""
        now_s, wait_s = self._clock_s(), self._until_beat_s(slot)
        slot.tried_s = self._awake(now_s)
        slot.beat_s = now_s + wait_s
        self._schedule.put(slot, now_s + wait_s * min(1.0, _START_SPREAD_MAX_S / slot.plan.interval_s))

    def _until_beat_s(self, slot: Slot) -> float:
        """Return the time until the slot's next beat.

        Endpoints are spread over the interval, and the nodes over each endpoint's beat: by the wall clock they take
        turns, so that three nodes see a failure after a third of the interval. Clocks that differ cost that, no more.
        """
        seed = slot.fqdn + b"\0" + slot.address.encode()
        share = int.from_bytes(blake2b(seed, digest_size=8).digest()) / 2**64
        names = sorted(member.name for member in self._state().members)
        if self._node in names:
            share += names.index(self._node) / len(names)
        interval_s = slot.plan.interval_s
        return (share * interval_s - self._wall_s()) % interval_s

    def _launch(self, slot: Slot, now_s: float) -> None:
        self._meter.start(now_s - slot.due_s)
        slot.flight = asyncio.get_running_loop().create_task(self._fly(slot))
        self._flights.add(slot.flight)
        slot.flight.add_done_callback(self._landed)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        if len(self._flights) >= self._settings.flights_max:
            self._wake.set()  # others wait for the room
        self._flights.discard(flight)

    def _tell_lateness(self) -> None:
        """Log when this node begins to be behind its schedule, and when it no longer is."""
        meter = self._meter
        was_behind, self._is_behind = self._is_behind, meter.late_percent > BEHIND_PERCENT
        if self._is_behind and not was_behind:
            logger.warning(
                "probe.behind",
                late_percent=round(meter.late_percent, 1),
                longest_delay_ms=round(meter.schedule_delay_s * 1000),
                load_factor=round(meter.load_factor, 2),
                detail="probes start late: votes come later than the settings promise",
            )
        elif was_behind and not self._is_behind:
            logger.warning("probe.in_time", load_factor=round(meter.load_factor, 2))

    # --- landing -----------------------------------------------------------------------------------

    async def _fly(self, slot: Slot) -> None:
        started_s = self._clock_s()
        plan, resumes = slot.plan, slot.may_resume(started_s)
        try:
            result = await self._run(plan.check, slot.fqdn, slot.target, plan.timeout_s, self._toolbox, resumes)
        except Exception:
            logger.exception("probe.failed", fqdn=to_text(slot.fqdn), address=slot.address)
            result = ProbeResult(False, 0, "probe broke down", tried=False)
        slot.flight = None
        took_s = self._clock_s() - started_s
        if resumes and not result.up:
            slot.resuming_failed(self._clock_s())
        self._meter.land(result.up, took_s)
        self._on_probe(slot.fqdn, result.up, took_s)
        if slot.is_gone:
            return
        try:
            self._land(slot, result)
        except Exception:
            logger.exception("probe.landing_failed", fqdn=to_text(slot.fqdn), address=slot.address)
        finally:
            self._put_next(slot, started_s)

    def _land(self, slot: Slot, result: ProbeResult) -> None:
        now_s = self._clock_s()
        was_silent, vote_before = slot.is_silent, slot.opinion.vote
        hears = slot.plan.check.kind == "push"
        if not result.tried and not hears and (slot.last is None or slot.last.tried):
            fqdn = to_text(slot.fqdn)
            logger.warning("probe.untried", fqdn=fqdn, address=slot.address, detail=result.evidence)
        slot.last = result
        if result.tried or hears:
            slot.tried_s, slot.is_stale = self._awake(now_s), False
        if result.tried and not self._roster.is_reference(slot):
            self.history.add(slot.fqdn, slot.address, up=result.up, latency_ms=result.latency_ms)
        if result.tried:
            slot.opinion = observe(slot.opinion, result.up, slot.plan.rise, slot.plan.fall)
        elif hears:
            slot.opinion = Opinion()  # another node knows better, or nobody yet
        if slot.opinion.vote is False and vote_before is not False:
            slot.turned_s = now_s
        if self._guard.observe(slot, was_silent, now_s):
            self._isolation_changed(now_s)
        elif self._guard.is_isolated:
            self._doubt(now_s)
        if not self._roster.is_reference(slot) and not (slot.is_settled and slot.opinion.vote == vote_before):
            self._voter.note((slot,))
        elif result.answered:
            self._voter.nudge()

    def _put_next(self, slot: Slot, started_s: float) -> None:
        beats = (started_s - slot.beat_s) // slot.plan.interval_s + 1
        slot.beat_s += max(beats, 0) * slot.plan.interval_s
        next_s = slot.beat_s
        last = slot.last
        if last is not None and last.tried and wants_recheck(slot.opinion, last.up):
            next_s = min(next_s, started_s + slot.plan.recheck_s)
        self._schedule.put(slot, max(next_s, self._clock_s()))
        if slot.due_s + _TICK_S < self._wakes_s:
            self._wake.set()

    # --- isolation ---------------------------------------------------------------------------------

    def _isolation_changed(self, now_s: float) -> None:
        if self._guard.is_isolated:
            logger.warning("node.isolated", endpoints=len(self._roster))
            self._voter.note(self._roster.endpoints())
            return
        logger.warning("node.connected", detail="something answers again; opinions start afresh")
        for slot in self._roster.remote_endpoints():
            slot.opinion = Opinion()
            if slot in self._schedule:
                soon_s = now_s + slot.plan.recheck_s * self._random()
                self._schedule.put(slot, min(slot.due_s, soon_s))
        self._wake.set()

    def _doubt(self, now_s: float) -> None:
        """Ask about once a second whether isolation has lasted long enough."""
        if now_s < self._doubted_s + 1.0:
            return
        self._doubted_s = now_s

        def others_see_more() -> bool:
            return is_up_for_others(self._state(), self._node, self._roster.remote_endpoints())

        if self._guard.doubts_long_enough(now_s, others_see_more):
            logger.warning("node.believes", detail="nobody reaches more than this node: it votes again")
            self._voter.note(self._roster.endpoints())

    def _call_witnesses(self) -> None:
        now_s = self._clock_s()
        for slot in self._guard.witnesses(_WITNESSES_MAX):
            if slot in self._schedule and slot.due_s > now_s:
                self._schedule.put(slot, now_s)
        self._wake.set()
