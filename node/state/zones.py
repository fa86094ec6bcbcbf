"""What the commands on zones and RRsets do."""

import msgspec

from node.state import leases
from node.state.command import (
    AddRdatas,
    Change,
    ChangeZone,
    DeleteRRset,
    DeleteZone,
    Prerequisite,
    PutRRset,
    PutZone,
    ZoneSettings,
)
from node.state.draft import Draft
from node.state.standing import Overlay, names_problem
from node.state.state import Refused, Result
from node.zone.name import Name, is_within, iter_ancestors, to_text
from node.zone.rrset import ANY, NS, SOA, RRset, make, problem, type_to_text
from node.zone.zone import Replacement, Zone, new_zone, soa_with_serial

CHANGES_MAX = 10_000


def put_zone(draft: Draft, command: PutZone) -> Result:
    """Create the zone, or change the SOA and apex NS of an existing one to the settings."""
    zone = draft.state.zones.get(command.zone)
    wrong = condition(draft, command.if_index, draft.state.zone_indexes.get(command.zone, 0))
    wrong = wrong or settings_problem(draft, command.settings)
    if wrong:
        return wrong
    if zone is None:
        return _create_zone(draft, command)
    if draft.state.zone_settings.get(command.zone) != command.settings:
        keep_settings(draft, command.zone, command.settings)
        wanted = apex(command.zone, command.settings)
        draft.change_zone(zone, [Replacement(each.name, each.type, each) for each in wanted])
    _keep_policy(draft, command)
    return draft.accepted(draft.state.zones[command.zone].serial)


def delete_zone(draft: Draft, command: DeleteZone) -> Result:
    """Delete the zone with all its RRsets, unless a service lives in it."""
    if command.zone not in draft.state.zones:
        return no_zone(draft, command.zone)
    wrong = condition(draft, command.if_index, draft.state.zone_indexes.get(command.zone, 0))
    if wrong:
        return wrong
    tenants = sorted(
        to_text(fqdn) for fqdn, each in draft.state.services.items() if each.service.zone == command.zone
    )
    if tenants:
        return draft.refused("conflict", f"the service {tenants[0]} lives in the zone", "delete it first")
    draft.drop_zone(command.zone)
    leases.forget_zone(draft, command.zone)
    draft.update(
        zone_settings=draft.state.zone_settings.delete(command.zone),
        zone_indexes=draft.state.zone_indexes.delete(command.zone),
    )
    if command.zone in draft.state.serial_policies:
        draft.update(serial_policies=draft.state.serial_policies.delete(command.zone))
    text = to_text(command.zone)
    draft.tell("zone.deleted", text, "the zone and all its records", zone=text)
    return draft.accepted()


def change_zone(draft: Draft, command: ChangeZone) -> Result:
    """Apply changes of RRsets to one zone, all or nothing."""
    if command.zone not in draft.state.zones and command.create is not None:
        created = put_zone(draft, PutZone(command.zone, command.create))
        if isinstance(created, Refused):
            return created
    zone = draft.state.zones.get(command.zone)
    if zone is None:
        return no_zone(draft, command.zone)
    overlay = lay_changes(draft, zone, command)
    if isinstance(overlay, Refused):
        return overlay
    leases.shorten(overlay, command.leases)
    replacements = [Replacement(name, type_, rrset) for (name, type_), rrset in overlay.items()]
    draft.change_zone(zone, replacements, serial=command.serial)
    wrong = leases.settle(draft, zone, overlay, command)
    return wrong or draft.accepted(draft.state.zones[command.zone].serial)


def lay_changes(draft: Draft, zone: Zone, command: ChangeZone) -> Overlay | Refused:
    """Return what a command makes of the RRsets of a zone, checked; or the refusal."""
    overlay: Overlay = {}
    wrong = _changes_problem(draft, zone, command)
    for change in () if wrong else command.changes:
        wrong = _lay(draft, zone, overlay, change)
        if wrong:
            break
    return wrong or names_problem(draft, zone, overlay) or overlay


def no_zone(draft: Draft, name: Name) -> Refused:
    """Refuse because there is no such zone."""
    text = to_text(name)
    return draft.refused("not-found", f"there is no zone {text}", f"create it: qdns zone create {text}")


# --- creating -------------------------------------------------------------------------------------


def _create_zone(draft: Draft, command: PutZone) -> Result:
    own = [
        each
        for each in apex(command.zone, command.settings)
        if not any(given.name == each.name and given.type == each.type for given in command.rrsets)
    ]
    given_soa = next((each for each in command.rrsets if each.type == SOA and each.rdatas), None)
    serial = int.from_bytes(given_soa.rdatas[0][-20:-16], "big") if given_soa else 1
    zone = new_zone(command.zone, own, draft.index, serial)
    overlay: Overlay = {}
    for rrset in command.rrsets:
        wrong = _lay(draft, zone, overlay, PutRRset(rrset))
        if wrong:
            return wrong
    wrong = names_problem(draft, zone, overlay) or shadow_problem(draft, command.zone)
    if wrong:
        return wrong
    contents = [*own, *(rrset for rrset in overlay.values() if rrset is not None)]
    draft.put_zone(new_zone(command.zone, contents, draft.index, serial))
    keep_settings(draft, command.zone, command.settings)
    _keep_policy(draft, command)
    text = to_text(command.zone)
    draft.tell("zone.created", text, f"serial {serial}", zone=text, serial=str(serial))
    return draft.accepted(serial)


