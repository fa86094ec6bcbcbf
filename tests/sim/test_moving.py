"""Nodes that come again: what the leader remembers of those before them, and for how long."""

from typing import Any

from raft.library import Node
from raft.membership import Change
from tests.sim.calm import Calm, calm
from tests.sim.test_members import settle_founding


def change(world: Calm, wanted: Change) -> None:
    """Have the leader make a change, and wait until it is committed."""
    driver = world.driver(world.find_leader())
    world.wait(lambda: not driver.changes.is_pending)
    with world.in_turn(world.find_leader()):
        place = driver.changes.begin(wanted)
    assert place is not None
    world.wait(lambda: driver.core.commit_index >= place[0])


def test_the_log_remembers_no_more_memberships_than_it_holds() -> None:
    """A node that runs for years forgets what its snapshots have made past."""
    with calm(snapshot_entries=20) as world:
        settle_founding(world)
        for number in range(40):
            change(world, Change("add", world.followers()[0], f"127.0.0.1:{8000 + number}"))
            world.write(world.find_leader(), 2)
        world.wait(lambda: all(len(world.driver(name).core.roster._known) < 25 for name in world.names))


def test_a_learner_that_needs_a_snapshot_does_not_vote_before_it_has_it() -> None:
    """It lacks few entries, but the first of them are nowhere any more: until it has them it helps no majority."""
    with calm(snapshot_entries=20) as world:
        settle_founding(world)
        leader = world.find_leader()
        core = world.driver(leader).core
        world.write(leader, 60)
        world.wait(lambda: core.base_index > 1)
        change(world, Change("add", "n4", world.address("n4")))
        transport = world.network.transports[leader]
        send = transport.send

        def lose_pieces(node: Node, message: dict[str, Any], *, bulk: bool = False) -> bool:
            return bulk or send(node, message, bulk=bulk)

        transport.send = lose_pieces  # type: ignore[method-assign]
        world.fresh_machine("n4", "voter")
        world.start("n4")
        world.run_until(world.now_s + 5)
        assert "n4" not in core.roster.current.voters
        transport.send = send  # type: ignore[method-assign]
        world.wait(lambda: "n4" in core.roster.current.voters, 20.0)


def test_a_node_that_is_let_in_again_at_once_begins_anew() -> None:
    """The leader still speaks with the removed one; what that one held counts for nothing under the new seat."""
    with calm(nodes=4) as world:
        settle_founding(world)
        name = world.followers()[0]
        core = world.driver(world.find_leader()).core
        node = world.peer(world.find_leader(), name)
        world.write(world.find_leader(), 5)
        world.wait(lambda: core.match_index[node] > 5)
        change(world, Change("remove", name))
        world.crash(name, power=True)
        driver = world.driver(world.find_leader())
        world.wait(lambda: not driver.changes.is_pending)
        with world.in_turn(world.find_leader()):
            assert driver.changes.begin(Change("add", name, world.address(name))) is not None
        assert 0 == core.match_index[node]
        assert node not in core.connected


def test_who_alone_holds_its_own_removal_may_lead_until_that_is_committed() -> None:
    """Its log is the longest, and so nobody else of a bare majority can win (Raft thesis, section 4.2.2)."""
    with calm(nodes=4) as world:
        settle_founding(world)
        old = world.find_leader()
        gone, *rest = world.followers()
        for name in rest:
            world.network.block(old, name)
        with world.in_turn(old):
            assert world.driver(old).changes.begin(Change("remove", gone)) is not None
        world.wait(lambda: world.driver(gone).core.roster.current.seat(gone) is None, 1.0)
        world.crash(old, power=True)
        world.wait(
            lambda: all(world.driver(name).core.roster.current.seat(gone) is None for name in rest), 10.0
        )
        world.wait(lambda: world.leader() in rest, 10.0)
        world.write(rest[0])
