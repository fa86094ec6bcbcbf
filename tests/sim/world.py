"""A cluster in one thread on a virtual clock: the real replica in a bad world.

Everything of ``raft/`` runs as it is but three things: sockets (``network``), files (``disk``) and the
clock with its event loop (``clock``). All chance comes from one seed, so a seed is a run.
"""

import heapq
import os
import random
import zlib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pysyncobj.syncobj as library

import raft.compaction
import raft.core
import raft.driver
import raft.feed
import raft.members
import raft.sending
from node.proposing import Proposer
from node.state import once
from raft.driver import Driver
from raft.errors import EXIT_DISK_FAULT, RaftError
from raft.journal import JournalIdentity, WalJournal
from raft.library import LEADER, Node
from raft.pending import Pending
from raft.proposal import Outcome
from raft.settings import RaftSettings
from raft.snapshots import SnapshotStore
from tests.sim.checker import Ledger, Violation, WatchedMachine
from tests.sim.clock import VirtualLoop
from tests.sim.disk import SimDisk
from tests.sim.network import Network, Weather

TURN_S = 5e-6
"""The time that one turn of a node's loop takes at least; without it a node could wait for now for ever."""
CLOCK_RATES = (0.98, 1.02)
NAMES_MAX = 9
REMOVED = "was removed from the cluster"
WALL_S = 1_700_000_000.0
DISK_FAULTS = ("No space left", "Input/output error")


class StableName(str):
    """A node's name whose hash is the same in every process, so that sets of nodes have one order."""

    __slots__ = ()

    def __hash__(self) -> int:
        return zlib.crc32(self.encode())


@dataclass(frozen=True)
class Clock:
    """A monotonic clock: it began somewhere, and is not quite as fast as others."""

    offset_s: float
    rate: float

    def at(self, now_s: float) -> float:
        """Return what it shows."""
        return now_s * self.rate + self.offset_s

    def when(self, shown_s: float) -> float:
        """Return when it shows that."""
        return (shown_s - self.offset_s) / self.rate


@dataclass
class Process:
    """One run of a node's program."""

    name: str
    number: int
    """Tells it from all other processes of the run."""
    loop: VirtualLoop
    machine: WatchedMachine
    driver: Driver
    clock: Clock
    owed_index: int
    """What was acknowledged to anyone before this process began: it is not ready without."""
    try_once: Callable[[bytes, float], Coroutine[Any, Any, Outcome]]
    proposer: Proposer
    task: Any = None
    clients: list[Any] = field(default_factory=list)
    """Tasks of clients that this process serves."""
    error: BaseException | None = None
    is_over: bool = False


class Machine:
    """A machine of the cluster: its disk stays, its processes come and go."""

    def __init__(self, name: str, disk: SimDisk, known: tuple[str, ...], role: str) -> None:
        self.name = name
        self.disk = disk
        self.known = known
        """The nodes that its configuration names, itself among them."""
        self.role = role
        self.is_off = False
        """Whether it is switched off for good: its node was removed."""
        self.starts = 0
        self.restores = 0
        """How many snapshots its processes took, from others or at their start."""
        self.wall_offset_s = 0.0
        """By how much its wall clock is wrong."""
        self.process: Process | None = None
        self.is_paused = False
        self.turn_at = float("inf")
        self.free_at = 0.0
        """When its processor is done with the last turn."""


