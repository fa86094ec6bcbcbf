"""``/v1/status``, and whether the node is well: ``/healthz``, ``/readyz``, ``/health``.

These three look when they are asked: our own DNS gets a real question, the log's thread must have gone round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from node.api.context import ApiContext, ReplicaView
from node.api.elsewhere import shared_with
from node.api.message import TEXT, AskPeers, PeerAnswer, Perform, Request, Response, Steps, shown
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


def get_healthz(context: ApiContext, _request: Request) -> Steps:
    """Say whether the process is worth keeping: its log goes round and its DNS answers. 503 when not.

    Nothing that another node could be the reason of counts here.
    """

    async def run(_perform: Perform) -> Response:
        vitals = await context.vitals()
        return _parts([(each.part, each.problem) for each in vitals if each.part != "probes"])

    return Steps(run)


def get_readyz(context: ApiContext, request: Request) -> Steps:
    """Say part by part whether this node can do its work; 503 when it cannot.

    ``?noleader`` asks for DNS answers only, which go on without a leader. Pages of the other nodes may read it, to
    find one that their viewer can go to.
    """

    async def run(_perform: Perform) -> Response:
        problems = {each.part: each.problem for each in await context.vitals()}
        parts = [("node", problems.get("dns", "")), ("store", _store_problem(context, problems))]
        if "noleader" not in request.query:
            parts.insert(1, ("leader", _leader_problem(context.replica())))
        answer = _parts(parts)
        return replace(answer, headers=shared_with(context, request))

    return Steps(run)


def get_health(context: ApiContext, _request: Request) -> Steps:
    """Say whether the three loops go on: DNS, the log and the probes."""

    async def run(_perform: Perform) -> Response:
        problems = {each.part: each.problem for each in await context.vitals()}
        dns = problems.get("dns", "") or _store_problem(context, {})
        raft = problems.get("raft", "") or _leader_problem(context.replica())
        return _parts([("dns", dns), ("raft", raft), ("probes", problems.get("probes", ""))])

    return Steps(run)


def _leader_problem(replica: ReplicaView) -> str:
    if replica.leader is None:
        return "no leader is known"
    return "" if replica.has_quorum else "a majority is not in contact"


def _store_problem(context: ApiContext, problems: Mapping[str, str]) -> str:
    ready = context.replica().ready
    return problems.get("raft", "") or ("" if ready else "this node has not caught up since its start")


def _parts(parts: Sequence[tuple[str, str]]) -> Response:
    lines = (f"[-]{name} not ok: {problem}\n" if problem else f"[+]{name} ok\n" for name, problem in parts)
    status = 503 if any(problem for _, problem in parts) else 200
    return Response(status, "".join(lines).encode(), TEXT)
