"""``/v1/push``: the outside servers that get our RRsets, and how far each is."""

from node.api.context import ApiContext
from node.api.handlers.common import read
from node.api.message import Request, Response, shown
from node.api.problem import Problem
from node.api.views import push_row, push_rows


def list_push(context: ApiContext, _request: Request) -> Response:
    """List the push targets, by name."""
    state = context.state()
    progress = {each.target: each for each in context.pushes()}
    return shown({"items": push_rows(state, progress), "next": None}, state.index)


def get_push(context: ApiContext, request: Request) -> Response:
    """Show one push target."""
    state, name = context.state(), request.values["name"]
    target = state.targets.get(name)
    if target is None:
        raise Problem("not_found", f"there is no push target {name}", "qdns push list")
    progress = {each.target: each for each in context.pushes()}
    return read(request, push_row(state, target, progress.get(name)), state.target_indexes.get(name, 0))
