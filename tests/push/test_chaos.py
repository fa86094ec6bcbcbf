"""A thousand changes while everything around them fails: the target ends right and never was empty."""

import asyncio
import random
from typing import Any

import pytest

from node.health.service import Endpoint
from node.push.turns import rank
from node.state.command import DeleteEndpoint, PutEndpoint, PutService
from node.state.pushes import PutTarget
from node.zone.name import Name, from_text
from node.zone.rrset import make
from tests.push.lab import NODES, ZONE, A, Log, MemoryServer, addresses, run_virtually, service, target, until
from tests.push.test_pusher import Team

NAMES = tuple(from_text(f"service{number}", ZONE) for number in range(5))
FOREIGN = addresses("198.51.100.7")[0]


class World:
    """Five services, three nodes, one target; a seed decides what happens to them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        texts = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
        self.log = Log(*(PutService(service(*texts, fqdn=name)) for name in NAMES), PutTarget(target()))
        self.server = MemoryServer()
        self.team = Team(self.log, self.server)
        self.changes = 0
        self.foreign: set[Name] = set()

    def change(self) -> None:
        """Let one endpoint go down or up, appear or go."""
        name, address = self.chance.choice(NAMES), f"192.0.2.{self.chance.randint(1, 4)}"
        action = self.chance.random()
        before = self.wanted()
        if action < 0.9:
            self.log.vote(address, up=self.chance.random() < 0.5, fqdn=name)
        elif action < 0.95 or len(self.log.state.services[name].endpoints) < 3:
            self.log.do(PutEndpoint(name, Endpoint(address)))
        else:
            self.log.do(DeleteEndpoint(name, address))
        self.changes += before != self.wanted()

    def fault(self) -> None:
        """Change what fails."""
        kind = self.chance.randrange(6)
        if kind == 0:
            self.server.unreachable_for = set(self.chance.sample(NODES, self.chance.randint(0, 3)))
        elif kind == 1:
            self.team.minority = set(self.chance.sample(NODES, self.chance.randint(0, 1)))
        elif kind == 2:
            self.team.heard = set(NODES) - self.team.minority
        elif kind == 3 and self.server.history:
            self.server.rrsets = dict(self.chance.choice(self.server.history))
            self.server.number += 1
            self.foreign = {name for name in NAMES if FOREIGN in self.server.rdatas(name)}
        elif kind == 4:
            self.write_beside()
        else:
            self.server.unreachable_for = set()

    def write_beside(self) -> None:
        """Let somebody else add a record to one of the names, and never take it away."""
        name = self.chance.choice(NAMES)
        self.server.put(make(name, A, 60, [*self.server.rdatas(name), FOREIGN]))
        self.foreign.add(name)

    def wanted(self) -> dict[Name, tuple[bytes, ...]]:
        """Return what the State asks for."""
        services = self.log.state.services
        return {name: addresses(*services[name].published) for name in NAMES}

    def is_right(self) -> bool:
        """Say whether the target holds what is asked for, and beside it what others wrote."""
        return all(
            set(self.server.rdatas(name)) == {*rdatas, *([FOREIGN] if name in self.foreign else [])}
            for name, rdatas in self.wanted().items()
        )


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_changes_in_a_bad_world(seed: int) -> None:
    """Servers cut off and restored from backups, nodes without a majority, others writing: all ends well."""

    async def main() -> World:
        world = World(seed)
        async with world.team.running():
            await until(world.is_right, "first push")
            for number in range(1000):
                world.change()
                await asyncio.sleep(world.chance.choice([0.0, 0.01, 0.5, 3.0]))
                if number % 5 == 0:
                    world.fault()
            world.server.unreachable_for, world.team.minority = set(), set()
            world.team.heard = set(NODES)
            await until(world.is_right, "right in the end", limit_s=120)
            await until(world.team.is_synced, "known to be right", limit_s=120)
        return world

    world = run_virtually(main())
    assert all(rrsets[(name, A)].rdatas for rrsets in world.server.history for name in NAMES)
    assert len(world.server.updates) <= 2 * world.changes
    assert len(world.team.reports()) <= 3 * world.changes


def test_a_quiet_world_takes_one_update_a_change() -> None:
    """Without faults every change is one update and one entry in the log, or less."""

    async def main() -> World:
        world = World(7)
        async with world.team.running():
            await until(world.is_right, "first push")
            for _ in range(300):
                world.change()
                await asyncio.sleep(1)
        return world

    world = run_virtually(main())
    assert world.is_right()
    assert len(world.server.updates) <= world.changes + 1
    assert {rank(NODES, "far")[0]} == {node for node, _ in world.server.updates}


def test_two_runs_of_one_seed_are_the_same() -> None:
    """A failure found here can be played again."""

    async def main() -> list[Any]:
        world = World(11)
        async with world.team.running():
            for _ in range(50):
                world.change()
                world.fault()
                await asyncio.sleep(0.5)
        return world.server.updates

    assert run_virtually(main()) == run_virtually(main())
