"""Apply: one entry of the log makes one State into the next.

Total, timeless and deterministic: no clock, no randomness, no set or hash order, no configuration.
Bad octets, an unknown kind or a failed precondition are results; nothing here raises for what a
command says.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from node.counted import counted
from node.state import (
    imports,
    leases,
    once,
    overrides,
    receivers,
    restoring,
    services,
    steering,
    targets,
    tokens,
    zones,
)
from node.state.api_tokens import NoteTokenUses, PutToken, RevokeToken
from node.state.command import (
    FORMAT,
    STEPS_MAX,
    BadCommand,
    BeginRestore,
    CastVotes,
    ChangeZone,
    CommitImport,
    Decline,
    DeleteEndpoint,
    DeleteService,
    DeleteZone,
    DropImports,
    DropVotes,
    Entry,
    ExpireLeases,
    PutEndpoint,
    PutService,
    PutZone,
    RestorePieces,
    Seed,
    SetFormat,
    StageImport,
    Together,
    decode,
)
from node.state.draft import Draft
from node.state.members import seeded_learners, seeded_members
from node.state.names import bad_name
from node.state.notices import ReportNotice
from node.state.operations import (
    ClearOverrides,
    EndWaits,
    KeepSchedule,
    SetMaintenance,
    SetOverrides,
)
from node.state.pushes import DeleteTarget, HoldPush, PutTarget, ReportPush, SteerPush
from node.state.state import Applied, Changed, Refused, Result, State, advanced
from node.state.votes import WithdrawVotes
from node.zone.name import Name

MEMBERS_MAX = 99
FORMAT_MAX = 255
"""It is one octet of every entry."""
_WHILE_RESTORING = (BeginRestore, RestorePieces, SetFormat, Decline)


def apply(state: State, index: int, data: bytes, newest: int = FORMAT) -> Applied:
    """Apply one encoded entry at this log index, reading formats up to ``newest``; see the module's law.

    An entry of a format that is not allowed yet is refused alike by those who could read it and those who
    could not.
    """
    if data and data[0] > state.format:
        text = f"commands of format {data[0]} are not allowed yet, the cluster is at format {state.format}"
        return _refused(state, index, "conflict", text)
    try:
        entry = decode(data, newest)
    except BadCommand as error:
        return _refused(state, index, "invalid", str(error))
    return apply_entry(state, index, entry)


def _refused(state: State, index: int, code: Literal["invalid", "conflict"], text: str) -> Applied:
    return Applied(advanced(state, index), Refused(index, code, f"{text}; nothing was changed"), Changed())


def apply_entry(state: State, index: int, entry: Entry) -> Applied:
    """Apply one entry at this log index; one whose ticket was used changes nothing any more."""
    return once.carry_out(state, index, entry, _carry_out)


def _carry_out(state: State, index: int, entry: Entry) -> Applied:
    draft = Draft(state, index, entry)
    wrong = bad_name(entry.command)
    if state.restoring is not None and not isinstance(entry.command, _WHILE_RESTORING):
        text = "a backup is being restored, and what is written now would be lost"
        return draft.finish(draft.refused("conflict", text, "qdns status"))
    if wrong is not None:
        return draft.finish(draft.refused("invalid", f"{wrong[:20].hex()} is not a name in its canonical form"))
    return draft.finish(_perform(draft, entry.command))


def _perform(draft: Draft, command: Any) -> Result:
    return _ACTIONS[type(command)](draft, command)


def _put_zone(draft: Draft, command: PutZone) -> Result:
    """Create or change a zone; services that wait for it appear in it."""
    return _published(draft, command.zone, zones.put_zone(draft, command))


def _change_zone(draft: Draft, command: ChangeZone) -> Result:
    """Change RRsets; services that wait for a zone that this creates appear in it."""
    is_there = command.zone in draft.state.zones
    result = zones.change_zone(draft, command)
    return result if is_there else _published(draft, command.zone, result)


def _commit_import(draft: Draft, command: CommitImport) -> Result:
    """Let a staged zone take its place; services that wait for a new one appear in it."""
    is_there = command.zone in draft.state.zones
    result = imports.commit(draft, command)
    return result if is_there else _published(draft, command.zone, result)


def _published(draft: Draft, zone: Name, result: Result) -> Result:
    if isinstance(result, Refused):
        return result
    services.publish_zone(draft, zone)
    return draft.accepted(draft.state.zones[zone].serial)


def _seed(draft: Draft, command: Seed) -> Result:
    """Fill a cluster that has never been seeded."""
    if draft.state.seeded:
        return draft.accepted()
    members = seeded_members(draft.state, command.members)
    names = [member.name for member in members]
    if not names or len(names) > MEMBERS_MAX or len(set(names)) != len(names):
        return draft.refused("invalid", f"a cluster has 1 to {MEMBERS_MAX} nodes with different names")
    draft.update(seeded=True, members=members, learners=seeded_learners(draft.state, command.members))
    steps = (
        *command.zones,
        *(PutService(service) for service in command.services),
        *(PutTarget(target) for target in command.targets),
    )
    for step in steps:
        result = _perform(draft, step)
        if isinstance(result, Refused):
            return result
    draft.tell("cluster.seeded", "cluster", f"{counted(len(names), 'node')}: {', '.join(names)}")
    return draft.accepted()


def _together(draft: Draft, command: Together) -> Result:
    """Carry out all steps or, when one is refused, none; the refusal says which one it was, counted from 1."""
    if not 0 < len(command.steps) <= STEPS_MAX:
        return draft.refused("invalid", f"1 to {STEPS_MAX} changes go together, not {len(command.steps)}")
    for number, step in enumerate(command.steps, 1):
        result = _perform(draft, step)
        if isinstance(result, Refused):
            return msgspec.structs.replace(
                result, detail=f"change {number} of {len(command.steps)}: {result.detail}"
            )
    return draft.accepted()


def _restore_pieces(draft: Draft, command: RestorePieces) -> Result:
    """Take pieces of a backup; with the last one the cluster is seeded."""
    result = restoring.add(draft, command)
    backup = draft.state.restoring
    if isinstance(result, Refused) or backup is None or not restoring.is_whole(command):
        return result
    result = _seed(draft, Seed(backup.members))
    if not isinstance(result, Refused):
        restoring.unfold(draft, backup)
    return result


def _set_format(draft: Draft, command: SetFormat) -> Result:
    """Allow newer commands; never go back.

    All nodes do so alike: one that is too old for the format has to stop, see ``node.cluster.Machine``.
    """
    if not 1 <= command.format <= FORMAT_MAX:
        return draft.refused("invalid", f"a format is a number from 1 to {FORMAT_MAX}, not {command.format}")
    if command.format > draft.state.format:
        draft.update(format=command.format)
        draft.tell("format.changed", "cluster", f"commands of format {command.format} are allowed")
    return draft.accepted()


def _decline(draft: Draft, command: Decline) -> Result:
    """Change nothing, as was decided before the log."""
    return Refused(draft.index, command.code, command.detail, command.hint)


_ACTIONS: dict[type, Callable[[Draft, Any], Result]] = {
    Seed: _seed,
    PutZone: _put_zone,
    DeleteZone: zones.delete_zone,
    ChangeZone: _change_zone,
    PutService: services.put_service,
    DeleteService: services.delete_service,
    PutEndpoint: services.put_endpoint,
    DeleteEndpoint: services.delete_endpoint,
    CastVotes: services.cast_votes,
    DropVotes: services.drop_votes,
    ExpireLeases: leases.expire,
    StageImport: imports.stage,
    CommitImport: _commit_import,
    DropImports: imports.drop,
    SetOverrides: overrides.set_overrides,
    ClearOverrides: overrides.clear_overrides,
    SetMaintenance: overrides.set_maintenance,
    KeepSchedule: overrides.keep_schedule,
    ReportPush: targets.report_push,
    PutTarget: targets.put_target,
    DeleteTarget: targets.delete_target,
    SteerPush: steering.steer_push,
    HoldPush: steering.hold_push,
    SetFormat: _set_format,
    BeginRestore: restoring.begin,
    RestorePieces: _restore_pieces,
    Decline: _decline,
    ReportNotice: receivers.report_notice,
    PutToken: tokens.put_token,
    RevokeToken: tokens.revoke_token,
    EndWaits: overrides.release_waiting,
    Together: _together,
    NoteTokenUses: tokens.note_uses,
    WithdrawVotes: services.withdraw_votes,
}
