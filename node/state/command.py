"""The commands of the log: what can be asked of the cluster, and their versioned bytes.

A command says what is to be, never "one more", so none can take effect twice. An ``Entry`` is a
command with who asked, why, and the proposer's wall clock; that clock is shown to people and is
never compared in a decision.

Every kind belongs to the format that brought it (``format_of``), and stands in the log only once all nodes
can read that (``SetFormat``). So a new kind needs a new ``FORMAT``, as does a new field of an old kind
without which an entry would be understood otherwise. Octets that were written once are read for ever.
"""

from typing import Literal

import msgspec

from node.health.service import Endpoint, Service
from node.state.api_tokens import NoteTokenUses, PutToken, RevokeToken
from node.state.changes import (
    AddRdatas,
    Change,
    DeleteRRset,
    LeaseWish,
    Prerequisite,
    PutRRset,
    RemoveRdatas,
)
from node.state.notices import ReportNotice
from node.state.operations import ClearOverrides, EndWaits, KeepSchedule, SetMaintenance, SetOverrides
from node.state.pushes import DeleteTarget, HoldPush, PutTarget, ReportPush, SteerPush, Target
from node.state.votes import WithdrawVotes
from node.zone.lease import LeaseKey
from node.zone.name import Name
from node.zone.rrset import RRset
from node.zone.serial import Policy

__all__ = ["AddRdatas", "Change", "DeleteRRset", "LeaseWish", "Prerequisite", "PutRRset", "RemoveRdatas"]

FORMAT = 3
ENTRY_BYTES_MAX = 4 * 1024 * 1024


class BadCommand(ValueError):
    """The bytes are not a command this version knows; the message says why."""


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node of the cluster as the replicated state knows it: a voter on health."""

    name: str
    raft: str = ""
    api: str = ""
    site: str = ""


class ZoneSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a zone's SOA and apex NS are made from."""

    nameservers: tuple[Name, ...]
    contact: Name
    default_ttl: int = 5
    negative_ttl: int = 60
    refresh_s: int = 3600
    retry_s: int = 600
    expire_s: int = 604_800


# --- the kinds ------------------------------------------------------------------------------------
# ``if_index`` everywhere: the object's last change must be at this index, 0 means it must not exist,
# None means no condition.


class Seed(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="seed"):
    """Fill a cluster that has never been seeded; on any other it changes nothing."""

    members: tuple[Member, ...]
    zones: tuple["PutZone", ...] = ()
    services: tuple[Service, ...] = ()
    targets: tuple[Target, ...] = ()


class PutZone(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="put-zone"):
    """Create a zone or change its settings; ``rrsets`` go into a zone that is being created."""

    zone: Name
    settings: ZoneSettings
    rrsets: tuple[RRset, ...] = ()
    if_index: int | None = None
    serial_policy: Policy | None = None
    """How the zone's serials are chosen; None leaves that as it is."""


class DeleteZone(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="delete-zone"):
    """Delete a zone with everything in it; refused while a service lives in it."""

    zone: Name
    if_index: int | None = None


class ChangeZone(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="change-zone"):
    """Change RRsets of one zone, all or nothing."""

    zone: Name
    changes: tuple[Change, ...]
    prerequisites: tuple[Prerequisite, ...] = ()
    create: ZoneSettings | None = None
    """Create the zone first when it does not exist (development mode and imports)."""
    if_index: int | None = None
    """Condition on the RRset of the first change."""
    leases: tuple[LeaseWish, ...] = ()
    """Leases on what stands after the changes."""
    keep_leases: bool = False
    """Leave the leases of what stays alone; else an RRset that is put is free of any."""
    if_serial: int | None = None
    """Condition on the zone's serial."""
    serial: int | None = None
    """What the serial becomes when it is newer and the zone's policy is to keep what comes."""


class StageImport(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="stage-import"):
    """Lay a part of a large change on a copy of a zone that nobody sees; parts are counted from 0.

    The first part takes the copy, of a zone that has ``if_serial``, or makes it from ``create`` where there is no
    such zone. The last part may be staged again without harm. What is not committed is dropped after a while.
    """

    id: str
    zone: Name
    part: int
    changes: tuple[Change, ...]
    if_serial: int | None = None
    create: ZoneSettings | None = None


class CommitImport(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="commit-import"):
    """Let the copy take the zone's place, at this one index, when all parts are laid."""

    id: str
    zone: Name
    parts: int
    serial: int | None = None
    """What the serial becomes when it is newer and the zone's policy is to keep what comes."""


class DropImports(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="drop-imports"):
    """Forget what was staged, each unless it went on since this index."""

    imports: tuple[tuple[str, int], ...]


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """One period of a lease: from the log index at which it was granted or last renewed."""

    key: LeaseKey
    index: int


class ExpireLeases(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="expire-leases"):
    """Take away what these leases are on, but for those that were renewed or ended since."""

    grants: tuple[Grant, ...]


class PutService(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="put-service"):
    """Create a service or make it exactly this one; votes on addresses that stay are kept."""

    service: Service
    if_index: int | None = None


class DeleteService(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="delete-service"):
    """Delete a service and its RRsets."""

    fqdn: Name
    if_index: int | None = None


