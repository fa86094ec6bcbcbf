"""``/v1/status``, and whether the node is well: ``/healthz``, ``/readyz``, ``/health``."""

from collections.abc import Mapping

from node.api.context import ApiContext
from node.api.message import TEXT, AskPeers, PeerAnswer, Request, Response, shown
from node.api.problem import Problem
from node.api.status import build, local_row


def get_status(context: ApiContext, request: Request) -> Response | AskPeers:
    """Show the whole cluster, or with ``?scope=local`` what this node says of itself."""
    scope = request.query.get("scope", "cluster")
    if scope == "local":
        return shown(local_row(context), context.state().index)
    if scope != "cluster":
        raise Problem("bad_request", f"scope={scope} is neither cluster nor local")

    def answer(answers: Mapping[str, PeerAnswer]) -> Response:
        index = context.state().index
        return shown(build(context, answers), index)

    return AskPeers(answer)


def get_healthz(_context: ApiContext, _request: Request) -> Response:
    """Say that the process answers."""
    return Response(body=b"ok\n", content_type=TEXT)


def get_readyz(context: ApiContext, request: Request) -> Response:
    """Say part by part whether this node can do its work; 503 when it cannot.

    ``?noleader`` asks for DNS answers only, which go on without a leader.
    """
    replica = context.replica()
    has_leader = replica.has_quorum and replica.leader is not None
    parts = [("node", bool(context.dns_addresses())), ("store", replica.ready)]
    if "noleader" not in request.query:
        parts.insert(1, ("leader", has_leader))
    return _parts(parts)


def get_health(context: ApiContext, _request: Request) -> Response:
    """Say whether the three loops go on: DNS, the log and the probes."""
    replica, probes = context.replica(), context.probes()
    return _parts(
        [
            ("dns", bool(context.dns_addresses()) and replica.ready),
            ("raft", replica.has_quorum and replica.leader is not None),
            ("probes", probes.running and not 0 < probes.endpoints <= probes.late),
        ]
    )


def _parts(parts: list[tuple[str, bool]]) -> Response:
    text = "".join(f"[{'+' if good else '-'}]{name} {'ok' if good else 'not ok'}\n" for name, good in parts)
    status = 200 if all(good for _, good in parts) else 503
    return Response(status, text.encode(), TEXT)
