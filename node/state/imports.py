"""Large changes of a zone in parts: laid on a copy that nobody sees, shown at one index.

An entry of the log is bounded, and so is the time that applying one may take. So a large change comes in
parts, each as long as an ordinary one, and its commit only puts the finished copy in the zone's place.
Meanwhile health may go on changing the zone; what it changed is taken along. Any other change makes the
commit void.
"""

from node.counted import counted
from node.state import leases, standing, zones
from node.state.command import ChangeZone, CommitImport, DropImports, StageImport
from node.state.draft import Draft
from node.state.state import Import, Refused, Result
from node.zone.name import Name, to_text
from node.zone.rrset import AAAA, SOA, A, RRset, type_to_text
from node.zone.zone import Delta, Replacement, Zone, new_zone, renumbered, with_changes

IMPORTS_MAX = 4
IMPORT_RRSETS_MAX = 5_000_000
ID_CHARACTERS_MAX = 64
_MANAGED = (A, AAAA)


def stage(draft: Draft, command: StageImport) -> Result:
    """Lay one part on the copy."""
    known = draft.state.imports.get(command.id)
    if known is not None and (known.zone.name, known.parts - 1) == (command.zone, command.part):
        return draft.accepted(known.base_serial)  # it is here already
    begun = _begun(draft, command) if known is None else known
    if isinstance(begun, Refused):
        return begun
    if (begun.zone.name, begun.parts) != (command.zone, command.part):
        return draft.refused("conflict", f"part {command.part} does not follow; {begun.parts} parts are there")
    laid = zones.lay_changes(draft, begun.zone, ChangeZone(command.zone, command.changes))
    if isinstance(laid, Refused):
        return laid
    replacements = [Replacement(name, type_, rrset) for (name, type_), rrset in laid.items()]
    zone = with_changes(begun.zone, replacements, draft.index, serial=begun.zone.serial)
    if zone.rrset_count > IMPORT_RRSETS_MAX:
        return draft.refused("invalid", f"a zone can be imported with at most {IMPORT_RRSETS_MAX} RRsets")
    zone = renumbered(zone, zone.serial, ())
    draft.put_import(command.id, Import(zone, begun.base_serial, begun.settings, begun.parts + 1, draft.index))
    return draft.accepted(begun.base_serial)


def _begun(draft: Draft, command: StageImport) -> Import | Refused:
    """Take the copy."""
    if not 0 < len(command.id) <= ID_CHARACTERS_MAX:
        return draft.refused("invalid", f"the id of an import has 1 to {ID_CHARACTERS_MAX} characters")
    if command.part:
        hint = "import the zone again"
        return draft.refused("precondition", f"there is no import {command.id} to go on with", hint)
    if len(draft.state.imports) >= IMPORTS_MAX:
        hint = "wait until they are done; those that stopped are dropped after a while"
        return draft.refused("conflict", f"{IMPORTS_MAX} imports are under way, which is the limit", hint)
    zone = draft.state.zones.get(command.zone)
    if zone is not None:
        if command.create is not None or (command.if_serial is not None and command.if_serial != zone.serial):
            return zones.serial_problem(draft, zone, command.if_serial or 0)
        return Import(renumbered(zone, zone.serial, ()), zone.serial, None, 0, draft.index)
    if command.create is None:
        return zones.no_zone(draft, command.zone)
    wrong = zones.settings_problem(draft, command.create)
    if wrong:
        return wrong
    first = new_zone(command.zone, zones.apex(command.zone, command.create), draft.index)
    return Import(first, None, command.create, 0, draft.index)


