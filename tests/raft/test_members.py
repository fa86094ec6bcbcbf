"""Nodes that come, go, and come back without their memory, with real replicas on loopback."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from raft.core import Core
from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.frames import frame
from raft.handshake import refusal_payload
from raft.members import DISPUTE_S
from raft.membership import Change
from raft.proposal import Committed, NotCommitted, Outcome
from raft.refusal import Refusal
from raft.replica import Replica
from raft.settings import RaftSettings
from tests.cluster.servers import wait_until
from tests.ports import free_ports
from tests.raft.test_replica import SECRET, Recorder

NAMES = ("n1", "n2", "n3", "n4")


class Party:
    """Up to four replicas; the first ones found the cluster, the others are let in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.addresses = dict(zip(NAMES, (f"127.0.0.1:{port}" for port in free_ports(len(NAMES))), strict=True))
        self.machines: dict[str, Recorder] = {}
        self.replicas: dict[str, Replica] = {}
        self.fates: dict[str, int] = {}

    def settings(self, name: str, known: tuple[str, ...], astray: str = "") -> RaftSettings:
        members = {each: self.addresses[each] for each in dict.fromkeys((*known, name))}
        if astray:
            members[astray] = "127.0.0.1:9"
        return RaftSettings(name, members, members[name], "test", self.folder / name, SECRET)

    def start(self, name: str, *known: str, replica: str = "", astray: str = "") -> Replica:
        """``astray`` is a node of which this one has a wrong address."""
        settings = self.settings(name, known, astray)
        if replica:
            settings = replace(settings, replicas=frozenset({replica}))
        self.machines[name] = Recorder()
        self.replicas[name] = Replica(
            settings, self.machines[name], on_fatal=lambda code: self.fates.__setitem__(name, code)
        )
        self.replicas[name].start()
        return self.replicas[name]

    def found(self, *names: str) -> None:
        for name in names:
            self.start(name, *names)
        wait_until(lambda: self.leader() is not None, "a leader")

    def stop(self, name: str) -> None:
        self.replicas.pop(name).stop()

    def leader(self) -> str | None:
        states = {name: replica.status() for name, replica in self.replicas.items()}
        return next((name for name, each in states.items() if each.role == "leader" and each.has_quorum), None)

    def core(self, name: str) -> Core:
        driver = self.replicas[name]._driver
        assert driver is not None
        return driver.core

    def ask(self, by: str, change: Change) -> Outcome:
        return self.replicas[by].change_members(change).result(12)

    def say(self, by: str, text: str) -> Outcome:
        return self.replicas[by].propose(text.encode()).result(7)

    def voters(self, name: str) -> tuple[str, ...]:
        return self.replicas[name].status().members

    def add(self, name: str) -> Change:
        return Change("add", name, self.addresses[name])


@pytest.fixture(name="party")
def _party(tmp_path: Path) -> Iterator[Party]:
    party = Party(tmp_path)
    yield party
    for name in list(party.replicas):
        party.stop(name)


def wait_for_voters(party: Party, *names: str) -> None:
    wait_until(lambda: all(names == party.voters(each) for each in names), f"the voters {names}")


def test_a_cluster_of_one_grows_to_three_and_back(party: Party) -> None:
    """Each node begins as a learner, gets everything, and votes by itself once it has it."""
    party.found("n1")
    for number in range(50):
        assert isinstance(party.say("n1", f"before {number}"), Committed)
    for name in ("n2", "n3"):
        assert isinstance(party.ask("n1", party.add(name)), Committed)
        party.start(name, "n1")
    wait_for_voters(party, "n1", "n2", "n3")
    assert isinstance(party.say("n3", "after"), Committed)
    wait_until(lambda: all(len(each.commands) == 51 for each in party.machines.values()), "all the same")
    party.stop("n1")
    wait_until(lambda: party.leader() is not None, "a leader among the new")
    assert isinstance(party.say("n2", "without the first"), Committed)


def test_a_removed_node_ends_and_says_why(party: Party) -> None:
    """It learns of its removal, stops, and does not start again."""
    party.found("n1", "n2", "n3")
    gone = next(name for name in ("n1", "n2", "n3") if name != party.leader())
    others = tuple(name for name in ("n1", "n2", "n3") if name != gone)
    assert isinstance(party.ask(gone, Change("remove", gone)), Committed)
    wait_until(lambda: party.fates.get(gone) == EXIT_WRONG_SETUP, "the removed node's end")
    wait_for_voters(party, *others)
    party.replicas.pop(gone).stop()
    with pytest.raises(RaftError, match="was removed from the cluster"):
        party.start(gone, *others)
    del party.replicas[gone]


