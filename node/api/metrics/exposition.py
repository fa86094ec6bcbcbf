"""The metrics as text (Prometheus text format 0.0.4). Pure."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from node.api.metrics.node_metrics import node_metrics
from node.api.metrics.sight import LIMITS, Limits, Sight, choose
from node.api.metrics.state_metrics import state_metrics
from node.api.metrics.tally_metrics import tally_metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class SightCollector(Collector):
    """Gives the library the metrics of one sight; nothing is registered anywhere."""

    def __init__(self, sight: Sight, limits: Limits = LIMITS) -> None:
        self._sight = sight
        self._limits = limits

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from node_metrics(self._sight)
        yield from tally_metrics(self._sight)
        yield from state_metrics(self._sight.state, choose(self._sight, self._limits))


def expose(sight: Sight, limits: Limits = LIMITS) -> bytes:
    """Write the metrics of one sight."""
    return generate_latest(SightCollector(sight, limits))
