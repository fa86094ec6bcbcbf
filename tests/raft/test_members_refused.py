"""Changes of the members that must not get into the log: what is refused leaves no trace."""

from dataclasses import replace
from pathlib import Path

import pytest

from raft.membership import Change
from raft.proposal import Committed, NotCommitted
from raft.replica import Replica
from raft.settings import RaftSettings
from tests.cluster.servers import wait_until
from tests.ports import free_ports
from tests.raft.test_replica import Recorder


def _alone(folder: Path) -> RaftSettings:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    return RaftSettings("n1", {"n1": address}, address, "test", folder / "n1", None)


def _start(settings: RaftSettings) -> Replica:
    replica = Replica(settings, Recorder())
    replica.start()
    wait_until(lambda: replica.status().has_quorum, "a leader")
    return replica


def test_an_address_that_the_protection_does_not_suffice_for_is_refused_without_a_trace(tmp_path: Path) -> None:
    """A node without secret or certificates lets nobody in from another machine, and starts again."""
    settings = _alone(tmp_path)
    for _ in range(2):
        replica = _start(settings)
        before = replica.status().seats
        refused = replica.change_members(Change("add", "n2", "192.0.2.1:7300")).result(12)
        assert isinstance(refused, NotCommitted)
        assert "neither share a secret" in refused.detail
        assert isinstance(replica.propose(b"x").result(7), Committed)
        assert before == replica.status().seats
        replica.stop()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "192.0.2.1:7300"])
def test_a_node_that_keeps_nothing_lets_nobody_in(tmp_path: Path, address: str) -> None:
    """Its refusal is no entry of the log."""
    replica = _start(replace(_alone(tmp_path), data_dir=None))
    refused = replica.change_members(Change("add", "n2", address)).result(12)
    assert isinstance(refused, NotCommitted)
    assert "cannot join" in refused.detail
    assert ("n1",) == tuple(seat.name for seat in replica.status().seats)
    assert isinstance(replica.propose(b"x").result(7), Committed)
    replica.stop()
