"""Starting an empty cluster from a backup: what will do, and that one history comes of it."""

import asyncio
import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest

from node.restore import (
    SERIAL_STEP_MIN,
    BackupFile,
    CannotRestore,
    Restorer,
    checked,
    claim,
    may_seed,
    release,
    serial_step,
)
from node.state import snapshot
from node.state.command import (
    BeginRestore,
    ChangeZone,
    Command,
    Entry,
    Member,
    PutRRset,
    PutZone,
    RestorePieces,
    Seed,
)
from node.state.machine import apply_entry
from node.state.restoring import SERIAL_STEP_MAX
from node.state.state import State
from raft.proposal import Committed, NotCommitted, Outcome, Unknown
from raft.replica import ReplicaStatus
from tests.state.conftest import SETTINGS, ZONE, rrset
from tests.state.test_backup import octets_of, small
from tests.state.test_snapshot import seeded
from tests.test_duties import LEADER

HERE = (Member("ns1"), Member("ns2"))
FOLLOWER = replace(LEADER, node="ns2", role="follower")


@functools.cache
def large() -> State:
    """Return a State whose backup takes several entries."""
    cluster = seeded()
    for number in range(60):
        texts = tuple(f'"{number} {part} {"x" * 240}"' for part in range(60))
        cluster.do(ChangeZone(ZONE, (PutRRset(rrset(f"t{number}", "TXT", *texts)),)))
    return cluster.state


@functools.cache
def large_octets() -> bytes:
    return octets_of(large())


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "prod.qdns"
    path.write_bytes(small())
    return path


class TestTheFile:
    """A file is believed when it is whole and of the right cluster."""

    def test_a_whole_file_of_this_cluster_will_do(self, path: Path) -> None:
        """What it is can be told."""
        assert "prod at index 1 of 2023-11-14 22:13:20 UTC" == checked(path, "prod", None).source

    def test_of_another_cluster_only_when_told(self, path: Path) -> None:
        """The name of the other cluster must be said, and be that of the file."""
        with pytest.raises(CannotRestore, match=r"of the cluster prod, and this is here.*--restore-of prod"):
            checked(path, "here", None)
        with pytest.raises(CannotRestore, match="of the cluster prod, not of other"):
            checked(path, "here", "other")
        assert "prod" == checked(path, "here", "prod").header.cluster

    def test_damaged_files_are_refused(self, path: Path) -> None:
        """Cut, changed, of another version, or no backup at all: refused with the reason."""
        whole = path.read_bytes()
        for octets, said in (
            (whole[:-5], "cut off"),
            (whole.replace(b"ns2", b"ns8"), "damaged"),
            (whole.replace(b"backup 1\n", b"backup 2\n"), "version 2 of the format"),
            (b"PK\x03\x04", "no backup"),
            (b"", "no backup"),
        ):
            path.write_bytes(octets)
            with pytest.raises(CannotRestore, match=said):
                checked(path, "prod", None)

    def test_files_that_cannot_be_read_are_refused(self, path: Path, tmp_path: Path) -> None:
        """A missing file, a folder, one without permission: refused with the reason."""
        with pytest.raises(CannotRestore, match="no such file"):
            checked(tmp_path / "nothing", "prod", None)
        with pytest.raises(CannotRestore, match="is a directory"):
            checked(tmp_path, "prod", None)
        path.chmod(0)
        if not os.access(path, os.R_OK):
            with pytest.raises(CannotRestore, match="permission denied"):
                checked(path, "prod", None)


class TestTheDirectory:
    """A data directory is empty, or was begun from the same backup."""

    def test_an_empty_one_is_marked(self, path: Path, tmp_path: Path) -> None:
        """A restore that was cut short goes on with the same file, until it is released."""
        backup = checked(path, "prod", None)
        folder = tmp_path / "data" / "ns1"
        claim(folder, backup)
        assert 0o700 == folder.stat().st_mode & 0o777
        (folder / "journal").write_bytes(b"x")
        claim(folder, backup)
        with pytest.raises(CannotRestore, match="holds journal"):
            claim(folder, replace(backup, checksum="0ther"))
        release(folder)
        with pytest.raises(CannotRestore, match="holds journal: a backup goes into an empty cluster only"):
            claim(folder, backup)

    def test_one_that_cannot_be_used_is_refused(self, path: Path, tmp_path: Path) -> None:
        """A file in its place is told."""
        (tmp_path / "data").write_bytes(b"")
        with pytest.raises(CannotRestore, match="cannot be used"):
            claim(tmp_path / "data", checked(path, "prod", None))

    def test_what_a_file_system_puts_there_does_not_count(self, path: Path, tmp_path: Path) -> None:
        """lost+found is nobody's data."""
        (tmp_path / "data" / "lost+found").mkdir(parents=True)
        claim(tmp_path / "data", checked(path, "prod", None))


