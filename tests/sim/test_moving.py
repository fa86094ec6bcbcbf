"""Nodes that come and go, step by step on the virtual clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raft.library import Node
from raft.membership import Change
from tests.sim.moving import MovingWorld
from tests.sim.network import Weather


@contextmanager
def moving(founders: int = 3, spares: int = 2, snapshot_entries: int = 1000) -> Iterator[MovingWorld]:
    """Run a cluster that has a leader, and spare machines."""
    world = MovingWorld(1, founders, spares, Weather(slow=0.0), snapshot_entries=snapshot_entries)
    with world.installed():
        for name in world.founders:
            world.start(name)
        world.wait(lambda: world.leader() is not None and world.is_settled())
        yield world


def test_the_log_remembers_no_more_memberships_than_it_holds() -> None:
    """A node that runs for years forgets what its snapshots have made past."""
    with moving(snapshot_entries=20) as world:
        leader = world.settled_leader()
        for number in range(40):
            world.done(Change("add", "n1", f"127.0.0.1:{8000 + number}"))
            world.write(leader, 2)
        world.wait(lambda: all(len(world.driver(name).core.roster._known) < 25 for name in world.founders))


def test_a_learner_that_needs_a_snapshot_does_not_vote_before_it_has_it() -> None:
    """It lacks few entries, but the first of them are nowhere any more: until it has them it helps no majority."""
    with moving(1, 1, snapshot_entries=20) as world:
        world.write("n1", 60)
        world.wait(lambda: world.driver("n1").core.base_index > 1)
        world.done(Change("add", "n2", "127.0.0.1:7001"))
        world.start("n2")
        transport = world.network.transports["n1"]
        send = transport.send

        def lose_pieces(node: Node, message: dict[str, Any], *, bulk: bool = False) -> bool:
            return bulk or send(node, message, bulk=bulk)

        transport.send = lose_pieces  # type: ignore[method-assign]
        world.run_until(world.now_s + 5)
        assert ("n1",) == world.driver("n1").core.roster.current.voters
        transport.send = send  # type: ignore[method-assign]
        world.wait(lambda: ("n1", "n2") == world.driver("n1").core.roster.current.voters, 20.0)
