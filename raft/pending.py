"""Where a caller's outcome will be: settled once by the log's thread, read by whoever asked.

As a future of ``concurrent.futures``, without a condition and a lock of its own for each of the ten thousand
that a second may bring.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from raft.proposal import Outcome

logger = structlog.get_logger()

_LOCK: Final = threading.Lock()
"""One for all: it is held for two assignments, never for a callback."""


class Pending:
    """A place for one outcome; safe to use from any thread."""

    __slots__ = ("_callbacks", "_outcome")

    def __init__(self) -> None:
        self._outcome: Outcome | None = None
        self._callbacks: list[Callable[[Pending], object]] = []

    def done(self) -> bool:
        """Say whether there is an outcome."""
        return self._outcome is not None

    def settle(self, outcome: Outcome) -> None:
        """Give the outcome, unless there is one: the first counts. Callbacks run in this thread."""
        with _LOCK:
            if self._outcome is not None:
                return
            self._outcome = outcome
        for callback in self._callbacks:
            self._call(callback)
        self._callbacks.clear()

    def result(self, timeout_s: float | None = None) -> Outcome:
        """Return the outcome, if need be after waiting for it. Raises ``TimeoutError``."""
        if self._outcome is None:
            settled = threading.Event()
            self.add_done_callback(lambda _: settled.set())
            settled.wait(timeout_s)
        if self._outcome is None:
            raise TimeoutError("no outcome yet")
        return self._outcome

    def add_done_callback(self, callback: "Callable[[Pending], object]") -> None:
        """Call this with the object once there is an outcome; at once, in this thread, if there is one."""
        with _LOCK:
            if self._outcome is None:
                self._callbacks.append(callback)
                return
        self._call(callback)

    def _call(self, callback: "Callable[[Pending], object]") -> None:
        """A caller's fault must not end the log's thread."""
        try:
            callback(self)
        except Exception:
            logger.exception("outcome.callback-failed")
