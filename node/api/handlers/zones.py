"""``/v1/zones``: the zones of the cluster and their settings."""

from collections.abc import Callable

from node.api.body import read_model
from node.api.condition import if_index
from node.api.context import ApiContext
from node.api.handlers.common import read_live, write
from node.api.listing import page, read_limit
from node.api.message import Proposal, Reply, Request, Response, heavy, shown
from node.api.models import ZoneBody
from node.api.names import named_zone, plain, read_contact, read_name
from node.api.questions import listed, named
from node.api.views import Row, zone_row
from node.state.command import DeleteZone, PutZone, ZoneSettings
from node.state.state import State
from node.zone.name import Name, from_labels, iter_labels


def list_zones(context: ApiContext, request: Request) -> Reply:
    """List the zones, by name."""
    state = context.state()
    return heavy(len(state.zones), lambda: _page(state, request))


def _page(state: State, request: Request) -> Response:
    names, after = page(named(request, state.zones, plain), request, read_limit(request, 1_000))
    items = [zone_row(state, state.zones[name]) for name in names]
    return shown(listed("/v1/zones", request, items, after), state.index)


def get_zone(context: ApiContext, request: Request) -> Response:
    """Show one zone."""
    state = context.state()
    zone = named_zone(state, request.values["zone"])
    return read_live(zone_row(state, zone), state.zone_indexes.get(zone.name, 0), state.index)


def put_zone(context: ApiContext, request: Request) -> Proposal:
    """Create a zone or change its settings."""
    apex = read_name(request.values["zone"])
    body = read_model(ZoneBody, request)
    settings = ZoneSettings(
        nameservers=tuple(read_name(each) for each in body.nameservers),
        contact=read_contact(body.contact) if body.contact else _hostmaster(apex),
        default_ttl=body.default_ttl,
        negative_ttl=body.negative_ttl,
        refresh_s=body.refresh_s,
        retry_s=body.retry_s,
        expire_s=body.expire_s,
    )
    present = context.state().zone_indexes.get(apex, 0)
    return write(
        PutZone(apex, settings, if_index=if_index(request, present), serial_policy=body.serial_policy),
        _shower(apex),
    )


def delete_zone(context: ApiContext, request: Request) -> Proposal:
    """Delete a zone with all its records; refused while a service lives in it."""
    apex = read_name(request.values["zone"])
    present = context.state().zone_indexes.get(apex, 0)
    return write(DeleteZone(apex, if_index(request, present)), _shower(apex))


def _hostmaster(apex: Name) -> Name:
    """Return the mailbox that RFC 2142 section 7 reserves."""
    return from_labels([b"hostmaster", *iter_labels(apex)])


def _shower(apex: Name) -> Callable[[State], Row | None]:
    return lambda state: zone_row(state, state.zones[apex]) if apex in state.zones else None
