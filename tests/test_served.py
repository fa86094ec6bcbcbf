"""What is answered of leased records: ttls that end before the lease, and who lets go when."""

import asyncio
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from node.lease_clock import LeaseClock
from node.served import PERIOD_S, ServedZones, Zones
from node.state.command import (
    ChangeZone,
    Command,
    DeleteRRset,
    DeleteZone,
    Entry,
    ExpireLeases,
    LeaseWish,
    PutRRset,
    PutZone,
    Seed,
)
from node.state.machine import apply_entry
from node.state.state import Accepted, Changed, State
from node.zone.lease import LeaseKey
from node.zone.name import from_text
from node.zone.rrset import A
from raft.proposal import Committed, Outcome
from raft.replica import ReplicaStatus
from tests.state.conftest import SETTINGS, WWW, ZONE, rrset, service
from tests.test_duties import LEADER, SEED, Clock

HOST = from_text("host.example.org")
KEY = LeaseKey(ZONE, HOST, A)
BELOW = from_text("a.host.example.org")


@dataclass
class Node:
    """A node of a cluster of one replica that applies at once; the clock is moved by hand."""

    clock: Clock = field(default_factory=Clock)
    role: ReplicaStatus = LEADER
    state: State = field(default_factory=State)
    proposed: list[Command] = field(default_factory=list)
    told: list[Changed | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.served = ServedZones(self, LeaseClock(self.clock))
        self.served.subscribe(lambda _zones, changed: self.told.append(changed))
        self.do(replace_seed())
        self.served.step()

    def status(self) -> ReplicaStatus:
        return self.role

    async def propose(self, command: Command, *, actor: str = "", reason: str = "") -> Outcome:
        self.proposed.append(command)
        return Committed(self.state.index + 1, self.do(command))

    def do(self, command: Command) -> object:
        applied = apply_entry(self.state, self.state.index + 1, Entry(command, 0))
        self.state = applied.state
        self.served.state_changed(self.state, applied.changed)
        return applied.result

    def put(self, lease_s: int, ttl: int = 60, key: LeaseKey = KEY) -> None:
        change = PutRRset(rrset("host", "A", "192.0.2.7", ttl=ttl))
        self.do(ChangeZone(ZONE, (change,), leases=(LeaseWish(key, lease_s),)))

    def pass_time(self, seconds: float) -> None:
        """Let time pass in the steps of the real loop."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.clock.now_s = min(end_s, self.clock.now_s + PERIOD_S)
            asyncio.run(self._step())

    async def _step(self) -> None:
        self.served.step()
        await asyncio.sleep(0)

    def ttl(self, name: bytes = HOST) -> int | None:
        found = self.served.zones[ZONE].get(name, A)  # type: ignore[arg-type]
        return None if found is None else found.ttl


def replace_seed() -> Seed:
    return Seed(SEED.members, (PutZone(ZONE, SETTINGS),), (service("192.0.2.1"),))


MINORITY = replace(LEADER, role="follower", leader=None, has_quorum=False)
FOLLOWER = replace(LEADER, role="follower", leader="ns2")


def test_the_leader_ends_what_is_not_renewed() -> None:
    """When a lease has run out on the leader's clock, it proposes the end of that very grant, and no sooner."""
    node = Node()
    node.put(10)
    node.pass_time(9.75)
    assert [] == node.proposed
    node.pass_time(0.5)
    assert [ExpireLeases] == [type(each) for each in node.proposed]
    assert (None, 0) == (node.state.zones[ZONE].node(HOST), len(node.state.leases))
    assert node.served.zones is node.state.zones


def test_renewed_in_time_nothing_happens() -> None:
    """With a renewal every third of the lease the answer is the same all the time, and nothing is told."""
    node = Node()
    node.put(9)
    told = len(node.told)
    for _ in range(20):
        node.pass_time(3)
        assert node.served.zones is node.state.zones
        node.put(9)
    assert ([], told + 20) == (node.proposed, len(node.told))
    assert all(each is not None and each.names == () for each in node.told[told:])


def test_a_follower_only_waits() -> None:
    """A follower answers what has run out with ttl 1 until the leader ends it."""
    node = Node(role=FOLLOWER)
    node.put(10)
    node.pass_time(100)
    assert ([], 1) == (node.proposed, node.ttl())


def test_a_node_without_leader_lets_go() -> None:
    """A node that hears no leader stops answering what has run out; the replicated zone is as it was."""
    node = Node(role=FOLLOWER)
    node.put(10)
    node.role = MINORITY
    node.pass_time(9.5)
    assert 1 == node.ttl()
    node.pass_time(1)
    assert node.ttl() is None
    assert node.served.zones[ZONE].node(HOST) is None
    assert node.state.zones[ZONE].get(HOST, A) is not None
    assert node.state.zones[ZONE].serial == node.served.zones[ZONE].serial


def test_back_among_the_others_it_answers_again() -> None:
    """A leader that is heard again, though another one, has the last word: its leases begin anew."""
    node = Node(role=FOLLOWER)
    node.put(10)
    node.role = MINORITY
    node.pass_time(20)
    assert node.ttl() is None
    node.role = replace(FOLLOWER, term=2)
    node.pass_time(PERIOD_S)
    assert 5 == node.ttl()


def test_a_new_leader_begins_again() -> None:
    """Who comes to lead gives every lease its whole time once more, and only then ends it."""
    node = Node(role=FOLLOWER)
    node.put(10)
    node.pass_time(9)
    node.role = replace(LEADER, term=2)
    node.pass_time(9.75)
    assert [] == node.proposed
    node.pass_time(0.75)
    assert 1 == len(node.proposed)


def test_a_node_that_starts_again_does_not_know_how_much_is_left() -> None:
    """It read grants back that may be nearly over: ttl 1, until they are renewed or another leader begins anew."""
    node = Node()
    node.put(100)
    node.role = replace(LEADER, node="ns2", role="follower", leader="ns1")
    node.served = ServedZones(node, LeaseClock(node.clock))
    node.served.state_changed(node.state, None)
    node.served.step()
    assert 1 == node.ttl()
    node.pass_time(30)
    assert 1 == node.ttl()
    node.put(100)
    assert (node.ttl() or 0) > 1
    node.served.state_changed(node.state, None)  # a snapshot took the place of what it knew
    node.served.step()
    assert 1 == node.ttl()
    node.role = replace(node.role, term=node.role.term + 1, leader="ns3")
    node.served.step()
    assert (node.ttl() or 0) > 1


def test_each_record_for_itself() -> None:
    """A record that has run out is left out of its RRset, the others are answered."""
    node = Node(role=MINORITY)
    key = LeaseKey(ZONE, HOST, A, bytes([192, 0, 2, 7]))
    both = PutRRset(rrset("host", "A", "192.0.2.7", "192.0.2.8", ttl=5))
    node.do(ChangeZone(ZONE, (both,), leases=(LeaseWish(key, 10),)))
    node.pass_time(11)
    found = node.served.zones[ZONE].get(HOST, A)
    assert found is not None
    assert (bytes([192, 0, 2, 8]),) == found.rdatas


def test_a_directory_holds_what_is_below() -> None:
    """The ttls of all names at and below a leased name follow the lease, whenever they came."""
    node = Node(role=MINORITY)
    node.do(ChangeZone(ZONE, (PutRRset(rrset("host", "A", "192.0.2.7")),)))
    node.do(ChangeZone(ZONE, (PutRRset(rrset("a.host", "A", "192.0.2.7")),)))
    node.do(ChangeZone(ZONE, (), leases=(LeaseWish(LeaseKey(ZONE, HOST), 30),)))
    node.do(ChangeZone(ZONE, (PutRRset(rrset("b.host", "A", "192.0.2.7")),)))
    node.do(ChangeZone(ZONE, (PutRRset(rrset("ghost", "A", "192.0.2.7")),)))
    names = [HOST, BELOW, from_text("b.host.example.org")]
    assert [14] * 3 == [node.ttl(name) for name in names]
    node.do(ChangeZone(ZONE, (DeleteRRset(BELOW, A),)))
    node.pass_time(31)
    assert [None] * 3 == [node.ttl(name) for name in names]
    assert 60 == node.ttl(from_text("ghost.example.org"))
    changed = node.told[-1]
    assert changed is not None
    assert ({HOST, BELOW, names[2]}, (ZONE,)) == ({name for _, name in changed.names}, changed.zones)


def test_another_change_leaves_the_limits_in_place() -> None:
    """What is answered follows each new State and keeps to what is left of the leases."""
    node = Node(role=MINORITY)
    node.put(10)
    node.pass_time(11)
    node.do(ChangeZone(ZONE, (PutRRset(rrset("mail", "A", "192.0.2.25")),)))
    assert (None, 60) == (node.ttl(), node.ttl(from_text("mail.example.org")))
    node.put(10)
    assert 5 == node.ttl()


def test_a_service_is_no_lease_holder() -> None:
    """What health decides is answered whatever becomes of leases around it."""
    node = Node(role=MINORITY)
    node.do(ChangeZone(ZONE, (), leases=(LeaseWish(LeaseKey(ZONE, from_text("w.example.org")), 5),)))
    node.pass_time(10)
    assert node.state.zones[ZONE].get(WWW, A) == node.served.zones[ZONE].get(WWW, A)


def test_zone_that_goes_takes_its_limits_along() -> None:
    """A zone that was deleted is not answered, nor looked for."""
    node = Node(role=MINORITY)
    other = from_text("example.net")
    key = LeaseKey(other, from_text("host.example.net"), A)
    node.do(ChangeZone(other, (), create=SETTINGS))
    change = PutRRset(rrset("host.example.net.", "A", "192.0.2.7"))
    node.do(ChangeZone(other, (change,), leases=(LeaseWish(key, 4),)))
    node.pass_time(5)
    assert isinstance(node.do(DeleteZone(other)), Accepted)
    assert node.served.zones is node.state.zones


def test_whatever_the_state_was_restored_from() -> None:
    """A State that came as a snapshot is learned as a whole, directories with all their names."""
    node = Node(role=MINORITY)
    node.do(ChangeZone(ZONE, (PutRRset(rrset("a.host", "A", "192.0.2.7")),)))
    node.do(ChangeZone(ZONE, (), leases=(LeaseWish(LeaseKey(ZONE, HOST), 30),)))
    other = Node(role=MINORITY)
    other.state = node.state
    other.served.state_changed(other.state, None)
    assert 1 == other.ttl(BELOW)  # nobody here knows how much is left
    other.pass_time(31)
    assert other.ttl(BELOW) is None


Step = tuple[str, float]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("pass"), st.floats(0.1, 12)),
            st.tuples(st.just("renew"), st.sampled_from([2.0, 5.0, 12.0, 30.0])),
            st.tuples(st.just("role"), st.sampled_from([0.0, 1.0])),
            st.tuples(st.just("other"), st.just(0.0)),
        ),
        max_size=25,
    )
)
def test_ttl_is_never_beyond_what_is_left(steps: list[Step]) -> None:
    """Whatever happens: an answer's ttl is at most what is left, or 1 while a leader is heard; nothing is told late."""
    node = Node(role=FOLLOWER)
    granted: tuple[float, float] | None = None
    zones: dict[bytes, object] = {}

    def follow(shown: Zones, changed: Changed | None) -> None:
        for zone, name in changed.names if changed is not None else ():
            zones[name] = shown[zone].get(name, A)

    node.served.subscribe(follow)
    for what, value in steps:
        if what == "renew":
            node.put(int(value), ttl=20)
            granted = (node.clock.now_s, value)
        elif what == "pass":
            node.pass_time(value)
        elif what == "role":
            node.role = FOLLOWER if value else MINORITY
            node.served.step()
        else:
            node.do(ChangeZone(ZONE, (PutRRset(rrset("mail", "A", f"192.0.2.{node.state.index % 250}")),)))
        if granted is not None:
            left_s = granted[0] + granted[1] - node.clock.now_s
            ttl = node.ttl()
            if left_s > 0:
                assert ttl is not None
                assert ttl <= max(1, left_s)
            else:
                assert ttl == (1 if node.role is FOLLOWER else None)
            assert zones.get(HOST) == node.served.zones[ZONE].get(HOST, A)
