"""Which endpoint is due next: one heap for all, so that ten thousand of them need one timer."""

import heapq
from collections.abc import Iterator
from itertools import count

from node.probe.slot import Slot

_SPARE_ENTRIES = 64


class Schedule:
    """A heap of due times. A slot stands in it once; what it was moved from or removed from is skipped."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Slot]] = []
        self._entries: dict[Slot, int] = {}
        """The number of the entry that counts, for every slot that waits."""
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, slot: object) -> bool:
        return slot in self._entries

    def put(self, slot: Slot, due_s: float) -> None:
        """Let the slot be due at this time, whatever was said before."""
        slot.due_s = due_s
        number = next(self._numbers)
        self._entries[slot] = number
        heapq.heappush(self._heap, (due_s, number, slot))
        if len(self._heap) > 2 * len(self._entries) + _SPARE_ENTRIES:
            self._compact()

    def remove(self, slot: Slot) -> None:
        """Forget the slot."""
        self._entries.pop(slot, None)

    def pop_due(self, now_s: float) -> Slot | None:
        """Take out the slot that has been due for longest, None when none is."""
        if self.next_due_s() > now_s:
            return None
        slot = heapq.heappop(self._heap)[2]
        del self._entries[slot]
        return slot

    def next_due_s(self) -> float:
        """Return when the next slot is due; infinity when none waits."""
        while self._heap and self._entries.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")

    def waiting(self) -> Iterator[Slot]:
        """Yield the slots that wait, in no order."""
        return iter(self._entries)

    def _compact(self) -> None:
        self._heap = [entry for entry in self._heap if self._entries.get(entry[2]) == entry[1]]
        heapq.heapify(self._heap)
