"""What should stand at one name on another server, and the change that makes it so. Pure.

Own and foreign records may share a name: an order names the rdatas that should stand, and those that
are known to be ours and may be taken away. What else stands there is somebody's, unless the target's
``own`` says that the whole name is ours.
"""

from typing import Literal

import msgspec

from node.zone.name import BadName, Name, from_labels, iter_labels
from node.zone.rrset import CNAME, DNAME, TXT, RRset, make

Key = tuple[Name, int]
Own = Literal["addresses", "name"]

TTL_OPEN = -1
"""A ttl that the server decides by itself."""

_SINGLE = (CNAME, DNAME)
_SENTINEL_LABEL = b"_quorumdns"
_SENTINEL_TTL = 60
_SENTINEL_TEXT = b"plan="


class Order(msgspec.Struct, frozen=True):
    """What should stand for one name and type; no rdatas: nothing of ours."""

    name: Name
    type: int
    ttl: int
    rdatas: tuple[bytes, ...]
    known: tuple[bytes, ...] = ()
    """Rdatas that are or once were ours."""

    @property
    def key(self) -> Key:
        """Return the name and type."""
        return self.name, self.type


class ZonePlan(msgspec.Struct, frozen=True):
    """The orders for one zone, by name and type."""

    zone: Name
    orders: tuple[Order, ...]


class Replacement(msgspec.Struct, frozen=True):
    """The RRset that was read, and the one to put in its place; None is no RRset."""

    name: Name
    type: int
    before: RRset | None
    after: RRset | None

    @property
    def key(self) -> Key:
        """Return the name and type."""
        return self.name, self.type


def replacement(order: Order, present: RRset | None, own: Own) -> Replacement | None:
    """Return the change that fulfils the order, or None when what is present does already."""
    there = present.rdatas if present is not None else ()
    foreign = _foreign(order, there, own)
    wanted = make(order.name, order.type, order.ttl, [*order.rdatas, *foreign])
    if not order.rdatas and present is not None:
        wanted = msgspec.structs.replace(wanted, ttl=present.ttl)  # what is left is not ours
    if wanted.rdatas == there and (present is None or present.ttl in (wanted.ttl, TTL_OPEN)):
        return None
    return Replacement(order.name, order.type, present, wanted if wanted.rdatas else None)


def _foreign(order: Order, there: tuple[bytes, ...], own: Own) -> tuple[bytes, ...]:
    if own == "name" or (order.type in _SINGLE and order.rdatas):
        return ()
    return tuple(rdata for rdata in there if rdata not in order.known and rdata not in order.rdatas)


def are_same_records(left: RRset | None, right: RRset | None) -> bool:
    """Say whether two RRsets hold the same rdatas; a server may keep a ttl of its own."""
    return (left.rdatas if left else ()) == (right.rdatas if right else ())


# --- the sentinel ---------------------------------------------------------------------------------


def sentinel_name(zone: Name) -> Name | None:
    """Return the name of a zone's sentinel record, or None when the zone's name leaves no room for it."""
    try:
        return from_labels([_SENTINEL_LABEL, *iter_labels(zone)])
    except BadName:
        return None


def sentinel(name: Name, plan: int) -> RRset:
    """Return the TXT RRset that says which plan stands in a zone."""
    text = _SENTINEL_TEXT + str(plan).encode()
    return make(name, TXT, _SENTINEL_TTL, [bytes((len(text),)) + text])


def plan_of(present: RRset | None) -> int:
    """Read the plan's number from a sentinel; 0 when there is none that can be read."""
    return max((_number(rdata) for rdata in (present.rdatas if present else ())), default=0)


def _number(rdata: bytes) -> int:
    digits = rdata[1 + len(_SENTINEL_TEXT) :]
    readable = rdata[1:].startswith(_SENTINEL_TEXT) and digits.isdigit() and len(digits) < 20
    return int(digits) if readable else 0
