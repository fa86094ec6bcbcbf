"""What each command takes of who asks for it: the one place where the conditions of scopes are judged.

Every door (``/v1``, PowerDNS, etcd, the page) brings its writes into the log through ``node.api.perform``, and
that asks here. A kind that is not named takes the scope of administrators.
"""

from collections.abc import Iterable, Iterator

from node.api.message import Identity
from node.api.problem import Problem
from node.state.api_tokens import NoteTokenUses
from node.state.command import (
    Change,
    ChangeZone,
    Command,
    CommitImport,
    Decline,
    DeleteEndpoint,
    DeleteRRset,
    DeleteService,
    DeleteZone,
    PutEndpoint,
    PutService,
    PutZone,
    StageImport,
    Together,
)
from node.state.operations import (
    ClearOverrides,
    EndWaits,
    SetMaintenance,
    SetOverrides,
)
from node.state.pushes import SteerPush
from node.state.scopes import Need, allows
from node.zone.lease import SUBTREE

_RECORDS = "records:write"


def require_allowed(identity: Identity, command: Command) -> None:
    """Refuse a command that the identity's scopes are not enough for. Raises ``Problem``."""
    for need in dict.fromkeys(needs_of(command)):
        if not allows(identity.scopes, need):
            raise Problem("forbidden", f"the token {identity.name} lacks the scope {need}; nothing was changed")


def needs_of(command: Command) -> Iterable[Need]:
    """Yield what the command takes."""
    match command:
        case Decline():
            return ()
        case ChangeZone():
            return _of_changes(command)
        case PutZone() | DeleteZone() | StageImport() | CommitImport():
            return (Need(_RECORDS, command.zone),)
        case PutService() | DeleteService() | PutEndpoint() | DeleteEndpoint():
            return (Need("services:write"),)
        case SetOverrides() | ClearOverrides() | EndWaits() | SetMaintenance():
            return (Need("endpoints:operate"),)
        case SteerPush():
            return (Need("services:write"),)
        case Together():
            return [need for step in command.steps for need in needs_of(step)]
        case NoteTokenUses():  # a node's own; no door brings one
            return (Need("cluster:admin"),)
        case _:
            return (Need("cluster:admin"),)


def _of_changes(command: ChangeZone) -> Iterator[Need]:
    if command.create is not None or command.serial is not None:
        yield Need(_RECORDS, command.zone)
    for change in command.changes:
        yield _of_change(command, change)
    for wish in command.leases:
        key = wish.key
        yield Need(_RECORDS, key.zone) if key.type == SUBTREE else Need(_RECORDS, key.zone, key.name, key.type)


def _of_change(command: ChangeZone, change: Change) -> Need:
    if isinstance(change, DeleteRRset):
        return Need(_RECORDS, command.zone, change.name, change.type)
    return Need(_RECORDS, command.zone, change.rrset.name, change.rrset.type)
