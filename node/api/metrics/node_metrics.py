"""Metrics of the node itself: its log, its probes, its DNS and its API. Pure."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from node.api.context import ProbeSummary
from node.api.metrics.families import counter, counters, gauge, gauges, one_of
from node.api.metrics.sight import Sight

ROLES = ("leader", "follower", "candidate", "learner")
_PLAIN_DNS = (
    ("cut", "rate_limited_cut", "Answers cut to TC by the rate limit."),
    ("failures", "failures", "Messages that met a defect and were answered SERVFAIL."),
    ("handed_up", "handed_up", "Messages that an answering process gave to the control process."),
    ("refused_alone", "refused_alone", "Messages refused while the control process was away."),
    ("native", "native", "Answers that the compiled reader found."),
    ("cache_hits", "cache_hits", "Answers found ready in an answering process."),
    ("cache_misses", "cache_misses", "Answers an answering process had to look up."),
)


def node_metrics(sight: Sight) -> Iterator[Metric]:
    """Yield what is known of this node."""
    labels = ("cluster", "node", "version")
    named = [((sight.cluster, sight.node, sight.version), 1.0)]
    yield gauges("build_info", "The node and its version; always 1.", labels, named)
    yield gauges(
        "config_info",
        "What all nodes must have alike in their configurations, as a hash; always 1.",
        ("hash",),
        [((sight.config_hash,), 1.0)],
    )
    started_s = sight.started_at_ms / 1000
    yield GaugeMetricFamily(
        "process_start_time_seconds", "Start of the process since the Unix epoch in seconds.", value=started_s
    )
    yield from _log_metrics(sight)
    yield from _peer_metrics(sight)
    if sight.certificate_ends_ms is not None:
        yield gauge(
            "certificate_expiry_timestamp_seconds",
            "When the certificate shown to other nodes ends, since the Unix epoch.",
            sight.certificate_ends_ms / 1000,
        )
    yield from _probe_metrics(sight.probes)
    if sight.answers:
        yield from _dns_metrics(sight.answers)
    yield counters(
        "api_requests",
        "HTTP requests answered.",
        ("method", "code"),
        [((method, str(status)), count) for (method, status), count in sorted(sight.requests.items())],
    )


def _probe_metrics(probes: ProbeSummary) -> Iterator[Metric]:
    yield gauge("probe_endpoints", "Endpoints that this node probes.", probes.endpoints)
    yield gauge("probe_late_endpoints", "Endpoints whose probe is overdue here.", probes.late)
    yield counter("probes", "Probes that have ended.", probes.done)
    yield counter("probe_failures", "Probes that found an endpoint down.", probes.failed)
    yield counter(
        "probe_started_late", "Probes that began more than 100 ms after their time.", probes.started_late
    )
    yield gauge(
        "probe_delay_seconds", "The longest that a probe began after its time of late.", probes.delay_ms / 1000
    )
    yield gauge("probe_load_factor", "How full this node is with probing; 1 is full.", probes.load)
    yield gauge(
        "probe_stale_endpoints",
        "Endpoints without a result for too long, on which it does not vote.",
        probes.stale,
    )
    yield gauge(
        "probe_isolated", "Whether nothing answers this node, so that it does not vote.", probes.isolated
    )


def _log_metrics(sight: Sight) -> Iterator[Metric]:
    replica = sight.replica
    yield gauges("raft_role", "1 for this node's role.", ("role",), one_of((), ROLES, replica.role))
    yield gauge("raft_is_leader", "Whether this node leads.", replica.role == "leader")
    yield gauge("raft_has_leader", "Whether this node knows a leader.", replica.leader is not None)
    yield gauge("raft_has_quorum", "Whether a majority is in contact.", replica.has_quorum)
    yield gauge("raft_ready", "Whether this node has caught up since its start.", replica.ready)
    yield gauge("raft_term", "Election term.", replica.term)
    yield gauge("raft_commit_index", "Newest log entry known to be committed.", replica.commit_index)
    yield gauge("raft_applied_index", "Newest log entry applied here.", sight.applied_index)
    yield gauge("raft_log_bytes", "Octets of the log on the disk.", replica.log_bytes)
    yield counter("raft_elections", "Elections in which this node stood.", replica.elections)
    lag = max(0, replica.commit_index - sight.applied_index)
    yield gauge("raft_lag_entries", "Entries known to be committed and not applied here.", lag)
    if replica.stale_s is not None:
        yield gauge(
            "raft_leader_last_contact_seconds", "Seconds since a leader was heard here.", replica.stale_s
        )


def _peer_metrics(sight: Sight) -> Iterator[Metric]:
    peers = (*sight.replica.peers, *sight.replica.learners)
    connected = [((each.name,), float(each.connected)) for each in peers]
    yield gauge("raft_peers", "Other nodes of the cluster.", len(peers))
    yield gauge("raft_connected_peers", "Other nodes with a connection.", sum(each.connected for each in peers))
    yield gauges("raft_peer_connected", "Whether there is a connection with a node.", ("peer",), connected)
    heard = [((each.name,), each.last_contact_s) for each in peers if each.last_contact_s is not None]
    yield gauges("raft_peer_last_contact_seconds", "Seconds since a node was heard.", ("peer",), heard)
    lags = [
        ((each.name,), float(max(0, sight.replica.commit_index - each.match_index)))
        for each in peers
        if each.match_index is not None
    ]
    yield gauges("raft_peer_lag_entries", "Entries a node lacks; known on the leader only.", ("peer",), lags)


def _dns_metrics(answers: Mapping[str, object]) -> Iterator[Metric]:
    yield gauge(
        "dns_answering_processes", "Processes beside this one that answer.", _number(answers, "processes")
    )
    yield _by(answers, "queries", "dns_queries", "DNS messages answered.", "transport")
    yield _by(answers, "types", "dns_queries_by_type", "DNS messages answered, by type.", "type")
    yield _by(answers, "rcodes", "dns_responses", "DNS responses.", "rcode")
    yield _by(answers, "dropped", "dns_dropped", "DNS messages not answered.", "reason")
    for key, name, help_ in _PLAIN_DNS:
        yield counter(f"dns_{name}", help_, _number(answers, key))


def _by(answers: Mapping[str, object], key: str, name: str, help_: str, label: str) -> Metric:
    found = answers.get(key)
    counts = found if isinstance(found, Mapping) else {}
    return counters(name, help_, (label,), [((each,), count) for each, count in counts.items()])


def _number(answers: Mapping[str, object], key: str) -> float:
    value = answers.get(key, 0)
    return float(value) if isinstance(value, int | float) else 0.0