class PutEndpoint(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="put-endpoint"):
    """Add an endpoint to a service or change it."""

    fqdn: Name
    endpoint: Endpoint
    if_index: int | None = None


class DeleteEndpoint(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="delete-endpoint"):
    """Remove an endpoint from a service."""

    fqdn: Name
    address: str
    if_index: int | None = None


class Ballot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One vote on one endpoint with its evidence."""

    fqdn: Name
    address: str
    up: bool
    latency_ms: int = 0
    evidence: str = ""


class CastVotes(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="cast-votes"):
    """What ``node`` now says of some endpoints.

    ``after_drop`` must equal the count of drops in the state that ``node`` voted upon, so that ballots
    from before a lost lease never replay.
    """

    node: str
    ballots: tuple[Ballot, ...]
    after_drop: int = 0


class DropVotes(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="drop-votes"):
    """End the lease of ``node``: none of its votes counts until it votes again."""

    node: str


class SetFormat(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="set-format"):
    """Allow commands up to this format; proposed once every node can read it."""

    format: int


class BeginRestore(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="begin-restore"):
    """Let a backup come into a cluster that was never seeded, with ``RestorePieces``."""

    restore: str
    """The checksum of the backup's file."""
    members: tuple[Member, ...]
    """The nodes, as this cluster's configuration has them; those of the backup do not come back."""
    format: int
    """Of the State in the backup."""
    serial_step: int
    """How far each zone's serial goes beyond the one in the backup; see ``node.restore``."""
    source: str = ""
    """What is restored, for people."""


class RestorePieces(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="restore-pieces"):
    """The next pieces of the backup; with the last one all of it is there at once, and the cluster is seeded."""

    restore: str
    first: int
    """Position of the first of these pieces, from 0."""
    pieces: tuple[bytes, ...]


class Decline(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="decline"):
    """Change nothing, and let that be what the entry's ticket stands for.

    For a request that a node refused before there was a command: another node may have made one of the
    same request, and that one must not be carried out any more.
    """

    code: Literal["invalid", "not-found", "conflict", "precondition"]
    detail: str
    hint: str = ""


Step = (
    PutZone
    | DeleteZone
    | ChangeZone
    | PutService
    | DeleteService
    | PutEndpoint
    | DeleteEndpoint
    | SetOverrides
    | ClearOverrides
    | EndWaits
    | SetMaintenance
    | PutTarget
    | DeleteTarget
)
"""What can be done together with others."""
STEPS_MAX = 10_000


class Together(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="together"):
    """Carry out all of these in order, each on what the ones before made, or none."""

    steps: tuple[Step, ...]


Command = (
    Seed
    | PutZone
    | DeleteZone
    | ChangeZone
    | PutService
    | DeleteService
    | PutEndpoint
    | DeleteEndpoint
    | CastVotes
    | DropVotes
    | ExpireLeases
    | StageImport
    | CommitImport
    | DropImports
    | SetOverrides
    | ClearOverrides
    | SetMaintenance
    | KeepSchedule
    | ReportPush
    | PutTarget
    | DeleteTarget
    | SteerPush
    | HoldPush
    | SetFormat
    | BeginRestore
    | RestorePieces
    | Decline
    | ReportNotice
    | PutToken
    | RevokeToken
    | EndWaits
    | Together
    | NoteTokenUses
    | WithdrawVotes
)


class Ticket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """By which an entry is carried out once, however often it stands in the log; see ``node.state.once``."""

    client: str
    key: int | str
    """A number that a node's process gave one of its own writes, or a text that a user of the API chose."""
    digest: bytes
    """Of what is asked for, to tell the same request from another one under its key; empty for a number."""
    since: int
    """An index that the proposer had applied before its first try; no earlier entry has this ticket of it."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command with its circumstances, as it stands in the log."""

    command: Command
    at_ms: int
    """The proposer's wall clock, milliseconds since 1970 UTC; for people to read."""
    actor: str = ""
    reason: str = ""
    ticket: Ticket | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


FORMATS: dict[type, int] = {NoteTokenUses: 2, WithdrawVotes: 3}
"""The format of each kind that came after format 1."""
KEEPS_ADMINISTRATOR_FORMAT = 2
CORRECTS_FORMAT = 3


def format_of(command: Command) -> int:
    """Return the format that a node must read to understand the command."""
    if isinstance(command, PutToken | RevokeToken) and command.keeps_administrator:
        return KEEPS_ADMINISTRATOR_FORMAT  # who reads format 1 alone would carry it out without that condition
    if isinstance(command, NoteTokenUses) and command.corrects:
        return CORRECTS_FORMAT
    return FORMATS.get(type(command), 1)


def encode(entry: Entry) -> bytes:
    """Write an entry: one octet of format, then msgpack."""
    return bytes((format_of(entry.command),)) + _encoder.encode(entry)


def decode(data: bytes, newest: int = FORMAT) -> Entry:
    """Read what ``encode`` wrote, of formats up to ``newest``. Raises ``BadCommand`` on anything else."""
    if not data or not 1 <= data[0] <= newest:
        found = data[0] if data else "none"
        raise BadCommand(f"command format {found} is not known here, {newest} is the newest")
    try:
        return _decoder.decode(memoryview(data)[1:])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: text that is not UTF-8
        raise BadCommand(f"not a command: {error}") from None
