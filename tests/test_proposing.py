"""A write is brought into the log once, by as many tries as it takes, and its fate is told truly."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.proposing import LEADERLESS_S, Proposer, Tries
from node.state import once
from node.state.command import (
    CastVotes,
    ChangeZone,
    Command,
    DropVotes,
    Entry,
    PutRRset,
    Ticket,
    decode,
    encode,
)
from node.state.machine import apply
from node.state.pushes import ReportPush
from node.state.state import Accepted, State
from raft.proposal import Committed, NotCommitted, Outcome, Unknown
from tests.state.conftest import ZONE, rrset
from tests.state.test_snapshot import seeded

NO_LEADER = NotCommitted("no-leader", "no leader is known")
LOST = Unknown("the leader went")


def put(address: str = "192.0.2.1") -> Command:
    return ChangeZone(ZONE, (PutRRset(rrset("a", "A", address)),))


class FakeReplica:
    """A log that says what its script says of each try, and does what the script says, which may differ."""

    def __init__(self, *script: tuple[str, Outcome | None]) -> None:
        """Each step: ``now``, ``late`` (applied only by ``arrive``) or ``never``; and what is told, None for the truth."""
        self.state: State = seeded().state
        self.script = list(script)
        self.tries: list[Entry] = []
        self.late: list[bytes] = []

    async def propose(self, data: bytes, timeout_s: float) -> Outcome:
        assert timeout_s > 0
        self.tries.append(decode(data))
        what, told = self.script.pop(0) if self.script else ("now", None)
        truth = self.apply(data) if what == "now" else NO_LEADER
        if what == "late":
            self.late.append(data)
        return told or truth

    def apply(self, data: bytes) -> Committed:
        applied = apply(self.state, self.state.index + 1, data)
        self.state = applied.state
        return Committed(self.state.index, applied.result)

    def arrive(self) -> list[object]:
        """Let the late tries be committed; return what they came to."""
        results = [self.apply(data).result for data in self.late]
        self.late.clear()
        return results


def proposed(
    replica: FakeReplica, *commands: Command, timeout_s: float = 5.0, ticket: Ticket | None = None
) -> list[Outcome]:
    """Propose these commands at once by one process."""
    proposer = Proposer(replica.propose, lambda: replica.state.index)

    async def story() -> list[Outcome]:
        each = (proposer.propose(Entry(command, 1, ticket=ticket), timeout_s) for command in commands)
        return list(await asyncio.gather(*each))

    return asyncio.run(story())


def serial(state: State) -> int:
    return state.zones[ZONE].serial


def test_a_lost_outcome_is_found_again() -> None:
    """A try that was committed while its outcome was lost is applied once, and its caller is told so."""
    replica = FakeReplica(("now", LOST), ("now", LOST))
    before = replica.state
    (outcome,) = proposed(replica, put())
    assert isinstance(outcome, Committed)
    assert Accepted(before.index + 1, True, serial(before) + 1) == outcome.result
    assert before.index + 1 == outcome.index
    assert (3, serial(before) + 1) == (len(replica.tries), serial(replica.state))
    assert 1 == len({each.ticket for each in replica.tries})


def test_a_write_waits_out_a_change_of_leaders() -> None:
    """What is certainly nowhere is tried again, and begins anew each time."""
    replica = FakeReplica(("never", NO_LEADER), ("never", NO_LEADER))
    (outcome,) = proposed(replica, put())
    assert isinstance(outcome, Committed)
    assert 3 == len(replica.tries)


def test_a_try_that_comes_late_does_nothing_any_more() -> None:
    """The lost try is committed after its successor: it only repeats the result."""
    replica = FakeReplica(("late", LOST))
    (outcome,) = proposed(replica, put())
    assert isinstance(outcome, Committed)
    state = replica.state
    assert [outcome.result] == replica.arrive()
    assert serial(state) == serial(replica.state)


def test_doubt_never_turns_into_not_committed() -> None:
    """After a lost try a refusal of later ones proves nothing: the lost one can still be committed."""
    replica = FakeReplica(("late", LOST), *[("never", NO_LEADER)] * 100)
    (outcome,) = proposed(replica, put(), timeout_s=0.3)
    assert LOST == outcome
    assert 2 <= len(replica.tries) <= 10
    (late,) = replica.arrive()
    assert isinstance(late, Accepted)


@pytest.mark.parametrize("reason", ["stopped", "too-large"])
def test_doubt_outlives_the_end_of_the_node(reason: str) -> None:
    """A node that stops says that it does not know, if it does not."""
    told = NotCommitted(reason, "")  # type: ignore[arg-type]
    assert [LOST] == proposed(FakeReplica(("late", LOST), ("never", told)), put())
    assert [told] == proposed(FakeReplica(("never", told)), put())


def test_a_busy_log_is_not_asked_again_at_once() -> None:
    """Too many callers are not helped by more tries; in doubt there is no other way."""
    busy = NotCommitted("busy", "")
    assert [busy] == proposed(FakeReplica(("never", busy)), put())
    (outcome,) = proposed(FakeReplica(("now", LOST), ("never", busy)), put())
    assert isinstance(outcome, Committed)


def test_writes_may_overtake_each_other() -> None:
    """Of several on their way none makes another one stale, in whatever order they are committed."""
    replica = FakeReplica(*[("late", LOST)] * 4, *[("now", None)] * 4)
    commands = [ChangeZone(ZONE, (PutRRset(rrset(f"n{number}", "A", "192.0.2.1")),)) for number in range(4)]
    outcomes = proposed(replica, *commands)
    results = [each.result for each in outcomes if isinstance(each, Committed)]
    assert [True] * 4 == [isinstance(each, Accepted) and each.changed for each in results]
    assert sorted(map(str, results)) == sorted(map(str, replica.arrive()))


def test_what_heals_itself_takes_no_ticket() -> None:
    """Votes and reports go once and cost no row; their proposers compare and propose again."""
    for command in (CastVotes("ns1", ()), DropVotes("ns1"), ReportPush("t", "ns1", 1, True)):
        replica = FakeReplica(("never", LOST))
        assert [LOST] == proposed(replica, command)
        assert [None] == [each.ticket for each in replica.tries]


def test_two_processes_and_two_writes_have_tickets_of_their_own() -> None:
    """A restarted node is another client."""
    replica = FakeReplica()
    proposed(replica, put(), put())
    proposed(replica, put())
    tickets = [each.ticket for each in replica.tries if each.ticket is not None]
    assert 3 == len({(each.client, each.key) for each in tickets})
    assert 2 == len({each.client for each in tickets})


def test_a_given_ticket_is_kept_over_another_proposer() -> None:
    """What one node's try did, another node's try of the same request is told."""
    replica = FakeReplica(("now", LOST))
    ticket = Ticket("ci", "key", b"asked", 0)
    assert [LOST] == proposed(replica, put(), timeout_s=0.001, ticket=ticket)
    state = replica.state
    (outcome,) = proposed(replica, put("192.0.2.2"), ticket=ticket)
    assert isinstance(outcome, Committed)
    assert (state.index, serial(state)) == (outcome.index, serial(replica.state))


def test_what_is_forgotten_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost try whose row is gone is never done again; nobody can tell any more what it came to."""
    monkeypatch.setattr(once, "TRIES_MAX", 1)
    replica = FakeReplica(("now", LOST), ("now", None))

    async def propose(data: bytes, timeout_s: float) -> Outcome:
        told = await replica.propose(data, timeout_s)
        for number in (1, 2):
            other = Ticket("other", 2 * len(replica.tries) + number, b"", replica.state.index)
            replica.apply(encode(Entry(put(f"192.0.2.10{number}"), 1, ticket=other)))
        return told

    proposer = Proposer(propose, lambda: replica.state.index)
    outcome = asyncio.run(proposer.propose(Entry(put(), 1), 5.0))
    assert isinstance(outcome, Unknown)
    assert "forgotten" in outcome.detail
    assert 2 == len(replica.tries)


