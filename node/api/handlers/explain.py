"""``/v1/explain``: why a question is answered as it is."""

from node.api.context import ApiContext
from node.api.message import Request, Response, shown
from node.api.names import plain, read_name, read_type
from node.api.problem import Problem
from node.api.views import Row
from node.state.explaining import Line


def get_explain(context: ApiContext, request: Request) -> Response:
    """Say what is answered for ``name`` and ``type`` (A), and why; the same text on every node at one index."""
    text = request.query.get("name")
    if not text:
        raise Problem("bad_request", "say which name: /v1/explain?name=www.example.org&type=A")
    name, type_ = read_name(text), read_type(request.query.get("type", "A"))
    state = context.state()
    found = context.explain(state, name, type_)
    row: Row = {
        "index": found.index,
        "node": context.node,
        "name": plain(name),
        "type": found.type,
        "kind": found.kind,
        "rcode": found.rcode,
        "records": list(found.records),
        "lines": [_line(each) for each in found.lines],
        "endpoints": [
            {
                "address": each.address,
                "published": each.published,
                "reason": each.reason,
                "lines": [_line(line) for line in each.lines],
            }
            for each in found.endpoints
        ],
    }
    return shown(row, state.index)


def _line(line: Line) -> Row:
    return {"depth": line.depth, "text": line.text}
