"""From a request to its response: access, freshness, the handler, and the plan the handler returns.

The only place of the room that waits for the log. It repeats a proposal only when the handler's own
condition lost against another writer, which means that nothing was changed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from node.api.access import WRITES, BadToken, grants, identify, require_same_site, require_scope
from node.api.allowance import require_allowed
from node.api.context import ApiContext, ReplicaView
from node.api.dash.forms import with_form
from node.api.feed import Feed
from node.api.handlers.common import written
from node.api.idempotency import declined, takes_key, ticket_of
from node.api.listing import read_count
from node.api.logins import FailedLogins
from node.api.message import (
    SAFE,
    AskPeers,
    AskPeersBoth,
    ChangeNodes,
    Compute,
    Proposal,
    Reply,
    Request,
    Response,
    Steps,
    Streamed,
    Watch,
)
from node.api.peers import Peers
from node.api.problem import Problem, of_outcome, of_refused, tell
from node.api.questions import require_known
from node.api.routes import Route, Table
from node.api.status import build
from node.api.token_uses import TokenUses
from node.api.turns import Turns, turns_of_a_node
from node.api.units import read_duration_s
from node.formats import holding_back, not_yet
from node.state.command import Command, Ticket, format_of
from node.state.once import find
from node.state.state import Accepted, Refused, Result, State
from raft.proposal import Committed, NotCommitted, Unknown

logger = structlog.get_logger()

WRITE_TIMEOUT_S = 4.0
"""Shorter than clients wait by default, so that they are told what became of it."""
FRESH_TIMEOUT_S = 5.0
WAIT_S_MAX = 600.0
REPLANS_MAX = 5
REASON_CHARACTERS_MAX = 200
HEARD_S_MAX = 0.25
"""Who heard the leader so lately knows what was committed before."""
OPEN_BODY_OCTETS_MAX = 4_096
"""Of requests that need no token: a log-in form."""

ReadBody = Callable[[int | None], Awaitable[bytes]]
"""Reads the body up to a limit, None for the usual one. Raises ``Problem``."""


@dataclass(frozen=True, slots=True)
class Room:
    """What serving needs beside the request."""

    context: ApiContext
    table: Table
    feed: Feed
    peers: Peers
    token_uses: TokenUses
    logins: FailedLogins = field(default_factory=FailedLogins)
    turns: Mapping[str, Turns] = field(default_factory=turns_of_a_node)


async def respond(room: Room, request: Request, read_body: ReadBody) -> Response | Streamed:
    """Serve one request; never raises. Its body is read only when it is clear who asks and that they may.

    When the node stops, what is cancelled is answered, too.
    """
    refuse: Callable[[Problem, State], Response] = tell
    stopped = Problem("stopped", "this node is stopping; nothing was changed", "ask another node")
    try:
        route, values = room.table.match(request.method, request.path)
        refuse = route.refuse
        request = replace(request, values=values)
        request = _admitted(room, route, request)
        require_known(route.pattern, request)
        request = replace(
            request, body=await read_body(route.body_octets_max if route.scope else OPEN_BODY_OCTETS_MAX)
        )
        if route.is_form:
            request = with_form(room.context, request)
        if route.scope is not None:  # who need not say who they are cannot make the log work
            await _wait_until_fresh(room, request)
        if request.method not in SAFE:
            stopped = of_outcome(Unknown("this node stopped before it knew what became of it"))
        if _knows_all(room, route, request):
            return await _answer(room, route, request)
        return await _answer_early(room, route, request)
    except asyncio.CancelledError:
        if not room.feed.closed:
            raise
        return refuse(stopped, room.context.state())
    except BadToken as problem:
        return refuse(_counted(room, request, problem), room.context.state())
    except Problem as problem:
        return refuse(problem, room.context.state())
    except Exception:
        logger.exception("request.failed", method=request.method, path=request.path)
        return refuse(Problem("failed", "a bug in this node; its log has the trace"), room.context.state())


def _counted(room: Room, request: Request, problem: BadToken) -> Problem:
    """Count a wrong secret, and return what is told of it: of so many, only to come later. Right ones are let in."""
    now_s = time.monotonic()
    wait_s = room.logins.wait_s(request.client, now_s)
    if wait_s:
        text = f"too many wrong tokens from {request.client}; try again in {wait_s} s"
        return Problem("too_many", text, headers=(("Retry-After", str(wait_s)),))
    room.logins.add(request.client, now_s)
    logger.warning("login.failed", client=request.client, path=request.path)
    return problem


def _admitted(room: Room, route: Route, request: Request) -> Request:
    """Check who asks and whether they may; return the request with their identity. Raises ``Problem``."""
    require_same_site(request)
    if route.scope is None:
        return request
    identity = identify(room.context, request, form=route.is_form)
    room.token_uses.saw(identity)
    require_scope(identity, route.scope)
    request = replace(request, identity=identity)
    if route.before_body is not None:
        route.before_body(request)
    return request


async def _wait_until_fresh(room: Room, request: Request) -> None:
    """Wait for what ``min_index`` and ``consistency`` ask for. Raises ``Problem``."""
    if request.path.startswith("/v1/"):  # said wrongly they are refused also where they mean nothing
        read_duration_s(request.query.get("wait", "0"))
        read_count(request, "index", 0)
    consistency = request.query.get("consistency", "local")
    if consistency not in ("local", "leader"):
        raise Problem("bad_request", f"consistency={consistency} is neither local nor leader")
    if _asks_leader(request):
        outcome = await room.context.read_barrier(FRESH_TIMEOUT_S)
        if not isinstance(outcome, Committed):
            problem = of_outcome(outcome)
            detail = f"cannot read what the leader knows: {outcome.detail}"
            raise Problem(problem.code, detail, "leave out consistency=leader to read this node's own copy")
    index = read_count(request, "min_index", 0)
    if index and not await room.context.wait_applied(index, FRESH_TIMEOUT_S):
        here = room.context.state().index
        raise Problem(
            "not_ready", f"this node is at index {here}, not yet at {index}", "try again, or another node"
        )


def _knows_all(room: Room, route: Route, request: Request) -> bool:
    """Say whether what this node does not find does not exist: it has caught up since its start, or just asked."""
    return route.answers_early or room.context.replica().ready or _asks_leader(request)


def _asks_leader(request: Request) -> bool:
    return request.query.get("consistency") == "leader" or request.query.get("quorum") == "true"


async def _answer_early(room: Room, route: Route, request: Request) -> Response | Streamed:
    """Answer with what this node has read back so far, which is no ground to say that anything does not exist."""
    not_yet = Problem(
        "not_ready", "this node has not caught up since its start; nothing was changed", "ask another node"
    )
    if route.scope is not None and not room.context.state().seeded:
        raise not_yet
    try:
        return await _answer(room, route, request)
    except Problem as problem:
        raise (not_yet if problem.code == "not_found" else problem) from None


async def _answer(room: Room, route: Route, request: Request) -> Response | Streamed:
    """Run the handler; a read with ``?index=N`` waits until the answer is newer than N."""
    ticket = ticket_of(request) if takes_key(route) else None
    if ticket is not None:
        return await _answer_once(room, route, request, ticket)
    response = await _carry_out(room, request, route.handler(room.context, request), route)
    if request.method not in SAFE or "index" not in request.query or isinstance(response, Streamed):
        return response
    known = read_count(request, "index", 0)
    wait_s = min(read_duration_s(request.query.get("wait", "60s")), WAIT_S_MAX)
    ends_s = time.monotonic() + wait_s
    while isinstance(response, Response) and response.index is not None and response.index <= known:
        if not await room.feed.wait(ends_s - time.monotonic()):
            return response
        request = _admitted(room, route, request)
        response = await _carry_out(room, request, route.handler(room.context, request), route)
    return response


async def _carry_out(room: Room, request: Request, reply: Reply, route: Route) -> Response | Streamed:
    """Carry a plan out until there is a response."""
    if isinstance(reply, Proposal):
        return await _propose(room, request, reply, route)
    if isinstance(reply, ChangeNodes):
        return await _change_nodes(room, await _admitted_again(room, route, request), reply)
    if isinstance(reply, AskPeers):
        return reply.answer(await room.peers.rows())
    if isinstance(reply, AskPeersBoth):
        rows, more = await asyncio.gather(room.peers.rows(), room.peers.ask(reply.path))
        return reply.answer(rows, more)
    if isinstance(reply, Watch):
        return await _watch(room, route, request, reply)
    if isinstance(reply, Compute):
        return await room.turns[reply.kind].take(reply.work, request.client, request.gone)
    if isinstance(reply, Steps):
        return await reply.run(lambda command: _result(room, route, request, command, None))
    return reply


async def _change_nodes(room: Room, request: Request, change: ChangeNodes) -> Response:
    reason = request.headers.get("qdns-reason", "")[:REASON_CHARACTERS_MAX]
    outcome = await room.context.change_nodes(
        change.kind,
        change.name,
        raft=change.raft,
        role=change.role,
        member=change.member,
        actor=request.identity.name,
        reason=reason,
    )
    if isinstance(outcome, Committed):
        return change.answer(outcome.index)
    if isinstance(outcome, NotCommitted) and outcome.reason == "refused":
        raise Problem("conflict", f"not changed: {outcome.detail}", "qdns node list")
    raise of_outcome(outcome)


async def _answer_once(room: Room, route: Route, request: Request, ticket: Ticket) -> Response | Streamed:
    """Answer a write that has a key as its first committed try was answered.

    The handler sees this node's State, which may show what an earlier try did, or not yet. So its refusal
    goes through the log, too: either it becomes what the key stands for, or the earlier result is told. Who may
    write nothing makes no entries by being refused.
    """
    try:
        reply: Reply | Problem = route.handler(room.context, request)
    except Problem as problem:
        reply = problem
    state = room.context.state()
    first = find(state, ticket, state.index)
    if first is not None:
        return _told(route, reply, first, state)
    if isinstance(reply, Proposal):
        return await _propose(room, request, reply, route, ticket)
    if not isinstance(reply, Problem):
        return await _carry_out(room, request, reply, route)
    decline = declined(reply)
    if decline is None or not any(grants(request.identity, scope) for scope in WRITES):
        raise reply
    result = await _result(room, route, request, decline, ticket)
    if isinstance(result, Refused) and (result.code, result.detail) == (decline.code, decline.detail):
        raise reply
    return _told(route, reply, result, room.context.state())


async def _require_format(room: Room, command: Command) -> None:
    """Refuse a kind that not all nodes can read yet, and name those that hold it back. Raises ``Problem``."""
    needed, present = format_of(command), room.context.state().format
    if needed > present:
        nodes = build(room.context, await room.peers.rows())["nodes"]
        text = not_yet(needed, present, holding_back(needed, nodes))
        raise Problem("conflict", f"{text}; nothing was changed", "upgrade these nodes, then: qdns status")


async def _propose(
    room: Room, request: Request, proposal: Proposal, route: Route, ticket: Ticket | None = None
) -> Response | Streamed:
    for attempt in range(1 + REPLANS_MAX):
        result = await _result(room, route, request, proposal.command, ticket)
        is_lost = isinstance(result, Refused) and result.code == "precondition" and ticket is None
        if not is_lost or proposal.replan is None or attempt == REPLANS_MAX:
            return _told(route, proposal, result, room.context.state())
        again = proposal.replan(room.context.state())
        if not isinstance(again, Proposal):
            return await _carry_out(room, request, again, route)
        proposal = again
    raise AssertionError("the last attempt returns")


async def _admitted_again(room: Room, route: Route, request: Request) -> Request:
    """Judge anew who asks where this node may not know of the newest tokens. Raises ``Problem``.

    A node that was away would otherwise bring into the log what a token lets it that was taken back meanwhile.
    """
    if route.scope is None or not request.identity.is_by_log or not _may_be_behind(room.context.replica()):
        return request
    outcome = await room.context.read_barrier(WRITE_TIMEOUT_S)
    if not isinstance(outcome, Committed):
        raise of_outcome(outcome)
    identity = identify(room.context, request, form=route.is_form, has_caught_up=True)
    require_scope(identity, route.scope)
    return replace(request, identity=identity)


def _may_be_behind(replica: ReplicaView) -> bool:
    is_heard = replica.has_quorum and replica.stale_s is not None and replica.stale_s <= HEARD_S_MAX
    return not replica.ready or not is_heard or replica.applied_index < replica.commit_index


async def _result(
    room: Room, route: Route, request: Request, command: Command, ticket: Ticket | None
) -> Result:
    """Return what the command came to. Raises ``Problem`` when it is not known to be committed."""
    request = await _admitted_again(room, route, request)
    require_allowed(request.identity, command)
    await _require_format(room, command)
    outcome = await room.context.propose(
        command,
        actor=request.identity.name,
        reason=request.headers.get("qdns-reason", "")[:REASON_CHARACTERS_MAX],
        timeout_s=WRITE_TIMEOUT_S,
        ticket=ticket,
    )
    if isinstance(outcome, NotCommitted | Unknown):
        raise of_outcome(outcome)
    assert isinstance(outcome.result, Accepted | Refused)
    return outcome.result


def _told(route: Route, reply: Reply | Problem, result: Result, state: State) -> Response:
    """Tell a result as the handler's plan says; without a plan as a write is answered."""
    plan = reply if isinstance(reply, Proposal) else None
    if isinstance(result, Accepted):
        return plan.answer(state, result) if plan is not None else written(state, result)
    if plan is not None and plan.refuse is not None:
        return plan.refuse(result, state)
    return route.refuse(of_refused(result), state)


async def _watch(room: Room, route: Route, request: Request, watch: Watch) -> Response:
    ends_s = time.monotonic() + watch.timeout_s
    while True:
        found = watch.look(room.context.state())
        if found is not None:
            return found
        if not await room.feed.wait(ends_s - time.monotonic()):
            return watch.late(room.context.state())
        _admitted(room, route, request)
