"""How much may be on its way into the log at once, whichever threads bring it."""

import threading

from raft.pending import Pending
from raft.proposal import NotCommitted


class Admission:
    """Lets callers in while there is room; safe to call from any thread."""

    def __init__(self, callers_max: int, octets_max: int) -> None:
        self._callers_max = callers_max
        self._octets_max = octets_max
        self._lock = threading.Lock()
        self._callers = 0
        self._octets = 0

    def enter(self, pending: Pending, octets: int) -> NotCommitted | None:
        """Count a caller until it has its outcome; or return why it cannot come in."""
        with self._lock:
            if self._callers >= self._callers_max:
                return NotCommitted("busy", f"{self._callers} callers wait already")
            if self._octets + octets > self._octets_max and self._callers:
                return NotCommitted("busy", f"{self._octets} octets are on their way already")
            self._callers += 1
            self._octets += octets
        pending.add_done_callback(lambda _: self._leave(octets))
        return None

    def _leave(self, octets: int) -> None:
        with self._lock:
            self._callers -= 1
            self._octets -= octets
