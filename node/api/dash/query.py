"""A question to this node's DNS, with why the answer is what it is beside it."""

from node.api.context import ApiContext
from node.api.dash.frame import framed
from node.api.handlers.explain import explain_now
from node.api.message import Request, Response
from node.api.problem import Problem

TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT", "CAA", "PTR", "HTTPS")


def get_query(context: ApiContext, request: Request) -> Response:
    """Show the answer and its explanation; what is wrong with a question stands beside the form."""
    found, error = None, ""
    name, type_ = request.query.get("name", "").strip(), request.query.get("type", "A")
    if name:
        try:
            found = explain_now(context, request)
        except Problem as problem:
            error = problem.detail
    command = f"qdns explain {name} {type_}" if found else "qdns explain NAME"
    return framed(
        "query.html.j2", context, request, part="query", command=command,
        name=name, type=type_, types=TYPES, found=found, error=error,
    )  # fmt: skip
