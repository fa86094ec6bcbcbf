"""The State's nodes follow the log's membership, and health with them."""

from node.health.service import Check, Endpoint, Service
from node.state.command import Ballot, CastVotes, Entry, Member, PutService, Seed
from node.state.machine import apply_entry
from node.state.members import MemberNote, Seat, change_members, decode_note, encode_note
from node.state.snapshot import digest, dump, load
from node.state.state import Accepted, Learner, State
from node.zone.name import from_text

ZONE, WWW = from_text("example.org"), from_text("www.example.org")
ADDRESSES = ("192.0.2.1", "192.0.2.2")


def seats(*names: str, **others: str) -> tuple[Seat, ...]:
    voters = [Seat(name, f"{name}:7300", "voter") for name in names]
    rest = [
        Seat(name, f"{name}:7300", "replica" if role == "replica" else "learner")
        for name, role in others.items()
    ]
    return tuple(sorted([*voters, *rest], key=lambda seat: seat.name))


def become(state: State, *places: Seat, note: bytes = b"") -> State:
    return change_members(state, state.index + 1, places, note, 1_000).state


def do(state: State, command: object) -> State:
    applied = apply_entry(state, state.index + 1, Entry(command, 1_000))  # type: ignore[arg-type]
    assert isinstance(applied.result, Accepted), applied.result
    return applied.state


def judged() -> State:
    """Five nodes, of which three say that the first endpoint is down."""
    state = become(State(), *seats("n1", "n2", "n3", "n4", "n5"))
    state = do(state, Seed((Member("n1", api="http://n1"), Member("n9"))))
    service = Service(WWW, ZONE, Check("tcp", port=80), tuple(Endpoint(each) for each in ADDRESSES))
    state = do(state, PutService(service))
    for name in ("n1", "n2"):
        state = do(state, CastVotes(name, (Ballot(WWW, ADDRESSES[0], up=False),)))
    return state


def verdict(state: State) -> str:
    return dict(state.services[WWW].endpoints)[ADDRESSES[0]].verdict


def test_the_seed_adds_details_to_the_nodes_of_the_log() -> None:
    """Who belongs to the cluster is the log's to say; a seed that names others adds none."""
    state = judged()
    assert ("n1", "n2", "n3", "n4", "n5") == tuple(member.name for member in state.members)
    assert "http://n1" == state.members[0].api
    assert "n1:7300" == state.members[0].raft


def test_a_quorum_that_shrinks_decides_at_that_index() -> None:
    """Two of five decide nothing; two of three do, at the very index that made them three."""
    state = judged()
    assert "undecided" == verdict(state)
    assert "undecided" == verdict(become(state, *seats("n1", "n2", "n3", "n4")))
    after = become(state, *seats("n1", "n2", "n3"))
    assert "down" == verdict(after)
    assert (ADDRESSES[1],) == after.services[WWW].published


def test_the_votes_of_a_removed_node_are_forgotten() -> None:
    """It may come back with another view; its old vote never counts again as it is."""
    state = become(judged(), *seats("n2", "n3", "n4"))
    assert ["n2"] == [name for name, _ in dict(state.services[WWW].endpoints)[ADDRESSES[0]].votes]
    assert "undecided" == verdict(become(state, *seats("n1", "n2", "n3")))


def test_a_learner_does_not_vote_on_health() -> None:
    """It counts from the index on at which it votes in elections, too."""
    state = become(judged(), *seats("n1", "n2", "n3", n4="learner", n5="replica"))
    assert (("n4", "learner"), ("n5", "replica")) == tuple(
        (each.member.name, each.role) for each in state.learners
    )
    applied = apply_entry(
        state, state.index + 1, Entry(CastVotes("n4", (Ballot(WWW, ADDRESSES[0], up=True),)), 0)
    )
    assert not isinstance(applied.result, Accepted)
    assert "n4" in {member.name for member in become(state, *seats("n1", "n2", "n3", "n4")).members}


def test_what_came_with_a_change_is_kept_and_told() -> None:
    """Who asked and why stands in the events; where the node's API is, in the State."""
    note = encode_note(MemberNote("alice", "new machine", Member("n6", api="http://n6", site="fra")))
    applied = change_members(judged(), 99, seats("n1", "n2", "n3", n6="learner"), note, 5_000)
    assert Learner(Member("n6", "n6:7300", "http://n6", "fra"), "learner") in applied.state.learners
    kinds = [(event.kind, event.subject, event.actor, event.reason) for event in applied.changed.events]
    assert ("node.added", "n6", "alice", "new machine") in kinds
    assert ("node.removed", "n4", "alice", "new machine") in kinds
    promoted = change_members(applied.state, 100, seats("n1", "n2", "n3", "n6"), b"", 6_000)
    assert ["node.changed"] == [event.kind for event in promoted.changed.events]
    assert "http://n6" == promoted.state.members[3].api


def test_a_note_that_cannot_be_read_stops_no_change() -> None:
    """The log has changed its members already: the State must follow everywhere."""
    assert MemberNote() == decode_note(b"\xc1")
    assert 3 == len(become(judged(), *seats("n1", "n2", "n3"), note=b"\xff").members)


def test_the_same_membership_changes_nothing_but_the_index() -> None:
    """A node's data directory became known: that is the log's own business."""
    state = judged()
    applied = change_members(state, state.index + 1, seats("n1", "n2", "n3", "n4", "n5"), b"", 0)
    assert digest(state) == digest(applied.state)
    assert () == applied.changed.events


def test_learners_are_part_of_snapshot_and_digest() -> None:
    """A node that restores a snapshot knows them, and nodes that differ in them differ."""
    state = judged()
    with_learner = become(state, *seats("n1", "n2", "n3", "n4", "n5", n6="replica"))
    assert with_learner == load(dump(with_learner))
    assert digest(state) != digest(with_learner)
