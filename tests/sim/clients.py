"""Clients on every node: writes of values that are never repeated, and reads behind a barrier."""

import random
from concurrent.futures import Future

from raft.proposal import Committed, Outcome
from tests.sim.checker import Violation
from tests.sim.history import Operation
from tests.sim.world import Process, World

TIMEOUT_S = 1.5
GRACE_S = 0.05
"""By how much an outcome may come later than its timeout: never, but for what the loop does first."""


class Clients:
    """A few clients that each do one thing after the other."""

    def __init__(self, world: World, rng: random.Random, count: int, keys: int, think_s: float) -> None:
        self._world = world
        self._rng = rng
        self._keys = keys
        self._think_s = think_s
        self._number = 0
        self._over = False
        self.history: list[Operation] = []
        self.committed = self.refused = self.unknown = self.reads = 0
        for _ in range(count):
            self._next()

    def end(self) -> None:
        """Begin nothing any more."""
        self._over = True

    def _next(self) -> None:
        self._world.after(self._rng.expovariate(1 / self._think_s), self._act)

    def _act(self) -> None:
        if self._over:
            return
        running = self._world.running()
        if not running:
            self._next()
            return
        name = self._rng.choice(running)
        process = self._world.machines[name].process
        assert process is not None
        key = f"k{self._rng.randrange(self._keys)}"
        if self._rng.random() < 0.6:
            self._write(process, key)
        else:
            self._read(process, key)

    def _write(self, process: Process, key: str) -> None:
        self._number += 1
        operation = Operation("write", key, str(self._number), self._world.next_moment())
        self.history.append(operation)
        command = f"{key}={self._number}".encode()
        future: Future[Outcome] = Future()
        written = self._world.guarded(self._written)
        future.add_done_callback(lambda done: written(process, operation, command, done.result()))
        self._world.in_node(process.name, lambda: process.driver.propose(command, future, TIMEOUT_S))
        self._watch(process, future)

    def _written(self, process: Process, operation: Operation, command: bytes, outcome: Outcome) -> None:
        ledger = self._world.ledger
        ledger.proposal_ended(command, outcome, process.machine.digest)
        self._world.note("written", command, outcome)
        if isinstance(outcome, Committed):
            self.committed += 1
            operation.returned = self._world.next_moment()
        elif command in ledger.refused:
            self.refused += 1
            self.history.remove(operation)
        else:
            self.unknown += 1
        self._next()

    def _read(self, process: Process, key: str) -> None:
        operation = Operation("read", key, None, self._world.next_moment())
        owed_index = self._world.ledger.acknowledged_index
        future: Future[Outcome] = Future()
        was_read = self._world.guarded(self._was_read)
        future.add_done_callback(lambda done: was_read(process, operation, owed_index, done.result()))
        self._world.in_node(process.name, lambda: process.driver.read_barrier(future, TIMEOUT_S))
        self._watch(process, future)

    def _was_read(self, process: Process, operation: Operation, owed_index: int, outcome: Outcome) -> None:
        if isinstance(outcome, Committed):
            applied_index = process.driver.core.applied_index
            if applied_index < owed_index:
                raise Violation(
                    f"{process.name} reads at {applied_index} what was {owed_index} when it was asked"
                )
            self.reads += 1
            operation.value = process.machine.values.get(operation.key)
            operation.returned = self._world.next_moment()
            self._world.note("read", operation.key, operation.value)
            self.history.append(operation)
        self._next()

    def _watch(self, process: Process, future: "Future[Outcome]") -> None:
        """No outcome is later than its timeout, unless the process is gone or stands still."""

        def check() -> None:
            machine = self._world.machines[process.name]
            if future.done():
                return
            if machine.process is not process:
                self._next()  # the client's node died under it; its write may have happened
            elif machine.is_paused:
                self._world.after(0.2, check)
            else:
                raise Violation(f"a client of {process.name} waits longer than it allowed")

        self._world.after(TIMEOUT_S + GRACE_S, check)
