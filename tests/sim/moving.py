"""Nodes that come, go, lose their disks and begin anew, at random, while clients write."""

import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from raft.errors import RaftError
from raft.membership import Change, Membership
from raft.proposal import Committed, NotCommitted, Outcome
from raft.settings import RaftSettings
from tests.sim.calm import Calm
from tests.sim.checker import Violation
from tests.sim.disk import SimDisk
from tests.sim.network import Weather
from tests.sim.world import Machine, Process

REFUSAL_WORDS = ("was removed from the cluster",)


class MovingWorld(Calm):
    """A cluster of three, and machines that wait to be let in."""

    def __init__(
        self, seed: int, founders: int, spares: int, weather: Weather, *, snapshot_entries: int
    ) -> None:
        super().__init__(seed, founders + spares, snapshot_entries, weather)
        self.founders = self.names[:founders]
        self.gone: set[str] = set()
        """Machines whose program said that the node was removed; empty directories let them come again."""
        self.directories: dict[str, str] = {}
        """The data directory that each machine has."""

    def _settings(self, name: str) -> RaftSettings:
        settings = super()._settings(name)
        known = {each: settings.members[each] for each in (*self.founders, name)}
        return replace(settings, members=known)

    def _judge(self, machine: Machine, process: Process, error: BaseException) -> None:
        if isinstance(error, RaftError) and any(words in str(error) for words in REFUSAL_WORDS):
            self.note("gone", machine.name)
            self.gone.add(machine.name)
            return
        super()._judge(machine, process, error)

    def wipe(self, name: str) -> None:
        """Give the machine an empty disk; its program does not run meanwhile."""
        self.note("wipe", name)
        self.crash(name, power=True)
        self.machines[name].disk = SimDisk(random.Random(self.rng.random()))
        self.gone.discard(name)
        self.directories[name] = "emptied"

    def start(self, name: str) -> None:
        super().start(name)
        process = self.machines[name].process
        if process is not None:
            self.directories[name] = process.driver.core.directory

    def membership(self) -> Membership | None:
        """What the newest leader's log says of the members."""
        leader = self.leader()
        return None if leader is None else self.driver(leader).core.roster.current

    def is_settled(self) -> bool:
        """Say whether every node of the founders came with a directory that the leader's log knows, for good."""
        leader = self.leader()
        if leader is None:
            return False
        core = self.driver(leader).core
        return core.roster.index <= core.commit_index and all(
            seat.directory for seat in core.roster.current.seats
        )

    def settled_leader(self) -> str:
        """Return the leader once all members are known."""
        self.wait(self.is_settled)
        return str(self.leader())

    def done(self, change: Change) -> None:
        """Have the leader make a change, and wait until it is made."""
        outcomes: list[Outcome] = []
        self.change(self.settled_leader(), change, outcomes.append)
        self.wait(lambda: bool(outcomes))
        assert isinstance(outcomes[0], Committed), outcomes

    def change(self, by: str, change: Change, then: Callable[[Outcome], None] = lambda _outcome: None) -> None:
        future: Future[Outcome] = Future()
        future.add_done_callback(lambda done: then(done.result()))
        process = self.machines[by].process
        if process is None:
            return
        driver = process.driver
        self.in_node(by, lambda: driver.change_members(change, future, 3.0))


class Movers:
    """Operators who do one thing after the other; never are two voters without their memory at once."""

    def __init__(self, world: MovingWorld, rng: random.Random, mean_gap_s: float) -> None:
        self._world = world
        self._rng = rng
        self._mean_gap_s = mean_gap_s
        self._over = False
        self.done: list[str] = []
        self._next()

    def end(self) -> None:
        self._over = True

    def _next(self) -> None:
        self._world.after(self._rng.expovariate(1 / self._mean_gap_s), self._act)

    def _act(self) -> None:
        if self._over:
            return
        membership = self._world.membership()
        if membership is not None:
            self._move(membership)
        self._next()

    def unwell(self, membership: Membership) -> list[str]:
        """Return the members whose seat is not that of the disk they have now."""
        return [seat.name for seat in membership.seats if not self.is_well(seat.name, seat.directory)]

    def is_well(self, name: str, directory: str) -> bool:
        if name in self._world.gone:
            return False
        return not directory or self._world.directories.get(name, directory) == directory

    def _move(self, membership: Membership) -> None:
        world, rng = self._world, self._rng
        by = rng.choice(world.running())
        sick = self.unwell(membership)
        pending = [seat.name for seat in membership.seats if seat.role == "learner"]
        seated = {seat.name for seat in membership.seats}
        if sick:
            self._replace(by, sick[0])
            return
        kind = rng.choices(("add", "remove", "wipe", "replace", "address"), (5, 3, 2, 2, 1))[0]
        if kind == "add":
            outside = [name for name in world.names if name not in seated]
            if outside:
                self._add(by, rng.choice(outside))
        elif kind == "remove" and len(membership.voters) > 2:
            name = rng.choice(sorted(seated))
            self.done.append(f"remove {name}")
            world.change(by, Change("remove", name))
        elif kind == "wipe" and not pending and len(membership.voters) >= 3:
            name = rng.choice(membership.voters)
            if all(seat.directory for seat in membership.seats):
                self.done.append(f"wipe {name}")
                world.wipe(name)
                world.start(name)
        elif kind == "replace" and not pending and len(membership.voters) >= 3:
            self._replace(by, rng.choice(membership.voters))
        elif kind == "address":
            name = rng.choice(sorted(seated))
            self.done.append(f"move {name}")
            seat = membership.seat(name)
            role = "replica" if seat.role == "replica" else "learner"
            world.change(by, Change("add", name, f"127.0.0.1:{rng.randint(8000, 9000)}", role))

    def _add(self, by: str, name: str) -> None:
        """Let a node in, with what it had if it was a member before, or with nothing."""
        world = self._world
        self.done.append(f"add {name}")
        if name in world.gone or self._rng.random() < 0.7:
            world.wipe(name)
        world.change(by, Change("add", name, f"127.0.0.1:{self._rng.randint(8000, 9000)}"))
        if world.machines[name].process is None:
            world.start(name)

    def _replace(self, by: str, name: str) -> None:
        """Replace a node that lost its disk, or one that is to lose it once that is known to be done."""
        world = self._world
        self.done.append(f"replace {name}")

        def then(outcome: Outcome) -> None:
            if not isinstance(outcome, NotCommitted) and world.machines[name].process is None:
                world.start(name)

        if name in world.gone:
            world.wipe(name)
        world.change(by, Change("replace", name), then)
        if world.machines[name].process is None:
            world.start(name)


__all__ = ["Movers", "MovingWorld", "Violation"]
