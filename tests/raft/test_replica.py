"""Replicas over real sockets and files: proposals from any node, barriers, loss and return of nodes."""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import raft.disk
from raft.errors import RaftError
from raft.membership import Membership
from raft.proposal import Committed, NotCommitted, Outcome, Unknown
from raft.replica import Replica
from raft.settings import RaftSettings
from tests.cluster.servers import wait_until
from tests.ports import free_ports

NAMES = ("ns1", "ns2", "ns3")
SECRET = b"0123456789abcdef0123456789abcdef"


class Recorder:
    """A machine whose state is the list of commands; its result is the list's length."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.indexes: list[int] = []
        self.memberships: list[Membership] = []

    def apply(self, index: int, command: bytes) -> object:
        self.commands.append(command)
        self.indexes.append(index)
        return len(self.commands)

    def change_members(self, index: int, membership: Membership) -> object:
        self.memberships.append(membership)
        return membership

    def snapshot(self) -> Iterator[bytes]:
        return iter(list(self.commands))

    def prepare(self, pieces: Iterable[bytes]) -> list[bytes]:
        return list(pieces)

    def install(self, prepared: list[bytes]) -> None:
        self.commands = prepared


class Trio:
    """Three replicas on loopback with their data in one folder."""

    def __init__(self, folder: Path) -> None:
        addresses = {name: f"127.0.0.1:{port}" for name, port in zip(NAMES, free_ports(3), strict=True)}
        self.settings = {
            name: RaftSettings(name, addresses, addresses[name], "test", folder / name, SECRET)
            for name in NAMES
        }
        self.machines: dict[str, Recorder] = {}
        self.replicas: dict[str, Replica] = {}

    def start(self, *names: str) -> None:
        for name in names or NAMES:
            self.machines[name] = Recorder()
            self.replicas[name] = Replica(self.settings[name], self.machines[name])
            self.replicas[name].start()

    def stop(self, *names: str) -> None:
        for name in names or tuple(self.replicas):
            self.replicas.pop(name).stop()

    def leader(self) -> str:
        wait_until(self.find_leader, "a leader")
        found = self.find_leader()
        assert found is not None
        return found

    def find_leader(self) -> str | None:
        roles = {name: replica.status() for name, replica in self.replicas.items()}
        return next((name for name, each in roles.items() if each.role == "leader" and each.has_quorum), None)

    def followers(self) -> list[str]:
        leader = self.leader()
        return [name for name in self.replicas if name != leader]

    def say(self, name: str, text: str, timeout_s: float = 5.0) -> Outcome:
        return self.replicas[name].propose(text.encode(), timeout_s).result(timeout_s + 2)


@pytest.fixture(name="trio")
def _trio(tmp_path: Path) -> Iterator[Trio]:
    trio = Trio(tmp_path)
    trio.start()
    yield trio
    trio.stop()


@contextmanager
def alone(settings: RaftSettings, machine: Recorder) -> Iterator[Replica]:
    replica = Replica(settings, machine)
    replica.start()
    try:
        yield replica
    finally:
        replica.stop()


def sole(data_dir: Path | None = None) -> RaftSettings:
    return RaftSettings("solo", {"solo": "127.0.0.1:0"}, "127.0.0.1:0", "test", data_dir, None)


def test_one_node_decides_alone() -> None:
    """A cluster of one commits, in memory, and answers barriers."""
    machine = Recorder()
    with alone(sole(), machine) as replica:
        outcome = replica.propose(b"x").result(5)
        assert isinstance(outcome, Committed)
        assert 1 == outcome.result
        assert isinstance(replica.read_barrier().result(5), Committed)
        assert replica.status().ready
    assert isinstance(replica.propose(b"y").result(5), NotCommitted)


def test_one_node_finds_its_commands_again(tmp_path: Path) -> None:
    """What was committed is applied again after a restart, in order and once."""
    with alone(sole(tmp_path), Recorder()) as replica:
        for number in range(20):
            assert isinstance(replica.propose(b"%d" % number).result(5), Committed)
    machine = Recorder()
    with alone(sole(tmp_path), machine) as replica:
        wait_until(lambda: replica.status().ready, "ready")
        assert [b"%d" % number for number in range(20)] == machine.commands


def test_any_node_takes_proposals(trio: Trio) -> None:
    """A proposal on each node is committed and applied there before its outcome is known."""
    trio.leader()
    for name in NAMES:
        outcome = trio.say(name, f"from {name}")
        assert isinstance(outcome, Committed)
        assert trio.machines[name].commands[-1] == f"from {name}".encode()
        assert len(trio.machines[name].commands) == outcome.result


def test_the_followers_disks_write_while_the_leaders_does(trio: Trio, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the leader sends has left when it begins to wait for its own disk."""
    leader = trio.leader()
    assert isinstance(trio.say(leader, "warm"), Committed)
    target = trio.replicas[leader].status().last_index + 1
    threads = {trio.replicas[name]._thread: name for name in NAMES}
    is_there, waited = threading.Event(), list[bool]()
    fdatasync = raft.disk._RealFile.fdatasync

    def watched(file: raft.disk._RealFile) -> None:
        name = threads.get(threading.current_thread())
        if name is not None and trio.replicas[name]._driver.core.last_index >= target:  # type: ignore[union-attr]
            if name == leader and not waited:
                waited.append(is_there.wait(5.0))
            elif name != leader:
                is_there.set()
        fdatasync(file)

    monkeypatch.setattr(raft.disk._RealFile, "fdatasync", watched)
    assert isinstance(trio.say(leader, "x"), Committed)
    assert [True] == waited


