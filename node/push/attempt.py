"""One attempt at one target: what to read and change there, judged from the newest State."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from node.push.delivery import Carrier, Guard, Terms, deliver, differences
from node.push.errors import PushError
from node.push.orders import Replacement, ZonePlan
from node.push.targets import TooMany, desired, wanted, zones_of
from node.state.pushes import Target
from node.state.state import State
from node.zone.name import Name

GUARD_HOLDS_S = 1.0
"""So long after a read barrier a message may still be sent without another one."""
_LARGE = 200
"""So many RRsets and services are gone through in the event loop; for more it would stand still too long."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the node knows when it begins."""

    target: Target
    full: bool
    """Read everything, whatever was seen before."""
    verifying: bool
    """The plan is known to stand; only what others changed is looked for."""
    since: int
    """All of this plan was seen on the target by this node; 0 for never."""
    serials: Mapping[Name, int | None]
    """The SOA serials as this node left them."""


@dataclass(frozen=True, slots=True)
class Done:
    """What stands on the target after an attempt."""

    plan: int
    replaced: int
    serials: Mapping[Name, int | None]
    was_full: bool


async def perform(carrier: Carrier, attempt: Attempt, state: Callable[[], State], guard: Guard) -> Done:
    """Bring the target to what the newest State asks for. Raises ``PushError``.

    What this node has seen there before is not read again while the zone's serial is as it was left.
    """
    held = _Held(guard)
    await held()
    now = state()
    target = now.targets.get(attempt.target.name, attempt.target)
    plan = wanted(now, target)
    serials = {zone: await carrier.serial(zone) for zone in zones_of(now, target)}
    full = attempt.full or not attempt.since or serials != attempt.serials
    terms = Terms(plan, target.own, target.fence, raise_fence=not attempt.verifying)
    replaced = 0
    for zone_plan in await _plan(now, target, 0 if full else attempt.since):
        changes = await deliver(carrier, zone_plan, terms, held)
        replaced += len(changes)
        if changes:
            serials[zone_plan.zone] = await carrier.serial(zone_plan.zone)
    return Done(plan, replaced, serials, full)


async def compare(carrier: Carrier, state: State, target: Target) -> tuple[tuple[Name, Replacement], ...]:
    """Return what a delivery would replace, by zone. Raises ``PushError``."""
    found: list[tuple[Name, Replacement]] = []
    for zone_plan in await _plan(state, target, 0):
        found += [(zone_plan.zone, each) for each in await differences(carrier, zone_plan, target.own)]
    return tuple(found)


async def _plan(state: State, target: Target, since: int) -> tuple[ZonePlan, ...]:
    """Derive the plan, in a thread of its own when there is much to go through. Raises ``PushError``."""
    size = sum(zone.rrset_count for zone in state.zones.values()) if target.what == "all" else 0
    try:
        if size + len(state.services) > _LARGE:
            return await asyncio.to_thread(desired, state, target, since)
        return desired(state, target, since)
    except TooMany as error:
        raise PushError("permanent", "too-many", str(error)) from None


class _Held:
    """A guard that need not ask again for a short while."""

    def __init__(self, guard: Callable[[], Awaitable[None]]) -> None:
        self._guard = guard
        self._until = 0.0

    async def __call__(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._until:
            asked = loop.time()
            await self._guard()
            self._until = asked + GUARD_HOLDS_S
