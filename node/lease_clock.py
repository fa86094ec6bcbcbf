"""How much of each lease is left, by this node's own monotonic clock.

The log says for how long a lease was granted and at which index, never until when, so every node
measures from the moment at which it applied the grant. That is later than the grant by the way of an
entry through the log. Who leads anew cannot know what its predecessor had measured and begins again,
and so does every node that learns of it: leases are prolonged by a change of leaders, never cut short.
"""

from collections.abc import Callable, Iterable, Iterator

from node.state.command import Grant
from node.state.state import State
from node.zone.lease import LeaseKey


class LeaseClock:
    """The deadline of every lease that can run out."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self.monotonic_s = monotonic_s
        self._deadlines: dict[LeaseKey, tuple[int, float]] = {}

    def __contains__(self, key: LeaseKey) -> bool:
        return key in self._deadlines

    def __len__(self) -> int:
        return len(self._deadlines)

    def take(self, state: State, keys: Iterable[LeaseKey] | None) -> None:
        """Measure the leases that were granted or renewed, and forget those that ended; None looks at all."""
        now_s = self.monotonic_s()
        for key in tuple({**state.leases, **self._deadlines}) if keys is None else keys:
            lease = state.leases.get(key)
            if lease is None or lease.ttl_s <= 0:
                self._deadlines.pop(key, None)
            elif self._deadlines.get(key, (-1, 0.0))[0] != lease.index:
                self._deadlines[key] = (lease.index, now_s + lease.ttl_s)

    def prolong(self, state: State) -> None:
        """Begin again with every lease: another node leads."""
        self._deadlines.clear()
        self.take(state, None)

    def left_s(self, key: LeaseKey) -> float | None:
        """Return what is left of a lease in seconds, not below 0; None where there is none that can run out."""
        known = self._deadlines.get(key)
        return None if known is None else max(0.0, known[1] - self.monotonic_s())

    def iter_left(self) -> Iterator[tuple[LeaseKey, float]]:
        """Yield every lease with what is left of it; below 0 when it has run out."""
        now_s = self.monotonic_s()
        return ((key, deadline - now_s) for key, (_, deadline) in self._deadlines.items())

    def due(self, count_max: int) -> tuple[Grant, ...]:
        """Return grants that have run out, the longest ago first."""
        now_s = self.monotonic_s()
        late = [
            (deadline, key, index) for key, (index, deadline) in self._deadlines.items() if deadline <= now_s
        ]
        late.sort()
        return tuple(Grant(key, index) for _, key, index in late[:count_max])
