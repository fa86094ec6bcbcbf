"""Who belongs to the cluster: how one list follows another, and what the log holds of them."""

import pytest

from raft.errors import RaftError
from raft.membership import (
    NOTE_OCTETS_MAX,
    BadMembership,
    Change,
    Membership,
    RefusedChange,
    Roster,
    Seat,
    changed,
    decode_change,
    decode_membership,
    encode_change,
    encode_membership,
)

A = Seat("a", "127.0.0.1:1", "voter", "da")
B = Seat("b", "127.0.0.1:2", "voter", "db")
C = Seat("c", "127.0.0.1:3", "learner")
BOTH = Membership("h", (A, B))
TRIO = Membership("h", (A, B, C))


def test_a_node_begins_as_a_learner() -> None:
    """An added node does not vote, and its data directory is not known."""
    assert (A, B, C) == changed(BOTH, Change("add", "c", "127.0.0.1:3")).seats


def test_a_replica_is_added_as_such() -> None:
    """A replica never becomes a learner."""
    seats = changed(BOTH, Change("add", "c", "127.0.0.1:3", "replica")).seats
    assert "replica" == seats[2].role


def test_adding_what_is_there_changes_nothing() -> None:
    """A repeated request is no second change."""
    assert changed(BOTH, Change("add", "b", "127.0.0.1:2")) is BOTH


def test_a_node_gets_another_address() -> None:
    """Adding a node that is there moves it, and it keeps its vote."""
    moved = changed(BOTH, Change("add", "b", "127.0.0.1:9")).seat("b")
    assert Seat("b", "127.0.0.1:9", "voter", "db") == moved


def test_a_replaced_node_begins_anew() -> None:
    """Its vote and its data directory are forgotten, its address may be another."""
    assert Seat("b", "127.0.0.1:9", "learner") == changed(BOTH, Change("replace", "b", "127.0.0.1:9")).seat("b")


def test_a_learner_votes_once_promoted_with_the_directory_it_came_with() -> None:
    """The two steps that the leader makes by itself."""
    came = changed(TRIO, Change("record", "c", directory="dc"))
    assert Seat("c", "127.0.0.1:3", "voter", "dc") == changed(came, Change("promote", "c")).seat("c")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change("remove", "x"), "x is not a node of this cluster"),
        (Change("replace", "x"), "x is not a node of this cluster"),
        (Change("add", "c", "127.0.0.1:2"), "is the address of b"),
        (Change("add", "b", "127.0.0.1:2", "replica"), "remove it first"),
        (Change("add", "c", "127.0.0.1:3", "voter"), "begins as a learner"),
        (Change("remove", "b", note=b"x" * (NOTE_OCTETS_MAX + 1)), "give a shorter reason"),
    ],
)
def test_what_is_wrong_is_refused_with_a_sentence(change: Change, words: str) -> None:
    """A refusal says what is wrong."""
    with pytest.raises(RefusedChange, match=words):
        changed(BOTH, change)


def test_the_only_voter_stays() -> None:
    """A cluster without a voter could never change again."""
    with pytest.raises(RefusedChange, match="only node that votes"):
        changed(Membership("h", (A, C)), Change("remove", "a"))


def test_an_address_must_be_one() -> None:
    """Host names are no addresses."""
    with pytest.raises(RaftError, match="not the address"):
        changed(BOTH, Change("add", "c", "somewhere"))


def test_memberships_and_changes_survive_their_way() -> None:
    """What is written is read back."""
    assert decode_membership(encode_membership(TRIO)) == TRIO
    change = Change("add", "c", "127.0.0.1:3", note=b"n")
    assert change == decode_change(encode_change(change))
    with pytest.raises(BadMembership):
        decode_membership(b"\x02garbage")
    with pytest.raises(BadMembership):
        decode_change(b"\xc1")


def test_the_newest_membership_of_the_log_rules_until_it_is_cut() -> None:
    """In force from its place in the log; a cut brings the one before back."""
    roster = Roster(Membership("", (A,)))
    assert roster.is_founding
    roster.take(2, BOTH)
    roster.take(7, TRIO)
    assert (TRIO, 7) == (roster.current, roster.index)
    assert (BOTH, 2) == (roster.at(6), roster.index_at(6))
    assert not roster.cut(8)
    assert roster.cut(7)
    assert BOTH is roster.current
    assert roster.cut(2)
    assert roster.is_founding


def test_what_a_snapshot_holds_is_not_kept_twice() -> None:
    """Of memberships that are older than it only the one in force there stays, so their number has a limit."""
    roster = Roster(Membership("", (A,)))
    for index in (2, 4, 6):
        roster.take(index, BOTH)
    roster.take(9, TRIO)
    roster.forget_before(7)
    assert (6, None, BOTH) == (roster.index_at(8), roster.at(5), roster.at(7))
    assert (TRIO, 9) == (roster.current, roster.index)


def test_a_snapshot_carries_the_membership_of_its_end() -> None:
    """What follows it in the log stays only where the log agrees with it."""
    roster = Roster(Membership("", (A,)))
    roster.take(2, BOTH)
    roster.take(9, TRIO)
    roster.begin(5, BOTH, keep_later=True)
    assert (TRIO, BOTH) == (roster.current, roster.at(5))
    roster.begin(12, BOTH, keep_later=False)
    assert (BOTH, 12) == (roster.current, roster.index)
