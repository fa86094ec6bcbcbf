"""What a leader sends, when, and what must be on the medium before."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raft.core import APPLYING_S_MAX, UNCOMMITTED_OCTETS_MAX
from raft.sending import APPEND_BYTES_MAX, ON_ITS_WAY_BYTES_MAX
from tests.raft.pocket import Clock, Pocket


@pytest.fixture(name="clock")
def _clock() -> Iterator[Clock]:
    with Clock().installed() as clock:
        yield clock


class StubFeed:
    """A feed with a few pieces, or none yet."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.begun_anew: list[str] = []

    def wants_more(self, _node: Any) -> bool:
        return bool(self.pieces)

    def next_piece(self, _node: Any) -> tuple[str, int, int, bytes] | None:
        return ("id", 0, 9, self.pieces.pop(0)) if self.pieces else None

    def begin_anew(self, node: Any) -> None:
        self.begun_anew.append(str(node.id))


def entries_of(sent: list[tuple[str, dict[str, Any]]], name: str) -> list[list[tuple[bytes, int, int]]]:
    return [each["entries"] for to, each in sent if to == name and each["type"] == "append_entries"]


def noted_at_sync(pocket: Pocket, note: Callable[[], int]) -> list[int]:
    """Return what fills with something noted whenever the journal is about to wait for the disk."""
    noted: list[int] = []
    sync = pocket.journal.sync

    def noting() -> None:
        if pocket.journal.needs_sync:
            noted.append(note())
        sync()

    pocket.journal.sync = noting  # type: ignore[method-assign]
    return noted


def test_many_messages_cost_one_wait_for_the_disk(clock: Clock) -> None:
    """Acknowledgements of one turn leave together, after one sync."""
    pocket = Pocket(clock)
    syncs = pocket.journal.syncs
    for index in range(2, 52):
        append = {"term": 1, "round": index, "commit_index": 1, "prevLogIdx": index - 1}
        append |= {"prevLogTerm": 1 if index > 2 else 0, "entries": [(b"\0x", index, 1)]}
        pocket.wire._onMessageReceived(pocket.peers["n2"], {"type": "append_entries", **append})
        assert [] == pocket.wire.sent  # nothing is acknowledged before it is durable
    sent = pocket.tick()
    assert list(range(2, 52)) == [each["matched"] for _, each in sent]
    assert syncs + 2 == pocket.journal.syncs  # the new term, and the fifty entries


def test_own_entries_are_sent_while_they_are_written(clock: Clock) -> None:
    """Followers need not wait for the leader's disk; when the turn ends, they are on it as well."""
    pocket = Pocket(clock)
    pocket.lead()
    pocket.core.append(b"x")
    at_sync = noted_at_sync(pocket, lambda: len(pocket.wire.sent))
    sent = pocket.tick()
    assert [2] == at_sync
    assert not pocket.journal.needs_sync
    assert [[(b"\0x", 3, 1)]] * 2 == entries_of(sent, "n2") + entries_of(sent, "n3")


def test_a_leader_counts_what_its_own_disk_holds(clock: Clock) -> None:
    """It is one of a majority for what is on its medium, whatever others say that they hold."""
    pocket = Pocket(clock)
    pocket.lead()
    pocket.acknowledge("n2", 2)
    assert pocket.core.commit_index == 2
    pocket.core.append(b"x")
    at_sync = noted_at_sync(pocket, lambda: pocket.core.commit_index)
    sent = pocket.acknowledge("n2", 3)
    assert [2] == at_sync
    assert {2} == {each["commit_index"] for _, each in sent}
    assert pocket.core.commit_index == 3


def test_a_new_leader_counts_nothing_that_waits_for_its_disk(clock: Clock) -> None:
    """It may have taken entries of another leader in this very turn."""
    pocket = Pocket(clock)
    pocket.lead()
    pocket.tick()
    assert pocket.core.durable_index == pocket.core.last_index
    pocket.core.become_leader()
    assert pocket.core.durable_index == 0


def test_a_single_voter_tells_replicas_of_what_its_disk_holds(clock: Clock) -> None:
    """Its word alone commits: what it sends before it has written is not yet committed."""
    pocket = Pocket(clock)
    pocket.lead()
    pocket.core.learners, pocket.core.voters = pocket.core.voters, set()
    pocket.tick(0.06)
    committed = pocket.core.commit_index
    pocket.core.append(b"x")
    at_sync = noted_at_sync(pocket, lambda: pocket.core.commit_index)
    sent = pocket.tick()
    assert [committed] == at_sync
    assert {committed} == {each["commit_index"] for _, each in sent}
    assert pocket.core.commit_index == committed + 1


def test_what_a_follower_was_sent_is_not_sent_again(clock: Clock) -> None:
    """The next round carries a sign of life alone until something is new or the follower asks."""
    pocket = Pocket(clock)
    pocket.lead()
    pocket.core.append(b"x")
    pocket.tick()
    assert [[]] == entries_of(pocket.tick(0.06), "n2")
    again = pocket.tell("n2", type="append_reply", term=1, round=1, matched=None, next=3)
    assert [[(b"\0x", 3, 1)]] == entries_of(again, "n2")


