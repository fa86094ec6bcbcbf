"""``/metrics``: what Prometheus scrapes."""

from node.api.context import ApiContext
from node.api.message import Compute, Request, Response
from node.api.metrics.exposition import CONTENT_TYPE, expose
from node.api.metrics.sight import take


def get_metrics(context: ApiContext, _request: Request) -> Compute:
    """Tell what this node knows now; it asks no other node and waits for none."""
    sight = take(context)
    return Compute(lambda: Response(body=expose(sight), content_type=CONTENT_TYPE), kind="metrics")
