"""The push targets: how far each is, its last answers, and what is different there and here."""

import json
from dataclasses import replace
from shlex import quote
from typing import Any, cast

from node.api.context import ApiContext
from node.api.dash.frame import framed
from node.api.handlers import push
from node.api.message import Perform, Proposal, Request, Response, Steps
from node.api.problem import Problem
from node.api.views import push_rows
from node.state.state import Accepted, State

ACTIONS = ("pause", "resume", "refresh", "release")


def list_push(context: ApiContext, request: Request) -> Response:
    """Show every target with each node's last try."""
    progress = {each.target: each for each in context.pushes()}
    return framed(
        "push.html.j2", context, request, part="push", command="qdns push list",
        targets=push_rows(context.state(), progress),
    )  # fmt: skip


def get_diff(context: ApiContext, request: Request) -> Steps:
    """Read a target and show what a push would replace there; nothing is sent."""
    steps, name = push.get_diff(context, request), request.values["name"]

    async def run(perform: Perform) -> Response:
        changes: list[dict[str, Any]] | None = None
        try:
            changes = json.loads((await steps.run(perform)).body)["changes"]
            error = ""
        except Problem as problem:
            if problem.code != "unreachable":
                raise
            error = problem.detail
        return framed(
            "push_diff.html.j2", context, request, part="push", command=f"qdns push diff {quote(name)}",
            target=name, changes=changes, error=error,
        )  # fmt: skip

    return Steps(run)


def post_action(context: ApiContext, request: Request) -> Proposal:
    """Pause, resume, refresh or release a target."""
    action = request.form.get("action", "")
    if action not in ACTIONS:
        raise Problem("bad_request", f"{action!r} is none of {', '.join(ACTIONS)}; nothing was changed")
    proposal = push.steer(cast("push.Action", action))(context, request)

    def answer(_state: State, accepted: Accepted) -> Response:
        return Response(303, headers=(("Location", f"/push?done={accepted.index}"),))

    return replace(proposal, answer=answer, refuse=None)
