"""``/v1/push``: the outside servers that get our RRsets, how far each is, and what people say of them."""

from collections.abc import Callable
from typing import Any, Literal

from node.api.context import ApiContext, PushChange, PushUnreadable
from node.api.handlers.common import read_live, write
from node.api.message import Perform, Proposal, Request, Response, Steps, shown
from node.api.names import plain
from node.api.problem import Problem
from node.api.questions import listed_whole
from node.api.views import push_row, push_rows
from node.state.pushes import SteerPush, Target
from node.state.state import State
from node.zone.rrset import RRset, rdata_to_text, type_to_text

Action = Literal["pause", "resume", "refresh", "release"]


def list_push(context: ApiContext, request: Request) -> Response:
    """List the push targets, by name."""
    state = context.state()
    progress = {each.target: each for each in context.pushes()}
    return shown(listed_whole("/v1/push", request, push_rows(state, progress), "target"), state.index)


def get_push(context: ApiContext, request: Request) -> Response:
    """Show one push target."""
    state, target = context.state(), _target(context, request)
    progress = {each.target: each for each in context.pushes()}
    row = push_row(state, target, progress.get(target.name))
    return read_live(row, state.target_indexes.get(target.name, 0), state.index)


def get_diff(context: ApiContext, request: Request) -> Steps:
    """Read the target from this node and tell what a push would replace there; nothing is sent."""
    target = _target(context, request)

    async def run(_perform: Perform) -> Response:
        index = context.state().index
        try:
            changes = await context.push_diff(target.name)
        except PushUnreadable as error:
            raise Problem("unreachable", str(error), f"qdns push show {target.name}") from None
        return shown({"target": target.name, "changes": [_change_row(each) for each in changes]}, index)

    return Steps(run)


def steer(action: Action) -> Callable[[ApiContext, Request], Proposal]:
    """Return the handler that pauses, resumes, refreshes or releases a target."""

    def handle(context: ApiContext, request: Request) -> Proposal:
        name = _target(context, request).name

        def present(state: State) -> dict[str, Any] | None:
            target = state.targets.get(name)
            return None if target is None else push_row(state, target, None)

        return write(SteerPush(name, action), present)

    handle.__doc__ = f"{action.capitalize()} a push target."
    return handle


def _target(context: ApiContext, request: Request) -> Target:
    name = request.values["name"]
    target = context.state().targets.get(name)
    if target is None:
        raise Problem("not_found", f"there is no push target {name}", "qdns push list")
    return target


def _change_row(change: PushChange) -> dict[str, Any]:
    return {
        "zone": plain(change.zone),
        "name": plain(change.name),
        "type": type_to_text(change.type),
        "before": _records(change.before),
        "after": _records(change.after),
    }


def _records(rrset: RRset | None) -> dict[str, Any] | None:
    if rrset is None:
        return None
    return {"ttl": rrset.ttl, "records": [rdata_to_text(rrset.type, rdata) for rdata in rrset.rdatas]}
