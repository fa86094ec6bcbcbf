"""Single misfortunes, step by step on the virtual clock: each once went wrong."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from raft.driver import Driver
from raft.errors import EXIT_DISK_FAULT, RaftError
from raft.journal import JournalIdentity, WalJournal
from raft.library import LEADER, Node
from raft.pending import Pending
from raft.proposal import Committed, NotCommitted, Unknown
from tests.raft.test_replica import Recorder, sole
from tests.sim.calm import NAMES, calm
from tests.sim.checker import Violation
from tests.sim.disk import SimDisk


def test_what_ends_the_log_is_not_lost_in_the_message_that_brought_it() -> None:
    """A contradiction found while a message is handled ends the node, not just the connection."""
    with calm() as world:
        leader = world.find_leader()
        core = world.driver(leader).core
        forged = {
            "type": "append_entries",
            "term": core.term,
            "round": 1,
            "commit_index": 0,
            "entries": [],
            "prevLogIdx": 1,
            "prevLogTerm": 0,
        }
        world.in_node(leader, lambda: core.on_message(world.peer(leader, world.followers()[0]), forged))
        with pytest.raises(Violation, match=f"{leader} ended: .*two leaders"):
            world.run_until(world.now_s + 1)


def test_a_full_disk_met_while_voting_ends_the_node() -> None:
    """A node whose vote cannot be written, be it for itself, does not go on."""
    with calm() as world:
        leader = world.find_leader()
        for name in world.followers():
            world.machines[name].disk.is_full = True
        world.crash(leader, power=True)
        world.wait(lambda: 1 == len(world.running()), 3.0)


def test_a_transfer_is_not_put_off_by_the_last_sign_of_life() -> None:
    """The chosen node stands at once, even if the old leader's heartbeat comes in the same turn."""
    with calm() as world:
        leader = world.find_leader()
        chosen = world.followers()[0]
        core, node = world.driver(chosen).core, world.peer(chosen, leader)
        heartbeat = {
            "type": "append_entries",
            "term": core.term,
            "round": 0,
            "commit_index": 0,
            "entries": [],
            "prevLogIdx": core.last_index,
            "prevLogTerm": core.last_term,
        }

        def receive() -> None:
            core.on_message(node, {"type": "timeout_now", "term": core.term})
            core.on_message(node, heartbeat)

        world.in_node(chosen, receive)
        assert world.wait(lambda: world.leader() == chosen) < 0.1


def test_a_leader_under_load_hands_over_when_it_stops() -> None:
    """Proposals that are on their way do not make a stopping leader leave without a word."""
    with calm() as world:
        leader = world.find_leader()
        late = world.propose(leader)
        world.stop(leader)
        assert world.wait(lambda: world.leader() not in (None, leader)) < 0.15
        assert isinstance(world.outcome(late), Committed | Unknown)


def test_a_stopping_leader_takes_nothing_new() -> None:
    """What comes after the wish to stop is refused here, and committed elsewhere."""
    with calm() as world:
        leader = world.find_leader()
        follower = world.followers()[0]
        world.stop(leader)
        refused = world.propose(leader)
        assert isinstance(world.outcome(refused), NotCommitted)
        world.wait(lambda: world.leader() not in (None, leader))
        world.write(follower)


def test_a_read_outlives_its_leader() -> None:
    """A barrier asked of a leader that dies is asked of the next one: reading twice harms nobody."""
    with calm() as world:
        leader = world.find_leader()
        follower = world.followers()[0]
        world.network.block(leader, follower)
        read = world.read(follower)
        world.run_until(world.now_s + 0.05)
        world.crash(leader, power=True)
        outcome = world.outcome(read)
        assert isinstance(outcome, Committed)


def test_an_answer_to_a_former_process_is_none_to_the_present_one() -> None:
    """A barrier that a node asked for before it died is answered when it is back: nobody waits for that any more."""
    with calm() as world:
        leader = world.find_leader()
        follower, other = world.followers()
        for source, target in ((other, leader), (leader, other)):
            world.network.block(source, target)
        world.network.block(leader, follower)
        world.read(follower)
        world.run_until(world.now_s + 0.01)
        world.crash(follower, power=False)
        world.network.unblock(leader, follower)
        world.start(follower)
        write = world.propose(follower)
        outcome = world.outcome(write)
        assert not isinstance(outcome, Committed) or outcome.result is not None


def test_a_leader_that_steps_down_asks_the_next_one_for_its_own_reads() -> None:
    """A barrier begun on a leader that loses its majority ends well when there is one again."""
    with calm() as world:
        leader = world.find_leader()
        others = world.followers()
        for name in others:
            world.network.block(leader, name)
            world.network.block(name, leader)
        read = world.read(leader)
        world.wait(lambda: world.leader() in others)
        world.network.heal()
        assert isinstance(world.outcome(read), Committed)


def test_a_refusal_by_a_later_term_acknowledges_no_round() -> None:
    """A node in a later term does not prove that the sender still led, not even by an answer that comes late."""
    with calm() as world:
        leader = world.find_leader()
        follower = world.followers()[0]
        core = world.driver(follower).core
        sent = world.sent_by(follower)
        old = {"type": "append_entries", "term": core.term - 1, "round": 7, "commit_index": 0}
        core_node = world.peer(follower, leader)
        rest = {"entries": [], "prevLogIdx": 1, "prevLogTerm": 0}
        world.in_node(follower, lambda: core.on_message(core_node, old | rest))
        world.run_until(world.now_s + 0.0001)
        assert [0] == [each["round"] for each in sent if each["type"] == "append_reply"][:1]


