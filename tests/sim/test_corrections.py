"""Each correction of the library where it matters, step by step; ``test_sensitivity`` undoes them one by one."""

from typing import Any

from raft.library import CANDIDATE, LEADER, Node
from raft.membership import Change
from raft.proposal import Committed
from tests.sim.calm import FAR, Calm, calm
from tests.sim.network import Weather


def hide_commits(world: Calm, source: str, target: str) -> None:
    """Let a node learn nothing of what is committed from now on, though it gets all entries."""
    transport = world.network.transports[source]
    send = transport.send
    known = world.driver(target).core.commit_index

    def hide(node: Any, message: Any, *, bulk: bool = False) -> bool:
        if node.id == target and "commit_index" in message:
            message["commit_index"] = min(known, message["commit_index"])
        return send(node, message, bulk=bulk)

    transport.send = hide  # type: ignore[method-assign]


def isolate(world: Calm, name: str) -> None:
    for other in world.names:
        if other != name:
            world.network.block(name, other)
            world.network.block(other, name)


def test_a_voter_alone_tells_replicas_of_what_its_disk_holds() -> None:
    """Its power may go while it writes what it has sent: nobody has applied what it then does not know of."""
    world = Calm(3, 1, 1_000, Weather(ghost=1.0, slow=0.0))
    with world.installed():
        world.start("n1")
        world.write(world.find_leader())
        for name in ("n2", "n3"):
            world.fresh_machine(name, "replica")
            world.start(name)
            change = Change("add", name, world.address(name), "replica")
            assert isinstance(world.outcome(world.change("n1", change)), Committed)
        machine = world.machines["n1"]
        for _ in range(10):
            world.run_until(world.now_s + 1.0)
            machine.disk.is_broken = True
            world.propose("n1")
            world.wait(lambda: machine.process is None)
            machine.disk.lose_power()
            world.run_until(world.now_s + 0.5)
            machine.disk.is_broken = False
            world.start_again("n1")
            world.write(world.find_leader())
            last = world.driver("n1").core.last_index
            world.wait(lambda last=last: all(world.driver(n).core.applied_index >= last for n in ("n2", "n3")))  # type: ignore[misc]


def test_a_voter_counts_once() -> None:
    """A vote that comes twice is one vote."""
    with calm() as world:
        leader = world.find_leader()
        name, other = world.followers()
        isolate(world, name)
        core = world.driver(name).core
        with world.in_turn(name):
            core.voters.update((Node("n4"), Node("n5")))
            core.stand()
            vote = {"type": "vote_reply", "term": core.term, "granted": True}
            for _ in range(3):
                core.on_message(world.peer(name, other), vote)
            assert CANDIDATE == core.role
            core.on_message(world.peer(name, leader), vote)
            assert LEADER == core.role


def test_entries_behind_a_snapshot_stay() -> None:
    """A snapshot that comes late does not undo what was acknowledged after it."""
    with calm(snapshot_entries=25) as world:
        leader = world.find_leader()
        follower = world.followers()[0]
        hide_commits(world, leader, follower)
        world.write(leader, 40)
        core = world.driver(follower).core
        last = world.driver(leader).core.last_index
        world.wait(lambda: core.last_index == last and world.driver(leader).compaction.index > 20)
        store = world.driver(leader).core.feed._store
        identity, size = store.current()
        assert core.applied_index < world.driver(leader).compaction.index < last
        piece = (identity, 0, size, store.chunk(identity, 0, size))
        message = {
            "type": "append_entries",
            "term": core.term,
            "round": 0,
            "commit_index": 0,
            "serialized": piece,
        }
        with world.in_turn(follower):
            core.on_message(world.peer(follower, leader), message)
        world.wait(lambda: core.applied_index == world.driver(leader).compaction.index)
        assert last == core.last_index


