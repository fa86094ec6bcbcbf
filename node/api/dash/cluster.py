"""The cluster: terms, logs, digests, versions and certificates node by node, and moving leadership."""

from collections.abc import Mapping
from dataclasses import replace

from node.api.context import ApiContext
from node.api.dash.frame import framed
from node.api.handlers import nodes
from node.api.message import AskPeers, ChangeNodes, PeerAnswer, Request, Response
from node.api.status import build


def get_cluster(context: ApiContext, request: Request) -> AskPeers:
    """Show what each node says of itself side by side."""

    def answer(answers: Mapping[str, PeerAnswer]) -> Response:
        status = build(context, answers)
        tokens = [{"name": each.name, "scopes": each.scopes} for each in context.tokens]
        tokens += [
            {"name": known.token.name, "scopes": known.token.scopes}
            for known in context.state().tokens.values()
        ]
        return framed(
            "cluster.html.j2", context, request, part="cluster", command="qdns node list",
            status=status, tokens=tokens,
        )  # fmt: skip

    return AskPeers(answer)


def post_lead(context: ApiContext, request: Request) -> ChangeNodes:
    """Ask the leader to hand over to the node that the form names."""
    asked = replace(request, values={"name": request.form.get("node", "")})

    def answer(index: int) -> Response:
        return Response(303, headers=(("Location", f"/cluster?done={index}"),))

    return replace(nodes.lead(context, asked), answer=answer)
