"""The cluster's nodes as the State knows them: they follow the log's membership, at the very index it changes.

Whose vote on health counts and whose vote in an election counts is therefore the same list. Total and
deterministic, as all of apply.
"""

from typing import Literal

import msgspec

from node.state import services
from node.state.command import Entry, Member, Seed
from node.state.draft import Draft
from node.state.state import Applied, Learner, State


class Seat(msgspec.Struct, frozen=True):
    """A node's place in the membership: its name, where its log listens, and whether it votes."""

    name: str
    raft: str
    role: Literal["voter", "learner", "replica"]


class MemberNote(msgspec.Struct, frozen=True):
    """What goes with a change of members: who asked, why, and what only this room knows of the node."""

    actor: str = ""
    reason: str = ""
    member: Member | None = None


def encode_note(note: MemberNote) -> bytes:
    """Write a note for its way through the log."""
    return msgspec.msgpack.encode(note)


def decode_note(data: bytes) -> MemberNote:
    """Read a note; one that cannot be read says nothing, as the change itself must go on everywhere."""
    try:
        return msgspec.msgpack.decode(data, type=MemberNote) if data else MemberNote()
    except (msgspec.DecodeError, ValueError, RecursionError):
        return MemberNote()


def change_members(state: State, index: int, seats: tuple[Seat, ...], note: bytes, at_ms: int) -> Applied:
    """Let the State's nodes be those of the membership from this index on."""
    said = decode_note(note)
    draft = Draft(state, index, Entry(Seed(()), at_ms, said.actor, said.reason))
    known = {member.name: member for member in (*state.members, *(each.member for each in state.learners))}
    if said.member is not None:
        known[said.member.name] = said.member
    members = tuple(_member(known, seat) for seat in seats if seat.role == "voter")
    learners = tuple(Learner(_member(known, seat), seat.role) for seat in seats if seat.role != "voter")
    if (members, learners) == (state.members, state.learners):
        return draft.finish(draft.accepted())
    draft.update(members=members, learners=learners)
    _tell(draft, state, seats)
    if _names(members) != _names(state.members):
        services.electorate_changed(draft)
    return draft.finish(draft.accepted())


def _member(known: dict[str, Member], seat: Seat) -> Member:
    return msgspec.structs.replace(known.get(seat.name, Member(seat.name)), raft=seat.raft)


def _names(members: tuple[Member, ...]) -> tuple[str, ...]:
    return tuple(member.name for member in members)


def _tell(draft: Draft, before: State, seats: tuple[Seat, ...]) -> None:
    """Tell of every node that came, went, or changed its part."""
    sites = {each.name: each.site for each in (*before.members, *(each.member for each in before.learners))}
    roles = {member.name: ("voter", member.raft) for member in before.members}
    roles |= {each.member.name: (each.role, each.member.raft) for each in before.learners}
    for seat in seats:
        old_role, old_raft = roles.pop(seat.name, (None, None))
        if old_role is None:
            draft.tell(
                "node.added", seat.name, f"{seat.name} joined as a {seat.role}", node=seat.name, role=seat.role
            )
        elif old_role != seat.role:
            text = f"{seat.name} is a {seat.role} now, and was a {old_role}"
            draft.tell("node.changed", seat.name, text, node=seat.name, role=seat.role, before=old_role)
        elif old_raft != seat.raft:
            draft.tell("node.moved", seat.name, f"{seat.name} listens at {seat.raft} now", node=seat.name)
    for name in sorted(roles):
        text, (role, _) = f"{name} is no node of the cluster any more", roles[name]
        draft.tell("node.removed", name, text, node=name, before=role, site=sites.get(name, ""))


def seeded_learners(state: State, planned: tuple[Member, ...]) -> tuple[Learner, ...]:
    """Return the nodes that do not vote, with the details of a seed."""
    details = {member.name: member for member in planned}
    return tuple(
        Learner(
            msgspec.structs.replace(details.get(each.member.name, each.member), raft=each.member.raft),
            each.role,
        )
        for each in state.learners
    )


def seeded_members(state: State, planned: tuple[Member, ...]) -> tuple[Member, ...]:
    """Return the nodes of a State that is being seeded: the log's membership where there is one, with details."""
    if not state.members:
        return planned
    details = {member.name: member for member in planned}
    return tuple(
        msgspec.structs.replace(details.get(member.name, member), raft=member.raft) for member in state.members
    )
