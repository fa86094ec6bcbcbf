"""Who belongs to the cluster: a list that is an entry of the log, and how one list follows from another.

One change at a time, each with the full list: two lists that follow one another always share a majority
(Raft thesis, section 4.1). Pure: what the leader knows of the world it has checked before it asks here.
"""

from functools import cached_property
from typing import Final, Literal

import msgspec

from raft.identity import parse_address

MEMBERSHIP: Final = b"\x02"
"""The library's mark in front of an entry about members; what follows it is ours."""
NODES_MAX: Final = 99
NOTE_OCTETS_MAX: Final = 16 * 1024
"""It stays in the log and in every snapshot, and each node is told it anew."""

SeatRole = Literal["voter", "learner", "replica"]
"""Votes; will vote once it has caught up; holds the log and never votes."""


class BadMembership(ValueError):
    """The octets are no membership or no change of one; the message says why."""


class RefusedChange(Exception):
    """The change would be wrong or would cost the quorum; the message says why, and what to do."""


class Seat(msgspec.Struct, frozen=True, array_like=True):
    """One node of the cluster. ``address`` is ``IP:PORT``."""

    name: str
    address: str
    role: SeatRole
    directory: str = ""
    """Which data directory it came with; empty until it has come."""


class Membership(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """All nodes of the cluster, by name."""

    history: str
    """Tells clusters of one name apart: drawn when the log began, or when it was begun anew by force."""
    seats: tuple[Seat, ...]
    note: bytes = b""
    """What the machine is told with this change."""
    at_ms: int = 0
    """The leader's wall clock, milliseconds since 1970 UTC; for people to read."""

    def seat(self, name: str) -> Seat | None:
        """Return the node's seat, or None for a stranger."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Seat]:
        """Asked for with every proposal and every message; the first of two of one name counts."""
        return {seat.name: seat for seat in reversed(self.seats)}

    @cached_property
    def voters(self) -> tuple[str, ...]:
        """Names of the nodes that vote."""
        return tuple(seat.name for seat in self.seats if seat.role == "voter")


class Change(msgspec.Struct, frozen=True, array_like=True):
    """What is asked of the leader. ``promote`` and ``record`` are the leader's own."""

    kind: Literal["add", "remove", "replace", "lead", "promote", "record"]
    name: str
    address: str = ""
    role: SeatRole = "learner"
    directory: str = ""
    note: bytes = b""


def encode_membership(membership: Membership) -> bytes:
    """Write a membership as a command of the log."""
    return MEMBERSHIP + msgspec.msgpack.encode(membership)


def decode_membership(command: bytes) -> Membership:
    """Read what ``encode_membership`` wrote. Raises ``BadMembership``."""
    try:
        return msgspec.msgpack.decode(memoryview(command)[len(MEMBERSHIP) :], type=Membership)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadMembership(f"not a list of members: {error}") from None


def encode_change(change: Change) -> bytes:
    """Write a change for the way to the leader."""
    return msgspec.msgpack.encode(change)


def decode_change(data: bytes) -> Change:
    """Read what ``encode_change`` wrote. Raises ``BadMembership``."""
    try:
        return msgspec.msgpack.decode(data, type=Change)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadMembership(f"not a change of members: {error}") from None


def changed(membership: Membership, change: Change) -> Membership:
    """Return the membership after the change; the same one when it changes nothing. Raises ``RefusedChange``."""
    seat = membership.seat(change.name)
    if len(change.note) > NOTE_OCTETS_MAX:
        text = f"the note with it has {len(change.note)} octets, {NOTE_OCTETS_MAX} are allowed; give a shorter reason"
        raise RefusedChange(text)
    if change.kind == "add":
        return _added(membership, seat, change)
    if seat is None:
        raise RefusedChange(f"{change.name} is not a node of this cluster; `qdns node list` shows who is")
    if change.kind == "remove":
        return _removed(membership, seat, change.note)
    return _put(membership, _next_seat(seat, change), change.note)


def _next_seat(seat: Seat, change: Change) -> Seat:
    """Return the seat as a change of this one seat leaves it."""
    if change.kind == "promote":
        return Seat(seat.name, seat.address, "voter", seat.directory)
    if change.kind == "record":
        return Seat(seat.name, seat.address, seat.role, change.directory)
    role: SeatRole = "replica" if seat.role == "replica" else "learner"
    return Seat(seat.name, change.address or seat.address, role)


def _added(membership: Membership, seat: Seat | None, change: Change) -> Membership:
    """Give a new node a seat, or a node that has one another address."""
    _check_address(membership, change)
    if seat is not None:
        if (seat.role == "replica") != (change.role == "replica"):
            raise RefusedChange(f"{seat.name} is there as a {seat.role}; remove it first")
        return _put(membership, Seat(seat.name, change.address, seat.role, seat.directory), change.note)
    if len(membership.seats) >= NODES_MAX:
        raise RefusedChange(f"the cluster has {NODES_MAX} nodes, which is the most it can have")
    if change.role == "voter":
        raise RefusedChange("a node begins as a learner; it votes once it has caught up")
    return _put(membership, Seat(change.name, change.address, change.role), change.note)


def _check_address(membership: Membership, change: Change) -> None:
    other = next(
        (each for each in membership.seats if each.address == change.address and each.name != change.name), None
    )
    if other is not None:
        raise RefusedChange(f"{change.address} is the address of {other.name}; give every node its own")
    parse_address(change.address)


def _removed(membership: Membership, seat: Seat, note: bytes) -> Membership:
    if membership.voters == (seat.name,):
        raise RefusedChange(f"{seat.name} is the only node that votes; a cluster without one can do nothing")
    return Membership(membership.history, tuple(each for each in membership.seats if each is not seat), note)


def _put(membership: Membership, seat: Seat, note: bytes) -> Membership:
    if membership.seat(seat.name) == seat and not note:
        return membership
    kept = [each for each in membership.seats if each.name != seat.name]
    return Membership(membership.history, tuple(sorted([*kept, seat], key=lambda each: each.name)), note)


class Roster:
    """The memberships that the log holds: the newest is in force from the moment it stands there."""

    def __init__(self, founding: Membership) -> None:
        self._founding = founding
        self._known: list[tuple[int, Membership]] = []

    @property
    def is_founding(self) -> bool:
        """Whether the log says nothing yet, so that the configuration speaks."""
        return not self._known

    @property
    def current(self) -> Membership:
        """The membership in force."""
        return self._known[-1][1] if self._known else self._founding

    @property
    def index(self) -> int:
        """The log index of the membership in force; 0 for the configuration's."""
        return self._known[-1][0] if self._known else 0

    def at(self, index: int) -> Membership | None:
        """Return the membership that the log held at this index; None when it held none."""
        return next((held for where, held in reversed(self._known) if where <= index), None)

    def index_at(self, index: int) -> int:
        """Return where the membership stands that was in force at this index; 0 when the log held none."""
        return next((where for where, _ in reversed(self._known) if where <= index), 0)

    def removal_of(self, name: str, directory: str, until: int) -> int | None:
        """Return where a node that had come with this directory was removed; None where it was not.

        Before it came there may have been another of that name, whose removal is none of its business.
        """
        came, removed_at = False, None
        for index, membership in self._known:
            seat = membership.seat(name)
            if seat is not None and seat.directory == directory:
                came, removed_at = True, None
            elif seat is None and came and removed_at is None and index <= until:
                removed_at = index
        return removed_at

    def take(self, index: int, membership: Membership) -> None:
        """An entry came into the log."""
        self._known.append((index, membership))

    def cut(self, index: int) -> bool:
        """The entries from this index on are gone; say whether a membership was among them."""
        kept = [each for each in self._known if each[0] < index]
        is_cut = len(kept) != len(self._known)
        self._known = kept
        return is_cut

    def begin(self, index: int, membership: Membership | None, *, keep_later: bool) -> None:
        """A snapshot ends at this index with this membership; what follows it in the log may stay."""
        later = [each for each in self._known if each[0] > index] if keep_later else []
        self._known = ([(index, membership)] if membership is not None else []) + later

    def forget_before(self, index: int) -> None:
        """Keep of what is older than this index only what was in force there."""
        older = [each for each in self._known if each[0] <= index]
        self._known = older[-1:] + [each for each in self._known if each[0] > index]
