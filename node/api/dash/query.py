"""A question to this node's DNS, with why the answer is what it is beside it, now or at an earlier log index."""

from collections.abc import Callable
from shlex import quote

from node.api.context import ApiContext
from node.api.dash.frame import framed
from node.api.handlers.explain import explain_now, explain_then
from node.api.message import Compute, Request, Response
from node.api.problem import Problem
from node.api.views import Row

TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT", "CAA", "PTR", "HTTPS")


def get_query(context: ApiContext, request: Request) -> Response | Compute:
    """Show the answer and its explanation; what is wrong with a question stands beside the form."""
    name, at = (request.query.get(key, "").strip() for key in ("name", "at"))
    if not name:
        return _shown(context, request)
    if not at:
        return _asked(context, request, lambda: explain_now(context, request))
    state = context.state()
    return Compute(lambda: _asked(context, request, lambda: explain_then(context, request, state)), kind="past")


def _asked(context: ApiContext, request: Request, find: Callable[[], Row]) -> Response:
    try:
        return _shown(context, request, find())
    except Problem as problem:
        return _shown(context, request, error=problem.detail)


def _shown(context: ApiContext, request: Request, found: Row | None = None, error: str = "") -> Response:
    name, at = (request.query.get(key, "").strip() for key in ("name", "at"))
    type_ = request.query.get("type", "A")
    command = (
        f"qdns explain {quote(name)} {quote(type_)}{f' --at {quote(at)}' if at else ''}"
        if found
        else "qdns explain NAME"
    )
    return framed(
        "query.html.j2", context, request, part="query", command=command,
        name=name, type=type_, at=at, types=TYPES, found=found, error=error,
    )  # fmt: skip
