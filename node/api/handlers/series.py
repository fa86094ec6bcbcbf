"""``/v1/series``: what this node's own probes of a service came to, span by span.

Every node tells its own measurements only; whoever wants all of them asks each node.
"""

from collections.abc import Sequence

from node.api.context import ApiContext, SeriesCell
from node.api.message import Request, Response, shown
from node.api.names import plain, read_name
from node.api.problem import Problem
from node.api.views import Row

SPANS = {"1h": (60, 1), "24h": (96, 15)}
"""By name: how many cells, and how many minutes each takes."""


def get_series(context: ApiContext, request: Request) -> Response:
    """Show probes, good ones, mean and longest latency of each endpoint of ``service``, oldest first."""
    text = request.query.get("service")
    if not text:
        raise Problem("bad_request", "say which service: /v1/series?service=www.example.org&span=1h")
    span = request.query.get("span", "1h")
    if span not in SPANS:
        raise Problem("bad_request", f"span={span} is none of {', '.join(SPANS)}")
    fqdn = read_name(text)
    known = context.state().services.get(fqdn)
    if known is None:
        raise Problem("not_found", f"there is no service {plain(fqdn)}", "qdns service list")
    count, minutes = SPANS[span]
    row: Row = {
        "name": context.node,
        "service": plain(fqdn),
        "span": span,
        "step_s": minutes * 60,
        "endpoints": {
            address: written(context.series(fqdn, address, count, minutes)) for address, _ in known.endpoints
        },
    }
    return shown(row, context.state().index)


def written(cells: Sequence[SeriesCell | None]) -> list[Row | None]:
    """Return the cells as they are told: null where nothing was probed."""
    return [
        None
        if cell is None
        else {"probes": cell.probes, "good": cell.good, "mean_ms": cell.mean_ms, "longest_ms": cell.longest_ms}
        for cell in cells
    ]
