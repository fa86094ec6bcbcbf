"""``/v1/services``: services, their endpoints, and what the cluster says of them."""

from collections.abc import Callable

from node.api.body import faulty, read_model
from node.api.condition import if_index
from node.api.context import ApiContext
from node.api.handlers.common import read_live, write
from node.api.listing import page, read_limit
from node.api.message import Proposal, Reply, Request, Response, heavy, shown
from node.api.models import EndpointSettings, ServiceBody
from node.api.names import closest_zone, no_zone_for, plain, read_name
from node.api.problem import Problem
from node.api.questions import VERDICTS, listed, listed_whole, named, read_choice, read_flag
from node.api.views import Row, service_definition, service_row
from node.health.service import Endpoint, canonical_address, endpoint_of
from node.state.command import DeleteEndpoint, DeleteService, PutEndpoint, PutService
from node.state.state import ServiceState, State
from node.zone.name import Name


def list_services(context: ApiContext, request: Request) -> Reply:
    """List the services, by name."""
    state = context.state()
    return heavy(len(state.services), lambda: _page(state, request))


def _page(state: State, request: Request) -> Response:
    verdict, published = _read_filters(request)
    found = [
        fqdn
        for fqdn in named(request, state.services, plain)
        if published in (None, bool(state.services[fqdn].published))
        and (verdict is None or any(each.verdict == verdict for _, each in state.services[fqdn].endpoints))
    ]
    names, after = page(found, request, read_limit(request, 1_000))
    rows = [_row(state.services[name]) for name in names]
    return shown(listed("/v1/services", request, rows, after), state.index)


def _read_filters(request: Request) -> tuple[str | None, bool | None]:
    """Read ``verdict`` and ``published``. Raises ``Problem``."""
    return read_choice(request, "verdict", VERDICTS), read_flag(request, "published")


def get_service(context: ApiContext, request: Request) -> Response:
    """Show one service: its definition, its endpoints, their votes and verdicts."""
    state = context.state()
    known = service_of(state, request)
    return read_live(_row(known), known.index, state.index)


def put_service(context: ApiContext, request: Request) -> Proposal:
    """Create a service or make it exactly this one; votes on addresses that stay are kept."""
    fqdn = read_name(request.values["fqdn"])
    body = read_model(ServiceBody, request)
    state = context.state()
    service = body.service(fqdn, _zone_of(state, fqdn, body.zone))
    return write(PutService(service, if_index(request, _definition_index(state, fqdn))), _shower(fqdn))


def delete_service(context: ApiContext, request: Request) -> Proposal:
    """Delete a service and its records."""
    fqdn = read_name(request.values["fqdn"])
    condition = if_index(request, _definition_index(context.state(), fqdn))
    return write(DeleteService(fqdn, condition), _shower(fqdn))


def list_endpoints(context: ApiContext, request: Request) -> Response:
    """List the endpoints of a service."""
    state = context.state()
    known = service_of(state, request)
    verdict, published = _read_filters(request)
    rows = [
        each
        for each in service_row(known)["endpoints"]
        if verdict in (None, each["verdict"]) and published in (None, each["published"])
    ]
    value = listed_whole("/v1/services/{fqdn}/endpoints", request, rows, "address")
    return read_live(value, known.index, state.index)


def put_endpoint(context: ApiContext, request: Request) -> Proposal:
    """Add an endpoint or change it; without a body one that is there stays as it is."""
    fqdn, address = read_name(request.values["fqdn"]), address_of(request)
    known = context.state().services.get(fqdn)
    present = endpoint_of(known.service, address) if known is not None else None
    if request.body:
        endpoint = read_model(EndpointSettings, request).endpoint(address)
    else:
        endpoint = present or Endpoint(address)
    condition = if_index(request, known.index if known is not None else 0)
    return write(PutEndpoint(fqdn, endpoint, condition), _shower(fqdn))


def delete_endpoint(context: ApiContext, request: Request) -> Proposal:
    """Remove an endpoint from its service."""
    fqdn = read_name(request.values["fqdn"])
    condition = if_index(request, _definition_index(context.state(), fqdn))
    return write(DeleteEndpoint(fqdn, address_of(request), condition), _shower(fqdn))


def _row(known: ServiceState) -> Row:
    return service_row(known) | service_definition(known)


def _shower(fqdn: Name) -> Callable[[State], Row | None]:
    return lambda state: _row(state.services[fqdn]) if fqdn in state.services else None


def service_of(state: State, request: Request) -> ServiceState:
    """Return the service that the path names. Raises ``Problem``."""
    fqdn = read_name(request.values["fqdn"])
    known = state.services.get(fqdn)
    if known is None:
        raise Problem("not_found", f"there is no service {plain(fqdn)}", "qdns service list")
    return known


def _definition_index(state: State, fqdn: Name) -> int:
    known = state.services.get(fqdn)
    return known.index if known is not None else 0


def _zone_of(state: State, fqdn: Name, text: str | None) -> Name:
    """Return the zone a service goes to: the one it names, or the longest of ours that holds it."""
    if text is not None:
        return read_name(text)
    zone = closest_zone(state, fqdn)
    if zone is not None:
        return zone.name
    known = state.services.get(fqdn)
    if known is not None:
        return known.service.zone
    problem = no_zone_for(state, fqdn)
    raise Problem("invalid", problem.detail, 'say which: "zone"; one that is not ours is pushed to only')


def address_of(request: Request) -> str:
    """Return the address that the path names, in its canonical form. Raises ``Problem``."""
    try:
        return canonical_address(request.values["address"].removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise faulty([("", str(error))]) from None