def test_a_leader_hands_over_before_it_is_removed(party: Party) -> None:
    """What was asked of the leader is done by the next one."""
    party.found("n1", "n2", "n3")
    leader = party.leader()
    assert leader is not None
    others = tuple(name for name in ("n1", "n2", "n3") if name != leader)
    assert isinstance(party.ask(others[0], Change("remove", leader)), Committed)
    wait_for_voters(party, *others)
    wait_until(lambda: party.leader() in others, "another leader")


def test_a_change_that_would_cost_the_quorum_is_refused(party: Party) -> None:
    """Of two nodes one is away: removing the other would leave nobody."""
    party.found("n1", "n2", "n3")
    leader = party.leader()
    assert leader is not None
    away, here = [name for name in ("n1", "n2", "n3") if name != leader]
    party.stop(away)
    wait_until(
        lambda: not any(p.connected for p in party.replicas[leader].status().peers if p.name == away),
        "the loss of a node",
    )
    refused = party.ask(leader, Change("remove", here))
    assert isinstance(refused, NotCommitted)
    assert "the quorum would be lost" in refused.detail
    assert isinstance(party.ask(leader, Change("remove", away)), Committed)


def test_leadership_goes_where_it_is_asked_to(party: Party) -> None:
    """`lead` names the next leader; a stranger is refused."""
    party.found("n1", "n2", "n3")
    wanted = next(name for name in ("n1", "n2", "n3") if name != party.leader())
    assert isinstance(party.ask(wanted, Change("lead", wanted)), Committed)
    wait_until(lambda: party.leader() == wanted, "the wanted leader")
    assert isinstance(party.ask("n1", Change("lead", "n9")), NotCommitted)


def test_a_node_without_its_memory_is_refused_until_it_is_replaced(party: Party) -> None:
    """An emptied data directory under the old name might vote twice; `replace` lets it begin anew."""
    names = ("n1", "n2", "n3")
    party.found(*names)
    for number in range(20):
        assert isinstance(party.say("n1", str(number)), Committed)
    wiped = next(name for name in names if name != party.leader())
    others = [name for name in names if name != wiped]
    wait_until(
        lambda: all(seat.directory for seat in party.replicas[others[0]].status().seats), "known directories"
    )
    party.stop(wiped)
    shutil.rmtree(party.folder / wiped)
    party.start(wiped, *names)
    wait_until(
        lambda: any("another data directory" in text for _, text in party.replicas[wiped].status().refusals),
        "the refusal on its own side",
    )
    assert not party.replicas[wiped].status().ready
    assert isinstance(party.ask(others[0], Change("replace", wiped)), Committed)
    wait_for_voters(party, *names)
    wait_until(lambda: len(party.machines[wiped].commands) == 20, "everything again")


def test_nodes_of_a_cluster_that_is_there_do_not_found_another(party: Party) -> None:
    """Two empty nodes that are told of a third with a past wait to be let in, though they are a majority."""
    party.found("n1")
    assert isinstance(party.say("n1", "past"), Committed)
    for name in ("n2", "n3"):
        party.start(name, "n1", "n2", "n3")
    wait_until(lambda: bool(party.replicas["n2"].status().refusals), "the refusal of the stranger")
    for name in ("n2", "n3"):
        assert isinstance(party.ask("n1", party.add(name)), Committed)
    wait_for_voters(party, "n1", "n2", "n3")
    wait_until(lambda: [b"past"] == party.machines["n3"].commands, "the same past")


def test_nodes_whose_files_name_other_voters_found_nothing(party: Party) -> None:
    """A majority of one list need not meet one of the other: all wait, say why, and go on once the lists agree."""
    for name in ("n1", "n2"):
        party.start(name, "n1", "n2", "n3")
    party.start("n3", *NAMES)
    wait_until(
        lambda: all("other voters" in refusal(party, *each) for each in DISPUTES), "the reason on both sides"
    )
    assert not any(party.core(name).may_stand() for name in party.replicas)
    assert party.leader() is None
    party.stop("n3")
    party.start("n3", "n1", "n2", "n3")
    wait_until(lambda: party.leader() is not None, "a leader")
    assert isinstance(party.say("n3", "x"), Committed)


