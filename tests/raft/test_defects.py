"""The library's defects, one by one: each shows on the stock class, and does not on ours.

Should a later library mend one, its half here fails, and the correction can go.
"""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pysyncobj.journal import FileJournal
from pysyncobj.node import Node
from pysyncobj.serializer import Serializer

from raft.errors import RaftError
from raft.journal import JournalIdentity, WalJournal
from raft.library import CANDIDATE, FOLLOWER, LEADER, NO_OPERATION, REGULAR
from raft.replica import Replica
from raft.settings import RaftSettings
from tests.cluster.servers import wait_until
from tests.raft.pocket import Clock, Counter, Pocket
from tests.raft.test_replica import Recorder

HEARTBEAT_S = 0.06


@pytest.fixture(name="clock")
def _clock() -> Iterator[Clock]:
    with Clock().installed() as clock:
        yield clock


def put(value: int) -> bytes:
    """Return the stock library's command."""
    return REGULAR + pickle.dumps((0, (value,)))


def stock_leader(clock: Clock, nodes: int = 3, **configuration: Any) -> Counter:
    """Return a stock object that its peers elected."""
    stock = Counter(clock, nodes, **configuration)
    stock.tick(2.0)
    assert CANDIDATE == stock.hidden("raftState")
    for number in range(2, nodes // 2 + 2):
        stock.tell(f"n{number}", type="response_vote", term=stock.hidden("raftCurrentTerm"))
    assert LEADER == stock.hidden("raftState")
    return stock


def last_index(stock: Counter) -> int:
    return int(stock.hidden("raftLog")[-1][1])


def test_a_snapshot_commits_nothing_but_itself(clock: Clock) -> None:
    """While a snapshot arrives, a divergent tail is not committed by the leader's commit index."""
    stock = Counter(clock)
    stock.append("n3", 1, (1, 0), (put(7), 2, 1))
    piece = {"type": "append_entries", "term": 2, "commit_index": 9}
    stock.tell("n2", **piece, serialized=(b"part", True, False))
    assert [7] == stock.values  # forged: no majority ever held it

    ours = Pocket(clock)
    ours.append("n3", 1, (1, 0), (b"\0seven", 2, 1))
    ours.tell("n2", **piece, round=1, serialized=("id", 0, 9, b"part"))
    assert [] == [each for each in ours.host.applied if each[1]]


def test_acknowledged_entries_outlive_a_repeated_message(clock: Clock) -> None:
    """A message that comes late or twice does not cut off what was acknowledged after it."""
    first, second = (put(1), 2, 1), (put(2), 3, 1)
    stock = Counter(clock)
    stock.append("n2", 1, (1, 0), first)
    stock.append("n2", 1, (2, 1), second)
    stock.append("n2", 1, (1, 0), first)
    assert 2 == last_index(stock)  # 3 was acknowledged

    ours = Pocket(clock)
    assert 2 == ours.append("n2", 1, (1, 0), first)["matched"]
    assert 3 == ours.append("n2", 1, (2, 1), second)["matched"]
    assert 2 == ours.append("n2", 1, (1, 0), first)["matched"]
    assert 3 == ours.core.last_index


def test_an_acknowledgement_of_another_term_counts_nothing(clock: Clock) -> None:
    """What a follower held under an earlier leader may have been replaced since."""
    stock = stock_leader(clock)
    late = {"next_node_idx": last_index(stock) + 1, "reset": False, "success": True}
    stock.tell("n2", type="next_node_idx", **late)
    assert last_index(stock) == stock.hidden("raftCommitIndex")  # whoever sent it, and whenever

    ours = Pocket(clock)
    ours.lead()
    ours.acknowledge("n2", ours.core.last_index, term=ours.core.term - 1)
    assert not ours.core.is_open
    ours.acknowledge("n2", ours.core.last_index)
    assert ours.core.is_open


def test_a_voter_counts_once(clock: Clock) -> None:
    """A repeated vote is one vote."""
    stock = Counter(clock, nodes=5)
    stock.tick(2.0)
    for _ in range(2):
        stock.tell("n2", type="response_vote", term=stock.hidden("raftCurrentTerm"))
    assert LEADER == stock.hidden("raftState")  # by two nodes of five

    ours = Pocket(clock, nodes=5)
    ours.core.stand()
    for name in ("n2", "n2", "n2"):
        ours.tell(name, type="vote_reply", term=ours.core.term, granted=True)
    assert CANDIDATE == ours.core.role
    ours.tell("n3", type="vote_reply", term=ours.core.term, granted=True)
    assert LEADER == ours.core.role


def test_no_entry_of_the_library_changes_the_voters(clock: Clock) -> None:
    """The library obeys a membership entry of any peer even when that is switched off, and unpickles it."""
    entry = (b"\x02" + pickle.dumps(["rem", "n3", Node("n3")]), 2, 1)
    stock = Counter(clock)
    stock.append("n2", 1, (1, 0), entry, commit=2)
    assert {"n2"} == {str(node.id) for node in stock.hidden("otherNodes")}

    ours = Pocket(clock)
    message = {"type": "append_entries", "term": 1, "round": 1, "commit_index": 2, "entries": [entry]}
    assert [] == ours.tell("n2", prevLogIdx=1, prevLogTerm=0, **message)
    assert {"n2", "n3"} == {str(node.id) for node in ours.core.voters}
    assert 1 == ours.core.last_index


def test_an_entry_is_applied_once_whatever_its_callback_does(clock: Clock) -> None:
    """An error of a waiting caller does not run the entry again."""
    stock = stock_leader(clock)

    def raises(_result: object, _error: object) -> None:
        raise RuntimeError

    stock.put(5, callback=raises)
    stock.tick()
    stock.tell("n2", type="next_node_idx", next_node_idx=3, reset=False, success=True)
    with pytest.raises(RuntimeError):
        stock.tell("n2", type="next_node_idx", next_node_idx=4, reset=False, success=True)
    stock.tick()
    assert [5, 5] == stock.values

    ours = Pocket(clock)
    ours.lead()
    ours.core.append(b"five")
    applied: list[int] = []

    def apply(index: int, _term: int, _command: bytes | None) -> None:
        applied.append(index)
        if index == 3:
            raise RuntimeError

    ours.host.apply = apply  # type: ignore[method-assign]
    ours.tick()
    with pytest.raises(RuntimeError):
        ours.acknowledge("n2", 3)
    ours.tick()
    assert [2, 3] == applied


def test_an_empty_command_does_not_stop_the_log(clock: Clock) -> None:
    """A peer's nonsense is an entry without effect, not an error for ever."""
    stock = Counter(clock)
    with pytest.raises(TypeError):
        stock.append("n2", 1, (1, 0), (b"", 2, 1), commit=2)
    with pytest.raises(TypeError):
        stock.tick(HEARTBEAT_S)  # and so on, with every tick

    ours = Pocket(clock)
    ours.append("n2", 1, (1, 0), (b"", 2, 1), (b"\0x", 3, 1), commit=3)
    assert [(2, None), (3, b"x")] == ours.host.applied


exploded: list[int] = []


def explode(number: int) -> None:
    exploded.append(number)


class Bomb:
    """Runs code when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return explode, (1,)


def test_nothing_that_a_peer_sends_is_unpickled(clock: Clock) -> None:
    """A message cannot run code."""
    message = {"type": "append_entries", "term": 1, "commit_index": 1, "prevLogIdx": 1, "prevLogTerm": 0}
    bomb = {"transmission": "finish", "data": b""}
    stock = Counter(clock)
    stock._SyncObj__recvTransmission = pickle.dumps(Bomb())
    exploded.clear()
    with pytest.raises((TypeError, ValueError)):
        stock.tell("n2", **message, **bomb)
    assert [1] == exploded

    exploded.clear()
    ours = Pocket(clock)
    ours.tell("n2", **message, **bomb | {"data": pickle.dumps(Bomb())}, round=1)
    ours.append("n2", 1, (1, 0), (REGULAR + pickle.dumps(Bomb()), 2, 1), commit=2)
    assert [] == exploded


def test_who_does_not_vote_cannot_lead(clock: Clock) -> None:
    """A read-only peer's entries are refused."""
    guest = Node("guest")
    message = {"type": "append_entries", "term": 9, "commit_index": 1, "prevLogIdx": 1, "prevLogTerm": 0}
    message |= {"entries": [(put(666), 2, 9)], "round": 1}
    stock = Counter(clock)
    stock.wire._onReadonlyNodeConnected(guest)
    stock.wire._onMessageReceived(guest, message)
    assert 2 == last_index(stock)

    ours = Pocket(clock)
    ours.wire._onMessageReceived(guest, message)
    ours.tick()
    assert (1, 0) == (ours.core.last_index, ours.core.term)


def test_a_conflict_costs_one_answer(clock: Clock) -> None:
    """The answer names where the conflicting term begins; the library goes back one entry a heartbeat."""
    old = [(put(number), number, 1) for number in range(2, 102)]
    stock = Counter(clock)
    stock.append("n3", 1, (1, 0), *old)
    sent = stock.tell(
        "n2", type="append_entries", term=3, commit_index=1, entries=[], prevLogIdx=101, prevLogTerm=2
    )
    assert [101] == [each["next_node_idx"] for _, each in sent]

    ours = Pocket(clock)
    ours.append("n3", 1, (1, 0), *old)
    assert 2 == ours.append("n2", 3, (101, 2))["next"]


def test_a_follower_without_its_snapshot_is_not_flooded(clock: Clock) -> None:
    """While a snapshot is being made, who needs it gets one sign of life a heartbeat."""
    stock = stock_leader(clock)
    stock.wire.messages_max = 50
    stock.hidden("raftNextIndex")[stock.peers["n2"]] = 1
    stock.hidden("serializer")._Serializer__pid = -1  # one is being made
    with pytest.raises(AssertionError, match="flood"):
        stock.hidden("sendAppendEntries")()

    ours = Pocket(clock)
    ours.lead()
    ours.wire.messages_max = 50
    ours.core.next_index[ours.peers["n2"]] = 1
    assert 1 == len([to for to, _ in ours.tick(HEARTBEAT_S) if to == "n2"])


def test_a_node_that_hears_nobody_raises_no_term(clock: Clock) -> None:
    """Its return would depose the leader of the others."""
    stock = Counter(clock)
    for _ in range(10):
        stock.tick(2.0)
    assert stock.hidden("raftCurrentTerm") >= 10

    ours = Pocket(clock)
    for _ in range(20):
        ours.tick(1.0)
    assert (0, FOLLOWER) == (ours.core.term, ours.core.role)


def test_who_hears_a_leader_keeps_it(clock: Clock) -> None:
    """A candidate that cannot hear the leader does not depose it."""
    stock = stock_leader(clock)
    request = {"type": "request_vote", "term": 50}
    stock.tell("n3", **request, last_log_index=9, last_log_term=9)
    assert FOLLOWER == stock.hidden("raftState")

    ours = Pocket(clock)
    ours.lead()
    ours.tell("n3", **request, last_index=9, last_term=9)
    assert (LEADER, 1) == (ours.core.role, ours.core.term)


def test_a_leader_alone_steps_down_within_an_election_timeout(clock: Clock) -> None:
    """Half a minute is long enough for many to believe it."""
    stock = stock_leader(clock)
    for _ in range(100):
        stock.tick(0.25)
    assert LEADER == stock.hidden("raftState")

    ours = Pocket(clock)
    ours.lead()
    for _ in range(6):
        ours.tick(0.1)
    assert FOLLOWER == ours.core.role


def test_a_leader_of_the_past_is_told(clock: Clock) -> None:
    """Silence would leave it in its belief."""
    stock = Counter(clock)
    stock.append("n3", 5, (1, 0))
    past = {"type": "append_entries", "term": 2, "commit_index": 1, "prevLogIdx": 1, "prevLogTerm": 0}
    assert [] == stock.tell("n2", **past, entries=[])

    ours = Pocket(clock)
    ours.append("n3", 5, (1, 0))
    ((to, reply),) = ours.tell("n2", **past, entries=[], round=7)
    assert ("n2", 5, None) == (to, reply["term"], reply["matched"])
    assert 0 == reply["round"]


def test_a_restart_keeps_what_follows_the_snapshot(tmp_path: Path, clock: Clock) -> None:
    """A kill between the new snapshot and the cut of the journal loses nothing."""
    entries = [(put(number), number, 1) for number in range(2, 11)]
    journal = FileJournal(str(tmp_path / "stock.journal"))
    for entry in [(NO_OPERATION, 1, 0), *entries]:
        journal.add(*entry)
    journal.setCurrentTerm(1, None)
    dump = str(tmp_path / "stock.dump")
    Serializer(dump, 1024, False, None, None, None).serialize(({}, entries[3], entries[2], set()), 4)
    stock = Counter(clock, journalFile=journal, fullDumpFile=dump)
    stock.tick()
    assert 5 == last_index(stock)  # it was 10


def test_a_restart_of_ours_keeps_what_follows_the_snapshot(tmp_path: Path) -> None:
    """The other half of the last one, with files of ours: the journal as it was before the cut."""
    settings = RaftSettings("solo", {"solo": "127.0.0.1:0"}, "127.0.0.1:0", "test", tmp_path, None)
    machine = _run(settings, [b"%d" % number for number in range(10)])
    before_cut = (tmp_path / "journal").read_bytes()
    assert 10 == len(machine)
    short = RaftSettings("solo", settings.members, settings.bind, "test", tmp_path, None, snapshot_entries=5)
    _run(short, [])
    assert (tmp_path / "snapshot").exists()
    (tmp_path / "journal").write_bytes(before_cut)
    assert [b"%d" % number for number in range(10)] == _run(settings, [])


def _run(settings: RaftSettings, commands: list[bytes]) -> list[bytes]:
    """Run a cluster of one, propose, stop; return the machine's commands."""
    machine = Recorder()
    replica = Replica(settings, machine)
    replica.start()
    try:
        for command in commands:
            replica.propose(command).result(7)
        wait_until(lambda: replica.status().ready, "ready")
        if settings.snapshot_entries < 100:
            wait_until(lambda: replica.status().snapshot_index > 1, "a snapshot")
    finally:
        replica.stop()
    return machine.commands


def test_a_power_loss_takes_nothing_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library never syncs its journal; ours does before anything is said."""
    synced: list[int] = []
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(f"os.{name}", synced.append)
    stock = FileJournal(str(tmp_path / "stock"))
    stock.add(b"\0x", 1, 1)
    stock.setCurrentTerm(2, "n2")
    stock._destroy()
    assert [] == synced

    ours = WalJournal(tmp_path / "ours", JournalIdentity("test", "n1"))
    synced.clear()
    ours.add(b"\0x", 1, 1)
    assert ours.needs_sync
    ours.sync()
    ours.setCurrentTerm(2, "n2")
    assert 2 == len(synced)
    ours._destroy()


def test_a_journal_without_a_place_for_snapshots_cannot_be(tmp_path: Path, clock: Clock) -> None:
    """The library accepts a journal without a dump, and loses with each compaction what was before it."""
    stock = Counter(clock, nodes=1, journalFile=FileJournal(str(tmp_path / "stock")))
    stock.tick(2.0)
    for number in range(10):
        stock.put(number)
        stock.tick()
    stock.tick()
    assert list(range(10)) == stock.values
    stock.forceLogCompaction()
    for _ in range(3):
        stock.tick()
    stock.destroy()
    again = Counter(clock, nodes=1, journalFile=FileJournal(str(tmp_path / "stock")))
    for _ in range(4):
        again.tick(2.0)
    assert len(again.values) < 10

    members = dict.fromkeys(("n1", "n2"), "127.0.0.1:1")
    with pytest.raises(RaftError, match="needs a data directory"):
        Replica(RaftSettings("n1", members, "127.0.0.1:0", "test", None, None), Recorder()).start()
