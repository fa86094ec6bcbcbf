"""``/v1/batch``: several writes of ``/v1`` as one entry of the log, all or nothing.

Each operation is planned by the handler of its own path, on the State that the operations before it would
make, so that a batch can create a zone and fill it. What decides is the log, which carries them out anew.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast, get_args

import msgspec

from node.api.access import require_scope
from node.api.body import read_model
from node.api.context import ApiContext
from node.api.handlers.common import written
from node.api.message import SAFE, Proposal, Request
from node.api.models import BatchBody, Operation
from node.api.problem import Problem, of_refused
from node.api.routes import Route
from node.state.command import Command, Entry, Step, Together
from node.state.machine import apply_entry
from node.state.state import Refused, State

Match = Callable[[str, str], tuple[Route, Mapping[str, str]]]
"""Finds the route of a method and a path. Raises ``Problem``."""
_STEPS = get_args(Step)


def post_batch(context: ApiContext, request: Request, match: Match) -> Proposal:
    """Plan the operations one after the other and propose them together."""
    body = read_model(BatchBody, request)
    state = base = context.state()
    steps: list[Step] = []
    for number, operation in enumerate(body.operations):
        try:
            step = _step(replace(context, state=_showing(state)), request, operation, match)
            steps.append(_unconditional(step, base))
            state = _after(state, step, context)
        except Problem as problem:
            raise _at(problem, number) from None
    return Proposal(Together(tuple(steps)), written)


def _showing(state: State) -> Callable[[], State]:
    return lambda: state


def _step(context: ApiContext, request: Request, operation: Operation, match: Match) -> Step:
    """Return the command that an operation's own handler makes of it. Raises ``Problem``."""
    route, values = match(operation.method, operation.path)
    if operation.method in SAFE or not operation.path.startswith("/v1/") or route.scope is None:
        raise Problem("invalid", f"{operation.method} {operation.path} is no write of /v1")
    alone_only = Problem("invalid", f"{operation.method} {operation.path} cannot go together with others")
    if not route.makes_entry:
        raise alone_only
    require_scope(request.identity, route.scope)
    conditions = {"if-match": operation.if_match, "if-none-match": operation.if_none_match}
    headers = {key: value for key, value in conditions.items() if value is not None}
    body = b"" if operation.body is None else json.dumps(operation.body).encode()
    alone = replace(
        request,
        method=operation.method,
        path=operation.path,
        values=values,
        query={},
        headers=headers,
        body=body,
    )
    reply = route.handler(context, alone)
    if not isinstance(reply, Proposal) or not isinstance(reply.command, _STEPS):
        raise alone_only
    return cast("Step", reply.command)


def _after(state: State, command: Command, context: ApiContext) -> State:
    """Return the State as it would be. Raises ``Problem`` when the command would be refused."""
    applied = apply_entry(state, state.index + 1, Entry(command, context.now_ms()))
    if isinstance(applied.result, Refused):
        raise of_refused(applied.result)
    return applied.state


def _unconditional(step: Step, base: State) -> Step:
    """Drop ``If-Match: *`` on what an operation before it made: it is there, at an index that is not known yet."""
    index = getattr(step, "if_index", None)
    return msgspec.structs.replace(step, if_index=None) if index is not None and index > base.index else step


def _at(problem: Problem, number: int) -> Problem:
    """Return the problem with its place among the operations."""
    where = f"/operations/{number}"
    errors = tuple({**each, "pointer": f"{where}/body{each.get('pointer', '')}"} for each in problem.errors)
    detail = (
        problem.detail if "nothing was changed" in problem.detail else f"{problem.detail}; nothing was changed"
    )
    return Problem(problem.code, f"{where}: {detail}", problem.hint, errors, problem.headers)
