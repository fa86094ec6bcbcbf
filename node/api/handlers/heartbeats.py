"""``POST .../heartbeat``: an endpoint says by itself that it is well, to whichever node it likes."""

from node.api.context import ApiContext
from node.api.handlers.services import address_of, service_of
from node.api.message import Request, Response, shown
from node.api.names import plain
from node.api.problem import Problem
from node.health.check_text import write_check
from node.state.scopes import Need, allows


def post_heartbeat(context: ApiContext, request: Request) -> Response:
    """Hear a heartbeat. It counts for the check's lease; without another one the endpoint is down."""
    state = context.state()
    known, address = service_of(state, request), address_of(request)
    service = known.service
    text = plain(service.fqdn)
    need = Need("heartbeat", service.zone, service.fqdn)
    assert request.identity is not None
    if not allows(request.identity.scopes, need):
        raise Problem("forbidden", f"the token {request.identity.name} lacks the scope {need}")
    endpoint = dict(known.endpoints).get(address)
    if endpoint is None:
        raise Problem("not_found", f"{text} has no endpoint {address}", "qdns endpoint list")
    if service.check.kind != "push":
        what = f"{text} is probed by {write_check(service.check)}, nobody listens to heartbeats of it"
        raise Problem("conflict", what, "give it the check push://60s")
    if not any(member.name == context.node for member in state.members):
        raise Problem("not_ready", f"{context.node} does not vote, so nothing would follow", "ask another node")
    if not context.hear(service.fqdn, address):
        raise Problem("not_ready", f"{context.node} has only just learned of {text} {address}", "try again")
    row = {
        "service": text,
        "address": address,
        "node": context.node,
        "lease_s": service.check.lease_s,
        "verdict": endpoint.verdict,
        "published": address in known.published,
    }
    return shown(row | {"index": state.index}, state.index)
