"""One endpoint as the prober knows it: how to probe it, and what came of that."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from node.health.service import Check, Service
from node.health.vote import Opinion
from node.probe.result import ProbeResult
from node.probe.sessions import RESUMED_S_MAX
from node.zone.name import Name

_LISTENING_INTERVAL_MAX_S = 1.0
_FULL_S = 600.0
_DOUBLINGS_MAX = 8
_LATE_S = 1.0
"""A busy node may be so late with what it does."""


class Plan(NamedTuple):
    """How an endpoint is probed and its results are counted; times in seconds."""

    check: Check
    interval_s: float
    timeout_s: float
    recheck_s: float
    rise: int
    fall: int

    @property
    def vote_s(self) -> float:
        """For how long a vote is good without a new result: the two next probes may miss, or one takes all its time."""
        return max(3 * self.interval_s, self.interval_s + self.timeout_s) + _LATE_S


def plan_of(service: Service) -> Plan:
    """Return how the service's endpoints are probed; what reports by itself is looked at often, and taken at its word."""
    if service.check.kind == "push":
        interval_s = min(service.interval_ms / 1000, _LISTENING_INTERVAL_MAX_S)
        return Plan(service.check, interval_s, service.timeout_ms / 1000, interval_s, 1, 1)
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
    beat_s: float = 0.0
    """When the next ordinary probe is due; what comes in between does not move it."""
    flight: "asyncio.Task[None] | None" = None
    is_gone: bool = False
    opinion: Opinion = field(default_factory=Opinion)
    last: ProbeResult | None = None
    turned_s: float = 0.0
    """When the opinion became "down"."""
    contradicted_index: int = 0
    """The newest vote of another node against the opinion that was acted on, by its log index."""
    tried_s: float = 0.0
    """When a probe last told something of it; on the prober's clock that stands while the process does not run."""
    is_stale: bool = False
    """Whether that is longer ago than a vote is good for, so that this node says nothing."""
    full_until_s: float = 0.0
    """Until then every handshake over TLS is a full one."""
    resumed_failures: int = 0
    """Probes that failed where they might have taken up a session."""
    is_settled: bool = False
    """Whether the State is known to hold the opinion's vote."""

    @property
    def is_answering(self) -> bool:
        """Whether the latest probe got an answer of any kind."""
        return self.last is not None and self.last.answered

    def may_resume(self, now_s: float) -> bool:
        """Say whether a probe may take up a TLS session: it is frequent, all is well, and it alone decides nothing."""
        plan = self.plan
        is_well = self.opinion.vote is True and self.last is not None and self.last.up
        is_free = now_s >= self.full_until_s and 2 * plan.interval_s <= RESUMED_S_MAX
        return is_well and is_free and plan.fall > 1

    def resuming_failed(self, now_s: float) -> None:
        """Leave sessions alone for a while, longer each time: it may be that the endpoint cannot cope with them."""
        self.full_until_s = now_s + _FULL_S * 2 ** min(self.resumed_failures, _DOUBLINGS_MAX)
        self.resumed_failures += 1

    def doubt(self, now_s: float) -> None:
        """Look with full handshakes, as another node says otherwise; a session that is kept ends meanwhile."""
        self.full_until_s = max(self.full_until_s, now_s + RESUMED_S_MAX)

    @property
    def is_silent(self) -> bool:
        """Whether the latest probe got nothing back, or could not even be tried."""
        return self.last is not None and not self.last.answered
