"""The leader's duties: what it does when, and what it leaves alone."""

import asyncio
from dataclasses import dataclass, field, replace

import msgspec
import pytest
import structlog.testing

from node.duties import Duties, DutySettings
from node.state.command import (
    Ballot,
    BeginRestore,
    CastVotes,
    Command,
    DropVotes,
    Entry,
    Member,
    PutZone,
    Seed,
    SetFormat,
    StageImport,
)
from node.state.machine import apply_entry
from node.state.state import State
from node.zone.name import from_text
from raft.proposal import Committed, NotCommitted, Outcome
from raft.replica import PeerStatus, ReplicaStatus
from tests.state.conftest import SETTINGS, WWW, service

SEED = Seed(tuple(Member(name) for name in ("ns1", "ns2", "ns3")), (), (service("192.0.2.1", "192.0.2.2"),))
PEER = PeerStatus(name="ns2", address="127.0.0.2:7300", connected=True, last_contact_s=0.1, match_index=None)
LEADER = ReplicaStatus(
    node="ns1",
    role="leader",
    leader="ns1",
    term=1,
    commit_index=1,
    applied_index=1,
    last_index=1,
    snapshot_index=0,
    log_bytes=0,
    has_quorum=True,
    ready=True,
    members=("ns1", "ns2", "ns3"),
    peers=(PEER, replace(PEER, name="ns3")),
)


@dataclass
class Door:
    """A cluster of one replica that applies at once."""

    role: ReplicaStatus
    state: State = field(default_factory=State)
    proposed: tuple[Command, ...] = ()

    def status(self) -> ReplicaStatus:
        return self.role

    async def propose(self, command: Command, *, actor: str = "", reason: str = "") -> Outcome:
        applied = apply_entry(self.state, self.state.index + 1, Entry(command, 0))
        self.state = applied.state
        self.proposed += (command,)
        return Committed(applied.state.index, applied.result)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


def duties(door: Door, clock: Clock) -> Duties:
    return Duties(door, lambda: SEED, DutySettings(vote_lease_s=7.0), monotonic_s=clock)


def test_the_leader_seeds_an_empty_cluster_once(clock: Clock) -> None:
    """An empty cluster gets the seed of its leader; a seeded one is left alone."""
    door = Door(LEADER)
    work = duties(door, clock)
    asyncio.run(work.do_due())
    asyncio.run(work.do_due())
    assert (SEED,) == door.proposed


def test_a_follower_does_nothing(clock: Clock) -> None:
    """Duties are the leader's alone, and only while it has a quorum."""
    for role in (replace(LEADER, role="follower"), replace(LEADER, has_quorum=False)):
        door = Door(role)
        asyncio.run(duties(door, clock).do_due())
        assert door.proposed == ()


def test_a_silent_node_loses_its_votes_after_the_lease(clock: Clock) -> None:
    """Silence longer than the lease ends a node's votes, once; a new leader listens for a lease first."""
    silent = replace(LEADER, peers=(replace(PEER, last_contact_s=60.0), replace(PEER, name="ns3")))
    door = Door(silent)
    asyncio.run(door.propose(SEED))
    for node in ("ns1", "ns2", "ns3"):
        asyncio.run(door.propose(CastVotes(node, (Ballot(WWW, "192.0.2.1", False),))))
    before = door.proposed
    work = duties(door, clock)
    asyncio.run(work.do_due())
    assert before == door.proposed
    clock.now_s += 7.0
    asyncio.run(work.do_due())
    asyncio.run(work.do_due())
    assert (*before, DropVotes("ns2")) == door.proposed


def test_a_refused_seed_is_not_proposed_for_ever(clock: Clock) -> None:
    """A seed that will not do costs the log one entry, not two a second; another State gives it another try."""
    door = Door(LEADER)
    bad = Seed((Member("ns1"),), (), (msgspec.structs.replace(service("192.0.2.1"), ttl=0),))
    work = Duties(door, lambda: bad, DutySettings(), monotonic_s=clock)
    for _ in range(3):
        asyncio.run(work.do_due())
    assert [bad] == list(door.proposed)
    asyncio.run(door.propose(SetFormat(1)))
    asyncio.run(work.do_due())
    assert [bad, SetFormat(1), bad] == list(door.proposed)


def test_a_seed_that_is_too_large_is_told(clock: Clock) -> None:
    """A seed beyond what the log carries is said so, once, and not silently tried again and again."""
    tries = []

    class Small(Door):
        async def propose(self, command: Command, *, actor: str = "", reason: str = "") -> Outcome:
            tries.append(command)
            return NotCommitted("too-large", "5000000 octets are more than the 4194304 allowed")

    work = duties(Small(LEADER), clock)
    with structlog.testing.capture_logs() as lines:
        asyncio.run(work.do_due())
        asyncio.run(work.do_due())
    assert [SEED] == tries
    assert ["seed.refused"] == [line["event"] for line in lines]


def test_nothing_is_seeded_while_a_backup_is_to_come(clock: Clock) -> None:
    """Whoever may say no is asked with the time for which this node has led; a backup on its way says no, too."""
    door, asked = Door(LEADER), []

    async def may_seed(leading_s: float) -> bool:
        asked.append(leading_s)
        return leading_s >= 3.0

    work = Duties(door, lambda: SEED, DutySettings(), monotonic_s=clock, may_seed=may_seed)
    asyncio.run(work.do_due())
    clock.now_s += 3.0
    asyncio.run(door.propose(BeginRestore("f11e", SEED.members, 1, 1)))
    asyncio.run(work.do_due())
    assert ([0.0], 1) == (asked, len(door.proposed))
    door.state = State()
    asyncio.run(work.do_due())
    assert ([0.0, 3.0], SEED) == (asked, door.proposed[-1])


def test_an_import_that_stopped_is_dropped(clock: Clock) -> None:
    """What was staged and does not go on is dropped by the leader after a while, and no sooner."""
    door = Door(LEADER)
    asyncio.run(door.propose(SEED))
    zone = PutZone(from_text("example.org"), SETTINGS)
    asyncio.run(door.propose(zone))
    asyncio.run(door.propose(StageImport("i", zone.zone, 0, ())))
    work = duties(door, clock)
    asyncio.run(work.do_due())
    clock.now_s += 50
    asyncio.run(door.propose(StageImport("i", zone.zone, 1, ())))
    asyncio.run(work.do_due())
    clock.now_s += 50
    asyncio.run(work.do_due())
    assert 1 == len(door.state.imports)
    clock.now_s += 20
    asyncio.run(work.do_due())
    assert 0 == len(door.state.imports)
