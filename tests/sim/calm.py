"""A cluster of three in a kind world, for misfortunes that are told step by step."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from node.state.command import Entry, encode
from raft.library import Node
from raft.membership import Change
from raft.pending import Pending
from raft.proposal import Committed, Outcome
from tests.sim.network import Weather
from tests.sim.records import put
from tests.sim.world import World

CALM = Weather(slow=0.0)
FAR = Weather(delay_s=(0.04, 0.041), slow=0.0)
NAMES = ("n1", "n2", "n3")


class Calm(World):
    """A small cluster in a kind world, with a leader."""

    def __init__(self, seed: int, nodes: int, snapshot_entries: int, weather: Weather) -> None:
        super().__init__(seed, nodes, weather, snapshot_entries=snapshot_entries)
        self.number = 0

    def wait(self, condition: Callable[[], bool], seconds: float = 5.0) -> float:
        """Let time pass until the condition holds; return how much passed."""
        begin_s = self.now_s
        assert self.run_until(begin_s + seconds, condition), "not in time"
        return self.now_s - begin_s

    def find_leader(self) -> str:
        self.wait(lambda: self.leader() is not None)
        found = self.leader()
        assert found is not None
        return found

    def followers(self) -> list[str]:
        leader = self.find_leader()
        return [name for name in self.running() if name != leader]

    def propose(self, name: str, timeout_s: float = 3.0) -> Pending:
        self.number += 1
        command = encode(Entry(put("k", str(self.number)), self.wall_ms(name)))
        future: Pending = Pending()
        driver = self.driver(name)
        self.in_node(name, lambda: self.bring(driver, command, future, timeout_s))
        return future

    def change(self, name: str, change: Change) -> Pending:
        future: Pending = Pending()
        driver = self.driver(name)
        self.in_node(name, lambda: driver.change_members(change, future, 3.0))
        return future

    def read(self, name: str, timeout_s: float = 3.0) -> Pending:
        future: Pending = Pending()
        driver = self.driver(name)
        self.in_node(name, lambda: driver.read_barrier(future, timeout_s))
        return future

    def outcome(self, future: Pending, seconds: float = 5.0) -> Outcome:
        self.wait(future.done, seconds)
        return future.result()

    def write(self, name: str, count: int = 1) -> None:
        for _ in range(count):
            outcome = self.outcome(self.propose(name))
            assert isinstance(outcome, Committed)
            self.ledger.acknowledged_index = max(self.ledger.acknowledged_index, outcome.index)

    def peer(self, name: str, other: str) -> Node:
        return next(node for node in self.driver(name).core.voters if node.id == other)

    def in_turn(self, name: str) -> AbstractContextManager[None]:
        """Do what follows as the node itself would, at this moment."""
        return self._as(self.machines[name])

    def sent_by(self, name: str) -> list[dict[str, Any]]:
        """Watch what a node sends from now on."""
        sent: list[dict[str, Any]] = []
        transport = self.network.transports[name]
        send = transport.send

        def watch(node: Node, message: dict[str, Any], *, bulk: bool = False) -> bool:
            sent.append({"to": node.id, **message})
            return send(node, message, bulk=bulk)

        transport.send = watch  # type: ignore[method-assign]
        return sent


@contextmanager
def calm(
    snapshot_entries: int = 1000, seed: int = 1, weather: Weather = CALM, nodes: int = 3
) -> Iterator[Calm]:
    """Run a cluster that has a leader and has committed something."""
    world = Calm(seed, nodes, snapshot_entries, weather)
    with world.installed():
        for name in world.names:
            world.start(name)
        world.write(world.find_leader())
        yield world
