"""What the commands of operators do: drain, force, maintenance, and their ends.

What would leave a service without any record is refused unless it is said to be wanted; that is decided here, so of
two drains of the last two endpoints exactly one wins.
"""

import msgspec

from node.health.override import Maintenance, Override
from node.health.publish import is_emptied
from node.state.draft import Draft
from node.state.judging import judge, keep
from node.state.operations import (
    ClearOverrides,
    EndWaits,
    KeepSchedule,
    Place,
    SetMaintenance,
    SetOverrides,
)
from node.state.state import Refused, Result, ServiceState
from node.state.waits import end_waits, keep_waits, next_wait_ms
from node.zone.name import Name, to_text

PLACES_MAX = 1_000
_WORDS = {"drain": "drained", "up": "forced up", "down": "forced down"}


def set_overrides(draft: Draft, command: SetOverrides) -> Result:
    """Drain endpoints or force what they are taken for, all or nothing."""
    wrong = _places_problem(draft, (*command.places, *command.released))
    if wrong:
        return wrong
    override = Override(
        command.kind,
        draft.index,
        draft.entry.at_ms,
        draft.entry.actor,
        draft.entry.reason,
        command.until_ms,
        command.automated,
    )
    wanted = _by_service(command.places, override)
    for fqdn, released in _by_service(command.released, None).items():
        wanted[fqdn] = released | wanted.get(fqdn, {})
    for fqdn, overrides in wanted.items():
        refused = _put(draft, fqdn, overrides, command.allow_empty)
        if refused:
            return refused
    return draft.accepted()


def clear_overrides(draft: Draft, command: ClearOverrides) -> Result:
    """Let the votes decide again."""
    wrong = _places_problem(draft, command.places)
    if wrong:
        return wrong
    for fqdn, overrides in _by_service(command.places, None).items():
        refused = _put(draft, fqdn, overrides, allow_empty=True)
        if refused:
            return refused
    return draft.accepted()


def release_waiting(draft: Draft, command: EndWaits) -> Result:
    """Let endpoints come back into DNS that are up and wait."""
    return _places_problem(draft, command.places) or end_waits(draft, command)


def set_maintenance(draft: Draft, command: SetMaintenance) -> Result:
    """Begin, plan or end the maintenance of a service."""
    known = draft.state.services.get(command.fqdn)
    if known is None:
        return draft.refused("not-found", f"there is no service {to_text(command.fqdn)}", "qdns service list")
    if not command.on:
        _end_maintenance(draft, known)
        return draft.accepted()
    if command.until_ms and command.until_ms <= max(command.from_ms, 0):
        return draft.refused("invalid", "the maintenance would end before it begins")
    entry = draft.entry
    is_active = command.from_ms <= entry.at_ms
    maintenance = Maintenance(
        draft.index, entry.at_ms, entry.actor, entry.reason, command.from_ms, command.until_ms, is_active
    )
    keep(draft, msgspec.structs.replace(known, maintenance=maintenance))
    _tell_maintenance(draft, known.service.fqdn, "begun" if is_active else "planned", maintenance)
    return draft.accepted()


def keep_schedule(draft: Draft, command: KeepSchedule) -> Result:
    """Begin and end what is due by the leader's clock; what is not due any more stays as it is."""
    for fqdn in sorted(draft.state.services):
        known = draft.state.services[fqdn]
        ended: dict[str, Override | None] = {
            address: None for address, each in known.overrides if 0 < each.until_ms <= command.now_ms
        }
        if ended:
            _put(draft, fqdn, ended, allow_empty=True)
        _keep_maintenance(draft, draft.state.services[fqdn], command.now_ms)
        keep_waits(draft, fqdn, command.now_ms)
    return draft.accepted()


def next_due_ms(known: ServiceState) -> int | None:
    """Return when something of a service's schedule is due next, None when nothing is."""
    times = [each.until_ms for _, each in known.overrides if each.until_ms]
    if known.maintenance is not None:
        times += [known.maintenance.until_ms] if known.maintenance.until_ms else []
        times += [] if known.maintenance.active else [known.maintenance.from_ms]
    wait_ms = next_wait_ms(known)
    times += [] if wait_ms is None else [wait_ms]
    return min(times, default=None)


