"""What one entry of the log changed, who wanted it and why, and what was in DNS before and after. Pure.

Told from the State alone, so alike on every node, and of any index that the events still hold.
"""

from collections.abc import Iterator

import msgspec

from node.state.events import iter_after
from node.state.explaining import Line, explain_service
from node.state.past import NotHeld, Past, oldest_index, require_held, state_at
from node.state.state import EndpointState, Event, ServiceState, State
from node.state.wording import service_changes, shown
from node.zone.name import Name, from_text, to_text
from node.zone.rrset import SOA, RRset, rdata_to_text, type_to_text
from node.zone.zone import Delta

RECORDS_SHOWN_MAX = 100
"""Records of one entry that are told; an import has more."""
ENDPOINTS_SHOWN_MAX = 100


class ServiceChange(msgspec.Struct, frozen=True):
    """What of a service was in DNS before and after, and the whole of it in sentences."""

    service: Name
    before: tuple[str, ...] | None
    """None where it is not held."""
    after: tuple[str, ...]
    lines: tuple[Line, ...]


class RecordChange(msgspec.Struct, frozen=True):
    """What a zone lost and gained, in master-file text."""

    zone: Name
    serial_from: int
    serial_to: int
    removed: tuple[str, ...]
    added: tuple[str, ...]
    more: int
    """Further records that are not told."""


class EntryStory(msgspec.Struct, frozen=True):
    """One entry."""

    index: int
    at_ms: int
    actor: str
    reason: str
    events: tuple[Event, ...]
    services: tuple[ServiceChange, ...]
    records: tuple[RecordChange, ...]
    notes: tuple[str, ...]


def tell_entry(state: State, index: int) -> EntryStory:
    """Tell of the entry at this log index. Raises ``NotHeld`` where nothing can be told of it."""
    require_held(state, index)
    events = tuple(_events_at(state, index))
    if not events:
        raise NotHeld(f"the entry at index {index} changed nothing that is told{_neighbours(state, index)}")
    fqdns = dict.fromkeys(from_text(each.data["service"]) for each in events if "service" in each.data)
    after = state_at(state, index, fqdns)
    before = state_at(state, index - 1, fqdns) if index - 1 >= oldest_index(state) else None
    notes = [] if before is not None else [f"what was before index {index} is not held"]
    return EntryStory(
        index,
        events[0].at_ms,
        events[0].actor,
        events[0].reason,
        events,
        tuple(_service_change(fqdn, before, after) for fqdn in fqdns),
        tuple(_record_changes(state, events, index)),
        tuple(notes),
    )


def _events_at(state: State, index: int) -> Iterator[Event]:
    for event in iter_after(state, index - 1):
        if event.index != index:
            return
        yield event


def _neighbours(state: State, index: int) -> str:
    """Say where the events are that stand next to an index."""
    indexes = [each.index for each in state.events.values()]
    earlier = max((each for each in indexes if each < index), default=None)
    later = min((each for each in indexes if each > index), default=None)
    near = " and ".join(str(each) for each in (earlier, later) if each is not None)
    return f"; the events next to it are at {near}" if near else ""


# --- services -------------------------------------------------------------------------------------


def _service_change(fqdn: Name, before: Past | None, after: Past) -> ServiceChange:
    old = before.state.services.get(fqdn) if before is not None else None
    new = after.state.services.get(fqdn)
    published = new.published if new is not None else ()
    was = None if before is None else old.published if old is not None else ()
    lines = [Line(0, _headline(fqdn, was, published))]
    if new is None:
        lines.append(Line(1, "the service is gone"))
    elif old is None and before is not None:
        lines.append(Line(1, "the service is new"))
    elif old is not None and old.service != new.service:
        lines.append(Line(1, f"its definition changed: {service_changes(old.service, new.service)}"))
    if new is not None:
        lines.extend(_endpoint_lines(after.state, old, new))
    notes = dict.fromkeys(
        (*(before.notes.get(fqdn, ()) if before is not None else ()), *after.notes.get(fqdn, ()))
    )
    lines.extend(Line(1, each) for each in notes)
    return ServiceChange(fqdn, was, published, tuple(lines))


def _headline(fqdn: Name, before: tuple[str, ...] | None, after: tuple[str, ...]) -> str:
    now = shown(list(after)) or "nothing"
    if before is None:
        return f"{to_text(fqdn)} has {now} in DNS"
    if before == after:
        return f"{to_text(fqdn)} has {now} in DNS, as before"
    return f"{to_text(fqdn)} had {shown(list(before)) or 'nothing'} in DNS, and has {now}"


def _endpoint_lines(state: State, old: ServiceState | None, new: ServiceState) -> Iterator[Line]:
    """Tell of the endpoints that are otherwise than before, or of all where that is not known."""
    told = [each for each in explain_service(state, new) if old is None or _differs(each.address, old, new)]
    for story in told[:ENDPOINTS_SHOWN_MAX]:
        yield from (Line(line.depth + 1, line.text) for line in story.lines)
    if len(told) > ENDPOINTS_SHOWN_MAX:
        yield Line(1, f"and {len(told) - ENDPOINTS_SHOWN_MAX} more endpoints")


def _differs(address: str, old: ServiceState, new: ServiceState) -> bool:
    return _facts(address, old) != _facts(address, new)


def _facts(address: str, known: ServiceState) -> tuple[bool, EndpointState | None, object]:
    return (
        address in known.published,
        dict(known.endpoints).get(address),
        dict(known.overrides).get(address),
    )


# --- records --------------------------------------------------------------------------------------


def _record_changes(state: State, events: tuple[Event, ...], index: int) -> Iterator[RecordChange]:
    for text in dict.fromkeys(each.data["zone"] for each in events if each.kind == "zone.changed"):
        zone = state.zones.get(from_text(text))
        deltas = [each for each in zone.history if each.index == index] if zone is not None else []
        if zone is not None and deltas:
            yield _record_change(zone.name, deltas)


def _record_change(zone: Name, deltas: list[Delta]) -> RecordChange:
    removed = [text for delta in deltas for rrset in delta.removed for text in _texts(rrset)]
    added = [text for delta in deltas for rrset in delta.added for text in _texts(rrset)]
    same = set(removed) & set(added)
    removed, added = ([each for each in texts if each not in same] for texts in (removed, added))
    cut = removed[:RECORDS_SHOWN_MAX], added[:RECORDS_SHOWN_MAX]
    more = len(removed) + len(added) - len(cut[0]) - len(cut[1])
    return RecordChange(zone, deltas[0].serial_from, deltas[-1].serial_to, tuple(cut[0]), tuple(cut[1]), more)


def _texts(rrset: RRset) -> Iterator[str]:
    """Yield the records of an RRset; those of the SOA are left out, as its serial is told anyway."""
    if rrset.type == SOA:
        return
    head = f"{to_text(rrset.name)} {rrset.ttl} {type_to_text(rrset.type)}"
    for rdata in rrset.rdatas:
        yield f"{head} {rdata_to_text(rrset.type, rdata)}"
