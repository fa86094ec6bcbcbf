"""What a command can change inside one zone, and what it can demand of it."""

from typing import Literal

import msgspec

from node.zone.lease import LeaseKey
from node.zone.name import Name
from node.zone.rrset import RRset


class PutRRset(msgspec.Struct, frozen=True, tag_field="op", tag="put", gc=False):
    """Make the RRset exactly this one."""

    rrset: RRset


class AddRdatas(msgspec.Struct, frozen=True, tag_field="op", tag="add", gc=False):
    """Make sure that the RRset holds at least these rdatas; its ttl becomes the given one (RFC 2136 2.5.1)."""

    rrset: RRset


class RemoveRdatas(msgspec.Struct, frozen=True, tag_field="op", tag="remove", gc=False):
    """Make sure that the RRset holds none of these rdatas (RFC 2136 2.5.4)."""

    rrset: RRset


class DeleteRRset(msgspec.Struct, frozen=True, tag_field="op", tag="delete", gc=False):
    """Make sure that there is no such RRset; type 255 means every type at the name (RFC 2136 2.5.2, 2.5.3)."""

    name: Name
    type: int


Change = PutRRset | AddRdatas | RemoveRdatas | DeleteRRset


class Prerequisite(msgspec.Struct, frozen=True):
    """What must be true of the zone when the entry is applied, or nothing happens (RFC 2136 2.4)."""

    kind: Literal[
        "name-exists",
        "name-absent",
        "rrset-exists",
        "rrset-absent",
        "rrset-equals",
        "directory-exists",
        "directory-absent",
    ]
    """A directory is there as long as something lies at the name or below it, or it was made explicitly."""
    name: Name
    type: int = 255
    rdatas: tuple[bytes, ...] = ()


class LeaseWish(msgspec.Struct, frozen=True):
    """Grant, renew or end a lease.

    ``ttl_s`` is how long what it is on stays without being renewed, 0 for ever. None takes a directory's
    own existence away: it then stays only as long as something lies below it.
    """

    key: LeaseKey
    ttl_s: int | None