def test_a_node_that_is_behind_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first try that is stale was not carried out, so another one may be, as of a later index."""
    monkeypatch.setattr(once, "TRIES_MAX", 1)
    replica = FakeReplica()
    for number in (1, 2):
        replica.apply(encode(Entry(put(f"192.0.2.{number}"), 1, ticket=Ticket("other", number, b"", 9))))
    indexes = iter((0, replica.state.index))
    proposer = Proposer(replica.propose, lambda: next(indexes))
    outcome = asyncio.run(proposer.propose(Entry(put("192.0.2.9"), 1), 5.0))
    assert isinstance(outcome, Committed)
    assert isinstance(outcome.result, Accepted)
    assert 2 == len(replica.tries)


def test_without_a_leader_a_write_is_refused_in_time() -> None:
    """What is nowhere is refused after a while, well before the caller's patience ends."""
    assert Tries(5.0).judge(NO_LEADER, LEADERLESS_S - 0.1) is None
    assert NO_LEADER == Tries(5.0).judge(NO_LEADER, LEADERLESS_S)
    assert NO_LEADER == Tries(1.0).judge(NO_LEADER, 0.9)


OUTCOMES = st.sampled_from([LOST, NO_LEADER, NotCommitted("busy", ""), NotCommitted("stopped", "")])


@given(st.lists(st.tuples(OUTCOMES, st.sampled_from(["now", "late", "never"])), max_size=12), st.booleans())
def test_the_fate_that_is_told_is_true(script: list[tuple[Outcome, str]], ends_well: bool) -> None:
    """Whatever tries come to and whatever is told of them, committed is done once and not committed never."""
    replica = FakeReplica()
    tries = Tries(5.0)
    entry = Entry(put(), 1, ticket=Ticket("c", 1, b"", replica.state.index))
    before, fate = serial(replica.state), None
    for told, what in [*script, (LOST, "now")] if ends_well else script:
        does_it = isinstance(told, Unknown)  # else the log does not lie
        replica.script = [(what if does_it else "never", told)]
        outcome = asyncio.run(replica.propose(encode(entry), 1.0))
        fate = tries.judge(outcome, 0.1)
        if fate is not None:
            break
    if fate is None:
        fate = tries.judge(replica.apply(encode(entry)), 0.2)
    replica.arrive()
    done = serial(replica.state) - before
    assert done == 1 if isinstance(fate, Committed) else done <= 1
    if isinstance(fate, NotCommitted):
        assert 0 == done