DISPUTES = (("n1", "n3"), ("n2", "n3"), ("n3", "n1"), ("n3", "n2"))


def refusal(party: Party, own: str, peer: str) -> str:
    return dict(party.replicas[own].status().refusals).get(peer, "")


def test_who_was_dialled_sees_the_dispute_as_well(party: Party) -> None:
    """Nobody reaches the node with the other list, which reaches them: they found nothing all the same."""
    for name in ("n1", "n2"):
        party.start(name, "n1", "n2", "n3", astray="n3")
    party.start("n3", *NAMES)
    wait_until(lambda: all("other voters" in refusal(party, name, "n3") for name in ("n1", "n2")), "the reason")
    assert all(party.core(name).is_disputed for name in ("n1", "n2"))


def test_a_dispute_withholds_the_vote_and_is_over_when_nobody_disputes(party: Party) -> None:
    """Who knows better neither stands nor helps another to found; who has gone holds nobody up for long."""
    party.start("n1", "n1", "n2", "n3")
    core, asked = party.core("n1"), {"founding": True}
    assert core.may_vote(asked)
    core.note_dispute("n3")
    assert not core.may_vote(asked)
    core._disputed_s["n3"] -= DISPUTE_S
    assert core.may_vote(asked)
    core.is_barred = True
    assert not core.may_vote(asked)


def test_a_stranger_holds_no_founding_up(party: Party) -> None:
    """Only who has proved his name is believed to have another list."""
    host, port = party.addresses["n3"].split(":")
    said = threading.Event()
    with socket.create_server((host, int(port))) as stranger:
        threading.Thread(target=lambda: say_founders(stranger, said), daemon=True).start()
        for name in ("n1", "n2"):
            party.start(name, "n1", "n2", "n3")
        assert said.wait(10)
        wait_until(lambda: party.leader() is not None, "a leader")


def say_founders(stranger: socket.socket, said: threading.Event) -> None:
    with suppress(OSError):
        while True:
            connection, _ = stranger.accept()
            with connection:
                connection.sendall(frame(refusal_payload(Refusal("founders", ""))))
            said.set()


def test_a_replicas_list_holds_no_founding_up(party: Party) -> None:
    """It neither votes nor founds."""
    party.start("n4", "n1", "n2", replica="n4")
    party.start("n1", "n1", "n4", replica="n4")
    wait_until(lambda: party.leader() == "n1", "a leader")
    assert isinstance(party.say("n1", "x"), Committed)
    wait_until(lambda: [b"x"] == party.machines["n4"].commands, "the replica's copy")


def test_a_replica_follows_and_never_votes(party: Party) -> None:
    """It holds the log, cannot write to it, and does not count for the majority."""
    party.found("n1")
    assert isinstance(party.ask("n1", Change("add", "n4", party.addresses["n4"], "replica")), Committed)
    party.start("n4", "n1", replica="n4")
    assert isinstance(party.say("n1", "x"), Committed)
    wait_until(lambda: [b"x"] == party.machines["n4"].commands, "the entry on the replica")
    status = party.replicas["n4"].status()
    assert ("learner", ("n1",)) == (status.role, status.members)
    assert status.stale_s is not None
    assert isinstance(party.replicas["n4"].read_barrier().result(5), Committed)
    assert isinstance(party.replicas["n4"].propose(b"y", 1.0).result(5), NotCommitted)
    party.stop("n4")
    assert isinstance(party.say("n1", "alone"), Committed)


def test_members_survive_restarts_and_snapshots(party: Party) -> None:
    """The list of the log counts, not the configuration: after a restart, and from a snapshot."""
    party.found("n1")
    for name in ("n2", "n3"):
        assert isinstance(party.ask("n1", party.add(name)), Committed)
        party.start(name, "n1")
    wait_for_voters(party, "n1", "n2", "n3")
    for name in ("n1", "n2", "n3"):
        party.stop(name)
    for name in ("n1", "n2", "n3"):
        party.start(name, "n1")
    wait_for_voters(party, "n1", "n2", "n3")
    assert isinstance(party.say("n2", "again"), Committed)