def test_a_proposal_whose_connection_ended_on_it_is_not_sent_again() -> None:
    """When some of it may have left, nobody can tell: it is called unknown, and never repeated."""
    with calm() as world:
        follower = world.followers()[0]
        sent: list[dict[str, Any]] = []
        transport = world.network.transports[follower]
        send = transport.send

        def break_on_proposals(node: Node, message: dict[str, Any], *, bulk: bool = False) -> bool:
            if message["type"] != "propose":
                return send(node, message, bulk=bulk)
            sent.append(message)
            return False

        transport.send = break_on_proposals  # type: ignore[method-assign]
        assert isinstance(world.outcome(world.propose(follower)), Unknown)
        assert 1 == len(sent)


def test_the_answer_to_a_snapshot_may_get_lost() -> None:
    """A follower that has the snapshot already says so when it comes again, and gets the rest of the log."""
    with calm(snapshot_entries=25) as world:
        leader = world.find_leader()
        away = world.followers()[0]
        world.crash(away, power=True)
        world.write(leader, 80)
        world.wait(lambda: world.driver(leader).core.base_index > 20)
        world.start(away)
        transport = world.network.transports[away]
        send = transport.send

        def lose_replies(node: Node, message: dict[str, Any], *, bulk: bool = False) -> bool:
            has_it = world.driver(away).core.base_index > 20
            return (has_it and message["type"] == "append_reply") or send(node, message, bulk=bulk)

        transport.send = lose_replies  # type: ignore[method-assign]
        world.wait(lambda: world.driver(away).core.base_index > 20)
        transport.send = send  # type: ignore[method-assign]
        world.network.break_wire(frozenset((away, leader)))
        last = world.driver(leader).core.last_index
        world.wait(lambda: world.driver(away).core.applied_index >= last)


def test_nobody_is_ready_before_the_latest_is_applied() -> None:
    """After all nodes lost their power, a new leader's first commit index is no proof of being up to date."""
    for seed in range(5):
        with calm(seed=seed) as world:
            world.write(world.find_leader(), 10)
            for name in NAMES:
                world.crash(name, power=True)
            for name in NAMES:
                world.start(name)
            world.wait(lambda w=world: all(w.driver(name).status.ready for name in NAMES))


def test_one_broken_link_changes_nothing() -> None:
    """A follower that cannot reach the leader, one way or both, for a minute: no new term, no new leader."""
    for ways in (1, 2):
        with calm() as world:
            leader = world.find_leader()
            follower = world.followers()[0]
            term = world.driver(leader).core.term
            world.network.block(leader, follower)
            if ways == 2:
                world.network.block(follower, leader)
            for _ in range(60):
                world.run_until(world.now_s + 1.0)
                world.write(leader)
            assert (leader, term) == (world.leader(), world.driver(leader).core.term)


def test_an_isolated_leader_knows_within_an_election_timeout() -> None:
    """It stops calling itself leader before the others have elected the next one, or soon after."""
    with calm() as world:
        leader = world.find_leader()
        for name in world.followers():
            world.network.block(name, leader)
        assert world.wait(lambda: world.driver(leader).core.role != LEADER) < 0.6


def test_a_node_alone_for_long_comes_back_quietly() -> None:
    """It asked, and raised no term; the leader it finds stays leader."""
    with calm() as world:
        leader = world.find_leader()
        alone, other = world.followers()
        term = world.driver(leader).core.term
        for name in (leader, other):
            world.network.block(name, alone)
            world.network.block(alone, name)
        world.run_until(world.now_s + 30)
        world.network.heal()
        world.write(alone)
        assert (leader, term) == (world.leader(), world.driver(alone).core.term)


def test_a_failed_write_is_not_tried_again() -> None:
    """What a failed write left on the disk is unknown: the journal stays broken though there is space again."""
    disk = SimDisk(random.Random(1))
    journal = WalJournal(Path("/sim/journal"), JournalIdentity("sim", "n1"), disk)
    journal.add(b"x", 1, 0)
    disk.is_full = True
    with pytest.raises(RaftError, match="No space left"):
        journal.sync()
    disk.is_full = False
    with pytest.raises(RaftError, match="No space left"):
        journal.sync()


def test_a_proposal_that_met_a_broken_journal_is_told_at_the_end() -> None:
    """Nobody waits for ever because his proposal was the one that met the fault."""
    future: Pending = Pending()

    async def meet_the_fault() -> None:
        driver = Driver(sole(), Recorder(), asyncio.get_running_loop())
        driver.open()
        driver.core.run_elections()
        driver.core.election_deadline_s = 0.0
        driver.core.tick()

        def fail(_command: bytes) -> tuple[int, int]:
            raise RaftError("No space left.", exit_code=EXIT_DISK_FAULT)

        driver.core.append = fail  # type: ignore[method-assign]
        with pytest.raises(RaftError):
            driver.propose(b"x", future, 30.0)
        await driver.close()

    asyncio.run(meet_the_fault())
    assert isinstance(future.result(0), Unknown)


def test_what_the_leader_was_asked_ends_with_its_connection() -> None:
    """The same leader goes on over a new connection: nobody waits for answers of the old one until their time is up."""
    with calm() as world:
        leader = world.find_leader()
        follower = world.followers()[0]
        world.network.block(leader, follower)
        write, read = world.propose(follower), world.read(follower)
        world.run_until(world.now_s + 0.05)
        world.network.break_wire(frozenset((leader, follower)), notice_s=0.05)
        world.network.unblock(leader, follower)
        began_s = world.now_s
        assert isinstance(world.outcome(write), Unknown)
        assert isinstance(world.outcome(read), Committed)
        assert world.now_s - began_s < 1.0
        assert leader == world.leader()
