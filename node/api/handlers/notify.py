"""``/v1/notify``: who is told of events, how far each is, and a try."""

from node.api.context import ApiContext, NotTold
from node.api.message import Perform, Request, Response, Steps, shown
from node.api.problem import Problem
from node.api.questions import listed_whole
from node.api.views import receiver_row


def list_notify(context: ApiContext, request: Request) -> Response:
    """List the receivers of this node's configuration, by name."""
    return shown(
        listed_whole("/v1/notify", request, [receiver_row(each) for each in context.receivers()], "receiver"),
        context.state().index,
    )


def try_notify(context: ApiContext, request: Request) -> Steps:
    """Tell one receiver of nothing, from this node and at once."""
    name = request.values["name"]

    async def run(_perform: Perform) -> Response:
        try:
            detail = await context.test_receiver(name)
        except NotTold as error:
            raise Problem("unreachable", f"{name} did not take the test: {error}") from None
        if detail is None:
            raise Problem("not_found", f"this node tells no receiver {name}", "qdns notify list")
        return shown({"receiver": name, "node": context.node, "detail": detail}, context.state().index)

    return Steps(run)
