"""A cluster begun anew by force from what one node holds."""

from pathlib import Path

import pytest

from raft.errors import RaftError
from raft.forcing import force_new_cluster, inspect
from raft.journal import JournalIdentity, WalJournal
from raft.library import NO_OPERATION
from raft.membership import Change, Membership, Seat, decode_membership, encode_membership
from raft.proposal import Committed
from raft.snapshots import SnapshotMeta, SnapshotStore
from tests.cluster.servers import wait_until
from tests.raft.test_members import Party, wait_for_voters


def test_one_node_goes_on_alone_with_all_it_holds(tmp_path: Path) -> None:
    """Two of three are lost: the third keeps every acknowledged entry it has, and lets new ones in."""
    party = Party(tmp_path)
    names = ("n1", "n2", "n3")
    party.found(*names)
    for number in range(20):
        assert isinstance(party.say("n1", str(number)), Committed)
    wait_until(lambda: all(len(each.commands) == 20 for each in party.machines.values()), "all the same")
    for name in names:
        party.stop(name)
    settings = party.settings("n1", names)
    assert ("n2", "n3") == inspect(settings).lost
    salvage = force_new_cluster(settings)
    assert salvage.last_index >= salvage.commit_index >= 20
    try:
        party.start("n1", *names)
        wait_for_voters(party, "n1")
        wait_until(lambda: 20 == len(party.machines["n1"].commands), "what it held")
        assert isinstance(party.say("n1", "alone"), Committed)
        assert isinstance(party.ask("n1", party.add("n4")), Committed)
        party.start("n4", "n1")
        wait_for_voters(party, "n1", "n4")
        assert isinstance(party.ask("n1", Change("add", "n2", party.addresses["n2"])), Committed)
        party.start("n2", *names)
        wait_until(
            lambda: any("another cluster" in text for _, text in party.replicas["n2"].status().refusals),
            "the refusal of one that was given up, with its old data",
        )
    finally:
        for name in list(party.replicas):
            party.stop(name)


def test_nothing_to_begin_with_is_told(tmp_path: Path) -> None:
    """An empty directory, and one that another process uses, are refused with a sentence."""
    party = Party(tmp_path)
    with pytest.raises(RaftError, match="no journal"):
        inspect(party.settings("n1", ("n1",)))
    party.found("n1")
    try:
        with pytest.raises(RaftError, match="Another process uses"):
            force_new_cluster(party.settings("n1", ("n1",)))
    finally:
        party.stop("n1")


def test_two_nodes_forced_apart_are_two_clusters(tmp_path: Path) -> None:
    """Both go on from the same term: their histories differ all the same, and neither lets the other in."""
    party = Party(tmp_path)
    names = ("n1", "n2", "n3")
    party.found(*names)
    wait_for_voters(party, *names)
    wait_until(lambda: all(party.replicas[name].status().ready for name in names), "all to be ready")
    for name in names:
        party.stop(name)
    histories = set()
    for name in names[:2]:
        identity = JournalIdentity("test", name)
        journal = WalJournal(party.folder / name / "journal", identity)
        journal.setCurrentTerm(9, None)
        journal._destroy()
        force_new_cluster(party.settings(name, names))
        journal = WalJournal(party.folder / name / "journal", identity)
        histories.add(decode_membership(journal[-1][0]).history)
        journal._destroy()
    assert 2 == len(histories)


def test_what_contradicts_the_snapshot_is_left_behind(tmp_path: Path) -> None:
    """A node that died when it had taken a snapshot, before its log followed, is forced and starts."""
    party = Party(tmp_path)
    settings = party.settings("n1", ("n1",))
    membership = Membership("h", (Seat("n1", settings.bind, "voter", "d"), Seat("n2", "127.0.0.1:1", "voter")))
    journal = WalJournal(tmp_path / "n1" / "journal", JournalIdentity("test", "n1"))
    for index in range(1, 30):
        journal.add(NO_OPERATION, index, 1)
    journal.setCurrentTerm(3, None)
    journal._destroy()
    meta = SnapshotMeta(20, 2, 19, 2, ("n1", "n2"), encode_membership(membership))
    SnapshotStore(tmp_path / "n1" / "snapshot", "test").write(meta, iter([b"x"]))
    assert 20 == force_new_cluster(settings).last_index
    party.start("n1", "n1")
    try:
        wait_for_voters(party, "n1")
        assert isinstance(party.say("n1", "alone"), Committed)
    finally:
        party.stop("n1")
