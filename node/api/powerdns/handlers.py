"""The paths of ``/api/v1``; the only server is ``localhost``."""

from node.api.body import read_model
from node.api.context import ApiContext
from node.api.going_on import while_wanted
from node.api.message import TEXT, Proposal, Reply, Request, Response, encode, heavy, shown
from node.api.names import default_settings, read_name, read_type
from node.api.powerdns.changes import command_of, rrset_of
from node.api.powerdns.models import ZoneCreation, ZonePatch
from node.api.powerdns.models import ZoneSettings as PowerDnsSettings
from node.api.powerdns.rows import SERVER, Row, iter_rrset_rows, name_rows, zone_row
from node.api.problem import Problem
from node.state.command import DeleteZone, PutZone, ZoneSettings
from node.state.state import Accepted, Refused, State
from node.zone.master_file import write
from node.zone.name import Name, from_wire, sort_key, to_text
from node.zone.rrset import NS, RRset, type_to_text
from node.zone.zone import Zone

VERSION = "4.9.12"
"""The release whose behaviour this is; clients choose their own by it."""
_OWN_KINDS = ("native", "master", "primary")
"""Whichever of them is asked for, secondaries that are configured are told of changes."""


def tell(problem: Problem, _state: State) -> Response:
    """Tell of a problem as PowerDNS does: plain text for 401, an ``error`` otherwise."""
    if problem.code == "unauthorized":
        return Response(401, b"Unauthorized", TEXT, problem.headers)
    status = {"not_found": 404, "forbidden": 403, "bad_request": 400, "method_not_allowed": 405}.get(
        problem.code
    )
    if status is None:
        is_ours = problem.code in ("invalid", "conflict", "precondition", "too_large")
        status = 422 if is_ours else {"too_many": 429, "failed": 500}.get(problem.code, 503)
    text = f"{problem.detail} ({problem.hint})" if problem.hint else problem.detail
    return Response(status, encode({"error": text}), headers=problem.headers)


def list_apis(_context: ApiContext, _request: Request) -> Response:
    """Name the one version there is."""
    return shown([{"url": "/api/v1", "version": 1}])


def list_servers(_context: ApiContext, _request: Request) -> Response:
    """List the one server."""
    return shown([_server()])


def get_server(_context: ApiContext, _request: Request) -> Response:
    """Show the one server."""
    return shown(_server())


def list_nothing(_context: ApiContext, _request: Request) -> Response:
    """Answer with the empty list, for what there is none of here."""
    return shown([])


def list_statistics(context: ApiContext, _request: Request) -> Response:
    """Show for how long the node runs."""
    uptime_s = (context.now_ms() - context.started_at_ms) // 1000
    return shown([{"name": "uptime", "type": "StatisticItem", "value": str(uptime_s)}])


def list_zones(context: ApiContext, request: Request) -> Response:
    """List the zones, or the one that ``?zone=`` names."""
    state, wanted = context.state(), request.query.get("zone")
    names = sorted(state.zones, key=sort_key) if wanted is None else [read_name(wanted)]
    return shown([zone_row(state.zones[name]) for name in names if name in state.zones])


def get_zone(context: ApiContext, request: Request) -> Reply:
    """Show a zone with its records, or those of one name and type."""
    state = context.state()
    zone = _zone(state, request)
    if request.query.get("rrsets", "true") == "false":
        return shown(zone_row(zone))
    name = request.query.get("rrset_name")
    if name is not None:
        rows = list(name_rows(state, zone, read_name(name)))
        type_ = request.query.get("rrset_type")
        rows = [row for row in rows if type_ is None or row["type"] == type_to_text(read_type(type_))]
        return shown(zone_row(zone) | {"rrsets": rows})
    return heavy(zone.rrset_count, lambda: _whole_zone(context, state, zone))


def _whole_zone(context: ApiContext, state: State, zone: Zone) -> Response:
    """Write a zone row by row: one call for a million rows would stop the event loop from a thread, too."""
    rows = b",".join(encode(row) for row in iter_rrset_rows(state, context.order, zone))
    head = encode(zone_row(zone)).rstrip(b"}\n")
    return Response(body=b'%s,"rrsets":[%s]}\n' % (head, rows))


