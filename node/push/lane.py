"""One target as one node sees it: what it has done there, and what it should do next and when.

The decisions are plain functions of the replicated State, this record and the time.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from node.push.errors import PushError
from node.push.settings import PusherSettings
from node.push.targets import wanted, zones_of
from node.push.turns import order, waits_for
from node.state.pushes import Target
from node.state.state import Delivery, State
from node.zone.name import Name

Action = Literal["none", "report", "push", "verify"]


@dataclass(slots=True)
class Lane:
    """What this node remembers of one target. Times are the event loop's, in seconds."""

    target: Target
    next_verify_at: float
    next_serial_at: float
    behind_since: float | None = None
    delivered: int = -1
    """``Delivery.plan`` when ``behind_since`` was taken."""
    verified: int = 0
    """All that plan asks for was seen on the target by this node."""
    serials: dict[Name, int | None] = field(default_factory=dict)
    failures: int = 0
    retry_at: float = 0.0
    sent_at: float | None = None
    unreported: int | None = None
    """A plan that stands on the target while the log does not know it yet."""
    reported_code: str = ""
    problem: PushError | None = None
    refresh: bool = False
    next_at: float | None = None

    def forget(self) -> None:
        """Trust nothing that was seen before: the next delivery reads everything."""
        self.verified = 0
        self.serials = {}
        self.failures = 0
        self.retry_at = 0.0
        self.problem = None


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, and from when on."""

    action: Action
    at: float


def next_step(
    lane: Lane,
    state: State,
    node: str,
    reachable: Collection[str] | None,
    settings: PusherSettings,
    now: float,
) -> Step:
    """Decide what this node does about the target, and when; notes since when it is behind."""
    members = tuple(member.name for member in state.members)
    delivery = state.deliveries.get(lane.target.name, Delivery())
    if node not in members or delivery.is_stopped or not zones_of(state, lane.target):
        return Step("none", now)
    if lane.unreported is not None:
        return Step("report", lane.retry_at)
    if lane.refresh:
        return Step("push", now)
    waits = waits_for(node, order(members, lane.target.name, delivery), delivery, reachable)
    if _notice_behind(lane, state, delivery, now) is None:
        at = min(lane.next_verify_at, lane.next_serial_at)
        return Step("none", now) if waits else Step("verify", max(at, lane.retry_at))
    interval_s = lane.target.min_interval_ms / 1000
    turn_at = (lane.behind_since or 0.0) + (settings.takeover_s + interval_s) * len(waits)
    spaced_at = 0.0 if lane.sent_at is None else lane.sent_at + interval_s
    return Step("push", max(turn_at, spaced_at, lane.retry_at))


def _notice_behind(lane: Lane, state: State, delivery: Delivery, now: float) -> float | None:
    """Keep the time since when the target is behind without any progress."""
    if wanted(state, lane.target) <= delivery.plan:
        lane.behind_since = None
    elif lane.behind_since is None or lane.delivered != delivery.plan:
        lane.behind_since = now
    lane.delivered = delivery.plan
    return lane.behind_since


def should_report_failure(lane: Lane, delivery: Delivery, node: str, code: str) -> bool:
    """Say whether the log does not know yet that this node fails in this way."""
    last = dict(delivery.tries).get(node)
    known = last is not None and not last.ok and last.plan >= delivery.plan
    return not (known and lane.reported_code == code)


def should_report_success(delivery: Delivery, node: str, plan: int) -> bool:
    """Say whether the log does not know yet that the plan stands, carried or seen by this node."""
    last = dict(delivery.tries).get(node)
    return delivery.plan < plan or last is None or not last.ok or last.plan < plan


def back_off_s(failures: int, settings: PusherSettings, random: float, error: PushError | None = None) -> float:
    """Return how long to wait after so many failures in a row; ``random`` is from 0 to 1."""
    doubled = settings.retry_first_s * 2 ** min(failures - 1, 30)
    permanent = error is not None and error.kind in ("permanent", "stale")
    ceiling = settings.retry_max_s if permanent else min(doubled, settings.retry_max_s)
    wait_s = ceiling * (0.5 + random / 2)
    return float(max(wait_s, error.retry_after_s if error is not None else 0.0))


def verify_every_s(lane: Lane, settings: PusherSettings) -> float:
    """Return how often the target is read again; services over HTTP count requests."""
    return settings.verify_every_s if lane.target.kind == "rfc2136" else settings.verify_api_every_s
