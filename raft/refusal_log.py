"""Tells of refused connections without letting strangers fill a disk with log lines."""

from collections.abc import Callable
from typing import Final

REPEAT_S: Final = 10.0
"""The same reason for the same host is told once in so long."""
_REMEMBERED_MAX: Final = 256


class RefusalLog:
    """Calls ``tell(address, reason)`` at most once per host and reason in ``REPEAT_S`` seconds."""

    def __init__(self, tell: Callable[[str, str], None], monotonic: Callable[[], float]) -> None:
        self._tell = tell
        self._monotonic = monotonic
        self._told_at: dict[tuple[str, str], float] = {}

    def tell(self, address: str, word: str, reason: str) -> None:
        """Tell of a refusal unless one like it was told just now, or too many different ones were."""
        now = self._monotonic()
        key = (address.rpartition(":")[0], word)
        if now - self._told_at.get(key, now - REPEAT_S) < REPEAT_S:
            return
        self._told_at.pop(key, None)
        if len(self._told_at) >= _REMEMBERED_MAX:
            oldest = next(iter(self._told_at))
            if now - self._told_at[oldest] < REPEAT_S:
                return
            del self._told_at[oldest]
        self._told_at[key] = now
        self._tell(address, reason)
