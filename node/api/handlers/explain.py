"""``/v1/explain``: why a question is answered as it is."""

from node.api.context import ApiContext
from node.api.listing import read_count
from node.api.message import Compute, Request, Response, shown
from node.api.names import plain, read_name, read_type
from node.api.problem import Problem
from node.api.views import Row
from node.state.explaining import Explanation, Line
from node.state.past import NotHeld
from node.state.state import State
from node.zone.name import Name


def get_explain(context: ApiContext, request: Request) -> Response | Compute:
    """Say what is answered for ``name`` and ``type`` (A), and why; the same text on every node at one index.

    With ``at`` it is what was answered after the entry at that log index.
    """
    if "at" not in request.query:
        row = explain_now(context, request)
        return shown(row, row["index"])
    state = context.state()
    return Compute(lambda: shown(explain_then(context, request, state), state.index), kind="past")


def explain_now(context: ApiContext, request: Request) -> Row:
    """Show what is answered now, and why. Raises ``Problem``."""
    name, type_ = _asked(request)
    return _row(context, name, context.explain(context.state(), name, type_))


def explain_then(context: ApiContext, request: Request, state: State) -> Row:
    """Show what was answered after the entry ``at``, and why, as far as the State holds it. Raises ``Problem``."""
    (name, type_), index = _asked(request), read_count(request, "at", 0)
    try:
        return _row(context, name, context.explain_at(state, name, type_, index))
    except NotHeld as error:
        raise too_far(error) from None


def _asked(request: Request) -> tuple[Name, int]:
    text = request.query.get("name")
    if not text:
        raise Problem("bad_request", "say which name: /v1/explain?name=www.example.org&type=A")
    return read_name(text), read_type(request.query.get("type", "A"))


def too_far(error: NotHeld) -> Problem:
    """Say that of an index nothing can be told."""
    return Problem("gone" if error.is_old else "not_found", str(error), "qdns event list")


def _row(context: ApiContext, name: Name, found: Explanation) -> Row:
    return {
        "index": found.index,
        "node": context.node,
        "name": plain(name),
        "type": found.type,
        "kind": found.kind,
        "rcode": found.rcode,
        "records": list(found.records),
        "lines": [line_row(each) for each in found.lines],
        "endpoints": [
            {
                "address": each.address,
                "published": each.published,
                "reason": each.reason,
                "lines": [line_row(line) for line in each.lines],
            }
            for each in found.endpoints
        ],
    }


def line_row(line: Line) -> Row:
    """Show one sentence."""
    return {"depth": line.depth, "text": line.text}
