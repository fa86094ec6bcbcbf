"""How far something long has come: a line on standard error, on a terminal only, after half a second."""

import time
from collections.abc import Callable
from typing import TextIO

FIRST_S = 0.5
PERIOD_S = 0.1


class Progress:
    """Counts octets and tells of them now and then; call ``end`` to take the line away."""

    def __init__(self, what: str, stream: TextIO, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._stream = stream
        self._monotonic_s = monotonic_s
        self._due_s = monotonic_s() + FIRST_S
        self._shown = False
        self._is_terminal = stream.isatty()
        self.octets = 0

    def add(self, octets: int) -> None:
        """Count some more."""
        self.octets += octets
        if self._is_terminal and self._monotonic_s() >= self._due_s:
            self._due_s = self._monotonic_s() + PERIOD_S
            self._shown = True
            self._stream.write(f"\r{self._what}  {size(self.octets)}\x1b[K")
            self._stream.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def size(octets: int) -> str:
    """Write a number of octets for people: ``812 B``, ``1.2 MB``."""
    if octets < 1000:
        return f"{octets} B"
    number = float(octets)
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000 or unit == "GB":
            break
    return f"{number:.1f} {unit}"