def _keep_maintenance(draft: Draft, known: ServiceState, now_ms: int) -> None:
    maintenance = known.maintenance
    if maintenance is None:
        return
    if 0 < maintenance.until_ms <= now_ms:
        _end_maintenance(draft, known)
    elif not maintenance.active and maintenance.from_ms <= now_ms:
        begun = msgspec.structs.replace(maintenance, active=True)
        keep(draft, msgspec.structs.replace(known, maintenance=begun))
        _tell_maintenance(draft, known.service.fqdn, "begun", begun, before="planned")


def _end_maintenance(draft: Draft, known: ServiceState) -> None:
    if known.maintenance is None:
        return
    keep(draft, msgspec.structs.replace(known, maintenance=None))
    down = " ".join(address for address, each in known.endpoints if each.verdict == "down")
    before = "begun" if known.maintenance.active else "planned"
    _tell_maintenance(draft, known.service.fqdn, "ended", known.maintenance, down=down, before=before)
    judge(draft, known.service.fqdn)


def _tell_maintenance(
    draft: Draft, fqdn: Name, word: str, maintenance: Maintenance, *, down: str = "", before: str = ""
) -> None:
    """Tell of it; at its end also which endpoints went down meanwhile, of which nobody was alarmed."""
    text = to_text(fqdn)
    draft.tell(
        f"maintenance.{word}",
        text,
        f"maintenance {word}; down: {down}" if down else f"maintenance {word}",
        service=text,
        down=down,
        before=before,
        author=maintenance.author,
        why=maintenance.reason,
        from_ms=str(maintenance.from_ms or ""),
        until_ms=str(maintenance.until_ms or ""),
    )


def _put(draft: Draft, fqdn: Name, wanted: dict[str, Override | None], allow_empty: bool) -> Refused | None:
    """Put overrides on endpoints of one service, None takes one away; then judge the service."""
    known = draft.state.services[fqdn]
    overrides = dict(known.overrides)
    for address, override in wanted.items():
        before = overrides.pop(address, None)
        if override is not None and override.automated and before is not None and not before.automated:
            overrides[address] = before  # what a person said goes before
            continue
        if override is not None:
            overrides[address] = override
        _tell(draft, fqdn, address, before, override)
    if overrides == dict(known.overrides):
        return None
    keep(draft, msgspec.structs.replace(known, overrides=tuple(sorted(overrides.items()))))
    judge(draft, fqdn)
    after = draft.state.services[fqdn]
    if not allow_empty and is_emptied(known.service, known.published, after.published):
        out = sum(1 for address, _ in after.endpoints if address not in after.published)
        which = "any record of its family" if after.published else "any record"
        return draft.refused(
            "conflict",
            f"this would leave {to_text(fqdn)} without {which}: {out} of {len(after.endpoints)} endpoints would be out of DNS",
            "take out one by one, or add --allow-empty",
        )
    return None


def _tell(draft: Draft, fqdn: Name, address: str, before: Override | None, after: Override | None) -> None:
    if after is None and before is None:
        return
    text, replaced = to_text(fqdn), before.kind if before is not None else ""
    said = _WORDS[after.kind] if after is not None else f"no longer {_WORDS[replaced]}"
    draft.tell(
        f"endpoint.{_WORDS[after.kind].replace(' ', '_')}" if after is not None else "endpoint.released",
        f"{text} {address}",
        said,
        service=text,
        endpoint=address,
        before=replaced,
        until_ms=str(after.until_ms or "") if after is not None else "",
    )


def _by_service(places: tuple[Place, ...], override: Override | None) -> dict[Name, dict[str, Override | None]]:
    found: dict[Name, dict[str, Override | None]] = {}
    for place in places:
        found.setdefault(place.fqdn, {})[place.address] = override
    return found


def _places_problem(draft: Draft, places: tuple[Place, ...]) -> Refused | None:
    if not 1 <= len(places) <= PLACES_MAX:
        return draft.refused("invalid", f"a command is about 1 to {PLACES_MAX} endpoints")
    for place in places:
        known = draft.state.services.get(place.fqdn)
        if known is None:
            return draft.refused("not-found", f"there is no service {to_text(place.fqdn)}", "qdns service list")
        if place.address not in dict(known.endpoints):
            return draft.refused("not-found", f"{to_text(place.fqdn)} has no endpoint {place.address}")
    return None
