"""What has to be done so that the State holds what a file says: differences for people, steps for one entry. Pure.

The file is the authority on zones, services and push targets that it names, and on all records of a zone for
which it has any, but for those that are not an operator's: what services publish, what is leased, the answers
to ACME challenges, SOA and the name servers that follow from the zone's settings. What it does not name at
all is told and left alone, or goes when that is asked for.
"""

import hashlib
from typing import Any, Literal

import msgspec

from node.counted import counted
from node.health.check_text import write_check
from node.health.service import Endpoint, Service
from node.state.command import (
    Change,
    ChangeZone,
    DeleteRRset,
    DeleteService,
    DeleteZone,
    Prerequisite,
    PutRRset,
    PutService,
    PutZone,
    Step,
    ZoneSettings,
)
from node.state.desired import Desired
from node.state.pushes import DeleteTarget, PutTarget, Target
from node.state.state import State
from node.state.wording import changes_of
from node.zone.lease import SUBTREE
from node.zone.name import Name, iter_ancestors, iter_labels, sort_key, to_text
from node.zone.rrset import AAAA, NS, SOA, TXT, A, RRset, rdata_to_text, type_to_text
from node.zone.zone import Zone

_CHALLENGE = b"_acme-challenge"
_VALUES_SHOWN_MAX = 4


Defined = ZoneSettings | RRset | Service | Endpoint | Target
"""What a difference can be about, as it is defined."""


class Difference(msgspec.Struct, frozen=True):
    """One thing that is otherwise; ``left`` is in the cluster, not in the file, and stays."""

    change: Literal["added", "removed", "changed", "left"]
    kind: Literal["zone", "record", "service", "endpoint", "target"]
    name: str
    text: str = ""
    """For people: what it becomes or was."""
    before: Defined | None = None
    """As the cluster has it, None where it is not there."""
    after: Defined | None = None
    """As the file wants it, None where it is not to be."""


class Plan(msgspec.Struct, frozen=True):
    """All of it; ``mark`` is equal for plans that do the same."""

    differences: tuple[Difference, ...]
    steps: tuple[Step, ...]

    @property
    def mark(self) -> str:
        """Return what tells this plan from another one."""
        return hashlib.blake2b(msgspec.json.encode(self.differences), digest_size=8).hexdigest()


class _Drawing:
    """A plan that is being made."""

    def __init__(self, state: State, desired: Desired, *, prune: bool) -> None:
        self.state = state
        self.desired = desired
        self.prune = prune
        self.differences: list[Difference] = []
        self.steps: list[Step] = []
        self._leased = {(key.zone, key.name, key.type) for key in state.leases}

    def tell(self, kind: Any, name: str, before: Defined | None, after: Defined | None, text: str = "") -> None:
        change: Any = "added" if before is None else "removed" if after is None else "changed"
        self.differences.append(Difference(change, kind, name, text, before, after))

    def stays(self, kind: Any, name: str, present: Defined | None) -> bool:
        """Tell of what the file does not name; say whether it stays."""
        if self.prune:
            self.differences.append(Difference("removed", kind, name, "", present))
        else:
            origin = _origin(self.state, kind, name)
            self.differences.append(Difference("left", kind, name, origin, present, present))
        return not self.prune

    def is_leased(self, zone: Name, rrset: RRset) -> bool:
        """Say whether an RRset, one of its records or a name above it is there for a time only."""
        if (zone, rrset.name, rrset.type) in self._leased:
            return True
        return any((zone, each, SUBTREE) in self._leased for each in iter_ancestors(rrset.name))


def make_plan(state: State, desired: Desired, *, prune: bool = False) -> Plan:
    """Compare and return the plan; without differences, or with none but ``left`` ones, it has no steps."""
    drawing = _Drawing(state, desired, prune=prune)
    gone = _draw_gone_services(drawing)
    for wanted in desired.zones:
        _draw_zone(drawing, wanted)
    _draw_services(drawing)
    drawing.steps[:0] = gone
    _draw_targets(drawing)
    _draw_gone_zones(drawing)
    return Plan(tuple(drawing.differences), tuple(drawing.steps))


# --- zones ----------------------------------------------------------------------------------------


def _draw_zone(drawing: _Drawing, wanted: PutZone) -> None:
    zone, name = drawing.state.zones.get(wanted.zone), _plain(wanted.zone)
    if zone is None:
        drawing.tell("zone", name, None, wanted.settings, counted(len(wanted.rrsets), "RRset"))
        drawing.steps.append(msgspec.structs.replace(wanted, if_index=0))
        return
    if wanted.rrsets:
        _draw_records(drawing, zone, wanted)
    present = drawing.state.zone_settings.get(wanted.zone)
    if present != wanted.settings:
        drawing.tell("zone", name, present, wanted.settings, changes_of(present, wanted.settings))
        index = drawing.state.zone_indexes.get(wanted.zone, 0)
        drawing.steps.append(PutZone(wanted.zone, wanted.settings, if_index=index))


