"""The zones as this node answers them: no ttl goes beyond what is left of a lease.

Near its end what is leased is answered with a shorter ttl, halved in steps so that a change is rare.
When a lease has run out, the record goes on with ttl 1 while a leader is heard, who alone ends leases;
a node that hears none stops answering it. The replicated zones are untouched: transfers and updates
follow those.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec
import structlog

from node.lease_clock import LeaseClock
from node.state.command import Command, ExpireLeases
from node.state.state import Changed, State
from node.zone.lease import SUBTREE, LeaseKey
from node.zone.name import Name, iter_ancestors
from node.zone.rrset import AAAA, CNAME, NS, SOA, A, RRset
from node.zone.zone import Replacement, Zone, served_as
from raft.proposal import Outcome
from raft.replica import ReplicaStatus

logger = structlog.get_logger()

PERIOD_S = 0.25
SLACK_S = 0.5
"""A node counts a lease from when it applied the grant, a moment after the leader did."""
GRANTS_MAX = 1_000
"""Leases ended by one entry."""

Place = tuple[Name, int]
Zones = Mapping[Name, Zone]
Listener = Callable[[Zones, Changed | None], None]


class Door(Protocol):
    """What is needed of the cluster."""

    @property
    def state(self) -> State:
        """The newest committed State."""

    def status(self) -> ReplicaStatus:
        """What the log knows of itself and its peers."""

    async def propose(self, command: Command, *, actor: str = "", reason: str = "") -> Outcome:
        """Bring a command into the log."""


class ServedZones:
    """What is answered now, and the leader's duty to end what has run out."""

    def __init__(self, door: Door, clock: LeaseClock) -> None:
        self._door = door
        self.clock = clock
        self._listeners: list[Listener] = []
        self._watchers: list[Callable[[float], None]] = []
        self._ttls: dict[LeaseKey, int] = {}
        """The longest ttl of what each lease is on."""
        self._below: dict[LeaseKey, set[Name]] = {}
        """The names at and below each leased directory, perhaps with some that are gone."""
        self._by_place: dict[tuple[Name, Name], set[LeaseKey]] = {}
        self._ceilings: dict[Name, dict[LeaseKey, int]] = {}
        """By zone: the ttl that what is leased may have at most, 0 when it is not answered at all."""
        self._made: dict[Name, tuple[Zone, Zone]] = {}
        self._leader: tuple[int, str] | None = None
        self._unsure: dict[LeaseKey, int] = {}
        """Grants, by index, of which this node learned late: nobody here knows how much of them is left."""
        self._has_caught_up = False
        self._is_led = False
        self._ending: asyncio.Task[Outcome] | None = None

    # --- what others see -------------------------------------------------------------------------

    @property
    def zones(self) -> Zones:
        """The zones to answer from, always those of the newest State."""
        state = self._door.state
        if not self._ceilings:
            return state.zones
        zones = state.zones
        for name in self._ceilings:
            base = zones.get(name)
            if base is not None:
                zones = zones.set(name, self._served(state, base))
        return zones

    def subscribe(self, listener: Listener) -> None:
        """Call the listener when what is answered changes, with the names where it does."""
        self._listeners.append(listener)

    def watch(self, watcher: Callable[[float], None]) -> None:
        """Call the watcher at every step with ``calm_s``: as long as it is called, leases are looked after."""
        self._watchers.append(watcher)

    def is_leased(self, name: Name) -> bool:
        """Say whether something at a name is on a lease that can run out. For any thread."""
        if not self._ttls:
            return False
        above = tuple(iter_ancestors(name))
        return any(
            (zone, name) in self._by_place or any(LeaseKey(zone, each) in self._below for each in above)
            for zone in above
        )

    def names_of(self, key: LeaseKey) -> tuple[Name, ...]:
        """Return the names that a lease is on, if it can run out. For any thread."""
        return tuple(self._below.get(key, (key.name,))) if key in self._ttls else ()

    def calm_s(self) -> float:
        """Return for how long what is leased is answered rightly as it is now, were nothing done meanwhile."""
        pairs = self.clock.iter_left()
        return max(0.0, min((self._calm_s(key, left_s) for key, left_s in pairs), default=math.inf))

    def _calm_s(self, key: LeaseKey, left_s: float) -> float:
        ceiling = self._ceilings[key.zone].get(key) if key.zone in self._ceilings else None
        shown = self._ttls.get(key, 0) if ceiling is None else ceiling
        return left_s - SLACK_S - shown

    def state_changed(self, state: State, changed: Changed | None) -> None:
        """Follow the State; to be called for each change, in the event loop."""
        self.clock.take(state, None if changed is None else changed.leases)
        if changed is None:
            self._doubt(state)
            self._learn_all(state)
            affected: Iterable[LeaseKey] = list(self._ttls)
        else:
            affected = self._learn(state, changed)
        self._tell(changed, self._judge(affected))

    def step(self) -> None:
        """Do what is due now: follow the leader, shorten ttls, end what has run out. To be called often."""
        status = self._door.status()
        self._is_led = status.has_quorum
        if status.leader is not None and status.has_quorum and self._leader != (status.term, status.leader):
            self._leader = (status.term, status.leader)
            self.clock.prolong(self._door.state)
            self._unsure.clear()  # the new leader knows no more, and begins anew
        if not self._has_caught_up:
            self._doubt(self._door.state)
            self._has_caught_up = status.ready
        names = self._judge(None)
        if names:
            self._tell(Changed(), names)
        if status.role == "leader" and status.has_quorum:
            self._end_due(status.node)
        for follow in self._watchers:
            follow(self.calm_s())

    def _doubt(self, state: State) -> None:
        """What came by a snapshot, or is read back after a start, was granted at a time that is not known here."""
        if self._door.status().role == "leader":
            self._unsure.clear()
            return
        self._unsure = {key: lease.index for key, lease in state.leases.items() if lease.ttl_s > 0}

    def _is_unsure(self, key: LeaseKey) -> bool:
        lease = self._door.state.leases.get(key)
        return lease is not None and self._unsure.get(key) == lease.index

    async def run(self) -> None:
        """Step again and again, until cancelled."""
        while True:
            try:
                self.step()
            except Exception:
                logger.exception("lease.failed")
            await asyncio.sleep(PERIOD_S)

    def _end_due(self, node: str) -> None:
        if self._ending is not None and not self._ending.done():
            return
        grants = self.clock.due(GRANTS_MAX)
        if grants:
            proposal = self._door.propose(ExpireLeases(grants), actor=node, reason="not renewed")
            self._ending = asyncio.ensure_future(proposal)

    # --- what each lease is on -------------------------------------------------------------------

    def _learn_all(self, state: State) -> None:
        self._ttls.clear()
        self._below.clear()
        self._by_place.clear()
        self._ceilings.clear()
        self._made.clear()
        for key, _ in self.clock.iter_left():
            self._place(key)
        for zone_name in sorted({key.zone for key in self._below}):
            zone = state.zones.get(zone_name)
            for name in zone.nodes if zone is not None else ():
                self._note_below(zone_name, name)
        for key in self._ttls:
            self._ttls[key] = self._ttl(state, key)

    def _learn(self, state: State, changed: Changed) -> list[LeaseKey]:
        """Note what a change says of leases and of what they are on; return the leases it touches."""
        affected: dict[LeaseKey, None] = {}
        for key in changed.leases:
            affected[key] = None
            if key not in self.clock:
                self._forget(key)
            elif key not in self._ttls:
                self._place(key)
                self._look_below(state, key)
        if self._ttls:
            for zone, name in changed.names:
                affected |= dict.fromkeys(self._note_below(zone, name))
                affected |= dict.fromkeys(self._by_place.get((zone, name), ()))
            known = {(zone, name) for zone, name in changed.names}
            unnamed = set(changed.zones) - {zone for zone, _ in known}
            if unnamed:  # a whole zone came or went
                affected |= dict.fromkeys(key for key in self._ttls if key.zone in unnamed)
        for key in affected:
            if key in self._ttls:
                self._ttls[key] = self._ttl(state, key)
        return list(affected)

    def _place(self, key: LeaseKey) -> None:
        self._ttls[key] = 0
        if key.type == SUBTREE:
            self._below[key] = {key.name}
        else:
            self._by_place.setdefault((key.zone, key.name), set()).add(key)

    def _forget(self, key: LeaseKey) -> None:
        self._ttls.pop(key, None)
        self._below.pop(key, None)
        place = (key.zone, key.name)
        if place in self._by_place:
            self._by_place[place].discard(key)
            if not self._by_place[place]:
                del self._by_place[place]

    def _note_below(self, zone: Name, name: Name) -> list[LeaseKey]:
        """Note a name below leased directories; return those."""
        if not self._below:
            return []
        above = [key for each in iter_ancestors(name) if (key := LeaseKey(zone, each)) in self._below]
        for key in above:
            self._below[key].add(name)
        return above

    def _look_below(self, state: State, key: LeaseKey) -> None:
        zone = state.zones.get(key.zone)
        top = zone.node(key.name) if zone is not None else None
        if zone is None or key not in self._below or top is None or not top.children:
            return
        suffix = bytes(key.name)
        for name in zone.nodes:
            if name.endswith(suffix):
                self._note_below(key.zone, name)

    def _ttl(self, state: State, key: LeaseKey) -> int:
        return max((rrset.ttl for rrset in self._iter_rrsets(state, key)), default=0)

    def _iter_rrsets(self, state: State, key: LeaseKey) -> Iterable[RRset]:
        zone = state.zones.get(key.zone)
        if zone is None:
            return ()
        if key.type != SUBTREE:
            rrset = zone.get(key.name, key.type)
            return () if rrset is None else (rrset,)
        nodes = ((name, zone.node(name)) for name in self._below.get(key, ()))
        return (
            rrset
            for name, node in nodes
            for rrset in (() if node is None else node.rrsets)
            if not (rrset.type in (A, AAAA, CNAME) and name in state.services)
        )

    # --- how long it may be kept -----------------------------------------------------------------

    def _judge(self, keys: Iterable[LeaseKey] | None) -> list[tuple[Name, Name]]:
        """Set the ceilings of these leases, or of all; return the zone and name of everything that looks otherwise."""
        pairs: Iterable[tuple[LeaseKey, float | None]] = self.clock.iter_left()
        if keys is not None:
            pairs = [(key, self.clock.left_s(key)) for key in keys]
        return [place for key, left_s in pairs for place in self._judge_one(key, left_s)]

    def _judge_one(self, key: LeaseKey, left_s: float | None) -> list[tuple[Name, Name]]:
        before = self._ceilings[key.zone].get(key) if key.zone in self._ceilings else None
        after = None if left_s is None else self._ceiling(self._ttls.get(key, 0), before, left_s)
        if left_s is not None and after != 0 and self._is_unsure(key):
            after = 1
        if before == after:
            return []
        ceilings = self._ceilings.setdefault(key.zone, {})
        if after is None:
            del ceilings[key]
        else:
            ceilings[key] = after
        if not ceilings:
            del self._ceilings[key.zone]
        self._made.pop(key.zone, None)
        return [(key.zone, name) for name in self._below.get(key, (key.name,))]

    def _ceiling(self, ttl: int, before: int | None, left_s: float) -> int | None:
        """Return the ttl that is allowed with so much left; None when it need not be limited."""
        if left_s <= 0:
            return 1 if self._is_led else 0
        sure_s = left_s - SLACK_S
        if sure_s >= ttl:
            return None
        if before and sure_s >= before:
            return before
        return max(1, int(sure_s / 2))

    # --- what is answered ------------------------------------------------------------------------

    def _served(self, state: State, base: Zone) -> Zone:
        made = self._made.get(base.name)
        if made is None or made[0] is not base:
            made = self._made[base.name] = (base, served_as(base, self._replacements(state, base)))
        return made[1]

    def _replacements(self, state: State, zone: Zone) -> list[Replacement]:
        shown: dict[Place, RRset | None] = {}
        for key, ceiling in self._ceilings[zone.name].items():
            for rrset in self._iter_rrsets(state, key):
                place = (rrset.name, rrset.type)
                if rrset.name == zone.name and rrset.type in (SOA, NS):
                    continue
                shown[place] = _limited(shown.get(place, rrset), key.rdata, ceiling)
        return [Replacement(name, type_, rrset) for (name, type_), rrset in shown.items()]

    def _tell(self, changed: Changed | None, names: list[tuple[Name, Name]]) -> None:
        if changed is not None and names:
            changed = msgspec.structs.replace(
                changed,
                names=tuple(dict.fromkeys((*changed.names, *names))),
                zones=tuple(dict.fromkeys((*changed.zones, *(zone for zone, _ in names)))),
            )
        for listener in self._listeners:
            listener(self.zones, changed)


def _limited(rrset: RRset | None, rdata: bytes, ceiling: int) -> RRset | None:
    """Return an RRset with a ttl of at most the ceiling, or without what has run out."""
    if rrset is None:
        return None
    if ceiling:
        return rrset if rrset.ttl <= ceiling else msgspec.structs.replace(rrset, ttl=ceiling)
    if not rdata:
        return None
    left = tuple(each for each in rrset.rdatas if each != rdata)
    return msgspec.structs.replace(rrset, rdatas=left) if left else None
