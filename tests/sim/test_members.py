"""Nodes that come and go, step by step on the virtual clock; random seeds play more of it (``operators``)."""

from raft.membership import Change
from raft.proposal import Committed
from tests.sim.calm import Calm, calm
from tests.sim.test_corrections import isolate


def settle_founding(world: Calm) -> None:
    """Wait until the log knows every node by its data directory."""

    def is_known() -> bool:
        membership = world.ledger.membership
        return membership is not None and all(seat.directory for seat in membership.seats)

    world.wait(is_known)
    last = max(world.ledger.memberships)
    world.wait(lambda: all(world.driver(name).core.applied_index >= last for name in world.running()))


def test_one_change_at_a_time() -> None:
    """A leader on the lesser side that could remove one node after the other would soon agree with itself."""
    with calm() as world:
        settle_founding(world)
        leader = world.find_leader()
        first, second = world.followers()
        isolate(world, leader)
        driver = world.driver(leader)
        committed = driver.core.commit_index
        with world.in_turn(leader):
            assert driver.changes.begin(Change("remove", first)) is not None
            assert driver.changes.begin(Change("remove", second)) is None
            driver.core.tick()
        assert committed == driver.core.commit_index


def test_a_membership_that_is_cut_is_taken_back() -> None:
    """A change that another leader's entries replaced never was."""
    with calm() as world:
        settle_founding(world)
        old = world.find_leader()
        isolate(world, old)
        with world.in_turn(old):
            world.driver(old).changes.begin(Change("add", "n9", "127.0.0.1:7009"))
        world.wait(lambda: world.leader() not in (None, old))
        new = world.find_leader()
        world.write(new)
        world.network.heal()
        last = world.driver(new).core.last_index
        world.wait(lambda: world.driver(old).core.applied_index >= last)
        assert world.driver(new).core.roster.current == world.driver(old).core.roster.current


def test_a_node_without_its_memory_elects_nobody() -> None:
    """It would vote for one who lacks what it had acknowledged itself."""
    with calm() as world:
        settle_founding(world)
        leader = world.find_leader()
        forgetful, late = world.followers()
        isolate(world, late)
        world.write(leader, 5)
        world.wipe(forgetful)
        world.crash(leader, power=True)
        world.network.heal()
        world.start(forgetful)
        world.run_until(world.now_s + 5.0)
        assert world.leader() is None
        world.start(leader)
        world.write(world.find_leader())


def test_a_leader_that_is_removed_hands_over_first() -> None:
    """Another leader does it, within an election timeout, and the removed node ends."""
    with calm() as world:
        settle_founding(world)
        leader = world.find_leader()
        others = world.followers()
        outcome = world.outcome(world.change(others[0], Change("remove", leader)))
        assert isinstance(outcome, Committed)
        world.wait(lambda: world.leader() in others)
        world.wait(lambda: world.machines[leader].process is None)
        assert sorted(others) == world.members()
        world.write(others[1])


def test_a_node_that_comes_votes_once_it_has_caught_up() -> None:
    """It begins as a learner, gets a snapshot and the log, and is promoted by the leader; its vote then counts."""
    with calm(snapshot_entries=15) as world:
        settle_founding(world)
        leader = world.find_leader()
        world.write(leader, 40)
        world.fresh_machine("n4", "voter")
        added = Change("add", "n4", world.address("n4"))
        assert isinstance(world.outcome(world.change(leader, added)), Committed)
        assert "learner" == world.ledger.seats()["n4"]
        world.start("n4")
        world.wait(lambda: world.ledger.seats()["n4"] == "voter")
        followers = [name for name in world.followers() if name != "n4"]
        world.crash(followers[0], power=True)
        world.write(leader)


def test_a_replica_follows_and_counts_for_nothing() -> None:
    """Two voters of three are gone: a replica beside the third makes no majority."""
    with calm() as world:
        settle_founding(world)
        leader = world.find_leader()
        world.fresh_machine("n4", "replica")
        added = Change("add", "n4", world.address("n4"), "replica")
        assert isinstance(world.outcome(world.change(leader, added)), Committed)
        world.start("n4")
        last = world.driver(leader).core.last_index
        world.wait(lambda: world.driver("n4").core.applied_index >= last)
        for name in world.followers():
            if name != "n4":
                world.crash(name, power=True)
        world.run_until(world.now_s + 1.0)
        assert world.leader() is None


def test_a_removal_that_never_was_shuts_nobody_out() -> None:
    """A node holds the removal of one who then leads without it: the two must still meet, for it to be taken back."""
    with calm(nodes=5) as world:
        settle_founding(world)
        old = world.find_leader()
        holder, wanted, *rest = world.followers()
        for name in (wanted, *rest):
            world.network.block(old, name)
        with world.in_turn(old):
            assert world.driver(old).changes.begin(Change("remove", wanted)) is not None
        world.wait(lambda: world.driver(holder).core.roster.current.seat(wanted) is None, 1.0)
        world.crash(old, power=True)
        isolate(world, holder)
        with world.in_turn(wanted):
            world.driver(wanted).core.stand(transfer=True)
        world.wait(lambda: world.leader() == wanted, 0.2)
        world.write(wanted)
        world.network.heal()
        last = world.driver(wanted).core.last_index
        world.wait(lambda: world.driver(holder).core.applied_index >= last)
        assert wanted in world.driver(holder).core.roster.current.voters


def test_who_missed_that_a_node_came_is_told_by_others() -> None:
    """The only leader it knew is gone, and the present one came when it was away: it is told who that is."""
    with calm() as world:
        settle_founding(world)
        old = world.find_leader()
        others = world.followers()
        for name, role in (("n4", "replica"), ("n5", "voter")):
            world.fresh_machine(name, role)
        replica = Change("add", "n4", world.address("n4"), "replica")
        assert isinstance(world.outcome(world.change(old, replica)), Committed)
        world.start("n4")
        last = world.driver(old).core.last_index
        world.wait(lambda: world.driver("n4").core.applied_index >= last)
        for source, target in ((old, "n4"), ("n4", old)):
            world.network.block(source, target)
        voter = Change("add", "n5", world.address("n5"))
        assert isinstance(world.outcome(world.change(old, voter)), Committed)
        world.start("n5")
        world.wait(lambda: world.ledger.seats()["n5"] == "voter")
        world.wait(lambda: len(world.driver("n5").core.connected) == 4)
        assert isinstance(world.outcome(world.change(others[0], Change("lead", "n5"))), Committed)
        world.wait(lambda: world.leader() == "n5")
        assert isinstance(world.outcome(world.change(others[0], Change("remove", old))), Committed)
        world.switch_off(world.machines[old])
        last = world.driver("n5").core.last_index
        world.wait(lambda: world.driver("n4").core.applied_index >= last)
