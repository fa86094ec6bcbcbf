"""Repeated warnings and errors are summed: five a minute are written, and then how many more there were.

Two lines are the same when their event and their texts are; numbers in them may differ. What is committed in the
log is told as it comes: it is bounded by what people do.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict

logger = structlog.get_logger()

WINDOW_S = 60.0
LINES_MAX = 5
KINDS_MAX = 1_000
"""So many different lines are remembered; others are written as they come."""
EVENT_LINES_MAX = 200
"""So many warnings of one event are written in a window, whatever their texts."""
TELLING = "log.repeated"
_TELL_EVERY_S = 10.0
_LINE_CHARACTERS_MAX = 300
_NOT_COMPARED = frozenset({"event", "level", "component", "pathname", "func_name"})
_COUNTED = frozenset({"warning", "error", "exception", "critical"})

Key = tuple[str, ...]


class Repeats:
    """Counts lines by what they say."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._windows: dict[Key, _Window] = {}
        """Oldest first."""

    def __call__(self, _logger: object, method: str, event: EventDict) -> EventDict:
        """Write the line, or leave it out."""
        if method not in _COUNTED or event["event"] == TELLING:
            return event
        now = self._clock_s()
        with self._lock:
            one = self._count(_key(event), LINES_MAX, now)
            all_of_it = self._count((str(event["event"]),), EVENT_LINES_MAX, now)
        if not (one and all_of_it):
            raise structlog.DropEvent
        return event

    def _count(self, key: Key, lines_max: int, now: float) -> bool:
        """Count a line; say whether it is to be written."""
        window = self._windows.get(key)
        if window is not None and now - window.began_s < WINDOW_S:
            window.lines += 1
            return window.lines <= lines_max
        if window is not None and window.lines > lines_max and now - window.began_s < 2 * WINDOW_S:
            window.lines += 1  # until it is told how many there were
            return False
        self._windows.pop(key, None)
        if len(self._windows) < KINDS_MAX:
            self._windows[key] = _Window(now, lines_max, 1)
        return True

    def left_out(self) -> Iterator[tuple[str, int]]:
        """Yield, once, the event and the number of lines that were left out in windows that are over."""
        now = self._clock_s()
        with self._lock:
            over = [key for key, each in self._windows.items() if now - each.began_s >= WINDOW_S]
            windows = {key: self._windows.pop(key) for key in over}
        for key, window in windows.items():
            if window.lines > window.lines_max:
                yield " ".join(key), window.lines - window.lines_max


@dataclass(slots=True)
class _Window:
    began_s: float
    lines_max: int
    lines: int


repeats = Repeats()
"""Those of this process."""


async def tell_repeats() -> None:
    """Write now and then how many lines were left out; until cancelled."""
    while True:
        await asyncio.sleep(_TELL_EVERY_S)
        for line, count in repeats.left_out():
            logger.warning(TELLING, of=line[:_LINE_CHARACTERS_MAX], count=count, within_s=WINDOW_S)


def _key(event: EventDict) -> Key:
    texts = (
        f"{name}={value}"
        for name, value in sorted(event.items())
        if isinstance(value, str) and name not in _NOT_COMPARED
    )
    return (str(event["event"]), *texts)
