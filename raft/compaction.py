"""Snapshots: made while the log goes on, loaded at the start, taken from the leader.

Whatever takes long runs in a worker, one thing at a time: the log's thread only begins it and takes what
came of it. The worker rests as long as it works, or the log's thread would wait for the interpreter.

The log keeps the two entries before and at the snapshot's end, as the library wants to find them, and
some more so that a follower that is a little behind needs no snapshot. A snapshot's contents are
opaque: the machine dumps them lazily from an immutable version and restores them all or nothing.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import structlog

from raft.core import Core
from raft.errors import EXIT_DISK_FAULT, RaftError
from raft.library import NO_OPERATION
from raft.machine import BadSnapshot, StateMachine
from raft.membership import decode_membership, encode_membership
from raft.snapshots import SnapshotDamaged, SnapshotMeta, SnapshotStore

logger = structlog.get_logger()

TRAILING_ENTRIES = 2_000
"""Entries kept before a snapshot's end for followers that are a little behind, and"""
TRAILING_BYTES = 16 * 1024 * 1024
"""how many octets of them."""
APPLIED_BYTES = 16 * 1024 * 1024
"""Octets of entries applied since the last snapshot that make a new one due, however few: a restart applies them."""
REST_S_MIN, REST_S_MAX = 0.002, 0.02


class _Ended(Exception):
    """The log ends: what its worker does is of no use any more."""


