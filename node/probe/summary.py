"""What the prober tells of itself, and how well it keeps its schedule."""

from dataclasses import dataclass

LATE_S = 0.1
"""A probe that starts this much after its time is late."""
WINDOW_S = 10.0
BEHIND_PERCENT = 1.0
"""With a greater share of late probes the node is behind: its votes come later than its settings promise."""


@dataclass(frozen=True, slots=True)
class ProberSummary:
    """How this node's probing goes."""

    endpoints: int
    probes: int
    failures: int
    started_late: int
    """Probes since the start that began more than ``LATE_S`` after their time."""
    overdue: int
    """Endpoints whose probe is overdue by more than an interval at this moment."""
    late_percent: float
    """The share of late probes within about the last ``WINDOW_S``."""
    schedule_delay_ms: int
    """The longest delay between due and start of a probe within about the last ``WINDOW_S``."""
    load_factor: float
    """The fuller of the probing resources of late: flights, or the processor time of this thread. 1 is full."""
    flights: int
    is_isolated: bool
    stale: int = 0
    """Endpoints of which there has been no result for longer than a vote is good for."""


@dataclass(slots=True)
class Window:
    """What is counted between two turns of the meter."""

    started: int = 0
    late: int = 0
    delay_s: float = 0.0
    flown_s: float = 0.0


class Meter:
    """Counts probes, and how well the schedule is kept, in windows of ``WINDOW_S``."""

    def __init__(self, flights_max: int) -> None:
        self.probes = 0
        self.failures = 0
        self.started_late = 0
        self.load_factor = 0.0
        self._flights_max = flights_max
        self._window = Window()
        self._before = Window()
        self._since: tuple[float, float] | None = None

    def start(self, delay_s: float) -> None:
        """Count a probe that starts this much after its time."""
        window, is_late = self._window, delay_s > LATE_S
        self.started_late += is_late
        window.started += 1
        window.late += is_late
        window.delay_s = max(window.delay_s, delay_s)

    def land(self, up: bool, flown_s: float) -> None:
        """Count a probe that has ended."""
        self.probes += 1
        self.failures += not up
        self._window.flown_s += flown_s

    def turn(self, now_s: float, busy_s: float) -> bool:
        """Begin a new window when the present one is full, and say so; ``busy_s`` is this thread's processor time."""
        if self._since is None:
            self._since = now_s, busy_s
            return False
        length_s = now_s - self._since[0]
        if length_s < WINDOW_S:
            return False
        in_air = self._window.flown_s / (length_s * self._flights_max)
        self.load_factor = max(in_air, (busy_s - self._since[1]) / length_s)
        self._since = now_s, busy_s
        self._before, self._window = self._window, Window()
        return True

    @property
    def schedule_delay_s(self) -> float:
        """The longest delay of the present and the last window."""
        return max(self._window.delay_s, self._before.delay_s)

    @property
    def late_percent(self) -> float:
        """The share of late probes in the present and the last window."""
        started = self._window.started + self._before.started
        return 100 * (self._window.late + self._before.late) / started if started else 0.0