def test_all_nodes_apply_the_same_at_the_same_index(trio: Trio) -> None:
    """Concurrent proposals on all nodes give one order, and what was acknowledged stands where it was said to."""
    trio.leader()
    futures = {
        command: trio.replicas[name].propose(command)
        for number in range(200)
        for name in NAMES
        for command in (b"%s %d" % (name.encode(), number),)
    }
    outcomes = {command: future.result(10) for command, future in futures.items()}
    committed = {command: each for command, each in outcomes.items() if isinstance(each, Committed)}
    assert committed

    def entries(name: str) -> list[tuple[int, bytes]]:
        return list(zip(trio.machines[name].indexes, trio.machines[name].commands, strict=True))

    last = max(each.index for each in committed.values())
    wait_until(lambda: all(entries(name)[-1:] and entries(name)[-1][0] >= last for name in NAMES), "applied")
    wait_until(lambda: entries("ns1") == entries("ns2") == entries("ns3"), "all have applied the same")
    assert {command: each.index for command, each in committed.items()}.items() <= {
        command: index for index, command in entries("ns1")
    }.items()


def test_a_barrier_shows_what_another_node_committed(trio: Trio) -> None:
    """After a barrier on a node, everything acknowledged elsewhere before it is applied there."""
    trio.leader()
    for number in range(30):
        assert isinstance(trio.say(NAMES[number % 3], str(number)), Committed)
        reader = NAMES[(number + 1) % 3]
        assert isinstance(trio.replicas[reader].read_barrier().result(7), Committed)
        assert trio.machines[reader].commands[-1] == str(number).encode()


def test_a_stopping_leader_hands_over(trio: Trio) -> None:
    """The others go on at once, without waiting for an election timeout to pass in silence."""
    leader = trio.leader()
    assert isinstance(trio.say(leader, "before"), Committed)
    trio.stop(leader)
    (follower, _) = list(trio.replicas)
    assert isinstance(trio.say(follower, "after"), Committed)


def test_no_majority_no_write_and_nothing_pretended(trio: Trio) -> None:
    """A node alone refuses, or cannot tell; it never says committed, and it stops calling itself leader."""
    survivor = trio.leader()
    trio.stop(*trio.followers())
    first = trio.say(survivor, "lost?", 3.0)
    assert isinstance(first, Unknown | NotCommitted)
    wait_until(lambda: trio.replicas[survivor].status().role != "leader", "steps down")
    second = trio.say(survivor, "refused", 3.0)
    assert isinstance(second, NotCommitted)
    assert "no-leader" == second.reason
    barrier = trio.replicas[survivor].read_barrier(2.0).result(5)
    assert isinstance(barrier, NotCommitted)


def test_a_node_that_was_away_catches_up(trio: Trio) -> None:
    """A restarted node applies everything again, with what it missed."""
    leader = trio.leader()
    away = trio.followers()[0]
    assert isinstance(trio.say(leader, "one"), Committed)
    trio.stop(away)
    for number in range(50):
        assert isinstance(trio.say(leader, str(number)), Committed)
    trio.start(away)
    wait_until(lambda: trio.machines[away].commands == trio.machines[leader].commands, "caught up")


def test_all_nodes_restart_with_everything(trio: Trio) -> None:
    """After a stop of the whole cluster nothing acknowledged is missing anywhere."""
    trio.leader()
    said = []
    for number in range(60):
        name = NAMES[number % 3]
        assert isinstance(trio.say(name, str(number)), Committed)
        said.append(str(number).encode())
    trio.stop()
    trio.start()
    trio.leader()
    assert isinstance(trio.say("ns1", "again"), Committed)
    wait_until(
        lambda: all(each.commands == [*said, b"again"] for each in trio.machines.values()), "all is there"
    )


def test_terms_do_not_rise_by_a_node_that_cannot_win(trio: Trio) -> None:
    """A node that hears nobody asks, and raises no term (pre-vote)."""
    lonely = trio.followers()[0]
    trio.stop(*[name for name in NAMES if name != lonely])
    term = trio.replicas[lonely].status().term
    wait_until(lambda: trio.replicas[lonely].status().leader is None, "the leader is missed")
    passed = wait_until(lambda: isinstance(trio.say(lonely, "x", 1.0), NotCommitted), "refused")
    assert passed < 10
    assert term == trio.replicas[lonely].status().term


