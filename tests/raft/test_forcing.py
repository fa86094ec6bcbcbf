"""A cluster begun anew by force from what one node holds."""

from pathlib import Path

import pytest

from raft.errors import RaftError
from raft.forcing import force_new_cluster, inspect
from raft.membership import Change
from raft.proposal import Committed
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
