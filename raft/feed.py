"""The leader's snapshot on its way to the followers that need it."""

from collections.abc import Callable

from raft.library import Node, now_s
from raft.snapshots import SnapshotStore

PIECE_BYTES = 256 * 1024
BACKLOG_BYTES_MAX = 1024 * 1024
RESTORE_S = 2.0
"""So long a follower may take to restore a small snapshot before it is sent again, and"""
RESTORE_BYTES_S = 1024 * 1024
"""so many octets a second a large one."""


class Feed:
    """The pieces of the newest snapshot, follower by follower.

    A follower gets the next piece when little waits to be sent to it, so that signs of life are never
    stuck behind a snapshot. A snapshot that was sent to its end is given time to be restored: the more, the
    larger it is.
    """

    def __init__(self, store: SnapshotStore, backlog_bytes: Callable[[Node], int]) -> None:
        self._store = store
        self._backlog_bytes = backlog_bytes
        self._positions: dict[Node, tuple[str, int]] = {}
        self._next_s: dict[Node, float] = {}
        """When it may be sent again from its begin."""

    def wants_more(self, node: Node) -> bool:
        """Say whether the next piece may go out now."""
        if self._store.current() is None or self._backlog_bytes(node) >= BACKLOG_BYTES_MAX:
            return False
        return now_s() >= self._next_s.get(node, 0.0)

    def next_piece(self, node: Node) -> tuple[str, int, int, bytes] | None:
        """Return identity, offset, size of the whole, and octets of the next piece; None for not now."""
        current = self._store.current()
        if current is None or not self.wants_more(node):
            return None
        self._next_s.pop(node, None)
        identity, offset = self._positions.pop(node, (current[0], 0))
        data = self._store.chunk(identity, offset, PIECE_BYTES)
        if data is None:
            return None  # another snapshot has taken its place; begin with that
        end = offset + len(data)
        if end >= current[1]:
            self._next_s[node] = now_s() + RESTORE_S + current[1] / RESTORE_BYTES_S
        else:
            self._positions[node] = (identity, end)
        return identity, offset, current[1], data

    def begin_anew(self, node: Node) -> None:
        """What was sent so far is lost."""
        self._positions.pop(node, None)
        self._next_s.pop(node, None)
