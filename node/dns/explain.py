"""Why a question is answered as it is: one pure function over the State, beside ``lookup`` and never against it.

It walks as ``lookup`` does and says in sentences what it meets; the answer itself it takes from there.
"""

from collections.abc import Iterator, Mapping

import msgspec

from node.counted import counted
from node.dns.lookup import STEPS_MAX, Kind, lookup, zone_for
from node.dns.place import Place, Standing, locate, visible
from node.state.explaining import Explanation, Line, delivery_lines, explain_service
from node.state.leases import text_of
from node.state.past import state_at
from node.state.state import State
from node.zone.name import NAME_OCTETS_MAX, Name, is_within, to_text
from node.zone.nodes import Node
from node.zone.rrset import AAAA, ANY, CNAME, DNAME, SOA, A, RRset, rdata_to_text, type_to_text
from node.zone.zone import Zone

_ZONES_SHOWN_MAX = 5
_RCODES: Mapping[int, str] = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED", 6: "YXDOMAIN"}


def explain(state: State, name: Name, type_: int) -> Explanation:
    """Say what is answered to a question of class IN and why."""
    answer = lookup(state.zones, name, type_)
    records = tuple(
        f"{to_text(rrset.name)} {type_to_text(rrset.type)} {rdata_to_text(rrset.type, rdata)}"
        for rrset in answer.answer
        for rdata in rrset.rdatas
    )
    lines: list[Line] = []
    last = _walk(state, name, type_, lines)
    known = state.services.get(last) if type_ in (A, AAAA, ANY) else None
    stories = explain_service(state, known) if known is not None else ()
    stories = tuple(each for each in stories if type_ == ANY or (":" in each.address) == (type_ == AAAA))
    if known is not None:
        lines.extend(_service_lines(state, known.service.zone, last))
        lines.extend(delivery_lines(state, known))
    found = counted(len(records), "record") if records else "no records"
    head = Line(
        0, f"{to_text(name)} {type_to_text(type_)} is answered with {_RCODES[answer.kind.rcode]}, {found}"
    )
    return Explanation(
        state.index,
        to_text(name),
        type_to_text(type_),
        answer.kind.value[0],
        answer.kind.rcode,
        records,
        (head, *lines),
        stories,
    )


def explain_at(state: State, name: Name, type_: int, index: int) -> Explanation:
    """Say what was answered after the entry at this log index, and why; what is not held any more is said.

    Raises ``NotHeld`` for an index that is to come or too old.
    """
    last = _walk(state_at(state, index, ()).state, name, type_, [])
    past = state_at(state, index, (last,))
    found = explain(past.state, name, type_)
    noted = [each for place in (name, last) for each in sorted(past.notes) if is_within(place, each)]
    notes = [Line(0, f"{to_text(each)}: {text}") for each in dict.fromkeys(noted) for text in past.notes[each]]
    return msgspec.structs.replace(found, lines=(*found.lines, *notes))


def _walk(state: State, name: Name, type_: int, lines: list[Line]) -> Name:
    """Add what is met on the way of a question; return the name, or the wildcard for it, at the end."""
    seen: set[Name] = set()
    target: Name | None = name
    last = name
    for _ in range(STEPS_MAX + 1):
        if target is None:
            return last
        if target in seen:
            lines.append(Line(1, f"{to_text(target)} was met before: the aliases go round in a circle"))
            return last
        seen.add(target)
        last, target = _step(state, target, type_, lines)
    if target is not None:
        lines.append(Line(1, f"more than {STEPS_MAX} aliases are not followed"))
    return last


def _step(state: State, name: Name, type_: int, lines: list[Line]) -> tuple[Name, Name | None]:
    """Add what is met at a name; return whose records stand for it, and the name where an alias leads."""
    zone = zone_for(state.zones, name, type_)
    if zone is None:
        lines.append(Line(1, f"no zone of this cluster holds {to_text(name)}; {_our_zones(state)}"))
        return name, None
    if visible(zone.node(zone.name), SOA) is None:
        lines.append(Line(1, f"the zone {to_text(zone.name)} has no SOA that could be shown"))
        return name, None
    place = locate(zone, name, type_)
    lines.append(Line(1, _standing(zone, place, name)))
    lines.extend(_disabled_lines(zone.node(name), type_))
    lines.extend(_lease_lines(state, zone, name, type_))
    if place.standing is Standing.DNAME:
        return name, _renamed(place, name, type_)
    if place.standing not in (Standing.EXACT, Standing.WILDCARD):
        return name, None
    return place.owner, _taken(place, type_, lines)


