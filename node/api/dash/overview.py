"""The first page: one sentence of state, problems with next steps, nodes, services with strips, latest events."""

from collections.abc import Mapping

from node.api.context import ApiContext
from node.api.dash.frame import framed
from node.api.message import AskPeers, PeerAnswer, Request, Response
from node.api.names import read_name
from node.api.status import build
from node.api.timeline import CELLS, verdict_cells
from node.api.views import Row, event_row
from node.health.verdict import quorum
from node.state.events import newest
from node.state.state import State
from node.state.targets import covers

EVENTS_SHOWN = 12
SERVICES_SHOWN = 50


def get_overview(context: ApiContext, request: Request) -> AskPeers:
    """Show this node's view and what the other nodes answered."""

    def answer(answers: Mapping[str, PeerAnswer]) -> Response:
        status = build(context, answers)
        shown = sorted(status["services"], key=_is_well)[:SERVICES_SHOWN]
        complete(context, shown, status)
        events = [event_row(event) for event in reversed(newest(context.state(), EVENTS_SHOWN))]
        return framed(
            "overview.html.j2", context, request, part="overview", command="qdns status",
            status=status, services=shown, counts=_counts(status), events=events,
        )  # fmt: skip

    return AskPeers(answer)


def complete(context: ApiContext, services: list[Row], status: Row) -> None:
    """Add to services' rows what the pages show beside it: strips, votes by node, their push targets."""
    state = context.state()
    cells = verdict_cells(state, context.now_ms(), [read_name(each["fqdn"]) for each in services])
    for service in services:
        fqdn = read_name(service["fqdn"])
        for endpoint in service["endpoints"]:
            endpoint["by_node"] = {each["node"]: each for each in endpoint["votes"]}
            endpoint["held"] = _is_held(endpoint, len(state.members))
            # The log's thread may have brought the endpoint in after the cells were made.
            endpoint["cells"] = cells.get((fqdn, endpoint["address"]), ["undecided"] * CELLS)
        service["pushes"] = [each for each in status["pushes"] if _is_pushed(state, each["target"], service)]


def _is_pushed(state: State, target: str, service: Row) -> bool:
    known = state.targets.get(target)
    return known is not None and covers(known, read_name(service["zone"]))


def _is_well(service: Row) -> bool:
    """Say whether a service can wait until those with troubles are shown."""
    return not service["fail_open"] and all(
        each["verdict"] == "up" and not each["override"] for each in service["endpoints"]
    )


def _is_held(endpoint: Row, members: int) -> bool:
    """Say whether a verdict stands though no majority of the present votes says so."""
    agreeing = sum(1 for each in endpoint["votes"] if each["up"] == (endpoint["verdict"] == "up"))
    needed = quorum(len(endpoint["probe_from"]) or members)
    return bool(endpoint["verdict"] != "undecided" and agreeing < needed)


def _counts(status: Row) -> Row:
    """Count what the one sentence on top tells."""
    endpoints = [each for service in status["services"] for each in service["endpoints"]]
    reachable = [node for node in status["nodes"] if node["state"] != "unreachable"]
    return {
        "nodes": len(status["nodes"]),
        "reachable": len(reachable),
        "endpoints": len(endpoints),
        "published": sum(1 for each in endpoints if each["published"]),
        "withdrawn": sum(1 for each in endpoints if each["verdict"] == "down" and not each["published"]),
    }
