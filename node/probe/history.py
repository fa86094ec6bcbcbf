"""What this node's own probes of each endpoint came to, minute by minute: memory only, never in the log.

Votes and verdicts are replicated, measurements are not: each node tells its own, and whoever shows them
side by side asks every node.
"""

import time
from array import array
from collections.abc import Callable
from typing import NamedTuple

from node.zone.name import Name

MINUTES_MAX = 24 * 60
MINUTES_OF_MANY = 60
"""How far back is kept for the endpoints beyond the first ``LONG_TRACKS_MAX``."""
LONG_TRACKS_MAX = 1_000
TRACKS_MAX = 50_000
_LATENCY_MS_MAX = 65_535
_COUNT_MAX = 65_535
_NEVER = 0xFFFFFFFF


class Cell(NamedTuple):
    """The probes of one span of time."""

    probes: int
    good: int
    mean_ms: int
    """Of the good ones; 0 without any."""
    longest_ms: int
    """Of the good ones; 0 without any."""


class _Track:
    """A ring of minutes of one endpoint; a slot counts only while it holds its own minute."""

    __slots__ = ("good", "longest_ms", "minutes", "probes", "size", "sum_ms")

    def __init__(self, size: int) -> None:
        self.size = size
        self.minutes = array("I", [_NEVER]) * size
        self.probes = array("H", [0]) * size
        self.good = array("H", [0]) * size
        self.sum_ms = array("I", [0]) * size
        self.longest_ms = array("H", [0]) * size

    def add(self, minute: int, up: bool, latency_ms: int) -> None:
        slot = minute % self.size
        if self.minutes[slot] != minute:
            self.minutes[slot] = minute
            self.probes[slot] = self.good[slot] = self.sum_ms[slot] = self.longest_ms[slot] = 0
        if self.probes[slot] == _COUNT_MAX:
            return
        self.probes[slot] += 1
        if up:
            self.good[slot] += 1
            self.sum_ms[slot] += latency_ms
            self.longest_ms[slot] = max(self.longest_ms[slot], latency_ms)

    def cell(self, first: int, last: int) -> Cell | None:
        """Return what the minutes from first to last came to together, None where nothing was probed."""
        slots = [
            minute % self.size
            for minute in range(max(first, last - self.size + 1), last + 1)
            if self.minutes[minute % self.size] == minute
        ]
        probes = sum(self.probes[slot] for slot in slots)
        if not probes:
            return None
        good = sum(self.good[slot] for slot in slots)
        mean_ms = round(sum(self.sum_ms[slot] for slot in slots) / good) if good else 0
        return Cell(probes, good, mean_ms, max(self.longest_ms[slot] for slot in slots))


class History:
    """The tracks of all endpoints that this node probes."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._tracks: dict[tuple[Name, str], _Track] = {}

    def add(self, fqdn: Name, address: str, *, up: bool, latency_ms: int) -> None:
        """Count one probe; endpoints beyond ``TRACKS_MAX`` are not followed."""
        track = self._tracks.get((fqdn, address))
        if track is None:
            if len(self._tracks) >= TRACKS_MAX:
                return
            size = MINUTES_MAX if len(self._tracks) < LONG_TRACKS_MAX else MINUTES_OF_MANY
            track = self._tracks[fqdn, address] = _Track(size)
        track.add(self._minute(), up, max(0, min(latency_ms, _LATENCY_MS_MAX)))

    def forget(self, fqdn: Name, address: str) -> None:
        """Let an endpoint go that is no longer probed."""
        self._tracks.pop((fqdn, address), None)

    def cells(self, fqdn: Name, address: str, count: int, minutes: int) -> list[Cell | None]:
        """Return the latest ``count`` spans of so many minutes, oldest first; the last one goes on."""
        track, now = self._tracks.get((fqdn, address)), self._minute()
        if track is None:
            return [None] * count
        ends = (now - minutes * back for back in range(count - 1, -1, -1))
        return [track.cell(max(0, end - minutes + 1), end) if end >= 0 else None for end in ends]

    def _minute(self) -> int:
        return int(self._clock_s() // 60)
