"""Clients on every node: writes, conditional writes and deletions, tried again or not, and reads behind a barrier.

They write through what a real node writes through: ``node.proposing``, which tries again under a ticket. Some
give a key of their own and ask another node when the first one died or could not tell; some try once.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from node.state.command import ChangeZone, Entry, Ticket, encode
from node.state.state import Accepted, Refused
from raft.pending import Pending
from raft.proposal import Committed, NotCommitted, Outcome, Unknown
from tests.sim import records
from tests.sim.checker import Values, Violation
from tests.sim.linearizable import Operation
from tests.sim.world import Process, World

TIMEOUT_S = 1.5
GRACE_S = 0.05
"""By how much an outcome may come later than its timeout: never, but for what the loop does first."""
ASKED_MAX = 4
"""How many nodes a client with a key of its own asks."""


@dataclass
class Write:
    """One write of one client, through however many nodes."""

    operation: Operation
    command: ChangeZone
    style: str
    """``once``, ``node`` (tried again by the node), or ``key`` (by the client as well)."""
    number: int
    asked: int = 0
    is_in_doubt: bool = False


class Clients:
    """A few clients that each do one thing after the other."""

    def __init__(self, world: World, rng: random.Random, count: int, keys: int, think_s: float) -> None:
        self._world = world
        self._rng = rng
        self._keys = [f"k{number}" for number in range(keys)]
        self._think_s = think_s
        self._number = 0
        self._over = False
        self._values = Values()
        self.history: list[Operation] = []
        self.committed = self.refused = self.unknown = self.reads = self.swaps = 0
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
        process = self._running()
        if process is None:
            self._next()
            return
        key = self._rng.choice(self._keys)
        if self._rng.random() < 0.35:
            self._read(process, key)
        else:
            self._ask(self._draw_write(process, key), process)

    def _running(self) -> Process | None:
        running = self._world.running()
        return self._world.machines[self._rng.choice(running)].process if running else None

    # --- writes ---------------------------------------------------------------------------------------

    def _draw_write(self, process: Process, key: str) -> Write:
        """Return the next write; a conditional one builds on what the node shows, be it old."""
        self._number += 1
        value = str(self._number)
        moment = self._world.next_moment()
        kind = self._rng.choices(("put", "swap", "delete"), (5, 4, 1))[0]
        if kind == "swap":
            state = process.machine.state
            expected = records.value_of(state, key)
            command = records.put(key, value, self._values.seen(state, key, expected))
            operation = Operation("swap", key, value, moment, expected=expected)
        elif kind == "delete":
            command, operation = records.delete(key), Operation("write", key, None, moment)
        else:
            command, operation = records.put(key, value), Operation("write", key, value, moment)
        self.history.append(operation)
        style = self._rng.choices(("once", "node", "key"), (2, 4, 4))[0]
        return Write(operation, command, style, self._number)

    def _ask(self, write: Write, process: Process) -> None:
        write.asked += 1
        ended = self._world.guarded(self._answered)
        asked = write.asked

        async def bring() -> None:
            outcome = await self._bring(process, write)
            if write.asked == asked:
                ended(process, write, outcome)

        is_over = self._world.spawn(process, bring())

        def give_up() -> None:
            self._lost(write, asked)

        self._watch(process, is_over, give_up)

    async def _bring(self, process: Process, write: Write) -> Outcome:
        entry = Entry(write.command, self._world.wall_ms(process.name), "client", f"write {write.number}")
        if write.style == "once":
            return await process.try_once(encode(entry), TIMEOUT_S)
        if write.style == "key":
            ticket = Ticket("user", f"key-{write.number}", b"digest", 0)
            entry = Entry(write.command, 0, "client", f"write {write.number}", ticket)
        return await process.proposer.propose(entry, TIMEOUT_S)

    def _answered(self, process: Process, write: Write, outcome: Outcome) -> None:
        self._world.note("written", write.number, write.asked, outcome)
        if isinstance(outcome, Committed):
            self._committed(process, write, outcome)
        elif isinstance(outcome, NotCommitted) and not write.is_in_doubt:
            self.refused += 1
            self.history.remove(write.operation)
            self._next()
        else:
            self._doubt(write)

    def _committed(self, process: Process, write: Write, outcome: Committed) -> None:
        result, operation = outcome.result, write.operation
        if isinstance(result, Refused):
            if operation.kind != "swap" or result.code != "precondition":
                raise Violation(f"{process.name} refuses a good command: {result}")
            operation.swapped = False
        else:
            assert isinstance(result, Accepted)
            operation.swapped = operation.kind == "swap" or None
        self._check_effect(write, result)
        self.committed += 1
        self.swaps += bool(operation.swapped)
        operation.returned = self._world.next_moment()
        self._next()

    def _check_effect(self, write: Write, result: Accepted | Refused) -> None:
        """A client with a key is told the one place where its write took effect, whoever tells it."""
        effect = self._world.ledger.effects.get(("user", f"key-{write.number}"))
        told = result.index if isinstance(result, Accepted) and result.changed else None
        if write.style == "key" and effect != told:
            raise Violation(f"write {write.number} is told to have changed {told}, and did so at {effect}")

    def _lost(self, write: Write, asked: int) -> None:
        """The node died under its client."""
        if write.asked == asked:
            self._doubt(write)

    def _doubt(self, write: Write) -> None:
        """Nobody can tell yet: ask another node if there is a key to ask with, or leave it at that."""
        write.is_in_doubt = True
        process = self._running()
        if write.style == "key" and write.asked < ASKED_MAX and process is not None and not self._over:
            self._ask(write, process)
        else:
            write.asked = ASKED_MAX + 1
            self.unknown += 1
            self._next()

    # --- reads ----------------------------------------------------------------------------------------

    def _read(self, process: Process, key: str) -> None:
        operation = Operation("read", key, None, self._world.next_moment())
        owed_index = self._world.ledger.acknowledged_index
        future: Pending = Pending()
        was_read = self._world.guarded(self._was_read)
        future.add_done_callback(lambda done: was_read(process, operation, owed_index, done.result()))
        self._world.in_node(process.name, lambda: process.driver.read_barrier(future, TIMEOUT_S))
        self._watch(process, future.done, self._next)

    def _was_read(self, process: Process, operation: Operation, owed_index: int, outcome: Outcome) -> None:
        if isinstance(outcome, Committed):
            applied_index = process.driver.core.applied_index
            if applied_index < owed_index:
                raise Violation(
                    f"{process.name} reads at {applied_index} what was {owed_index} when it was asked"
                )
            self.reads += 1
            operation.value = records.value_of(process.machine.state, operation.key)
            self._values.seen(process.machine.state, operation.key, operation.value)
            operation.returned = self._world.next_moment()
            self._world.note("read", operation.key, operation.value)
            self.history.append(operation)
        elif isinstance(outcome, Unknown):
            raise Violation(f"a read of {process.name} is called unknown: {outcome}")
        self._next()

    def _watch(self, process: Process, is_over: Callable[[], bool], give_up: Callable[[], None]) -> None:
        """No outcome is later than its timeout, unless the process is gone or stands still."""

        def check() -> None:
            machine = self._world.machines[process.name]
            if is_over():
                return
            if machine.process is not process:
                give_up()
            elif machine.is_paused:
                self._world.after(0.2, check)
            else:
                raise Violation(f"a client of {process.name} waits longer than it allowed")

        self._world.after(TIMEOUT_S / process.clock.rate + GRACE_S, check)
