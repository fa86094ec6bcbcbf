"""One endpoint as the prober knows it: how to probe it, and what came of that."""

import asyncio
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

from node.health.service import Check, Service
from node.health.vote import Opinion
from node.probe.result import ProbeResult
from node.zone.name import Name

RECENT_MAX = 60


class Recent(NamedTuple):
    """One past result: wall clock in milliseconds since 1970 UTC, outcome, latency."""

    at_ms: int
    up: bool
    latency_ms: int


class Ring:
    """The newest ``RECENT_MAX`` results, in 16 octets each."""

    def __init__(self) -> None:
        self._times = array("q")
        self._latencies = array("i")
        """A failed probe's latency is stored as -1 - latency."""
        self._next = 0

    def add(self, at_ms: int, result: ProbeResult) -> None:
        """Remember a result, and forget the oldest when there is no room."""
        latency = result.latency_ms if result.up else -1 - result.latency_ms
        if len(self._times) < RECENT_MAX:
            self._times.append(at_ms)
            self._latencies.append(latency)
            return
        self._times[self._next] = at_ms
        self._latencies[self._next] = latency
        self._next = (self._next + 1) % RECENT_MAX

    def results(self) -> tuple[Recent, ...]:
        """Return the results, oldest first."""
        order = [*range(self._next, len(self._times)), *range(self._next)]
        return tuple(
            Recent(self._times[each], (latency := self._latencies[each]) >= 0, max(latency, -1 - latency))
            for each in order
        )

    def p50_ms(self) -> int | None:
        """Return the median latency of the good results, None without any."""
        good = sorted(latency for latency in self._latencies if latency >= 0)
        return good[len(good) // 2] if good else None


class Plan(NamedTuple):
    """How an endpoint is probed and its results are counted; times in seconds."""

    check: Check
    interval_s: float
    timeout_s: float
    recheck_s: float
    rise: int
    fall: int


def plan_of(service: Service) -> Plan:
    """Return how the service's endpoints are probed."""
    return Plan(
        service.check,
        service.interval_ms / 1000,
        service.timeout_ms / 1000,
        min(service.recheck_ms, service.interval_ms) / 1000,
        service.rise,
        service.fall,
    )


@dataclass(slots=True, eq=False)
class Slot:
    """One endpoint of one service that this node probes, or one reference target."""

    fqdn: Name
    address: str
    target: str
    """The address that is probed; as a rule the endpoint's own."""
    plan: Plan
    is_remote: bool = True
    """Whether it lies beyond this node's uplink; an address of this node says nothing of that."""
    due_s: float = 0.0
    flight: "asyncio.Task[None] | None" = None
    is_gone: bool = False
    opinion: Opinion = field(default_factory=Opinion)
    last: ProbeResult | None = None
    last_at_ms: int = 0
    turned_s: float = 0.0
    """When the opinion became "down"."""
    is_settled: bool = False
    """Whether the State is known to hold the opinion's vote."""
    recent: Ring = field(default_factory=Ring)

    @property
    def is_answering(self) -> bool:
        """Whether the latest probe got an answer of any kind."""
        return self.last is not None and self.last.answered

    @property
    def is_silent(self) -> bool:
        """Whether the latest probe got nothing back, or could not even be tried."""
        return self.last is not None and not self.last.answered
