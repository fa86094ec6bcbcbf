"""What a node counts since its start beside what its rooms count themselves: the one source of ``/metrics`` and StatsD. Pure."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from node.state.state import Event
from node.zone.name import Name, to_text

SERVICES_MAX = 1_000
OTHER = "other"
"""Services beyond that count together."""
TIMES_MAX = 2_000
"""So many probe times are kept for StatsD between two of its packets."""
TARGETS_MAX = 1_000
FAST_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
SLOW_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts values by bounds, of which each includes its own; one writer."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """Return, for each bound as text and at last for infinity, how many values were not above it."""
        total, rows = 0, []
        for bound, count in zip((*self._bounds, float("inf")), list(self._counts), strict=True):
            total += count
            rows.append(("+Inf" if bound == float("inf") else f"{bound:g}", float(total)))
        return rows


class Tally:
    """The counters of one node."""

    def __init__(self, node: str) -> None:
        self._node = node
        self.probes: Counter[tuple[str, bool]] = Counter()
        """Probes by service and whether the endpoint was up."""
        self.probe_times = Histogram(SLOW_S)
        self._recent: deque[tuple[str, bool, float]] = deque(maxlen=TIMES_MAX)
        self.transitions: Counter[str] = Counter()
        """Verdicts that changed, by what they became."""
        self.votes_received = 0
        """Votes of other nodes that came through the log."""
        self.pushes: Counter[tuple[str, bool]] = Counter()
        """Attempts at push targets, by target and whether it has what it should."""
        self.push_times = Histogram(SLOW_S)
        self.apply_times = Histogram(FAST_S)
        """How long entries of the log took to be applied."""
        self.backup_at_ms = 0
        """When somebody last got a whole backup from this node; 0 for never."""

    def probe_ended(self, service: Name, up: bool, took_s: float) -> None:
        """Count a probe."""
        text = to_text(service).rstrip(".")
        if (text, up) not in self.probes and len(self.probes) >= 2 * SERVICES_MAX:
            text = OTHER
        self.probes[text, up] += 1
        self.probe_times.add(took_s)
        self._recent.append((text, up, took_s))

    def recent_probes(self) -> list[tuple[str, bool, float]]:
        """Return service, outcome and seconds of the newest probes, each once."""
        found = list(self._recent)
        self._recent.clear()
        return found

    def push_ended(self, target: str, ok: bool, took_s: float) -> None:
        """Count an attempt at a push target."""
        if (target, ok) in self.pushes or len(self.pushes) < 2 * TARGETS_MAX:
            self.pushes[target, ok] += 1
        self.push_times.add(took_s)

    def committed(self, events: Iterable[Event]) -> None:
        """Count what the log has decided."""
        for event in events:
            if event.kind == "verdict.changed":
                self.transitions[event.data.get("after", "")] += 1
            elif event.kind == "vote.cast" and event.data.get("node") != self._node:
                self.votes_received += 1
