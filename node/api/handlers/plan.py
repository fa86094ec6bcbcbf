"""``/v1/plan`` and ``/v1/apply``: what a file says against what the cluster holds, and that made so in one entry."""

from node.api.context import ApiContext
from node.api.message import Proposal, Reply, Request, Response, encode, shown
from node.api.plan_rows import plan_row
from node.api.problem import Problem, of_refused, rendered
from node.state import desired as wire
from node.state.command import PutService, Together
from node.state.names import bad_name
from node.state.planning import make_plan
from node.state.pushes import PutTarget
from node.state.state import Accepted, Refused, State


def post_plan(context: ApiContext, request: Request) -> Response:
    """Show what applying would do."""
    asked = _read(request)
    state = context.state()
    return shown(plan_row(make_plan(state, asked.desired, prune=asked.prune), state.index), state.index)


def post_apply(context: ApiContext, request: Request) -> Reply:
    """Do it, all in one entry, if it is still what was agreed to."""
    asked = _read(request)
    return _proposal(asked, context.state())


def _proposal(asked: wire.Request, state: State) -> Reply:
    plan = make_plan(state, asked.desired, prune=asked.prune)
    if asked.plan and asked.plan != plan.mark:
        raise Problem(
            "precondition",
            "the cluster changed since the plan was made; nothing was changed",
            "look again: qdns plan",
        )
    if not plan.steps:
        return shown(plan_row(plan, state.index) | {"changed": False})

    def answer(_state: State, accepted: Accepted) -> Response:
        body = plan_row(plan, accepted.index) | {"changed": accepted.changed}
        return Response(body=encode(body), headers=(("Qdns-Index", str(accepted.index)),))

    def refuse(refused: Refused, _state: State) -> Response:
        problem = of_refused(refused)
        hint = problem.hint or "look again: qdns plan"
        return rendered(Problem(problem.code, problem.detail, hint))

    return Proposal(Together(plan.steps), answer, refuse, lambda state: _proposal(asked, state))


def _read(request: Request) -> wire.Request:
    """Read what qdns sends. Raises ``Problem``."""
    try:
        asked = wire.decode(request.body)
    except wire.BadDesired as error:
        raise Problem("invalid", f"the body cannot be used: {error}; nothing was changed") from None
    for command in (*asked.desired.zones, *_as_steps(asked.desired)):
        wrong = bad_name(command)
        if wrong is not None:
            raise Problem(
                "invalid", f"{wrong[:20].hex()} is not a name in its canonical form; nothing was changed"
            )
    return asked


def _as_steps(desired: wire.Desired) -> list[object]:
    return [*map(PutService, desired.services), *map(PutTarget, desired.targets)]
