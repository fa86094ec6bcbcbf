"""Every caller is told something in time: at the caller's deadline, or when the node ends before it.

One timer for all: it stands at the earliest deadline. Who was told before is forgotten when that comes, or when
half of those who are here have been told.
"""

import asyncio
import heapq
from itertools import count

from raft.pending import Pending
from raft.proposal import Outcome

_FORGET_FROM = 1_000


class Deadlines:
    """Those who wait, by when they wait no longer; every method runs in the log's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[tuple[float, int, Pending, Outcome, Outcome]] = []
        """A heap. The number decides between two of one moment: what follows it cannot be compared."""
        self._numbers = count()
        self._forget_at = _FORGET_FROM
        self._timer: asyncio.TimerHandle | None = None

    def add(self, pending: Pending, timeout_s: float, at_deadline: Outcome, at_end: Outcome) -> None:
        """Settle it as ``at_deadline`` after so many seconds, as ``at_end`` if this node ends before."""
        at_s = self._loop.time() + timeout_s
        heapq.heappush(self._due, (at_s, next(self._numbers), pending, at_deadline, at_end))
        if len(self._due) >= self._forget_at:
            self._forget()
        if self._timer is None or at_s < self._timer.when():
            self._set_timer()

    def end(self) -> None:
        """Settle all who still wait: this node ends."""
        due, self._due = self._due, []
        for _, _, pending, _, at_end in due:
            pending.settle(at_end)
        self._set_timer()

    def _forget(self) -> None:
        self._due = [due for due in self._due if not due[2].done()]
        heapq.heapify(self._due)
        self._forget_at = max(_FORGET_FROM, 2 * len(self._due))

    def _set_timer(self) -> None:
        """Let the timer stand at the first who was not told yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._due and self._due[0][2].done():
            heapq.heappop(self._due)
        if self._due:
            self._timer = self._loop.call_at(self._due[0][0], self._ring)

    def _ring(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        try:
            while self._due and self._due[0][0] <= now_s:
                _, _, pending, at_deadline, _ = heapq.heappop(self._due)
                pending.settle(at_deadline)
        finally:
            self._set_timer()
