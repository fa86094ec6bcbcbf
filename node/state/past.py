"""The State as it was at an earlier log index, as far as what it still holds tells: events, and zones' histories. Pure.

The way back is the same on every node, as all of it stands in the State. What is not held any more is said in notes.
Leases that ended since, and what push targets had, are not part of it.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec
from immutables import Map

from node.state.command import Member
from node.state.events import oldest_number
from node.state.past_service import Moment, service_at
from node.state.state import Event, ServiceState, State
from node.zone.name import Name, from_text, to_text
from node.zone.rrset import RRset
from node.zone.zone import Replacement, Zone, served_as

_OF_VOTES = ("vote.cast", "vote.withdrawn")
"""Events of one endpoint; the others that name a node are of the whole node."""


class NotHeld(ValueError):
    """Of that index nothing can be told; the message says why. ``is_old``: it could once."""

    def __init__(self, text: str, *, is_old: bool = False) -> None:
        super().__init__(text)
        self.is_old = is_old


class Past(NamedTuple):
    """What stood then, and by zone or service what is not known of it."""

    state: State
    notes: Mapping[Name, tuple[str, ...]]


def oldest_index(state: State) -> int:
    """Return the log index from which on the past is held, 0 for from the beginning."""
    oldest = oldest_number(state)
    found = state.events[oldest].index if oldest else 0
    for event in state.events.values():
        is_a_break = event.kind == "restore.done" or (
            event.kind == "verdict.changed" and "rule" not in event.data
        )
        if is_a_break:  # older software told less, and a backup brings what nothing was told of
            found = max(found, event.index)
    return found


def require_held(state: State, index: int) -> None:
    """Raise ``NotHeld`` for an index that is to come or too old."""
    if index > state.index:
        raise NotHeld(f"index {index} is to come: the newest here is {state.index}")
    oldest = oldest_index(state)
    if index < oldest:
        raise NotHeld(f"index {index} is too old: events are held from index {oldest} on", is_old=True)


def state_at(state: State, index: int, fqdns: Collection[Name] | None = None) -> Past:
    """Return the State as it was right after the entry at this log index, with these services or all.

    Raises ``NotHeld``.
    """
    require_held(state, index)
    events = [state.events[number] for number in sorted(state.events)]
    nodes = [each for each in events if each.data.get("node") and each.kind not in _OF_VOTES]
    members = _members_at(state.members, [each for each in nodes if each.index > index])
    moment = Moment(index, members, oldest_index(state), nodes)
    notes: dict[Name, tuple[str, ...]] = {}
    then = msgspec.structs.replace(
        state,
        index=index,
        members=members,
        services=_services_at(state, events, moment, notes, fqdns),
        zones=_zones_at(state, [each for each in events if each.index > index], index, notes),
        leases=Map({key: each for key, each in state.leases.items() if each.since <= index}),
        targets=Map(),
    )
    return Past(then, notes)


def _members_at(now: tuple[Member, ...], since: Iterable[Event]) -> tuple[Member, ...]:
    """Undo what changed about who votes, newest first."""
    members = {each.name: each for each in now}
    for event in sorted(since, key=lambda each: (each.index, each.number), reverse=True):
        name, data = event.data["node"], event.data
        if event.kind not in ("node.added", "node.changed", "node.removed"):
            continue
        if data.get("before") == "voter":
            members.setdefault(name, Member(name, site=data.get("site", "")))
        else:
            members.pop(name, None)
    return tuple(members.values())


def _services_at(
    state: State,
    events: list[Event],
    moment: Moment,
    notes: dict[Name, tuple[str, ...]],
    fqdns: Collection[Name] | None,
) -> "Map[Name, ServiceState]":
    own: dict[str, list[Event]] = {}
    wanted = None if fqdns is None else {to_text(fqdn) for fqdn in fqdns}
    for event in events:
        if "service" in event.data and (wanted is None or event.data["service"] in wanted):
            own.setdefault(event.data["service"], []).append(event)
    are_votes_lost = any(each.index > moment.at for each in moment.nodes)
    names = {to_text(fqdn): fqdn for fqdn in (state.services if fqdns is None else fqdns)}
    services = (state.services if fqdns is None else _only(state.services, fqdns)).mutate()
    for text in sorted({*names, *own}):
        fqdn, told = names.get(text) or from_text(text), own.get(text, [])
        if not are_votes_lost and (not told or told[-1].index <= moment.at):
            continue
        found = service_at(state.services.get(fqdn), told, moment)
        if found.notes:
            notes[fqdn] = found.notes
        if found.known is not None:
            services[fqdn] = found.known
        else:
            services.pop(fqdn, None)
    return services.finish()


def _only(services: "Map[Name, ServiceState]", fqdns: Collection[Name]) -> "Map[Name, ServiceState]":
    return Map({fqdn: services[fqdn] for fqdn in fqdns if fqdn in services})


def _zones_at(
    state: State, since: Iterable[Event], index: int, notes: dict[Name, tuple[str, ...]]
) -> "Map[Name, Zone]":
    told: dict[str, list[Event]] = {}
    for event in since:
        if event.kind.startswith("zone."):
            told.setdefault(event.data["zone"], []).append(event)
    zones = state.zones.mutate()
    for text, events in told.items():
        name = from_text(text)
        zone = _zone_at(state.zones.get(name), events, index)
        if isinstance(zone, str):
            notes[name] = (*notes.get(name, ()), zone)
        elif zone is not None:
            zones[name] = zone
        else:
            zones.pop(name, None)
    return zones.finish()


def _zone_at(now: Zone | None, since: list[Event], index: int) -> Zone | str | None:
    """Return the zone of then, None where there was none, or a sentence that says why it is not known."""
    events = [each for each in since if each.kind != "zone.numbered"]
    if not events:
        return now
    if events[0].kind == "zone.created":
        return None
    gone = next((each.index for each in events if each.kind == "zone.deleted"), None)
    if now is None or gone is not None:
        return f"the zone was deleted at index {gone}, what stood in it is not held"
    deltas = [each for each in now.history if each.index > index]
    replaced = next((each.index for each in events if each.kind == "zone.imported"), None)
    if replaced is not None or not deltas or str(deltas[0].serial_to) != events[0].data["serial"]:
        behind = replaced or (now.history[0].index if now.history else events[-1].index)
        return f"what stood in the zone before index {behind} is not held: it is told as it is now"
    former: dict[tuple[Name, int], RRset | None] = {}
    for delta in reversed(deltas):  # what an older one took away goes before what a newer one did
        former |= {(each.name, each.type): None for each in delta.added}
        former |= {(each.name, each.type): each for each in delta.removed}
    changes = [Replacement(name, type_, rrset) for (name, type_), rrset in former.items()]
    return msgspec.structs.replace(served_as(now, changes), serial=deltas[0].serial_from)