def test_a_snapshot_shortens_the_log_and_brings_all_back(tmp_path: Path) -> None:
    """After enough entries the log is cut, and a restart finds snapshot and rest together."""
    settings = replace(sole(tmp_path), snapshot_entries=3_000)
    with alone(settings, Recorder()) as replica:
        futures = [replica.propose(b"%d" % number, 60) for number in range(9_000)]
        assert all(isinstance(future.result(60), Committed) for future in futures)
        wait_until(lambda: replica.status().snapshot_index > 6_000, "snapshots are written", 60)
        replica.propose(b"last").result(5)
    machine = Recorder()
    with alone(settings, machine) as replica:
        wait_until(lambda: replica.status().ready, "ready")
        assert [*(b"%d" % number for number in range(9_000)), b"last"] == machine.commands
        assert len(machine.indexes) < 9_000  # most came with the snapshot, not entry by entry


def test_a_node_far_behind_gets_a_snapshot(tmp_path: Path) -> None:
    """A follower that missed more than the log still holds is brought up by a snapshot and goes on."""
    trio = Trio(tmp_path)
    trio.settings = {name: replace(each, snapshot_entries=1_000) for name, each in trio.settings.items()}
    trio.start()
    try:
        away = trio.followers()[0]
        trio.stop(away)
        for _ in range(6):
            rest = 1_000
            while rest:  # a busy machine may change leaders meanwhile
                leader = trio.leader()
                futures = [trio.replicas[leader].propose(b"x" * 200, 60) for _ in range(rest)]
                rest -= sum(isinstance(future.result(60), Committed) for future in futures)
            count = len(trio.machines[leader].commands)
            wait_until(
                lambda of=trio.replicas[leader], count=count: of.status().snapshot_index > count - 900,
                "a snapshot",
            )
        trio.start(away)
        wait_until(lambda: trio.machines[away].commands == trio.machines[leader].commands, "caught up", 60)
        assert len(trio.machines[away].indexes) < len(trio.machines[leader].commands)
        assert isinstance(trio.say(away, "and on"), Committed)
        trio.stop(away)
        trio.start(away)
        wait_until(
            lambda: trio.machines[away].commands == trio.machines[leader].commands, "again after a restart"
        )
    finally:
        trio.stop()


def test_a_journal_without_its_snapshot_is_refused(tmp_path: Path) -> None:
    """What lies between a missing snapshot and the log's begin cannot be invented."""
    settings = replace(sole(tmp_path), snapshot_entries=1_000)
    with alone(settings, Recorder()) as replica:
        for _ in range(4):
            futures = [replica.propose(b"x", 60) for _ in range(1_500)]
            assert all(isinstance(future.result(60), Committed) for future in futures)
            index = replica.status().applied_index
            wait_until(lambda index=index: replica.status().snapshot_index > index - 1_200, "a snapshot", 60)
    (tmp_path / "snapshot").unlink()
    with pytest.raises(RaftError, match="what lies between"):
        Replica(settings, Recorder()).start()


def test_limits_are_told() -> None:
    """A command above the limit is refused; nothing is appended."""
    machine = Recorder()
    with alone(replace(sole(), proposal_bytes_max=10), machine) as replica:
        outcome = replica.propose(b"x" * 11).result(5)
        assert isinstance(outcome, NotCommitted)
        assert "too-large" == outcome.reason
        assert isinstance(replica.propose(b"x" * 10).result(5), Committed)
    assert [b"x" * 10] == machine.commands


def test_several_nodes_need_a_data_directory() -> None:
    """A cluster whose nodes forget would break its promises: refused with a sentence."""
    members = {name: f"127.0.0.1:{port}" for name, port in zip(NAMES, free_ports(3), strict=True)}
    replica = Replica(RaftSettings("ns1", members, members["ns1"], "test", None, SECRET), Recorder())
    with pytest.raises(RaftError, match="needs a data directory"):
        replica.start()


def test_a_taken_address_is_told(tmp_path: Path) -> None:
    """A bind failure ends the start with the address in the sentence."""
    members = {name: f"127.0.0.1:{port}" for name, port in zip(NAMES, free_ports(3), strict=True)}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(members["ns1"].rpartition(":")[2])))
        taken.listen()
        replica = Replica(RaftSettings("ns1", members, members["ns1"], "test", tmp_path, SECRET), Recorder())
        with pytest.raises(RaftError, match=members["ns1"]):
            replica.start()


def test_a_machine_that_raises_ends_the_log_loudly() -> None:
    """Going on after a failed apply would make nodes differ: the owner is told, nobody waits for ever."""
    told: list[str] = []

    class Broken(Recorder):
        def apply(self, index: int, command: bytes) -> object:
            raise ZeroDivisionError

    replica = Replica(sole(), Broken(), on_fatal=lambda _code: told.append("fatal"))
    replica.start()
    outcome = replica.propose(b"x").result(7)
    assert isinstance(outcome, Unknown)
    wait_until(lambda: told == ["fatal"], "the owner is told")