class World:
    """All machines, the network and the time."""

    def __init__(self, seed: int, nodes: int, weather: Weather, *, snapshot_entries: int = 40) -> None:
        self.rng = random.Random(seed)
        self.now_s = 100.0
        self.moment = 0
        self.trace = 0
        self.ledger = Ledger()
        founders = tuple(f"n{number}" for number in range(1, nodes + 1))
        self._snapshot_entries = snapshot_entries
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._starts = 0
        self._current: Machine | None = None
        self.network = Network(random.Random(self.rng.random()), weather, self.now, self.at, self.in_node)
        self.machines = {name: self._make_machine(name, founders) for name in founders}
        self._is_like_tcp = not weather.ghost and not weather.duplicate
        """Then what a process hears of was sent to it, not to the one before it."""
        self.violations: list[Exception] = []

    # --- who there is ---------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all machines, members or not."""
        return tuple(self.machines)

    def members(self) -> list[str]:
        """Names of the nodes that belong to the cluster now, as far as anyone has applied."""
        return sorted(self.ledger.seats()) or list(self.names)

    def strangers(self) -> list[str]:
        """Names under which a node may come: of no member, and of no machine that runs."""
        names = [f"n{number}" for number in range(1, NAMES_MAX + 1)]
        taken = {name for name, machine in self.machines.items() if not machine.is_off}
        return [name for name in names if name not in taken and name not in self.ledger.seats()]

    def address(self, name: str) -> str:
        return f"127.0.0.1:{7000 + int(name[1:])}"

    def fresh_machine(self, name: str, role: str) -> Machine:
        """Put a machine with an empty disk in the place of any of this name; it is told who is there now."""
        self.machines[name] = self._make_machine(name, (*self.members(), name), role)
        self.network.disks[name] += 1
        return self.machines[name]

    def _make_machine(self, name: str, known: tuple[str, ...], role: str = "voter") -> Machine:
        return Machine(name, SimDisk(random.Random(self.rng.random())), known, role)

    def wipe(self, name: str) -> None:
        """Let a machine lose its disk."""
        self.crash(name, power=True)
        self.machines[name].disk = SimDisk(random.Random(self.rng.random()))
        self.network.disks[name] += 1

    def start_again(self, name: str) -> None:
        """Start a machine that is down, unless it has no business here any more."""
        machine = self.machines[name]
        if machine.process is None and not machine.is_off:
            self.start(name)

    def switch_off(self, machine: Machine) -> None:
        """Take a removed node's machine away, unless it is a member again or another has taken its name."""
        if machine.name not in self.ledger.seats() and self.machines[machine.name] is machine:
            machine.is_off = True
            self.crash(machine.name, power=True)

    # --- time -----------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.now_s

    def at(self, when_s: float, act: Callable[[], None]) -> None:
        """Let something happen at a time."""
        self._sequence += 1
        heapq.heappush(self._events, (when_s, self._sequence, act))

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        self.at(self.now_s + delay_s, act)

    def run_until(self, end_s: float, condition: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; stop early when the condition holds, and say whether it did."""
        while not condition():
            if self.violations:
                raise self.violations[0]
            event_s = self._events[0][0] if self._events else float("inf")
            machine = min(self.machines.values(), key=_turn_at)
            next_s = min(event_s, machine.turn_at)
            if next_s > end_s:
                self.now_s = end_s
                return condition()
            self.now_s = max(self.now_s, next_s)
            if machine.turn_at <= event_s:
                self._turn(machine)
            else:
                heapq.heappop(self._events)[2]()
        return True

    def _turn(self, machine: Machine) -> None:
        process = machine.process
        if process is None or machine.is_paused:
            machine.turn_at = float("inf")
            return
        with self._as(machine):
            process.loop.turn()
        machine.free_at = self.now_s + TURN_S
        self._check(machine, process)
        self._plan(machine)

    def _plan(self, machine: Machine) -> None:
        process = machine.process
        if process is None or machine.is_paused:
            machine.turn_at = float("inf")
        else:
            machine.turn_at = max(machine.free_at, process.clock.when(process.loop.next_due()))

    @contextmanager
    def _as(self, machine: Machine) -> Iterator[None]:
        before, self._current = self._current, machine
        try:
            yield
        finally:
            self._current = before

    def in_node(self, name: str, act: Callable[[], object]) -> None:
        """Let something happen in the node's own loop, when it runs."""
        machine = self.machines[name]
        if machine.process is not None:
            machine.process.loop.call_soon(act)
            self._plan(machine)

    def guarded(self, act: Callable[..., None]) -> Callable[..., None]:
        """Return a callback whose violations are not lost in the future that calls it."""

        def call(*arguments: Any) -> None:
            try:
                act(*arguments)
            except Exception as error:
                self.violations.append(error)

        return call

    def note(self, *what: object) -> None:
        """Make something part of the trace."""
        self.trace = zlib.crc32(repr((round(self.now_s, 9), *what)).encode(), self.trace)

    def next_moment(self) -> int:
        self.moment += 1
        return self.moment

    # --- machines -------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start the node's program; it may refuse, and then the machine stays down."""
        machine = self.machines[name]
        assert machine.process is None
        machine.starts += 1
        self._starts += 1
        with self._as(machine), ExitStack() as undo:
            machine.process = process = self._make_process(machine)
            loop, driver = process.loop, process.driver
            undo.callback(self._end, machine)
            try:
                driver.open()
            except RaftError as error:
                self._judge(machine, process, error)
                return
            undo.pop_all()
            process.task = loop.create_task(self._live(process))
            process.task._log_destroy_pending = False
        self.note("start", name, driver.core.last_index, driver.core.term)
        self._plan(machine)

    def _make_process(self, machine: Machine) -> Process:
        clock = Clock(self.rng.uniform(0, 1000), self.rng.uniform(*CLOCK_RATES))
        loop = VirtualLoop(lambda: clock.at(self.now_s), lambda: self.rng.uniform(0.0, 0.3))
        watched = WatchedMachine(self.ledger, machine.name, lambda: self._note_restore(machine))
        driver = Driver(self._settings(machine.name), watched, loop)

        async def try_once(command: bytes, timeout_s: float) -> Outcome:
            pending, waiter = Pending(), loop.create_future()
            pending.add_done_callback(lambda done: None if waiter.done() else waiter.set_result(done.result()))
            self.bring(driver, command, pending, timeout_s)
            outcome: Outcome = await waiter
            return outcome

        client = f"{machine.name}/{self._starts}"
        proposer = Proposer(try_once, lambda: watched.state.index, client)
        owed = self.ledger.acknowledged_index
        return Process(machine.name, self._starts, loop, watched, driver, clock, owed, try_once, proposer)

    def bring(self, driver: Driver, command: bytes, future: Pending, timeout_s: float) -> None:
        """Propose in a node's own loop; what the node says of it is held against what happens."""
        self.ledger.tried(command)
        ended = self.guarded(self.ledger.try_ended)
        future.add_done_callback(lambda done: ended(command, done.result()))
        driver.propose(command, future, timeout_s)

    def spawn(self, process: Process, work: Coroutine[Any, Any, None]) -> Callable[[], bool]:
        """Let a client's work run in the node's own loop; return what says whether it is over."""
        task = process.loop.create_task(work)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        process.clients = [each for each in process.clients if not each.done()]
        process.clients.append(task)
        self._plan(self.machines[process.name])
        return task.done

    def _note_restore(self, machine: Machine) -> None:
        machine.restores += 1
        self.note("restore", machine.name)

    @staticmethod
    async def _live(process: Process) -> None:
        """What ``Replica`` does around the driver; a crash leaves this in the middle."""
        try:
            await process.driver.run()
        except Exception as error:
            process.error = error
        process.is_over = True
        try:
            await process.driver.close()
        except RaftError as error:
            process.error = process.error or error

    def _check(self, machine: Machine, process: Process) -> None:
        core = process.driver.core
        if core.role == LEADER and core._fault is None:  # one that met a fault ends with its next turn
            self.ledger.leads(f"{machine.name}/{process.number}", core.term)
        is_ready = process.driver.status.ready and self._is_like_tcp
        if is_ready and core.applied_index < process.owed_index:
            raise Violation(
                f"{machine.name} calls itself ready at {core.applied_index}; {process.owed_index} is acknowledged"
            )
        if process.loop.faults:
            raise Violation(f"a callback of {machine.name} failed: {process.loop.faults[0]!r}")
        if process.task is not None and process.task.done():
            self._end(machine)
            if process.error is not None:
                self._judge(machine, process, process.error)

    def _judge(self, machine: Machine, process: Process, error: BaseException) -> None:
        """A node may end itself because of its disk, and for no other reason."""
        self.note("ended", machine.name)
        if isinstance(error, RaftError) and REMOVED in str(error):
            self._judge_removal(machine)
            return
        if isinstance(error, RaftError) and any(word in str(error) for word in DISK_FAULTS):
            if error.exit_code != EXIT_DISK_FAULT:
                raise Violation(f"{machine.name} ends with {error.exit_code} because of its disk")
            machine.disk.lose_power()
            return
        raise (
            error if isinstance(error, Violation) else Violation(f"{machine.name} ended: {error!r}")
        ) from error

    def _judge_removal(self, machine: Machine) -> None:
        """A node may end itself because it was removed, if it was."""
        machine.is_off = True
        if all(each.seat(machine.name) is not None for each in self.ledger.memberships.values()):
            raise Violation(f"{machine.name} believes to be removed")

    def crash(self, name: str, *, power: bool) -> None:
        """Kill the program; with the power goes what was not synced."""
        machine = self.machines[name]
        process = machine.process
        if process is None:
            return
        self.note("crash", name, power)
        self._end(machine)
        if power:
            machine.disk.lose_power()

    def stop(self, name: str) -> None:
        """Stop the program as an operator does; it ends by itself a little later."""
        process = self.machines[name].process
        if process is not None and not process.is_over:
            self.in_node(name, lambda: process.driver.stop(self.clock_s(name) + 2.5))

    def _end(self, machine: Machine) -> None:
        process, machine.process = machine.process, None
        machine.is_paused = False
        machine.turn_at = float("inf")
        transport = self.network.transports.get(machine.name)
        if transport is not None:
            self.network.leave(transport)
        if process is not None:
            for task in (process.task, *process.clients):
                if task is not None:
                    task.get_coro().close()
            process.loop.close()

    def pause(self, name: str) -> None:
        """Let the clock of the node go on while it does not (SIGSTOP)."""
        self.machines[name].is_paused = True
        self._plan(self.machines[name])

    def resume(self, name: str) -> None:
        self.machines[name].is_paused = False
        self._plan(self.machines[name])

    def clock_s(self, name: str) -> float:
        process = self.machines[name].process
        return process.clock.at(self.now_s) if process is not None else self.now_s

    def wall_ms(self, name: str) -> int:
        """Return what the machine's wall clock shows, in milliseconds since 1970."""
        return max(0, round(1000 * (WALL_S + self.now_s + self.machines[name].wall_offset_s)))

    def running(self) -> list[str]:
        """Names of the nodes whose program runs."""
        return [
            name
            for name, machine in self.machines.items()
            if machine.process is not None and not machine.process.is_over and not machine.is_paused
        ]

    def process(self, name: str) -> Process:
        process = self.machines[name].process
        assert process is not None
        return process

    def driver(self, name: str) -> Driver:
        return self.process(name).driver

    def leader(self) -> str | None:
        """A running node that leads with an open term, of the latest term."""
        leading = [name for name in self.running() if self.driver(name).core.is_open]
        return max(leading, key=lambda name: self.driver(name).core.term, default=None)

    # --- what takes the place of the machine's own parts ------------------------------------------------

    def _settings(self, name: str) -> RaftSettings:
        machine = self.machines[name]
        members = {each: self.address(each) for each in machine.known}
        return RaftSettings(
            node=name,
            members=members,
            bind=members[name],
            cluster="sim",
            data_dir=Path("/sim"),
            secret=b"x" * 32,
            replicas=frozenset((name,) if machine.role == "replica" else ()),
            snapshot_entries=self._snapshot_entries,
        )

    def _disk(self) -> SimDisk:
        assert self._current is not None
        return self._current.disk

    def _clock(self) -> float:
        assert self._current is not None
        return self.clock_s(self._current.name)

    def _wall_clock_ms(self) -> int:
        assert self._current is not None
        return self.wall_ms(self._current.name)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put this world in the place of clock, sockets and files."""
        chance = random.Random(self.rng.random())
        salts = random.Random(self.rng.random())

        def journal(settings: RaftSettings, *, alone: bool) -> WalJournal:
            return WalJournal(
                Path("/sim/journal"), JournalIdentity(settings.cluster, settings.node), self._disk()
            )

        replaced: list[tuple[Any, str, Any]] = [
            (library, "monotonicTime", self._clock),
            (library, "random", chance),
            (os, "urandom", salts.randbytes),
            (raft.driver, "open_journal", journal),
            (
                raft.driver,
                "make_transport",
                lambda settings, peers, _loop, passport: self.network.join(settings.node, peers, passport),
            ),
            (raft.driver, "SnapshotStore", lambda path, cluster: SnapshotStore(path, cluster, self._disk())),
            (raft.driver, "peer_node", _stable_node),
            (raft.members, "peer_node", _stable_node),
            (raft.driver, "TICK_S", 0.1),
            (raft.compaction, "TRAILING_ENTRIES", 10),
            (raft.feed, "PIECE_BYTES", 500),
            (raft.compaction, "REST_S_MAX", 0.0),
            (once, "TRIES_MAX", 16),
            (raft.sending, "APPEND_ENTRIES_MAX", 5),
            (raft.compaction, "logger", _Silent()),
            (raft.driver, "logger", _Silent()),
            (raft.core, "logger", _Strict()),
            (raft.core, "wall_clock_ms", self._wall_clock_ms),
        ]
        with ExitStack() as undo:
            for holder, name, value in replaced:
                undo.enter_context(patch.object(holder, name, value))
            try:
                yield
            finally:
                for machine in self.machines.values():
                    self._end(machine)


def _stable_node(name: str, address: str, role: str = "voter") -> Node:
    return Node(StableName(name), address=address, role=role)


class _Silent:
    def info(self, _event: str, **_values: object) -> None:
        pass

    warning = error = exception = info


class _Strict(_Silent):
    """No node of ours ever sends a message that another calls malformed."""

    def warning(self, event: str, **values: object) -> None:
        raise Violation(f"{event} {values}")


def _turn_at(machine: Machine) -> float:
    return machine.turn_at