def test_a_snapshot_commits_nothing_but_itself() -> None:
    """The commit index that comes with a piece says nothing of a log that is not known to agree."""
    with calm() as world:
        leader = world.find_leader()
        follower = world.followers()[0]
        core = world.driver(follower).core
        message = {
            "type": "append_entries",
            "term": core.term,
            "round": 0,
            "commit_index": 99,
            "serialized": None,
        }
        isolate(world, follower)
        with world.in_turn(follower):
            core.log.add(b"\x00k=forged", core.last_index + 1, core.term)
            core.on_message(world.peer(follower, leader), message)
        assert core.commit_index < core.last_index


def test_only_an_entry_of_its_own_term_commits() -> None:
    """A majority that holds an older term's entry does not commit it (Raft, section 5.4.2 and figure 8)."""
    with calm() as world:
        leader = world.find_leader()
        follower, other = world.followers()
        hide_commits(world, leader, follower)
        world.write(leader, 3)
        core = world.driver(follower).core
        old = core.last_index
        isolate(world, follower)
        with world.in_turn(follower):
            core.stand()
            core.on_message(
                world.peer(follower, other), {"type": "vote_reply", "term": core.term, "granted": True}
            )
            assert LEADER == core.role
            committed = core.commit_index
            assert committed < old < core.last_index
            reply = {"type": "append_reply", "term": core.term, "round": 0, "matched": old, "next": old + 1}
            core.on_message(world.peer(follower, other), reply)
            core.tick()
            assert committed == core.commit_index
            core.on_message(world.peer(follower, other), reply | {"matched": core.last_index})
            core.tick()
            assert core.last_index == core.commit_index


def test_a_late_acknowledgement_of_another_term_counts_for_nothing() -> None:
    """What a follower held in an older term it may have dropped since."""
    with calm() as world:
        leader = world.find_leader()
        follower = world.followers()[0]
        isolate(world, leader)
        future = world.propose(leader)
        world.run_until(world.now_s + 0.01)
        core = world.driver(leader).core
        late = {
            "type": "append_reply",
            "term": core.term - 1,
            "round": 0,
            "matched": core.last_index,
            "next": 1,
        }
        with world.in_turn(leader):
            core.on_message(world.peer(leader, follower), late)
            core.tick()
        assert not future.done()
        assert core.commit_index < core.last_index


def test_a_leader_that_was_replaced_answers_no_read() -> None:
    """While it still believes to lead, others have written what it does not know."""
    with calm() as world:
        leader = world.find_leader()
        isolate(world, leader)
        read = world.read(leader, 0.4)
        world.run_until(world.now_s + 0.39)
        assert not (read.done() and isinstance(read.result(), Committed))


def test_a_node_ahead_of_its_leader_is_heard() -> None:
    """A node in a later term refuses the leader; told so, the leader makes room for one that all can follow."""
    with calm() as world:
        leader = world.find_leader()
        ahead = world.followers()[0]
        for name in world.names:
            world.network.block(ahead, name)
        with world.in_turn(ahead):
            world.driver(ahead).core.stand()
        for name in world.names:
            world.network.break_wire(frozenset((ahead, name)))
        world.run_until(world.now_s + 0.1)
        world.network.heal()
        world.write(leader)
        last = world.driver(leader).core.last_index
        world.wait(lambda: world.driver(ahead).core.applied_index >= last, 3.0)


def test_a_long_conflict_takes_few_messages() -> None:
    """A hundred entries that disagree are skipped by their term, not one by one."""
    with calm() as world:
        old = world.find_leader()
        isolate(world, old)
        for _ in range(100):
            world.propose(old, 0.3)
        world.wait(lambda: world.leader() not in (None, old))
        new = world.find_leader()
        world.write(new, 100)
        sent = world.sent_by(new)
        world.network.break_wire(frozenset((old, new)))
        world.run_until(world.now_s + 1.0)
        world.network.heal()
        last = world.driver(new).core.last_index
        world.wait(lambda: world.driver(old).core.applied_index >= last)
        assert 60 > sum(1 for each in sent if each["to"] == old and each["type"] == "append_entries")