def shadow_problem(draft: Draft, name: Name) -> Refused | None:
    """A new zone must not take over the names of a service that lives in a zone above it."""
    shadowed = [
        (fqdn, each.service.zone)
        for fqdn, each in draft.state.services.items()
        if is_within(fqdn, name) and len(each.service.zone) < len(name)
    ]
    if not shadowed:
        return None
    fqdn, zone = min(shadowed)
    return draft.refused("conflict", f"the service {to_text(fqdn)} lives in {to_text(zone)}")


def _keep_policy(draft: Draft, command: PutZone) -> None:
    policies, policy = draft.state.serial_policies, command.serial_policy
    if policy is None or policies.get(command.zone, "increment") == policy:
        return
    changed = policies.delete(command.zone) if policy == "increment" else policies.set(command.zone, policy)
    draft.update(serial_policies=changed)
    text = to_text(command.zone)
    draft.tell("zone.numbered", text, f"serials by {policy}", zone=text)


def keep_settings(draft: Draft, zone: Name, settings: ZoneSettings) -> None:
    """Keep what a zone's SOA and NS are made from."""
    draft.update(
        zone_settings=draft.state.zone_settings.set(zone, settings),
        zone_indexes=draft.state.zone_indexes.set(zone, draft.index),
    )


def apex(zone: Name, settings: ZoneSettings) -> list[RRset]:
    """Return the SOA (RFC 1035 section 3.3.13) and NS RRsets that the settings describe."""
    numbers = (0, settings.refresh_s, settings.retry_s, settings.expire_s, settings.negative_ttl)
    soa = settings.nameservers[0] + settings.contact + b"".join(each.to_bytes(4, "big") for each in numbers)
    ttl = settings.default_ttl
    return [make(zone, SOA, ttl, [soa]), make(zone, NS, ttl, list(settings.nameservers))]


def settings_problem(draft: Draft, settings: ZoneSettings) -> Refused | None:
    """Refuse settings that no zone can have; None when they will do."""
    if not settings.nameservers:
        return draft.refused("invalid", "a zone needs at least one name server")
    if len(settings.nameservers) > 32:
        return draft.refused("invalid", "a zone can have at most 32 name servers")
    numbers = (settings.refresh_s, settings.retry_s, settings.expire_s, settings.negative_ttl)
    if not all(0 <= each < 2**31 for each in (*numbers, settings.default_ttl)):
        return draft.refused("invalid", "a zone's times must be between 0 and 2147483647 seconds")
    return None


# --- changing -------------------------------------------------------------------------------------


def _changes_problem(draft: Draft, zone: Zone, command: ChangeZone) -> Refused | None:
    """Check what must hold before any change: the limits, the condition, the prerequisites."""
    if len(command.changes) > CHANGES_MAX:
        return draft.refused("invalid", f"one entry can hold at most {CHANGES_MAX} changes")
    if command.changes and command.if_index is not None:
        name, type_ = _target(command.changes[0])
        node = zone.node(name)
        present = node is not None and (node.rrsets if type_ == ANY else node.get(type_))
        wrong = condition(draft, command.if_index, node.index if node is not None and present else 0)
        if wrong:
            return wrong
    if command.if_serial is not None and command.if_serial != zone.serial:
        return serial_problem(draft, zone, command.if_serial)
    for prerequisite in command.prerequisites:
        sentence = leases.unmet_directory(draft, zone, prerequisite) or unmet(zone, prerequisite)
        if sentence:
            return draft.refused("precondition", sentence)
    return None


def serial_problem(draft: Draft, zone: Zone, expected: int) -> Refused:
    """Refuse because the zone has moved on."""
    text = to_text(zone.name)
    return draft.refused(
        "precondition", f"{text} has serial {zone.serial} now, not {expected}: it changed meanwhile"
    )


def _target(change: Change) -> tuple[Name, int]:
    return (
        (change.name, change.type)
        if isinstance(change, DeleteRRset)
        else (change.rrset.name, change.rrset.type)
    )


def unmet(zone: Zone, prerequisite: Prerequisite) -> str | None:
    """Return a sentence that says what is not as the prerequisite wants it, or None (RFC 2136 section 2.4)."""
    if prerequisite.kind in ("directory-exists", "directory-absent"):
        return None
    node = zone.node(prerequisite.name)
    name = to_text(prerequisite.name)
    if prerequisite.kind in ("name-exists", "name-absent"):
        in_use = node is not None and bool(node.rrsets)
        if in_use == (prerequisite.kind == "name-exists"):
            return None
        return f"{name} {'has records' if in_use else 'has no records'}"
    rrset = node.get(prerequisite.type) if node is not None else None
    what = f"{name} {type_to_text(prerequisite.type)}"
    if prerequisite.kind == "rrset-equals":
        found = rrset.rdatas if rrset is not None else ()
        return None if found == tuple(sorted(set(prerequisite.rdatas))) else f"{what} is not as expected"
    if (rrset is not None) == (prerequisite.kind == "rrset-exists"):
        return None
    return f"{what} {'exists' if rrset is not None else 'does not exist'}"


