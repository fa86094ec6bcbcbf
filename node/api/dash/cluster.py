"""The cluster: terms, logs, digests, versions and certificates node by node, and moving leadership."""

from collections.abc import Mapping
from dataclasses import replace

from node.api.context import ApiContext
from node.api.course import CELLS, STEP_S
from node.api.dash.chart import chart
from node.api.dash.frame import framed
from node.api.handlers import course, nodes
from node.api.handlers.tokens import token_rows
from node.api.message import AskPeersBoth, ChangeNodes, PeerAnswer, Request, Response
from node.api.status import build
from node.api.views import moment

REIGNS_SHOWN = 20


def get_cluster(context: ApiContext, request: Request) -> AskPeersBoth:
    """Show what each node says of itself side by side, and what was with them of late."""

    def answer(answers: Mapping[str, PeerAnswer], courses: Mapping[str, PeerAnswer]) -> Response:
        status = build(context, answers)
        lags, reigns = course.gathered(context, courses)
        names = [node["name"] for node in status["nodes"]]
        return framed(
            "cluster.html.j2", context, request, part="cluster", command="qdns node list",
            status=status, tokens=token_rows(context), span_min=STEP_S * CELLS // 60,
            lag=chart({name: lags.get(name, [None] * CELLS) for name in names}, STEP_S, "entries"),
            reigns=[{"term": each.term, "leader": each.leader, "at": moment(each.at_ms), "began": each.began}
                    for each in reigns[:REIGNS_SHOWN]],
        )  # fmt: skip

    return AskPeersBoth(course.PATH, answer)


def post_lead(context: ApiContext, request: Request) -> ChangeNodes:
    """Ask the leader to hand over to the node that the form names."""
    asked = replace(request, values={"name": request.form.get("node", "")})

    def answer(index: int) -> Response:
        return Response(303, headers=(("Location", f"/cluster?done={index}"),))

    return replace(nodes.lead(context, asked), answer=answer)