def test_a_late_message_cuts_nothing_that_agrees() -> None:
    """An older, shorter message of the same leader takes nothing back from what was acknowledged since."""
    with calm() as world:
        leader = world.find_leader()
        follower = world.followers()[0]
        world.write(leader, 3)
        world.wait(lambda: world.driver(follower).core.last_index == world.driver(leader).core.last_index)
        core = world.driver(follower).core
        last = core.last_index
        previous = core.log[-3]
        late = {
            "type": "append_entries",
            "term": core.term,
            "round": 0,
            "commit_index": 0,
            "entries": [list(core.log[-2])],
            "prevLogIdx": previous[1],
            "prevLogTerm": previous[2],
        }
        with world.in_turn(follower):
            core.on_message(world.peer(follower, leader), late)
        assert last == core.last_index


def test_a_vote_outlives_the_power() -> None:
    """Who has voted in a term votes for nobody else in it, though the machine lost its power in between."""
    with calm() as world:
        leader = world.find_leader()
        voter, other = world.followers()
        isolate(world, voter)
        world.run_until(world.now_s + 1.0)
        wish = {"type": "request_vote", "term": 50, "transfer": False, "last_index": 99, "last_term": 50}
        with world.in_turn(voter):
            core = world.driver(voter).core
            core.on_message(world.peer(voter, other), wish)
            assert (50, other) == (core.term, core.voted_for)
        world.crash(voter, power=True)
        world.start(voter)
        world.run_until(world.now_s + 1.0)
        with world.in_turn(voter):
            core = world.driver(voter).core
            core.on_message(world.peer(voter, leader), wish)
            assert (50, other) == (core.term, core.voted_for)


def test_what_is_acknowledged_outlives_the_power_of_all() -> None:
    """Every node loses its power right after the answer, and the write is there."""
    with calm() as world:
        world.write(world.find_leader(), 5)
        owed = world.ledger.acknowledged_index
        for name in world.names:
            world.crash(name, power=True)
        for name in world.names:
            world.start(name)
        world.write(world.find_leader())
        assert owed < world.ledger.acknowledged_index
        assert owed in world.ledger.commands
        world.wait(lambda: all(world.process(name).machine.state.index > owed for name in world.names))


def test_who_does_not_vote_raises_no_term() -> None:
    """A replica, or a former member, deposes no leader by whatever it answers."""
    with calm() as world:
        leader = world.find_leader()
        core = world.driver(leader).core
        term = core.term
        stranger = Node("edge")
        core.learners.add(stranger)
        core.next_index[stranger] = core.match_index[stranger] = 1
        late = {"term": term + 1000, "round": 0, "matched": 1, "next": 2, "granted": True, "asked": term + 1000}
        with world.in_turn(leader):
            for kind in ("append_reply", "vote_reply", "pre_vote_reply"):
                core.on_message(stranger, late | {"type": kind})
            assert (LEADER, term) == (core.role, core.term)


def test_a_conflict_far_away_is_sent_once() -> None:
    """A leader that is refused goes back once, not once for every message that was on its way."""
    with calm(weather=FAR) as world:
        old = world.find_leader()
        isolate(world, old)
        for _ in range(100):
            world.propose(old, 0.3)
        world.wait(lambda: world.leader() not in (None, old))
        new = world.find_leader()
        world.network.break_wire(frozenset((old, new)))
        world.run_until(world.now_s + 1.0)
        world.write(new, 20)
        sent = world.sent_by(new)
        world.network.heal()
        for _ in range(40):
            world.propose(new)
            world.run_until(world.now_s + 0.01)
        last = world.driver(new).core.last_index
        world.wait(lambda: world.driver(old).core.applied_index >= last)
        entries = [
            len(each["entries"]) for each in sent if each["to"] == old and each["type"] == "append_entries"
        ]
        assert 200 > sum(entries)