def _lay(draft: Draft, zone: Zone, overlay: Overlay, change: Change) -> Refused | None:
    """Put what one change makes of an RRset over the zone, or refuse it."""
    if isinstance(change, DeleteRRset):
        return _outside(draft, zone, change.name) or _lay_deletion(draft, zone, overlay, change)
    rrset = change.rrset
    name, type_ = rrset.name, rrset.type
    if len(rrset.rdatas) > 1:
        rrset = _canonical(rrset)
    sentence = problem(rrset)
    if sentence is None and type_ == SOA:
        sentence = _soa_problem(zone, rrset)
    if sentence is not None or not is_within(name, zone.name):
        return _outside(draft, zone, name) or _unfit(draft, name, type_, sentence)
    if type_ == SOA:
        rrset = soa_with_serial(rrset, zone.serial)  # the serial is ours: another one alone is no change
    if isinstance(change, PutRRset):
        overlay[(name, type_)] = rrset
    else:
        present = overlay.get((name, type_), zone.get(name, type_))
        combined = _combined(present, rrset, change)
        wrong = _unfit(draft, name, type_, problem(combined) if combined is not None else None)
        if wrong:
            return wrong
        overlay[(name, type_)] = combined
    return _apex_problem(draft, zone, overlay, name, type_) if name == zone.name else None


def _outside(draft: Draft, zone: Zone, name: Name) -> Refused | None:
    if is_within(name, zone.name):
        return None
    return draft.refused("invalid", f"{to_text(name)} is not inside the zone {to_text(zone.name)}")


def _unfit(draft: Draft, name: Name, type_: int, sentence: str | None) -> Refused | None:
    if sentence is None:
        return None
    return draft.refused("invalid", f"{to_text(name)} {type_to_text(type_)}: {sentence}")


def _canonical(rrset: RRset) -> RRset:
    """Return the RRset with each rdata once, in octet order."""
    return msgspec.structs.replace(rrset, rdatas=tuple(sorted(set(rrset.rdatas))))


def _combined(present: RRset | None, given: RRset, change: Change) -> RRset | None:
    """Return what an addition or a removal makes of the present RRset."""
    if present is None:
        return given if isinstance(change, AddRdatas) else None
    if isinstance(change, AddRdatas):
        merged = make(given.name, given.type, given.ttl, [*present.rdatas, *given.rdatas])
        return msgspec.structs.replace(merged, comment=present.comment, disabled=present.disabled)
    left = tuple(rdata for rdata in present.rdatas if rdata not in given.rdatas)
    return msgspec.structs.replace(present, rdatas=left) if left else None


def _lay_deletion(draft: Draft, zone: Zone, overlay: Overlay, change: DeleteRRset) -> Refused | None:
    if change.type != ANY:
        overlay[(change.name, change.type)] = None
        return _apex_problem(draft, zone, overlay, change.name, change.type)
    node = zone.node(change.name)
    types = {rrset.type for rrset in node.rrsets} if node is not None else set()
    types |= {type_ for name, type_ in overlay if name == change.name}
    kept = {SOA, NS} if change.name == zone.name else set()  # RFC 2136 section 3.4.2.3
    for type_ in sorted(types - kept):
        overlay[(change.name, type_)] = None
    return None


def _apex_problem(draft: Draft, zone: Zone, overlay: Overlay, name: Name, type_: int) -> Refused | None:
    if name != zone.name or type_ not in (SOA, NS):
        return None
    rrset = overlay[(name, type_)]
    if rrset is None or rrset.disabled:
        return draft.refused("conflict", f"a zone cannot be without its {type_to_text(type_)} record")
    return None


def _soa_problem(zone: Zone, rrset: RRset) -> str | None:
    """Two names and five numbers, at the top of a zone (RFC 1035 section 3.3.13)."""
    if rrset.name != zone.name:
        return "an SOA record stands only at the top of its zone"
    rest = rrset.rdatas[0]
    for _ in range(2):
        position = 0
        while position < len(rest) and rest[position]:
            position += 1 + rest[position]
        rest = rest[position + 1 :]
    return None if len(rest) == 20 else "an SOA record has two names and five numbers"


def condition(draft: Draft, if_index: int | None, present: int) -> Refused | None:
    """Check an ``if_index`` against the index of the object's last change (0: it does not exist)."""
    if if_index is None or if_index == present:
        return None
    found = f"it was last changed at index {present}" if present else "it does not exist"
    expected = f"a last change at index {if_index}" if if_index else "that it does not exist"
    return draft.refused("precondition", f"the condition was {expected}, but {found}")


def closest_zone(draft: Draft, name: Name) -> Zone | None:
    """Return the longest zone of ours that holds the name, or None."""
    for ancestor in iter_ancestors(name):
        zone = draft.state.zones.get(ancestor)
        if zone is not None:
            return zone
    return None