def test_serials_go_on_beyond_what_may_have_been_served() -> None:
    """The step grows with the time since the backup, within what RFC 1982 calls later."""
    day_ms = 86_400_000
    assert SERIAL_STEP_MIN == serial_step(1_000, 1_000)
    assert SERIAL_STEP_MIN == serial_step(day_ms, 0)
    assert 8_640_000 == serial_step(0, day_ms)
    assert SERIAL_STEP_MAX == serial_step(0, 10_000 * day_ms)
    assert SERIAL_STEP_MAX < 2**31


def test_an_empty_cluster_waits_for_who_has_a_backup() -> None:
    """One node with a backup forbids to seed; as long as one has not answered nothing is certain."""
    assert may_seed({})
    assert may_seed({"ns2": {"restoring": False}, "ns3": {}})
    assert may_seed({"ns2": {"restoring": True}, "ns3": None}) is False
    assert may_seed({"ns2": {"restoring": False}, "ns3": None}) is None


@dataclass
class Log:
    """One log for several nodes: what is proposed is applied at once, unless told otherwise."""

    state: State = field(default_factory=State)
    proposed: list[tuple[str, Command]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    """What the next proposals come to instead of being applied."""


@dataclass
class Door:
    """One node's way into the log."""

    log: Log
    role: ReplicaStatus

    @property
    def state(self) -> State:
        return self.log.state

    def status(self) -> ReplicaStatus:
        return self.role

    async def propose(self, command: Command, *, actor: str = "", reason: str = "") -> Outcome:
        self.log.proposed.append((self.role.node, command))
        if self.log.outcomes:
            return self.log.outcomes.pop(0)
        applied = apply_entry(self.state, self.state.index + 1, Entry(command, 0, actor, reason))
        self.log.state = applied.state
        return Committed(applied.state.index, applied.result)


def restorer(door: Door, backup: BackupFile, monotonic_s: Callable[[], float] = time.monotonic) -> Restorer:
    return Restorer(door, backup, HERE, lambda: 1_700_000_000_000, lambda _: asyncio.sleep(0), monotonic_s)


def run(*restorers: Restorer) -> list[object]:
    """Let restorers run side by side; return what became of each."""

    async def all_of_them() -> list[object]:
        async with asyncio.timeout(20):
            return list(await asyncio.gather(*(each.run() for each in restorers), return_exceptions=True))

    return asyncio.run(all_of_them())


@pytest.fixture(name="backup")
def _backup(tmp_path: Path) -> BackupFile:
    path = tmp_path / "prod.qdns"
    path.write_bytes(large_octets())
    return checked(path, "prod", None)


def contents(state: State) -> list[object]:
    return [each for each in state.zones[ZONE].iter_rrsets() if each.type != 6]


class TestTheLog:
    """A backup gets into the log once, whoever has it."""

    def test_the_leader_brings_it_in(self, backup: BackupFile) -> None:
        """In several entries; then the cluster holds what the backup does."""
        log = Log()
        assert [None] == run(restorer(Door(log, LEADER), backup))
        assert contents(large()) == contents(log.state)
        kinds = [type(command) for _, command in log.proposed]
        assert BeginRestore is kinds[0]
        assert kinds[1:].count(RestorePieces) == len(kinds) - 1 > 3

    def test_several_nodes_make_one_history(self, backup: BackupFile) -> None:
        """When all have the same file it comes in once, and the others leave it to the leader."""
        log = Log()
        doors = [Door(log, replace(FOLLOWER, node=name)) for name in ("ns2", "ns3")]
        assert [None] * 3 == run(*(restorer(door, backup) for door in (Door(log, LEADER), *doors)))
        assert contents(large()) == contents(log.state)
        assert {"ns1"} == {name for name, _ in log.proposed}

    def test_a_follower_brings_it_in_when_nobody_does(self, backup: BackupFile) -> None:
        """One node that has the file is enough, also when it never leads."""
        log = Log()
        assert [None] == run(restorer(Door(log, FOLLOWER), backup, count().__next__))
        assert contents(large()) == contents(log.state)

    def test_lost_outcomes_do_no_harm(self, backup: BackupFile) -> None:
        """What was not committed, or is not known to be, is proposed again from where the log stands."""
        log = Log()
        log.outcomes = [NotCommitted("no-leader", ""), Unknown("?"), NotCommitted("busy", "")]
        assert [None] == run(restorer(Door(log, LEADER), backup))
        assert contents(large()) == contents(log.state)

    def test_another_leader_goes_on_in_the_middle(self, backup: BackupFile) -> None:
        """A node that has the file goes on where the one before came to."""
        whole = Log()
        run(restorer(Door(whole, LEADER), backup))
        for cut in range(1, len(whole.proposed)):
            log = Log()
            first = Door(log, LEADER)
            for _, command in whole.proposed[:cut]:
                asyncio.run(first.propose(command))
            assert [None] == run(restorer(Door(log, replace(LEADER, node="ns2")), backup))
            assert snapshot.digest(whole.state) == snapshot.digest(log.state)

    def test_two_different_files_do_not_mix(self, backup: BackupFile, tmp_path: Path) -> None:
        """The second one is refused, and the first goes in whole."""
        other = tmp_path / "other.qdns"
        other.write_bytes(small())
        log = Log()
        results = run(
            restorer(Door(log, LEADER), backup), restorer(Door(log, FOLLOWER), checked(other, "prod", None))
        )
        assert results[0] is None
        assert isinstance(results[1], CannotRestore)
        assert "another backup" in str(results[1]) or "seeded already" in str(results[1])
        assert contents(large()) == contents(log.state)

    def test_a_seeded_cluster_is_left_alone(self, backup: BackupFile) -> None:
        """A node that comes too late says so."""
        log = Log()
        door = Door(log, LEADER)
        asyncio.run(door.propose(Seed(HERE)))
        (error,) = run(restorer(door, backup))
        assert isinstance(error, CannotRestore)
        assert "seeded already" in str(error)
        assert 1 == len(log.proposed)

    def test_a_written_cluster_is_left_alone(self, backup: BackupFile) -> None:
        """Acknowledged writes are never thrown away for a backup."""
        log = Log()
        door = Door(log, LEADER)
        asyncio.run(door.propose(PutZone(ZONE, SETTINGS)))
        (error,) = run(restorer(door, backup))
        assert isinstance(error, CannotRestore)
        assert "written to already" in str(error)

    def test_a_file_that_changes_meanwhile_is_noticed(self, backup: BackupFile) -> None:
        """Half of another file never gets in behind half of this one."""
        octets = bytearray(backup.path.read_bytes())
        octets[len(octets) // 2] ^= 1
        backup.path.write_bytes(bytes(octets))
        log = Log()
        (error,) = run(restorer(Door(log, LEADER), backup))
        assert isinstance(error, CannotRestore)
        assert "can no longer be read as it was" in str(error)
        assert not log.state.seeded

    def test_another_file_in_its_place_is_noticed(self, backup: BackupFile) -> None:
        """Also a file that is whole, and was put there after the first one was checked."""
        backup.path.write_bytes(small())
        log = Log()
        (error,) = run(restorer(Door(log, LEADER), backup))
        assert isinstance(error, CannotRestore)
        assert "it is another one now" in str(error)
        assert not log.state.seeded

    def test_a_part_too_large_is_told(self, backup: BackupFile) -> None:
        """What the log cannot carry ends the restore with a sentence."""
        log = Log(outcomes=[NotCommitted("too-large", "5 MB are more than the 4 MB allowed")])
        (error,) = run(restorer(Door(log, LEADER), backup))
        assert isinstance(error, CannotRestore)
        assert "too large for the log" in str(error)
