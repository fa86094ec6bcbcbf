"""The one door to the log: commands go in, finished States come out.

Two threads meet here and nowhere else. The log's thread applies entries and hands each result over;
the event loop proposes, holds the latest State by one reference, and calls the listeners.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Literal

import structlog

from node.formats import not_yet
from node.proposing import Proposer
from node.state import machine, members, snapshot
from node.state.command import FORMAT, Command, Entry, Member, Ticket, format_of
from node.state.members import MemberNote, Seat, encode_note
from node.state.state import Applied, Changed, Refused, State, advanced
from node.version import version
from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.machine import BadSnapshot
from raft.membership import Change, Membership
from raft.pending import Pending
from raft.proposal import NotCommitted, Outcome
from raft.replica import Replica, ReplicaStatus
from raft.settings import RaftSettings

logger = structlog.get_logger()

CHANGE_S_MAX = 4.0
"""A change of the nodes may wait for the one before and for another leader, but not longer than its caller."""
HANDED_OVER_MAX = 10_000
LOOK_AGAIN_S = 0.1
"""An entry without a command is applied without a new State to tell of it."""
CHUNK_OCTETS = 256 * 1024

Listener = Callable[[State, Changed | None], None]
"""Called in the event loop with the newest State; None instead of a Changed: anything may have changed."""


class Machine:
    """Our state machine as the log drives it; see ``raft.machine.StateMachine``."""

    def __init__(
        self,
        hand_over: Callable[[Changed | None], None],
        newest: int = FORMAT,
        on_applied: Callable[[float], object] = lambda _: None,
    ) -> None:
        """``newest`` is the newest format of commands that is read here; each entry's time to apply is told in seconds."""
        self._on_applied = on_applied
        self._newest = newest
        self.state = State()
        self.failures = 0
        self._hand_over = hand_over

    def apply(self, index: int, command: bytes) -> object:
        """Apply one entry. A bug in it costs this entry, never the log: nothing half-done can remain.

        Raises ``RaftError`` when this program is too old for what the cluster has decided on.
        """
        begun_s = time.perf_counter()
        try:
            applied = machine.apply(self.state, index, command, self._newest)
        except Exception as error:
            return self._failed(index, error)
        self._on_applied(time.perf_counter() - begun_s)
        self._require_readable(applied.state)
        return self._take(applied)

    def _take(self, applied: Applied) -> object:
        self.state = applied.state
        self._hand_over(applied.changed)
        return applied.result

    def _failed(self, index: int, error: Exception) -> object:
        """Go on without the entry."""
        self.failures += 1
        logger.error("entry.failed", index=index, exc_info=error)
        text = "applying the entry failed on this node; nothing was changed"
        return self._take(Applied(advanced(self.state, index), Refused(index, "failed", text), Changed()))

    def _require_readable(self, state: State) -> None:
        if state.format > self._newest:
            raise RaftError(
                f"The cluster is at format {state.format} of the log's commands, and this program (version "
                f"{version()}) reads formats up to {self._newest}: install the version that the other nodes run.",
                exit_code=EXIT_WRONG_SETUP,
            )

    def change_members(self, index: int, membership: Membership) -> object:
        """Let the State's nodes follow the log's."""
        seats = tuple(Seat(seat.name, seat.address, seat.role) for seat in membership.seats)
        try:
            applied = members.change_members(self.state, index, seats, membership.note, membership.at_ms)
        except Exception as error:
            return self._failed(index, error)
        return self._take(applied)

    def snapshot(self) -> Iterator[bytes]:
        """Return the present State as chunks, read from an immutable value."""
        return _chunks(snapshot.dump(self.state))

    def prepare(self, pieces: Iterable[bytes]) -> State:
        """Return the State in the chunks. Raises ``BadSnapshot``."""
        try:
            return snapshot.load(_pieces(pieces), self.state)
        except snapshot.BadState as error:
            raise BadSnapshot(str(error)) from None

    def install(self, prepared: State) -> None:
        """Let a prepared State take the place of the present one. Raises ``RaftError`` when it is too new."""
        self._require_readable(prepared)
        self.state = prepared
        self._hand_over(None)