def test_a_slow_follower_is_not_overrun(clock: Clock) -> None:
    """What is on its way to a follower that does not answer is bounded; answers let the rest follow."""
    pocket = Pocket(clock)
    pocket.lead()
    for _ in range(60):
        pocket.core.append(bytes(APPEND_BYTES_MAX // 2))
    sent = entries_of(pocket.tick(), "n2")
    octets = sum(len(command) for batch in sent for command, _, _ in batch)
    assert ON_ITS_WAY_BYTES_MAX <= octets <= ON_ITS_WAY_BYTES_MAX + APPEND_BYTES_MAX
    assert [[]] == entries_of(pocket.tick(0.06), "n2")
    more = entries_of(pocket.acknowledge("n2", sent[-1][-1][1]), "n2")
    assert sent[-1][-1][1] + 1 == more[0][0][1]


def test_an_entry_of_any_size_travels_whole(clock: Clock) -> None:
    """The library would cut a large entry into pickled parts."""
    pocket = Pocket(clock)
    pocket.lead()
    pocket.core.append(bytes(4 * APPEND_BYTES_MAX))
    (batch,) = entries_of(pocket.tick(), "n2")
    assert [4 * APPEND_BYTES_MAX + 1] == [len(command) for command, _, _ in batch]


def test_a_leader_takes_no_more_than_waits_for_a_majority(clock: Clock) -> None:
    """What no majority holds is bounded in octets; an acknowledgement makes room."""
    pocket = Pocket(clock)
    pocket.lead()
    pocket.acknowledge("n2", pocket.core.last_index)
    size = 8 * APPEND_BYTES_MAX
    count = 0
    while pocket.core.has_room:
        pocket.core.append(bytes(size))
        count += 1
    assert UNCOMMITTED_OCTETS_MAX == count * size
    pocket.tick()
    pocket.acknowledge("n2", pocket.core.last_index)
    assert pocket.core.has_room


def test_applying_lets_others_have_their_turn(clock: Clock) -> None:
    """Entries that take long are applied over several turns: signs of life go out in between."""
    pocket = Pocket(clock)
    pocket.lead()
    for _ in range(10):
        pocket.core.append(b"slow")

    def take_long() -> None:
        clock.now_s += APPLYING_S_MAX / 2

    pocket.host.on_apply = take_long
    pocket.tick()
    pocket.acknowledge("n2", pocket.core.last_index)
    assert pocket.core.is_behind
    applied = len(pocket.host.applied)
    pocket.tick()
    assert applied + 2 == len(pocket.host.applied)


def test_one_sign_of_life_a_round_while_no_piece_may_go(clock: Clock) -> None:
    """A follower that waits for a snapshot is not flooded with empty messages."""
    pocket = Pocket(clock)
    pocket.lead()
    pocket.core.feed = StubFeed()
    pocket.core.next_index[pocket.peers["n2"]] = 1
    to_n2 = [each for to, each in pocket.tick(0.06) if to == "n2"]
    assert [None] == [each["serialized"] for each in to_n2]
    pocket.core.feed = StubFeed(b"a", b"b")
    to_n2 = [each["serialized"] for to, each in pocket.tick() if to == "n2"]
    assert [b"a", b"b", None] == [piece and piece[3] for piece in to_n2]


def test_a_broken_connection_forgets_what_was_on_its_way(clock: Clock) -> None:
    """After a reconnect the leader asks how far the follower is, and a snapshot begins anew."""
    pocket = Pocket(clock)
    pocket.lead()
    feed = pocket.core.feed = StubFeed()
    for _ in range(60):
        pocket.core.append(bytes(APPEND_BYTES_MAX // 2))
    pocket.tick()
    node = pocket.peers["n2"]
    assert not pocket.core.lacks_something(node)
    pocket.wire._onNodeDisconnected(node)
    pocket.wire._onNodeConnected(node)
    assert pocket.core.lacks_something(node)
    assert ["n2"] == feed.begun_anew


def test_a_leader_that_hands_over_says_so_until_another_had_time(clock: Clock) -> None:
    """What it appended meanwhile would let the other one stand in vain; what never came is not waited for."""
    pocket = Pocket(clock)
    pocket.lead()
    pocket.acknowledge("n2", pocket.core.last_index)
    assert not pocket.core.is_handing_over
    assert pocket.core.hand_over("n2")
    assert [("n2", "timeout_now")] == [(to, each["type"]) for to, each in pocket.wire.take()]
    assert pocket.core.is_handing_over
    clock.now_s += pocket.core.conf.raftMinTimeout
    assert not pocket.core.is_handing_over
    assert not pocket.core.hand_over("n3")  # it has not all
    assert not pocket.core.is_handing_over
    assert pocket.core.hand_over("n2")
    pocket.core.become_leader()
    assert not pocket.core.is_handing_over
