"""Slowing down whoever guesses tokens: failures are counted by address, in a table of bounded size."""

from collections import OrderedDict

FAILURES_MAX = 10
WINDOW_S = 60.0
ADDRESSES_MAX = 10_000


class FailedLogins:
    """How often each address failed within the window, on a clock the caller reads."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> int:
        """Return for how many seconds the address must not try again; 0 when it may."""
        since_s, count = self._failures.get(address, (now_s, 0))
        left_s = since_s + WINDOW_S - now_s
        return max(1, int(left_s)) if count >= FAILURES_MAX and left_s > 0 else 0

    def add(self, address: str, now_s: float) -> None:
        """Count one failure; the oldest address is forgotten when the table is full."""
        since_s, count = self._failures.pop(address, (now_s, 0))
        if now_s - since_s > WINDOW_S:
            since_s, count = now_s, 0
        self._failures[address] = (since_s, count + 1)
        if len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)