def _our_zones(state: State) -> str:
    names = [to_text(each) for each in sorted(state.zones)]
    if not names:
        return "it has none"
    more = f" and {len(names) - _ZONES_SHOWN_MAX} more" if len(names) > _ZONES_SHOWN_MAX else ""
    return f"ours: {', '.join(names[:_ZONES_SHOWN_MAX])}{more}"


def _standing(zone: Zone, place: Place, name: Name) -> str:
    where = f"in the zone {to_text(zone.name)} (serial {zone.serial})"
    owner, text = to_text(place.owner), to_text(name)
    match place.standing:
        case Standing.EXACT if not any(not each.disabled for each in place.node.rrsets):
            return f"{text} has no records of its own {where}, there are names below it or disabled records"
        case Standing.EXACT:
            return f"{text} exists {where}"
        case Standing.WILDCARD:
            return f"{text} does not exist {where}; the wildcard {owner} stands for it"
        case Standing.CUT:
            return f"{text} is delegated at {owner} {where}: the asker is sent to its servers"
        case Standing.DNAME:
            return f"{text} lies below the DNAME {owner} {where}"
        case Standing.MISSING:
            return f"{text} does not exist {where}"


def _disabled_lines(node: Node | None, type_: int) -> Iterator[Line]:
    for each in node.rrsets if node is not None else ():
        if each.disabled and type_ in (each.type, ANY):
            word = type_to_text(each.type)
            yield Line(2, f"{_count(each)} of type {word} disabled: kept, and not answered")


def _lease_lines(state: State, zone: Zone, name: Name, type_: int) -> Iterator[Line]:
    found = [key for key in state.leases if key.covers(zone.name, name, type_)]
    for key in sorted(found, key=lambda each: (each.name, each.type, each.rdata)):
        lease = state.leases[key]
        if lease.ttl_s:
            yield Line(
                2,
                f"{text_of(key)} is leased for {lease.ttl_s} s since index {lease.index}: gone unless renewed",
            )


def _renamed(place: Place, name: Name, type_: int) -> Name | None:
    rrset = visible(place.node, DNAME)
    assert rrset is not None
    target = Name(name[: -len(place.owner)] + rrset.rdatas[0].lower())
    return None if type_ == CNAME or len(target) > NAME_OCTETS_MAX else target


def _taken(place: Place, type_: int, lines: list[Line]) -> Name | None:
    """Say what of the type stands at a node; return where an alias leads."""
    word = type_to_text(type_)
    shown = [each for each in place.node.rrsets if not each.disabled]
    if type_ == ANY and shown:
        lines.append(Line(2, "one of its RRsets is enough for ANY (RFC 8482)"))
        return None
    found = next((each for each in shown if each.type == type_), None)
    if found is not None:
        lines.append(Line(2, f"{_count(found)} of type {word}, ttl {found.ttl}"))
        return None
    alias = next((each for each in shown if each.type == CNAME), None)
    if alias is None:
        have = ", ".join(type_to_text(each.type) for each in shown) or "nothing"
        lines.append(Line(2, f"nothing of type {word} is published there; there is {have}"))
        return None
    lines.append(Line(2, f"it is an alias of {rdata_to_text(CNAME, alias.rdatas[0])}"))
    return Name(alias.rdatas[0].lower())


def _count(rrset: RRset) -> str:
    return counted(len(rrset.rdatas), "record")


def _service_lines(state: State, zone: Name, name: Name) -> Iterator[Line]:
    yield Line(1, f"the addresses of {to_text(name)} follow the health of a service")
    if zone not in state.zones or not is_within(name, zone):
        yield Line(2, f"its zone {to_text(zone)} is not answered here, the service is only pushed")


assert {each.rcode for each in Kind} == set(_RCODES)
