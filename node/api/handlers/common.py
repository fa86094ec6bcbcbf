"""What the handlers of ``/v1`` share: the answer to a write, and a read with its ETag."""

from collections.abc import Callable

from node.api.condition import etag, is_unchanged
from node.api.message import Proposal, Request, Response, encode, shown
from node.api.problem import of_refused, rendered
from node.state.command import Command
from node.state.state import Accepted, Refused, State


def write(command: Command, present: Callable[[State], object]) -> Proposal:
    """Propose a command and answer with where it stands in the log.

    Who loses against another writer gets the object as it is ``present`` now, None when there is none.
    """

    def refuse(refused: Refused, state: State) -> Response:
        problem = of_refused(refused)
        return (
            rendered(problem, present=present(state)) if problem.code == "precondition" else rendered(problem)
        )

    return Proposal(command, written, refuse)


def written(_state: State, accepted: Accepted) -> Response:
    """Answer a write: its log index, the zone's serial and whether anything changed."""
    body = {"index": accepted.index, "serial": accepted.serial, "changed": accepted.changed}
    return Response(body=encode(body), headers=(("Qdns-Index", str(accepted.index)),))


def read(request: Request, value: object, index: int) -> Response:
    """Answer a read of one object that last changed at this log index."""
    if is_unchanged(request, index):
        return Response(304, headers=(("ETag", etag(index)),), index=index)
    response = shown(value, index)
    return Response(
        response.status, response.body, response.content_type, (("ETag", etag(index)),), response.index
    )


def read_live(value: object, index: int, now: int) -> Response:
    """Answer a read of one object whose definition last changed at ``index``, with what else the State says of it.

    The ETag is for writes, which are about the definition. What else is shown changes without it: so the answer is
    never "not modified", and whoever waits for a newer one waits for any change after ``now``.
    """
    response = shown(value, now)
    return Response(response.status, response.body, response.content_type, (("ETag", etag(index)),), now)
