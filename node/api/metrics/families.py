"""Makes metric families of plain values: the prefix, the units, and what a set of states is."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Samples = Iterable[tuple[Sequence[str], float]]
"""Label values, and the number there."""


def gauge(name: str, help_: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(f"qdns_{name}", help_, value=value)


def gauges(name: str, help_: str, labels: Sequence[str], samples: Samples) -> Metric:
    """Return a gauge with labels."""
    family = GaugeMetricFamily(f"qdns_{name}", help_, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def counter(name: str, help_: str, value: float) -> Metric:
    """Return a counter without labels; the text adds ``_total`` to its name."""
    return CounterMetricFamily(f"qdns_{name}", help_, value=value)


def counters(name: str, help_: str, labels: Sequence[str], samples: Samples) -> Metric:
    """Return a counter with labels; the text adds ``_total`` to its name."""
    family = CounterMetricFamily(f"qdns_{name}", help_, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def one_of(before: Sequence[str], states: Sequence[str], present: str) -> Samples:
    """Return a sample for each state: 1 for the present one, 0 for the others."""
    return [((*before, state), float(state == present)) for state in states]