class Compaction:
    """Keeps one core's log short; every method runs in the log's thread."""

    def __init__(
        self,
        core: Core,
        machine: StateMachine,
        store: SnapshotStore | None,
        entries: int,
        on_replaced: Callable[[], None],
    ) -> None:
        self._core = core
        self._machine = machine
        self._store = store
        self._entries = entries
        self._on_replaced = on_replaced
        self._worker: asyncio.Future[Any] | None = None
        self._then: Callable[[Any], None]
        """What the log's thread does with what comes of the worker."""
        self._is_received = False
        """A whole snapshot waits to be read."""
        self._is_ending = False
        self._weighed_index = 0
        self._applied_bytes = 0
        """Octets of the entries after ``index`` up to ``_weighed_index``."""
        self.index = 0
        """Index of the last entry that the newest snapshot holds."""

    # --- at the start ---------------------------------------------------------------------------------

    def load(self) -> None:
        """Restore the newest snapshot, and check that log and snapshot join. Raises ``RaftError``."""
        found = self._store.read() if self._store is not None else None
        if found is None:
            self._check_joins(1)
            return
        meta, pieces = found
        self._restore(meta, pieces)
        self._check_joins(meta.last_index)
        self._take_membership(meta)
        self._core.applied_index = meta.last_index
        self._core.advance_commit(meta.last_index)

    def _check_joins(self, index: int) -> None:
        base = self._core.base_index
        if base > index:
            raise RaftError(
                f"The journal begins with entry {base}, but the snapshot ends with entry {index}: what lies between "
                "is missing. Restore the data directory, or empty it and let the node join under another name.",
                exit_code=EXIT_DISK_FAULT,
            )

    def _restore(self, meta: SnapshotMeta, pieces: Iterator[bytes]) -> None:
        try:
            self._machine.install(self._machine.prepare(pieces))
        except BadSnapshot as error:
            raise _unusable(f"The snapshot at entry {meta.last_index}", error) from None
        self._note_state(meta.last_index)

    def _note_state(self, index: int) -> None:
        """The machine's state is that of a snapshot's end."""
        self.index = self._weighed_index = index
        self._applied_bytes = 0

    def _take_membership(self, meta: SnapshotMeta) -> None:
        """Let log and members follow the snapshot; what follows it in the log stays where it agrees."""
        agrees = self._core.term_at(meta.last_index) == meta.last_term
        if not agrees:
            self._begin_log(meta)
        membership = decode_membership(meta.membership) if meta.membership else None
        self._core.roster.begin(meta.last_index, membership, keep_later=agrees)

    def _begin_log(self, meta: SnapshotMeta) -> None:
        """Let the log begin with the end of the snapshot."""
        self._core.log.reset(
            [(NO_OPERATION, meta.prev_index, meta.prev_term), (NO_OPERATION, meta.last_index, meta.last_term)]
        )

    # --- while running --------------------------------------------------------------------------------

    def run(self) -> None:
        """Begin a snapshot when one is due, and take what a worker has done. Raises ``RaftError``."""
        self._weigh()
        worker = self._worker
        if worker is None:
            if self._is_received:
                self._is_received = False
                self._start(self._read_received, self._install)
            elif self._is_due():
                self._begin()
        elif worker.done():
            self._worker = None
            self._then(worker.result())

    def _start(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self._then = then
        self._worker = asyncio.get_running_loop().run_in_executor(None, work)

    def _weigh(self) -> None:
        """Add up the octets of what was applied since the last turn."""
        core = self._core
        first = max(self._weighed_index + 1, core.base_index)
        for position in range(first - core.base_index, core.applied_index + 1 - core.base_index):
            self._applied_bytes += len(core.log[position][0])
        self._weighed_index = core.applied_index

    def _is_due(self) -> bool:
        count = self._core.applied_index - max(self.index, 1)
        return count >= self._entries or (count > 1 and self._applied_bytes >= APPLIED_BYTES)

    def _begin(self) -> None:
        core = self._core
        last = core.applied_index
        previous_term, last_term = core.term_at(last - 1), core.term_at(last)
        assert previous_term is not None
        assert last_term is not None
        held = core.roster.at(last)
        names = tuple(seat.name for seat in core.roster.current.seats)
        octets = encode_membership(held) if held is not None else b""
        meta = SnapshotMeta(last, last_term, last - 1, previous_term, names, octets)
        self._applied_bytes = 0
        store = self._store
        if store is None:
            self.index = last  # a log in memory is replayed by nobody
            self._core.log.deleteEntriesTo(self._cut_position(last))
            return
        pieces = self._gently(self._machine.snapshot())
        self._start(lambda: store.write(meta, pieces), lambda _: self._written(last))

    def _written(self, last: int) -> None:
        logger.info("snapshot.written", index=last)
        self.index = last
        self._core.roster.forget_before(last)
        position = self._cut_position(last)
        if position > 0:
            index = self._core.base_index + position
            self._start(self._core.log.prepare_cut(position), lambda _: self._cut_before(index))

    def _cut_position(self, last: int) -> int:
        """Return from where on the log is kept: the last entries before the snapshot's end stay."""
        end = max(0, last - 1 - self._core.base_index)
        position, size = end, 0
        while position > 0 and end - position < TRAILING_ENTRIES and size < TRAILING_BYTES:
            position -= 1
            size += len(self._core.log[position][0])
        return position

    def _cut_before(self, index: int) -> None:
        self._core.log.deleteEntriesTo(index - self._core.base_index)

    def _gently(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the pieces on in a worker that rests as long as it computes; end it with the log."""
        rested_s = time.thread_time()
        for piece in pieces:
            if self._is_ending:
                raise _Ended
            yield piece
            worked_s = time.thread_time() - rested_s
            if worked_s >= REST_S_MIN:
                time.sleep(min(REST_S_MAX, worked_s))
                rested_s = time.thread_time()

    async def close(self) -> None:
        """End the worker; what it did not finish is removed at the next start."""
        self._is_ending = True
        if self._worker is not None:
            await asyncio.wait([self._worker])
            self._worker.exception()  # whatever it says: nobody waits for it any more

    # --- receiving ------------------------------------------------------------------------------------

    def take_piece(self, identity: str, offset: int, total: int, data: bytes) -> None:
        """Take a piece of the leader's snapshot; with the last one a worker begins to read the whole.

        Raises ``SnapshotDamaged`` for what cannot be used, ``RaftError`` for faults of the disk.
        """
        store = self._store
        if store is not None and self._worker is None and not self._is_received:
            self._is_received = store.accept(identity, offset, total, data)

    def _read_received(self) -> "tuple[SnapshotMeta, Any] | SnapshotDamaged":
        """Verify what was received and make a state of it; runs in the worker."""
        store = self._store
        assert store is not None
        try:
            meta, pieces = store.received()
            return meta, self._machine.prepare(self._gently(pieces))
        except SnapshotDamaged as damage:
            return damage
        except BadSnapshot as error:
            raise _unusable("The snapshot that the leader sent", error) from None

    def _install(self, read: "tuple[SnapshotMeta, Any] | SnapshotDamaged") -> None:
        """Let the received state take the place of the present one, unless the log has passed it meanwhile."""
        store, core = self._store, self._core
        assert store is not None
        if isinstance(read, SnapshotDamaged):
            logger.warning("snapshot.refused", detail=str(read))
            store.abort()
            return
        meta, prepared = read
        if meta.last_index <= core.applied_index:
            store.abort()
            return
        store.promote()
        self._machine.install(prepared)
        self._note_state(meta.last_index)
        self._take_membership(meta)
        core.applied_index = meta.last_index
        core.advance_commit(meta.last_index)
        core.reconfigure()
        logger.info("snapshot.received", index=meta.last_index)
        self._on_replaced()


def _unusable(what: str, error: BadSnapshot) -> RaftError:
    return RaftError(
        f"{what} cannot be used: {error}. Restore the data directory, or empty it and let the node join under "
        "another name.",
        exit_code=EXIT_DISK_FAULT,
    )