class Cluster:
    """The replicated State as the event loop sees it."""

    def __init__(
        self,
        settings: RaftSettings,
        on_fatal: Callable[[int], object],
        newest: int = FORMAT,
        on_applied: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._machine = Machine(self._hand_over, newest, on_applied)
        self._replica = Replica(settings, self._machine, on_fatal=on_fatal)
        self._proposer = Proposer(self._try, lambda: self.state.index)
        self._handed_over: list[Changed | None] = []
        self._handed_back: list[tuple[asyncio.Future[Outcome], Outcome]] = []
        self._handing = threading.Lock()
        self._scheduled = False
        self._listeners: list[Listener] = []
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._digest: tuple[State, str] | None = None

    @property
    def state(self) -> State:
        """The newest committed State; an immutable value that stays good as long as it is held."""
        return self._machine.state

    def digest(self) -> tuple[int, str]:
        """Return the newest State's index and its digest, which peers at that index must share."""
        state = self.state
        if self._digest is None or self._digest[0] is not state:
            self._digest = (state, snapshot.digest(state))
        return state.index, self._digest[1]

    @property
    def failures(self) -> int:
        """How many entries could not be applied because of a bug."""
        return self._machine.failures

    async def start(self) -> None:
        """Open the log and join the cluster. Raises ``raft.errors.RaftError`` with a sentence."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._replica.start)

    async def stop(self) -> None:
        """Hand leadership over, flush and close."""
        await asyncio.to_thread(self._replica.stop)
        self._loop = None
        for _, waiter in self._waiters:
            waiter.cancel()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call the listener after changes, in the event loop; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def reload_certificates(self) -> None:
        """Read certificates and the list of refused ones again; connections that they forbid end."""
        self._replica.reload()

    def status(self) -> ReplicaStatus:
        """Return what the log knows of itself and its peers; ready only once the cluster holds its first entry.

        A node that leads answers before it has seeded an empty cluster, and has nothing to show until then.
        """
        status = self._replica.status()
        return status if self.state.seeded else replace(status, ready=False)

    def silent_s(self) -> float | None:
        """Return for how long the log's thread has not gone round, in seconds; None before it began."""
        return self._replica.silent_s()

    async def propose(
        self,
        command: Command,
        *,
        actor: str = "",
        reason: str = "",
        timeout_s: float = 5.0,
        ticket: Ticket | None = None,
    ) -> Outcome:
        """Bring a command into the log; a ``Committed`` carries ``Accepted`` or ``Refused``.

        It is carried out once, by as many tries as there is time for; ``Unknown`` means that time ran out
        while a try may still be committed, and never turns into ``NotCommitted``. ``ticket`` is for
        callers who may repeat the request elsewhere. See ``node.proposing``. A kind that not all nodes
        are known to read is ``NotCommitted("refused")``.
        """
        needed, present = format_of(command), self.state.format
        if needed > present:
            return NotCommitted("refused", not_yet(needed, present))
        return await self._proposer.propose(Entry(command, now_ms(), actor, reason, ticket), timeout_s)

    async def _try(self, data: bytes, timeout_s: float) -> Outcome:
        return await self._outcome(self._replica.propose(data, timeout_s))

    async def change_nodes(
        self,
        kind: Literal["add", "remove", "replace", "lead"],
        name: str,
        *,
        raft: str = "",
        role: Literal["learner", "replica"] = "learner",
        member: Member | None = None,
        actor: str = "",
        reason: str = "",
    ) -> Outcome:
        """Change who belongs to the cluster; ``NotCommitted("refused")`` says why the leader will not."""
        note = encode_note(MemberNote(actor, reason, member))
        change = Change(kind, name, raft, role, note=note)
        return await self._outcome(self._replica.change_members(change, CHANGE_S_MAX))

    async def read_barrier(self, timeout_s: float = 5.0) -> Outcome:
        """Wait until this node has applied all that was committed anywhere when this was called."""
        return await self._outcome(self._replica.read_barrier(timeout_s))

    async def wait_applied(self, index: int, timeout_s: float) -> bool:
        """Wait until this node has applied the entry at ``index``; say whether it did in time."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while not self._has_applied(index):
            rest_s = until_s - loop.time()
            if rest_s <= 0:
                return False
            await self._wait_for_state(index, min(rest_s, LOOK_AGAIN_S))
        return True

    async def _wait_for_state(self, index: int, timeout_s: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((index, waiter))
        try:
            await asyncio.wait({waiter}, timeout=timeout_s)
        finally:
            self._waiters = [each for each in self._waiters if each[1] is not waiter]

    def _has_applied(self, index: int) -> bool:
        """Say so also for an entry without a command, which changes no State."""
        return self.state.index >= index or self._replica.status().applied_index >= index

    async def _outcome(self, pending: Pending) -> Outcome:
        if pending.done():
            return pending.result()
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        pending.add_done_callback(lambda done: self._hand_back(waiter, done.result()))
        return await waiter

    # --- from the log's thread to the event loop ---------------------------------------------------

    def _hand_over(self, changed: Changed | None) -> None:
        """Called in the log's thread; many entries cost one wake-up of the event loop."""
        with self._handing:
            if len(self._handed_over) >= HANDED_OVER_MAX:
                self._handed_over = [None]  # too many to tell one by one: anything may have changed
            self._handed_over.append(changed)
        if self._loop is not None:
            self._wake(self._loop)

    def _hand_back(self, waiter: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
        """Called in the log's thread, after the change that the outcome is of was handed over."""
        with self._handing:
            self._handed_back.append((waiter, outcome))
        self._wake(waiter.get_loop())

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the event loop when the log's thread has ended its turn, once for all that it applied in it.

        To wake another thread lets go of the interpreter: woken at once, it would take each entry by itself.
        """
        if self._scheduled:
            return
        self._scheduled = True
        here = _running_loop()
        if here is None or here is loop:
            self._ring(loop)
        else:
            here.call_soon(self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # the loop is closed: the node is stopping
            self._scheduled = False

    def _drain(self) -> None:
        self._scheduled = False
        with self._handing:
            batch, self._handed_over = self._handed_over, []
            outcomes, self._handed_back = self._handed_back, []
        state = self.state
        for changed in _merged(batch):
            self._tell(state, changed)
        for index, waiter in self._waiters:
            if index <= state.index and not waiter.done():
                waiter.set_result(None)
        for asked, outcome in outcomes:
            if not asked.done():
                asked.set_result(outcome)

    def _tell(self, state: State, changed: Changed | None) -> None:
        for listener in list(self._listeners):
            try:
                listener(state, changed)
            except Exception:
                logger.exception("listener.failed")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def _merged(batch: list[Changed | None]) -> Iterator[Changed | None]:
    """Join a batch of changes into one, or say that anything may have changed."""
    if not batch:
        return
    if any(changed is None for changed in batch):
        yield None
        return
    known = [changed for changed in batch if changed is not None]
    if len(known) == 1:
        yield known[0]
        return
    yield Changed(
        names=tuple(dict.fromkeys(name for changed in known for name in changed.names)),
        zones=tuple(dict.fromkeys(zone for changed in known for zone in changed.zones)),
        services=tuple(dict.fromkeys(fqdn for changed in known for fqdn in changed.services)),
        events=tuple(event for changed in known for event in changed.events),
        leases=tuple(dict.fromkeys(key for changed in known for key in changed.leases)),
        imports=any(changed.imports for changed in known),
    )


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pack pieces, each behind its length, into chunks of bounded size."""
    buffer = bytearray()
    for piece in pieces:
        buffer += len(piece).to_bytes(4, "big")
        buffer += piece
        while len(buffer) >= CHUNK_OCTETS:
            yield bytes(buffer[:CHUNK_OCTETS])
            del buffer[:CHUNK_OCTETS]
    if buffer:
        yield bytes(buffer)


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Undo ``_chunks``. Raises ``BadState`` when the last piece is cut."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= 4 and len(buffer) >= 4 + int.from_bytes(buffer[:4], "big"):
            end = 4 + int.from_bytes(buffer[:4], "big")
            yield bytes(buffer[4:end])
            del buffer[:end]
    if buffer:
        raise snapshot.BadState("the snapshot ends in the middle of a part")