def post_zone(context: ApiContext, request: Request) -> Proposal:
    """Create a zone with its first records; the SOA is ours."""
    body = read_model(ZoneCreation, request)
    _require_own(body.kind)
    apex = read_name(body.name)
    rrsets = [
        rrset_of(context.state(), apex, each, position) for position, each in enumerate(body.rrsets or [])
    ]
    settings = _settings(apex, [read_name(each) for each in body.nameservers or []], rrsets)

    def answer(state: State, _accepted: Accepted) -> Response:
        zone = state.zones.get(apex)
        if zone is None:
            raise Problem("not_found", f"{to_text(apex)} was created and has been deleted since")
        row = zone_row(zone) | {"rrsets": list(iter_rrset_rows(state, context.order, zone))}
        return shown(row, status=201)

    def refuse(refused: Refused, state: State) -> Response:
        if refused.code == "precondition":
            return Response(409, encode({"error": "Conflict"}))
        return tell(Problem("invalid", refused.detail, refused.hint), state)

    return Proposal(PutZone(apex, settings, tuple(rrsets), if_index=0), answer, refuse)


def patch_zone(context: ApiContext, request: Request) -> Proposal | Response:
    """Change records, all or nothing."""
    state = context.state()
    zone = _zone(state, request)
    body = read_model(ZonePatch, request)
    command = command_of(state, zone.name, body.rrsets, request.identity)
    return Response(204) if command is None else Proposal(command, _no_content)


def put_zone(context: ApiContext, request: Request) -> Response:
    """Take a zone's kind, account and the like, none of which is kept."""
    _zone(context.state(), request)
    if request.body:
        _require_own(read_model(PowerDnsSettings, request).kind)
    return Response(204)


def delete_zone(context: ApiContext, request: Request) -> Proposal:
    """Delete a zone with its records."""
    return Proposal(DeleteZone(_zone(context.state(), request).name), _no_content)


def notify_zone(context: ApiContext, request: Request) -> Response:
    """Say that secondaries are told of changes by themselves."""
    _zone(context.state(), request)
    return shown({"result": "Notification queued"})


def rectify_zone(context: ApiContext, request: Request) -> Response:
    """Say that there is nothing to put in order."""
    _zone(context.state(), request)
    return shown({"result": "Rectified"})


def export_zone(context: ApiContext, request: Request) -> Reply:
    """Write a zone as a master file."""
    state = context.state()
    zone = _zone(state, request)

    def work() -> Response:
        return Response(body=write(while_wanted(zone.iter_rrsets()), zone.name).encode(), content_type=TEXT)

    return heavy(zone.rrset_count, work)


def _zone(state: State, request: Request) -> Zone:
    """Return the zone of the path, whose id may be escaped with ``=XX``. Raises ``Problem``."""
    text = request.values["id"]
    for escape, char in (("=2F", "/"), ("=2E", "."), ("=2f", "/"), ("=2e", ".")):
        text = text.replace(escape, char)
    zone = state.zones.get(read_name(text))
    if zone is None:
        raise Problem("not_found", "Not Found")
    return zone


def _require_own(kind: str | None) -> None:
    """Refuse kinds of zones that other servers fill, or that are catalogs of zones. Raises ``Problem``."""
    if kind is not None and kind.lower() not in _OWN_KINDS:
        raise Problem("invalid", f"a zone of kind {kind} is not to be had here; nothing was changed", "Native")


def _settings(apex: Name, nameservers: list[Name], rrsets: list[RRset]) -> ZoneSettings:
    usual = default_settings(apex)
    at_apex = [rrset for rrset in rrsets if (rrset.name, rrset.type) == (apex, NS)]
    names = nameservers or [from_wire(rdata) for rrset in at_apex for rdata in rrset.rdatas]
    return ZoneSettings(nameservers=tuple(names) or usual.nameservers, contact=usual.contact)


def _no_content(_state: State, accepted: Accepted) -> Response:
    return Response(204, headers=(("Qdns-Index", str(accepted.index)),))


def _server() -> Row:
    return {
        "type": "Server",
        "id": "localhost",
        "daemon_type": "authoritative",
        "version": VERSION,
        "url": SERVER,
        "config_url": f"{SERVER}/config{{/config_setting}}",
        "zones_url": f"{SERVER}/zones{{/zone}}",
    }
