"""Metrics of what a node counts of its own work: probes, pushes, entries applied, and how long they took. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import HistogramMetricFamily, Metric

from node.api.metrics.families import counter, counters, gauge, gauges
from node.api.metrics.sight import Sight
from node.tally import Histogram

BUCKETS_US = tuple(1 << number for number in range(24))


def tally_metrics(sight: Sight) -> Iterator[Metric]:
    """Yield what was counted since the start."""
    tally = sight.tally
    yield histogram("probe_seconds", "How long probes took.", tally.probe_times)
    outcomes = {True: "up", False: "down"}
    probes = [((service, outcomes[up]), count) for (service, up), count in sorted(tally.probes.items())]
    yield counters("service_probes", "Probes of a service's endpoints.", ("service", "result"), probes)
    transitions = [((verdict,), count) for verdict, count in sorted(tally.transitions.items())]
    yield counters(
        "endpoint_transitions", "Verdicts that changed while this node ran.", ("verdict",), transitions
    )
    yield counter("votes_received", "Votes of other nodes that came through the log.", tally.votes_received)
    results = {True: "ok", False: "failed"}
    pushes = [((target, results[ok]), count) for (target, ok), count in sorted(tally.pushes.items())]
    yield counters("push_attempts", "Attempts of this node at push targets.", ("target", "result"), pushes)
    yield histogram("push_seconds", "How long attempts at push targets took.", tally.push_times)
    yield histogram("raft_apply_seconds", "How long entries of the log took to be applied.", tally.apply_times)
    if tally.backup_at_ms:
        yield gauge(
            "backup_last_success_timestamp_seconds",
            "When somebody last got a whole backup from this node, since the Unix epoch.",
            tally.backup_at_ms / 1000,
        )
    yield from _receiver_metrics(sight)
    if sight.answers:
        yield _request_seconds(sight.answers)


def _receiver_metrics(sight: Sight) -> Iterator[Metric]:
    known = [((each.name,), each.progress) for each in sight.receivers if each.progress is not None]
    yield gauges(
        "notice_failures",
        "Tries in a row at a receiver of notices that came to nothing.",
        ("receiver",),
        [(name, float(progress.failures)) for name, progress in known],
    )
    accepted = [(name, progress.accepted) for name, progress in known]
    yield counters("notices_accepted", "Notices that a receiver has accepted.", ("receiver",), accepted)
    given_up = [(name, progress.given_up) for name, progress in known]
    yield counters("notices_given_up", "Notices that were given up.", ("receiver",), given_up)


def histogram(name: str, help_: str, values: Histogram) -> Metric:
    """Return a histogram without labels."""
    family = HistogramMetricFamily(f"qdns_{name}", help_)
    family.add_metric((), values.cumulative(), values.sum)
    return family


def _request_seconds(answers: Mapping[str, Any]) -> Metric:
    """Return how long UDP answers took, of which answering processes count powers of two; the sum is estimated."""
    counts = {int(limit_us): int(count) for limit_us, count in answers.get("batches_us", ())}
    total, rows, sum_s = 0, [], 0.0
    for limit_us in BUCKETS_US:
        count = counts.get(limit_us, 0)
        total += count
        sum_s += count * limit_us * 0.75 / 1e6
        rows.append((f"{limit_us / 1e6:g}", float(total)))
    family = HistogramMetricFamily(
        "qdns_dns_request_seconds",
        "From reading a batch of UDP questions to its answers leaving; the sum is an estimate.",
    )
    family.add_metric((), [*rows, ("+Inf", float(total))], sum_s)
    return family