def commit(draft: Draft, command: CommitImport) -> Result:
    """Put the finished copy in the zone's place."""
    staged = draft.state.imports.get(command.id)
    if staged is None or staged.zone.name != command.zone:
        return draft.refused(
            "precondition", f"there is no import {command.id} to commit", "import the zone again"
        )
    if staged.parts != command.parts:
        return draft.refused("conflict", f"{staged.parts} of {command.parts} parts are there")
    zone = draft.state.zones.get(command.zone)
    if (zone is None) != (staged.base_serial is None):
        return draft.refused("precondition", f"the zone {to_text(command.zone)} came or went meanwhile")
    draft.put_import(command.id, None)
    if zone is None:
        return _create(draft, command, staged)
    rebased = _rebased(draft, zone, staged)
    return rebased if isinstance(rebased, Refused) else _replace(draft, command, zone, rebased)


def _create(draft: Draft, command: CommitImport, staged: Import) -> Result:
    assert staged.settings is not None
    wrong = zones.shadow_problem(draft, command.zone)
    if wrong:
        return wrong
    serial = 1 if command.serial is None else command.serial % 2**32
    draft.put_zone(renumbered(staged.zone, serial, ()))
    zones.keep_settings(draft, command.zone, staged.settings)
    text = to_text(command.zone)
    draft.tell("zone.created", text, f"serial {serial}", zone=text, serial=str(serial))
    return draft.accepted(serial)


def _replace(draft: Draft, command: CommitImport, zone: Zone, copy: Zone) -> Result:
    if renumbered(copy, zone.serial, ()).digest == zone.digest:
        return draft.accepted(zone.serial)
    for fqdn in sorted(fqdn for fqdn, each in draft.state.services.items() if each.service.zone == zone.name):
        hidden_by = standing.hiding(copy, fqdn)
        if hidden_by is not None:
            what = f"{to_text(hidden_by.name)} {type_to_text(hidden_by.type)}"
            return draft.refused("conflict", f"{what} would hide the service {to_text(fqdn)}")
    serial = draft.next_serial(zone, command.serial)
    # Who asks for the changes since an older serial gets the whole zone: this mark is where they begin.
    mark = Delta(serial, serial, draft.index, (), ())
    after = renumbered(copy, serial, (mark,))
    draft.put_zone(after)
    leases.forget_gone(draft, after)
    text = to_text(zone.name)
    counts = f"{zone.rrset_count} -> {counted(after.rrset_count, 'RRset')}"
    draft.tell("zone.imported", text, f"serial {serial}, {counts}", zone=text, serial=str(serial))
    return draft.accepted(serial)


def _rebased(draft: Draft, zone: Zone, staged: Import) -> Zone | Refused:
    """Return the copy with what health has changed in the zone since it was taken."""
    assert staged.base_serial is not None
    if zone.serial == staged.base_serial:
        return staged.zone
    deltas = _since(zone, staged.base_serial)
    touched = {(rrset.name, rrset.type) for delta in deltas or () for rrset in (*delta.removed, *delta.added)}
    touched.discard((zone.name, SOA))
    if deltas is None or not all(_is_managed(draft, *place) for place in touched):
        return zones.serial_problem(draft, zone, staged.base_serial)
    overlay: dict[tuple[Name, int], RRset | None] = {
        (name, type_): zone.get(name, type_) for name, type_ in sorted(touched)
    }
    wrong = standing.alone_problem(draft, staged.zone, overlay)
    if wrong:
        return wrong
    replacements = [Replacement(name, type_, rrset) for (name, type_), rrset in overlay.items()]
    return with_changes(staged.zone, replacements, draft.index, serial=staged.zone.serial)


def _since(zone: Zone, serial: int) -> tuple[Delta, ...] | None:
    for number, delta in enumerate(zone.history):
        if delta.serial_from == serial:
            return zone.history[number:]
    return None


def _is_managed(draft: Draft, name: Name, type_: int) -> bool:
    return type_ in _MANAGED and name in draft.state.services


def drop(draft: Draft, command: DropImports) -> Result:
    """Forget imports that did not go on."""
    for id_, index in command.imports:
        staged = draft.state.imports.get(id_)
        if staged is not None and staged.index == index:
            draft.put_import(id_, None)
            text = to_text(staged.zone.name)
            draft.tell("import.dropped", text, f"{staged.parts} parts were staged and not committed", zone=text)
    return draft.accepted()
