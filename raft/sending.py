"""What the leader sends: entries, signs of life, and the pieces of a snapshot, to each as much as it takes.

Corrections of the library: a follower that waits for a snapshot gets one sign of life a round (the library
sends it empty messages for a whole heartbeat); what is on its way to a follower is bounded (the library sends
all it has, and overruns a slow one); no entry is ever cut into parts; followers come in the order of names.
"""

from collections import deque
from typing import Any, Final

from raft.appending import Appending
from raft.elections import Message
from raft.library import Node, now_s

APPEND_BYTES_MAX: Final = 1024 * 1024
"""Octets of entries in one message; one entry alone may be more."""
APPEND_ENTRIES_MAX: Final = 4096
ON_ITS_WAY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Octets of entries on their way to one follower; one message alone may be more."""


class Sending(Appending):
    """The part of the core that sends the log."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.feed: Any = None
        self._on_their_way: dict[Node, deque[tuple[int, int]]] = {}
        """Last index and octets of each message that is not acknowledged yet."""
        super().__init__(*arguments, **keywords)

    def send_entries(self) -> None:
        """Send every follower what it lacks, or a sign of life."""
        self.append_due_s = now_s() + self.conf.appendEntriesPeriod
        for node in sorted(self.voters | self.learners, key=lambda each: str(each.id)):
            if node in self.connected:
                self._send_to(node)

    def lacks_something(self, node: Node) -> bool:
        """Say whether there is something that this follower lacks and can take now."""
        if self.next_index[node] > self.base_index:
            return self.next_index[node] <= self.last_index and self._has_room(node)
        return self.feed is not None and bool(self.feed.wants_more(node))

    def forget_way(self, node: Node) -> None:
        """What was on its way to this node is lost, or will be sent again."""
        self._on_their_way.pop(node, None)
        if self.feed is not None:
            self.feed.begin_anew(node)

    def forget_ways(self) -> None:
        """A new lead: nothing of this term is on its way to anyone."""
        for node in self.voters | self.learners:
            self.forget_way(node)

    def go_back(self, node: Node, hint: int) -> None:
        """Send again from where the follower's log ends or leaves ours."""
        self._on_their_way.pop(node, None)
        super().go_back(node, hint)

    # --- entries --------------------------------------------------------------------------------------

    def _send_to(self, node: Node) -> None:
        if self.next_index[node] <= self.base_index:
            self._send_pieces(node)
            return
        sent = self._send_batch(node) if self._has_room(node) else False
        if not sent:
            self.wire.send(node, self._message(self.next_index[node] - 1, []))
        while sent and self.next_index[node] <= self.last_index and self._has_room(node):
            sent = self._send_batch(node)

    def _send_batch(self, node: Node) -> bool:
        """Send the next entries; False when there are none or the connection is gone."""
        first = self.next_index[node]
        entries = self._batch(first)
        if not entries or not self.wire.send(node, self._message(first - 1, entries)):
            return False
        last = first + len(entries) - 1
        self.next_index[node] = last + 1
        size = sum(len(command) for command, _, _ in entries)
        self._on_their_way.setdefault(node, deque()).append((last, size))
        return True

    def _batch(self, first: int) -> list[tuple[bytes, int, int]]:
        begin = first - self.base_index
        found = self.log[begin : begin + APPEND_ENTRIES_MAX]
        size = 0
        for count, (command, _, _) in enumerate(found):
            size += len(command)
            if size > APPEND_BYTES_MAX and count:
                return list(found[:count])
        return list(found)

    def _message(self, previous: int, entries: list[tuple[bytes, int, int]]) -> Message:
        return {
            "type": "append_entries",
            "term": self.term,
            "commit_index": self.commit_index,
            "entries": entries,
            "prevLogIdx": previous,
            "prevLogTerm": self.term_at(previous),
        }

    def _has_room(self, node: Node) -> bool:
        way = self._on_their_way.get(node)
        if not way:
            return True
        matched = self.match_index.get(node, 0)
        while way and way[0][0] <= matched:
            way.popleft()
        return sum(size for _, size in way) < ON_ITS_WAY_BYTES_MAX

    # --- snapshots ------------------------------------------------------------------------------------

    def _send_pieces(self, node: Node) -> None:
        """Send pieces of the newest snapshot while the connection takes them; at least a sign of life."""
        while True:
            piece = self.feed.next_piece(node) if self.feed is not None else None
            message = {"type": "append_entries", "term": self.term, "commit_index": self.commit_index}
            sent = self.wire.send(node, {**message, "serialized": piece})
            if piece is None or not sent:
                return
