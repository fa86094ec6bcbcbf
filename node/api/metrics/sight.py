"""What the metrics of one scrape are read from: values of one moment, taken without waiting for anything.

The State is immutable, so what is long in it may be read in a thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from node.api.context import ApiContext, ProbeSummary, PushProgress, ReceiverRow, ReplicaView
from node.api.views import Row, push_rows, service_row
from node.state.state import State
from node.tally import Tally
from node.zone.name import Name, sort_key
from node.zone.zone import Zone


@dataclass(frozen=True, slots=True)
class Limits:
    """How many objects have metrics of their own; the first in canonical order do, the rest is counted only."""

    zones: int = 1_000
    endpoints: int = 1_000
    targets: int = 100


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Sight:
    """A node and the State it has applied."""

    state: State
    replica: ReplicaView
    probes: ProbeSummary
    answers: Mapping[str, Any]
    """As in the node's row of the status; empty without DNS."""
    requests: Mapping[tuple[str, int], int]
    progress: Mapping[str, PushProgress]
    node: str
    cluster: str
    version: str
    started_at_ms: int
    certificate_ends_ms: int | None
    tally: Tally
    config_hash: str
    receivers: Sequence[ReceiverRow]

    @property
    def applied_index(self) -> int:
        """The newest entry applied here; one without a command changes no State."""
        return max(self.state.index, self.replica.applied_index)


def take(context: ApiContext) -> Sight:
    """Take a sight of the node; to be called in the event loop, which owns what is counted."""
    return Sight(
        context.state(),
        context.replica(),
        context.probes(),
        context.answers(),
        dict(context.requests.answered),
        {each.target: each for each in context.pushes()},
        context.node,
        context.cluster,
        context.version,
        context.started_at_ms,
        context.trust().certificate_ends_ms,
        context.tally,
        context.config_hash(),
        context.receivers(),
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """The zones, services and targets that have metrics of their own, and how many have not, by kind."""

    zones: Sequence[Zone]
    services: Sequence[Row]
    pushes: Sequence[Row]
    left_out: Mapping[str, int]


def choose(sight: Sight, limits: Limits) -> Shown:
    """Choose what has metrics of its own."""
    state = sight.state
    services = _services(state, limits.endpoints)
    pushes = push_rows(state, sight.progress)
    shown = sum(len(service["endpoints"]) for service in services)
    return Shown(
        [state.zones[name] for name in _first(state.zones, limits.zones)],
        services,
        pushes[: limits.targets],
        {
            "zone": max(0, len(state.zones) - limits.zones),
            "service": len(state.services) - len(services),
            "endpoint": count_endpoints(state) - shown,
            "target": max(0, len(pushes) - limits.targets),
        },
    )


def count_endpoints(state: State) -> int:
    """Count the endpoints of all services."""
    return sum(len(known.endpoints) for known in state.services.values())


def _services(state: State, endpoints_max: int) -> list[Row]:
    """Show the first services, whole ones, that have so many endpoints together at most."""
    rows: list[Row] = []
    room = endpoints_max
    for fqdn in _first(state.services, endpoints_max):
        room -= len(state.services[fqdn].endpoints)
        if room < 0:
            break
        rows.append(service_row(state.services[fqdn]))
    return rows


def _first(names: Mapping[Name, object], count: int) -> list[Name]:
    return nsmallest(count, names, key=sort_key)
