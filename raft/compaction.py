"""Snapshots: made while the log goes on, loaded at the start, sent to who has fallen behind.

The log keeps the two entries before and at the snapshot's end, as the library wants to find them, and
some more so that a follower that is a little behind needs no snapshot. A snapshot's contents are
opaque: the machine dumps them lazily from an immutable version and restores them all or nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from raft.core import Core
from raft.errors import EXIT_DISK_FAULT, RaftError
from raft.library import NO_OPERATION, Node, now_s
from raft.machine import BadSnapshot, StateMachine
from raft.snapshots import SnapshotMeta, SnapshotStore

logger = structlog.get_logger()

TRAILING_ENTRIES = 2_000
"""Entries kept before a snapshot's end for followers that are a little behind."""
PIECE_BYTES = 256 * 1024
BACKLOG_BYTES_MAX = 1024 * 1024
RESTORE_S = 2.0
"""So long a follower may take to restore a snapshot before it is sent again."""


class Compaction:
    """Keeps one core's log short; every method runs in the log's thread."""

    def __init__(
        self,
        core: Core,
        machine: StateMachine,
        store: SnapshotStore | None,
        members: Callable[[], tuple[str, ...]],
        entries: int,
    ) -> None:
        self._core = core
        self._machine = machine
        self._store = store
        self._members = members
        self._entries = entries
        self._writing: asyncio.Future[None] | None = None
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
        if self._core.term_at(meta.last_index) != meta.last_term:
            self._begin_log(meta)
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

    def _restore(self, meta: SnapshotMeta, pieces: Any) -> None:
        try:
            self._machine.restore(pieces)
        except BadSnapshot as error:
            raise RaftError(
                f"The snapshot at entry {meta.last_index} cannot be used: {error}. Restore the data directory, or "
                "empty it and let the node join under another name.",
                exit_code=EXIT_DISK_FAULT,
            ) from None
        self.index = meta.last_index

    def _begin_log(self, meta: SnapshotMeta) -> None:
        """Let the log begin with the end of the snapshot."""
        self._core.log.reset(
            [(NO_OPERATION, meta.prev_index, meta.prev_term), (NO_OPERATION, meta.last_index, meta.last_term)]
        )

    # --- while running --------------------------------------------------------------------------------

    def run(self) -> None:
        """Begin a snapshot when one is due, and cut the log when one is done. Raises ``RaftError``."""
        if self._writing is not None:
            if self._writing.done():
                self._finish(self._writing)
            return
        if self._core.applied_index - max(self.index, 1) >= self._entries:
            self._begin()

    def _begin(self) -> None:
        core = self._core
        last = core.applied_index
        previous_term, last_term = core.term_at(last - 1), core.term_at(last)
        assert previous_term is not None
        assert last_term is not None
        meta = SnapshotMeta(last, last_term, last - 1, previous_term, self._members())
        if self._store is None:
            self._cut(last)  # a log in memory is replayed by nobody
            return
        pieces = self._machine.snapshot()
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, self._store.write, meta, pieces)
        self._meta = meta

    def _finish(self, writing: "asyncio.Future[None]") -> None:
        self._writing = None
        writing.result()
        logger.info("snapshot.written", index=self._meta.last_index)
        self._cut(self._meta.last_index)

    def _cut(self, last: int) -> None:
        self.index = last
        keep_from = last - 1 - TRAILING_ENTRIES
        position = keep_from - self._core.base_index
        if position > 0:
            self._core.log.deleteEntriesTo(position)

    async def close(self) -> None:
        """Wait for a snapshot that is being written."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    # --- receiving ------------------------------------------------------------------------------------

    def take_piece(self, identity: str, offset: int, total: int, data: bytes) -> bool:
        """Take a piece of the leader's snapshot; True when the whole state was replaced by it.

        Raises ``SnapshotDamaged`` for what cannot be used, ``RaftError`` for faults of the disk.
        """
        store = self._store
        if store is None or self._writing is not None:
            return False
        if not store.accept(identity, offset, total, data):
            return False
        meta, pieces = store.received()
        if meta.last_index <= self._core.applied_index:
            store.abort()
            return False
        self._restore(meta, pieces)
        store.promote()
        if self._core.term_at(meta.last_index) != meta.last_term:
            self._begin_log(meta)  # otherwise what follows in the log agrees, and may be acknowledged
        self._core.applied_index = meta.last_index
        self._core.advance_commit(meta.last_index)
        logger.info("snapshot.received", index=meta.last_index)
        return True


class Feed:
    """The pieces of the newest snapshot, follower by follower.

    A follower gets the next piece when little waits to be sent to it, so that signs of life are never
    stuck behind a snapshot. A snapshot that was sent to its end is given time to be restored.
    """

    def __init__(self, store: SnapshotStore, backlog_bytes: Callable[[Node], int]) -> None:
        self._store = store
        self._backlog_bytes = backlog_bytes
        self._positions: dict[Node, tuple[str, int]] = {}
        self._done_s: dict[Node, float] = {}

    def wants_more(self, node: Node) -> bool:
        """Say whether the next piece may go out now."""
        if self._store.current() is None or self._backlog_bytes(node) >= BACKLOG_BYTES_MAX:
            return False
        return now_s() - self._done_s.get(node, -RESTORE_S) >= RESTORE_S

    def next_piece(self, node: Node) -> tuple[str, int, int, bytes] | None:
        """Return identity, offset, size of the whole, and octets of the next piece; None for not now."""
        current = self._store.current()
        if current is None or not self.wants_more(node):
            return None
        self._done_s.pop(node, None)
        identity, offset = self._positions.pop(node, (current[0], 0))
        data = self._store.chunk(identity, offset, PIECE_BYTES)
        if data is None:
            return None  # another snapshot has taken its place; begin with that
        end = offset + len(data)
        if end >= current[1]:
            self._done_s[node] = now_s()
        else:
            self._positions[node] = (identity, end)
        return identity, offset, current[1], data

    def begin_anew(self, node: Node) -> None:
        """What was sent so far is lost."""
        self._positions.pop(node, None)
        self._done_s.pop(node, None)
