"""``/v1/nodes``: who belongs to the cluster, and the changes of that, which the leader makes one at a time."""

from collections.abc import Mapping

from node.api.body import read_model
from node.api.context import ApiContext
from node.api.message import AskPeers, ChangeNodes, PeerAnswer, Request, Response, encode, shown
from node.api.models import NodeBody, ReplaceBody
from node.api.problem import Problem
from node.api.questions import listed_whole
from node.api.status import build
from node.api.views import Row
from node.state.command import Member
from node.state.state import State

NAME_CHARACTERS_MAX = 63


def list_nodes(context: ApiContext, request: Request) -> AskPeers:
    """List the nodes with what each says of itself."""

    def answer(answers: Mapping[str, PeerAnswer]) -> Response:
        rows = build(context, answers)["nodes"]
        return shown(listed_whole("/v1/nodes", request, rows, "name"), context.state().index)

    return AskPeers(answer)


def get_node(context: ApiContext, request: Request) -> AskPeers:
    """Show one node."""

    def answer(answers: Mapping[str, PeerAnswer]) -> Response:
        return shown(_row(build(context, answers)["nodes"], request.values["name"]), context.state().index)

    return AskPeers(answer)


def _row(rows: list[Row], name: str) -> Row:
    for row in rows:
        if row["name"] == name:
            return row
    raise Problem("not_found", f"{name} is not a node of this cluster", "qdns node list")


def put_node(context: ApiContext, request: Request) -> ChangeNodes:
    """Let a node in, or change where it is reached."""
    name, body = _name(request), read_model(NodeBody, request)
    known = _known(context.state(), name)
    member = Member(
        name,
        api=body.api if body.api is not None else known.api,
        site=body.site if body.site is not None else known.site,
    )
    return ChangeNodes(
        "add",
        name,
        _changed,
        raft=body.raft,
        role="replica" if body.role == "replica" else "learner",
        member=member,
    )


def delete_node(_context: ApiContext, request: Request) -> ChangeNodes:
    """Take a node out of the cluster."""
    return ChangeNodes("remove", _name(request), _changed)


def replace_node(context: ApiContext, request: Request) -> ChangeNodes:
    """Let a node begin anew with an empty data directory."""
    name = _name(request)
    body = read_model(ReplaceBody, request) if request.body else ReplaceBody(raft=None, api=None)
    known = _known(context.state(), name)
    member = Member(name, api=body.api if body.api is not None else known.api, site=known.site)
    return ChangeNodes("replace", name, _changed, raft=body.raft or "", member=member)


def lead(_context: ApiContext, request: Request) -> ChangeNodes:
    """Ask the leader to hand over to this node."""
    return ChangeNodes("lead", _name(request), _changed)


def _name(request: Request) -> str:
    name = request.values["name"]
    is_word = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    if not is_word or len(name) > NAME_CHARACTERS_MAX:
        raise Problem(
            "invalid",
            f"{name!r} is not a node's name: letters, digits, '-' and '_', {NAME_CHARACTERS_MAX} at most",
        )
    return name


def _known(state: State, name: str) -> Member:
    nodes = (*state.members, *(each.member for each in state.learners))
    return next((each for each in nodes if each.name == name), Member(name))


def _changed(index: int) -> Response:
    return Response(body=encode({"index": index, "changed": True}), headers=(("Qdns-Index", str(index)),))