def _draw_records(drawing: _Drawing, zone: Zone, wanted: PutZone) -> None:
    changes: list[Change] = []
    required: list[Prerequisite] = []
    keys = set()
    for rrset in wanted.rrsets:
        keys.add((rrset.name, rrset.type))
        present = zone.get(rrset.name, rrset.type)
        if rrset.type == SOA or (present is not None and _says_the_same(present, rrset)):
            continue
        text = _rrset(rrset) if present is None else f"{_rrset(present)} -> {_rrset(rrset)}"
        drawing.tell("record", _record(rrset), present, rrset, text)
        changes.append(PutRRset(rrset))
        required.append(_as_it_is(rrset, present))
    for rrset in sorted(zone.iter_rrsets(), key=lambda each: (sort_key(each.name), each.type)):
        if (rrset.name, rrset.type) in keys or not _is_an_operators(drawing, zone.name, rrset):
            continue
        drawing.tell("record", _record(rrset), rrset, None, _rrset(rrset))
        changes.append(DeleteRRset(rrset.name, rrset.type))
        required.append(_as_it_is(rrset, rrset))
    if changes:
        drawing.steps.append(ChangeZone(zone.name, tuple(changes), tuple(required)))


def _says_the_same(present: RRset, wanted: RRset) -> bool:
    return (present.ttl, present.rdatas, present.disabled) == (wanted.ttl, wanted.rdatas, wanted.disabled)


def _as_it_is(rrset: RRset, present: RRset | None) -> Prerequisite:
    """Return the condition that nobody has changed it since."""
    if present is None:
        return Prerequisite("rrset-absent", rrset.name, rrset.type)
    return Prerequisite("rrset-equals", rrset.name, rrset.type, present.rdatas)


def _is_an_operators(drawing: _Drawing, zone: Name, rrset: RRset) -> bool:
    if rrset.type == SOA or (rrset.type == NS and rrset.name == zone):
        return False
    if rrset.type in (A, AAAA) and rrset.name in drawing.state.services:
        return False
    if rrset.type == TXT and next(iter(iter_labels(rrset.name)), b"") == _CHALLENGE:
        return False
    return not drawing.is_leased(zone, rrset)


def _draw_gone_zones(drawing: _Drawing) -> None:
    named = {each.zone for each in drawing.desired.zones}
    for name in sorted(drawing.state.zones, key=sort_key):
        settings = drawing.state.zone_settings.get(name)
        if name not in named and not drawing.stays("zone", _plain(name), settings):
            drawing.steps.append(DeleteZone(name, drawing.state.zone_indexes.get(name, 0)))


# --- services -------------------------------------------------------------------------------------


def _draw_gone_services(drawing: _Drawing) -> list[Step]:
    """Tell of services that the file does not name; return the steps that take them away, before all others."""
    named = {each.fqdn for each in drawing.desired.services}
    services = drawing.state.services
    return [
        DeleteService(fqdn, services[fqdn].index)
        for fqdn in sorted(services, key=sort_key)
        if fqdn not in named and not drawing.stays("service", _plain(fqdn), services[fqdn].service)
    ]


def _draw_services(drawing: _Drawing) -> None:
    for wanted in drawing.desired.services:
        known, name = drawing.state.services.get(wanted.fqdn), _plain(wanted.fqdn)
        if known is None:
            text = f"{write_check(wanted.check)}, {counted(len(wanted.endpoints), 'endpoint')}"
            drawing.tell("service", name, None, wanted, text)
            drawing.steps.append(PutService(wanted, 0))
        elif known.service != wanted:
            _tell_service(drawing, name, known.service, wanted)
            drawing.steps.append(PutService(wanted, known.index))


def _tell_service(drawing: _Drawing, name: str, before: Service, after: Service) -> None:
    text = changes_of(before, after)
    if text:
        drawing.tell("service", name, before, after, text)
    old = {each.address: each for each in before.endpoints}
    new = {each.address: each for each in after.endpoints}
    for address in dict.fromkeys((*old, *new)):
        _tell_endpoint(drawing, f"{name}/{address}", old.get(address), new.get(address))
    if not text and list(old) != list(new) and set(old) == set(new):
        drawing.tell("service", name, before, after, "order of endpoints")


def _tell_endpoint(drawing: _Drawing, name: str, before: Endpoint | None, after: Endpoint | None) -> None:
    if before != after:
        drawing.tell("endpoint", name, before, after, changes_of(before, after))


# --- push targets ---------------------------------------------------------------------------------


def _draw_targets(drawing: _Drawing) -> None:
    state = drawing.state
    for wanted in drawing.desired.targets:
        present = state.targets.get(wanted.name)
        if present == wanted:
            continue
        index = state.target_indexes.get(wanted.name, 0) if present is not None else 0
        text = wanted.server or wanted.url if present is None else changes_of(present, wanted)
        drawing.tell("target", wanted.name, present, wanted, text)
        drawing.steps.append(PutTarget(wanted, index))
    named = {each.name for each in drawing.desired.targets}
    for name in sorted(state.targets):
        if name not in named and not drawing.stays("target", name, state.targets[name]):
            drawing.steps.append(DeleteTarget(name, state.target_indexes.get(name, 0)))


# --- texts ----------------------------------------------------------------------------------------


def _origin(state: State, kind: str, name: str) -> str:
    """Say who made it, as far as the events tell."""
    subject = name if kind == "target" else f"{name}."
    for number in sorted(state.events, reverse=True):
        event = state.events[number]
        if event.kind == f"{kind}.created" and event.subject in (subject, name) and event.actor:
            return f"created by {event.actor}"
    return ""


def _rrset(rrset: RRset) -> str:
    shown = [rdata_to_text(rrset.type, each) for each in rrset.rdatas[:_VALUES_SHOWN_MAX]]
    more = len(rrset.rdatas) - len(shown)
    return f"{rrset.ttl} {', '.join(shown)}" + (f" and {more} more" if more else "")


def _record(rrset: RRset) -> str:
    return f"{_plain(rrset.name)} {type_to_text(rrset.type)}"


def _plain(name: Name) -> str:
    return to_text(name).removesuffix(".") or "."
