"""What the prober tells of itself: totals, and one row per endpoint. Immutable."""

from dataclasses import dataclass

from node.probe.result import ProbeResult
from node.zone.name import Name

LATE_S = 0.1
"""A probe that starts this much after its time is late."""
WINDOW_S = 10.0


@dataclass(frozen=True, slots=True)
class EndpointSummary:
    """What this node knows of one endpoint of one service."""

    fqdn: Name
    address: str
    vote: bool | None
    """This node's own opinion, None without enough evidence since it started."""
    last: ProbeResult | None
    last_at_ms: int
    p50_ms: int | None
    due_in_s: float
    """Until the next probe; negative when it is overdue."""


@dataclass(frozen=True, slots=True)
class ProberSummary:
    """How this node's probing goes."""

    endpoints: tuple[EndpointSummary, ...]
    probes: int
    failures: int
    started_late: int
    """Probes since the start that began more than ``LATE_S`` after their time."""
    late: int
    """Endpoints whose probe is overdue by more than an interval at this moment."""
    schedule_delay_ms: int
    """The longest delay between due and start of a probe within about the last ``WINDOW_S``."""
    load_factor: float
    """The fuller of the probing resources of late: flights, or the processor time of this thread. 1 is full."""
    flights: int
    is_isolated: bool


class Meter:
    """Counts probes, and how well the schedule is kept, in windows of ``WINDOW_S``."""

    def __init__(self, flights_max: int) -> None:
        self.probes = 0
        self.failures = 0
        self.started_late = 0
        self.load_factor = 0.0
        self._flights_max = flights_max
        self._flown_s = 0.0
        self._delay_s = 0.0
        self._since: tuple[float, float] | None = None
        self._delay_before_s = 0.0

    def start(self, delay_s: float) -> None:
        """Count a probe that starts this much after its time."""
        self.started_late += delay_s > LATE_S
        self._delay_s = max(self._delay_s, delay_s)

    def land(self, up: bool, flown_s: float) -> None:
        """Count a probe that has ended."""
        self.probes += 1
        self.failures += not up
        self._flown_s += flown_s

    def turn(self, now_s: float, busy_s: float) -> None:
        """Begin a new window when the present one is full; ``busy_s`` is this thread's processor time."""
        if self._since is None:
            self._since = now_s, busy_s
            return
        length_s = now_s - self._since[0]
        if length_s < WINDOW_S:
            return
        in_air = self._flown_s / (length_s * self._flights_max)
        self.load_factor = max(in_air, (busy_s - self._since[1]) / length_s)
        self._delay_before_s = self._delay_s
        self._since = now_s, busy_s
        self._flown_s = self._delay_s = 0.0

    @property
    def schedule_delay_s(self) -> float:
        """The longest delay of the present and the last window."""
        return max(self._delay_s, self._delay_before_s)
