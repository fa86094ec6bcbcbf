"""What operators say over the heads of votes: drain, force, maintenance, failover, refresh."""

from collections.abc import Sequence
from typing import TypeVar

from node.api.body import Body, read_model
from node.api.context import ApiContext
from node.api.handlers.services import address_of, service_of
from node.api.message import Proposal, Reply, Request, Response, encode, shown
from node.api.names import plain
from node.api.operations import (
    DrainBody,
    FailoverBody,
    ForceBody,
    MaintenanceBody,
    OverridesBody,
    is_meant,
    places_of,
)
from node.api.problem import Problem
from node.api.views import Row, maintenance_row, override_row
from node.health.override import OverrideKind
from node.state.command import Command
from node.state.operations import (
    ClearOverrides,
    EndWaits,
    Place,
    SetMaintenance,
    SetOverrides,
)
from node.state.state import Accepted, State
from node.state.targets import covers

_KINDS: dict[str, OverrideKind] = {"drain": "drain", "force-up": "up", "force-down": "down"}
Model = TypeVar("Model", bound=Body)


def put_drain(context: ApiContext, request: Request) -> Proposal:
    """Take an endpoint out of DNS, until it is taken back or its time is over."""
    body = _optional(DrainBody, request)
    return _set(context, [_place(context, request)], "drain", body)


def put_force(context: ApiContext, request: Request) -> Proposal:
    """Take an endpoint for up or down, whatever the votes say."""
    body = read_model(ForceBody, request)
    return _set(context, [_place(context, request)], body.verdict, body)


def delete_drain(context: ApiContext, request: Request) -> Proposal:
    """Let the votes decide again about a drained endpoint."""
    return _release(context, request, ("drain",), "drained")


def delete_force(context: ApiContext, request: Request) -> Proposal:
    """Let the votes decide again about a forced endpoint."""
    return _release(context, request, ("up", "down"), "forced")


def post_overrides(context: ApiContext, request: Request) -> Proposal:
    """Drain, force or release many endpoints by patterns, or let them come back, all or nothing."""
    body = read_model(OverridesBody, request)
    places = places_of(context.state(), body.places)
    if body.action == "failback":
        return _proposal(EndWaits(places), places)
    if body.action == "release":
        return _proposal(ClearOverrides(places), places)
    return _set(context, places, _KINDS[body.action], body)


def put_failover(context: ApiContext, request: Request) -> Proposal:
    """Use some endpoints of a service alone: what else it has is forced down, in one step."""
    body = read_model(FailoverBody, request)
    service = service_of(context.state(), request).service
    chosen = [each for each in service.endpoints if is_meant(each, body.to)]
    if not chosen:
        known = ", ".join(f"{each.address} {each.name}".strip() for each in service.endpoints)
        detail = f"{plain(service.fqdn)} has no endpoint {body.to}; it has {known or 'none'}"
        raise Problem("not_found", detail, "qdns service show NAME")
    wanted = tuple(Place(service.fqdn, each.address) for each in chosen)
    others = tuple(Place(service.fqdn, each.address) for each in service.endpoints if each not in chosen)
    if not others:
        return _proposal(ClearOverrides(wanted), wanted)
    until_ms = body.until_ms(context.now_ms())
    command = SetOverrides(others, "down", until_ms, allow_empty=body.allow_empty, released=wanted)
    return _proposal(command, (*wanted, *others))


def delete_failover(context: ApiContext, request: Request) -> Reply:
    """Let the votes decide again about every endpoint that was forced; what is drained stays so."""
    known = service_of(context.state(), request)
    forced = tuple(
        Place(known.service.fqdn, address) for address, each in known.overrides if each.kind != "drain"
    )
    if forced:
        return _proposal(ClearOverrides(forced), forced)
    index = context.state().index
    return shown({"index": index, "serial": None, "changed": False, "places": []}, index)


def put_maintenance(context: ApiContext, request: Request) -> Proposal:
    """Let a service stand still in DNS, now or later."""
    body = _optional(MaintenanceBody, request)
    fqdn = service_of(context.state(), request).service.fqdn
    from_ms = body.from_ms()
    until_ms = body.until_ms(from_ms or context.now_ms())
    return _of_service(SetMaintenance(fqdn, True, from_ms, until_ms))


def delete_maintenance(context: ApiContext, request: Request) -> Proposal:
    """End the maintenance of a service, or give up a planned one; it is judged anew at once."""
    return _of_service(SetMaintenance(service_of(context.state(), request).service.fqdn, False))


def post_refresh(context: ApiContext, request: Request) -> Response:
    """Let this node read every push target of a service anew and repair what differs there."""
    state = context.state()
    known = service_of(state, request)
    names = [
        name
        for name in sorted(state.targets)
        if covers(state.targets[name], known.service.zone) and context.refresh_target(name)
    ]
    return shown({"service": plain(known.service.fqdn), "targets": names}, state.index)


def _optional(model: type[Model], request: Request) -> Model:
    return read_model(model, request) if request.body else model()


def _place(context: ApiContext, request: Request) -> Place:
    known, address = service_of(context.state(), request), address_of(request)
    if address not in dict(known.endpoints):
        detail = f"{plain(known.service.fqdn)} has no endpoint {address}"
        raise Problem("not_found", detail, "qdns endpoint list")
    return Place(known.service.fqdn, address)


def _set(context: ApiContext, places: Sequence[Place], kind: OverrideKind, body: DrainBody) -> Proposal:
    until_ms = body.until_ms(context.now_ms())
    return _proposal(SetOverrides(tuple(places), kind, until_ms, body.allow_empty, body.automated), places)


def _release(context: ApiContext, request: Request, kinds: tuple[str, ...], word: str) -> Proposal:
    place = _place(context, request)
    present = dict(context.state().services[place.fqdn].overrides).get(place.address)
    if present is not None and present.kind not in kinds:
        what = "drained" if present.kind == "drain" else f"forced {present.kind}"
        raise Problem("conflict", f"{plain(place.fqdn)} {place.address} is {what}, not {word}")
    return _proposal(ClearOverrides((place,)), (place,))


def _proposal(command: Command, places: Sequence[Place]) -> Proposal:
    def answer(state: State, accepted: Accepted) -> Response:
        return _written(accepted, {"places": [_place_row(state, each) for each in places]})

    return Proposal(command, answer)


def _of_service(command: SetMaintenance) -> Proposal:
    def answer(state: State, accepted: Accepted) -> Response:
        known = state.services.get(command.fqdn)
        row: Row = {} if known is None else _in_dns(len(known.published), len(known.endpoints))
        maintenance = maintenance_row(known.maintenance) if known is not None else None
        return _written(accepted, {"service": plain(command.fqdn), "maintenance": maintenance} | row)

    return Proposal(command, answer)


def _in_dns(published: int, endpoints: int) -> Row:
    return {"published": published, "endpoints": endpoints}


def _written(accepted: Accepted, more: Row) -> Response:
    body = {"index": accepted.index, "serial": accepted.serial, "changed": accepted.changed} | more
    return Response(body=encode(body), headers=(("Qdns-Index", str(accepted.index)),))


def _place_row(state: State, place: Place) -> Row:
    known = state.services.get(place.fqdn)
    row: Row = {"service": plain(place.fqdn), "address": place.address}
    if known is None:
        return row | {"published": False, "ttl": None, "override": None}
    override = override_row(dict(known.overrides).get(place.address))
    return row | {
        "published": place.address in known.published,
        "ttl": known.ttl,
        "override": override,
    }
