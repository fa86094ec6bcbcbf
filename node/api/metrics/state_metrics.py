"""Metrics of what the cluster has committed: zones, services and their endpoints, push targets. Pure."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from node.api.metrics.families import gauge, gauges, one_of
from node.api.metrics.sight import Shown, count_endpoints
from node.api.names import plain
from node.state.state import State

VERDICTS = ("up", "down", "undecided")
PUSH_STATES = ("synced", "behind", "failing", "held", "paused", "idle")
_ENDPOINT = ("service", "address")


def state_metrics(state: State, shown: Shown) -> Iterator[Metric]:
    """Yield what this node has applied."""
    yield gauge("zones", "Zones.", len(state.zones))
    yield gauge("rrsets", "RRsets of all zones.", sum(zone.rrset_count for zone in state.zones.values()))
    yield gauge("services", "Services.", len(state.services))
    yield gauge("endpoints", "Endpoints of all services.", count_endpoints(state))
    yield gauge("push_targets", "Push targets.", len(state.targets))
    yield gauges(
        "metrics_left_out",
        "Objects without metrics of their own, because there are too many.",
        ("kind",),
        [((kind,), count) for kind, count in shown.left_out.items()],
    )
    serials = [((plain(zone.name),), float(zone.serial)) for zone in shown.zones]
    yield gauges("zone_serial", "Serial of a zone.", ("zone",), serials)
    rrsets = [((plain(zone.name),), float(zone.rrset_count)) for zone in shown.zones]
    yield gauges("zone_rrsets", "RRsets of a zone.", ("zone",), rrsets)
    yield from _service_metrics(shown)
    yield from _push_metrics(state, shown)


def _service_metrics(shown: Shown) -> Iterator[Metric]:
    fail_open = [((row["fqdn"],), float(row["fail_open"])) for row in shown.services]
    yield gauges(
        "service_fail_open", "Whether a service keeps addresses that are down.", ("service",), fail_open
    )
    endpoints = [
        ((service["fqdn"], each["address"]), each)
        for service in shown.services
        for each in service["endpoints"]
    ]
    verdicts = [pair for key, each in endpoints for pair in one_of(key, VERDICTS, each["verdict"])]
    yield gauges(
        "endpoint_verdict", "1 for what the cluster says of an endpoint.", (*_ENDPOINT, "verdict"), verdicts
    )
    published = [(key, float(each["published"])) for key, each in endpoints]
    yield gauges("endpoint_published", "Whether an endpoint is in DNS.", _ENDPOINT, published)
    votes = [((*key, vote["node"]), vote) for key, each in endpoints for vote in each["votes"]]
    yield gauges(
        "endpoint_vote_up",
        "What a node says of an endpoint: 1 up, 0 down.",
        (*_ENDPOINT, "node"),
        [(key, float(vote["up"])) for key, vote in votes],
    )
    yield gauges(
        "endpoint_probe_seconds",
        "How long the probe took that a node's vote tells of.",
        (*_ENDPOINT, "node"),
        [(key, vote["latency_ms"] / 1000) for key, vote in votes],
    )


def _push_metrics(state: State, shown: Shown) -> Iterator[Metric]:
    rows = shown.pushes
    states = [pair for row in rows for pair in one_of((row["target"],), PUSH_STATES, row["state"])]
    yield gauges("push_state", "1 for the state of a push target.", ("target", "state"), states)
    wanted = [((row["target"],), float(row["wanted"])) for row in rows]
    yield gauges("push_wanted_index", "Log index that should stand on a target.", ("target",), wanted)
    stands = [((row["target"],), float(row["plan"])) for row in rows]
    yield gauges("push_applied_index", "Log index that stands on a target.", ("target",), stands)
    behind = [((row["target"],), float(max(0, row["wanted"] - row["plan"]))) for row in rows]
    yield gauges("push_behind_entries", "Log entries a target is behind.", ("target",), behind)
    lag = [((row["target"],), float(row["behind_s"])) for row in rows]
    yield gauges(
        "push_lag_seconds", "For how long a target has been behind without progress.", ("target",), lag
    )
    done = [
        ((row["target"],), state.deliveries[row["target"]].at_ms / 1000)
        for row in rows
        if row["done_at"] is not None
    ]
    yield gauges("push_last_success_timestamp_seconds", "When a target was last in step.", ("target",), done)
