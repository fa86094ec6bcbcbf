"""``/v1/zones/{zone}/rrsets``: reading and changing RRsets, one at a time."""

from collections.abc import Iterator

import msgspec

from node.api.body import faulty, read_model
from node.api.condition import if_index
from node.api.context import ApiContext
from node.api.handlers.common import read, write
from node.api.leases import leases_of
from node.api.listing import read_limit
from node.api.message import Proposal, Reply, Request, Response, heavy, shown
from node.api.models import RRsetBody, RRsetPatch
from node.api.names import named_zone, read_name, read_type, zone_for_write
from node.api.problem import Problem
from node.api.questions import listed, read_flag, read_name_pattern
from node.api.views import Row, rrset_row
from node.glob import Glob
from node.state.command import (
    AddRdatas,
    Change,
    ChangeZone,
    DeleteRRset,
    LeaseWish,
    PutRRset,
    RemoveRdatas,
    ZoneSettings,
)
from node.state.state import State
from node.zone.lease import LeaseKey
from node.zone.name import BadName, Name, from_text, to_text
from node.zone.rrset import BadRdata, RRset, make, rdata_from_text, type_to_text
from node.zone.zone import Zone


def list_rrsets(context: ApiContext, request: Request) -> Reply:
    """List the RRsets of a zone in canonical order; ``after`` is the key a page ended with."""
    state = context.state()
    zone = named_zone(state, request.values["zone"])
    return heavy(zone.rrset_count, lambda: _page(context, state, zone, request))


def _page(context: ApiContext, state: State, zone: Zone, request: Request) -> Response:
    items, last = matching_rows(context, state, zone, request)
    return shown(listed("/v1/zones/{zone}/rrsets", request, items, last), state.index)


def matching_rows(
    context: ApiContext, state: State, zone: Zone, request: Request
) -> tuple[list[Row], str | None]:
    """Return the rows that the query asks for, and what to go on after, None at the end. Raises ``Problem``."""
    limit = read_limit(request)
    items: list[Row] = []
    last = None
    for rrset, index in _iter_matching(context, zone, request):
        if len(items) == limit:
            return items, last
        items.append(_row(context, state, zone.name, rrset, index))
        last = f"{to_text(rrset.name)}/{type_to_text(rrset.type)}"
    return items, None


def row_of(context: ApiContext, state: State, zone: Zone, name: Name, type_: int) -> Row | None:
    """Return the row of one RRset, None where there is none."""
    return _shown(context, state, zone.name, name, type_)


def _iter_matching(context: ApiContext, zone: Zone, request: Request) -> Iterator[tuple[RRset, int]]:
    """Yield the RRsets the query asks for, each with the index of its name's last change."""
    type_ = read_type(request.query["type"]) if request.query.get("type") else None
    published = read_flag(request, "published")
    wanted = read_name_pattern(request)
    pattern = Glob(_dotted(wanted)) if wanted and not _is_one_name(wanted) else None
    start, start_type = _read_after(request.query.get("after"))
    names = _named(zone, wanted) if _is_one_name(wanted) else context.order.after(zone, start)
    for name in names:
        if pattern is not None and not pattern.fits(to_text(name)):
            continue
        node = zone.nodes[name]
        for rrset in node.rrsets:
            is_wanted = type_ in (None, rrset.type) and published in (None, not rrset.disabled)
            if is_wanted and (name != start or rrset.type > start_type):
                yield rrset, node.index


def _is_one_name(pattern: str) -> bool:
    """Say whether the pattern is a name; an asterisk label in front alone is a wildcard record's name."""
    return bool(pattern) and not any(char in pattern.removeprefix("*.") for char in "*?")


def _named(zone: Zone, text: str) -> list[Name]:
    name = read_name(text, zone.name)
    return [name] if name in zone.nodes else []


def _dotted(pattern: str) -> str:
    return pattern if pattern.endswith((".", "*")) else f"{pattern}."


def _read_after(text: str | None) -> tuple[Name | None, int]:
    """Read the key a page ended with: ``name/type``. Raises ``Problem``."""
    if text is None:
        return None, 0
    name, _, type_ = text.rpartition("/")
    try:
        return from_text(name), read_type(type_)
    except (BadName, Problem):
        raise Problem("bad_request", f"after={text} is not what a page of ours ended with") from None


def get_rrset(context: ApiContext, request: Request) -> Response:
    """Show one RRset."""
    state = context.state()
    zone, name, type_ = _addressed(state, request)
    rrset = zone.get(name, type_)
    if rrset is None:
        raise Problem("not_found", f"{to_text(name)} has no record of type {type_to_text(type_)}")
    index = zone.nodes[name].index
    return read(request, _row(context, state, zone.name, rrset, index), index)


def put_rrset(context: ApiContext, request: Request) -> Proposal:
    """Make an RRset exactly this one."""
    zone, create, name, type_ = _target(context, request)
    body = read_model(RRsetBody, request)
    ttl = _default_ttl(context.state(), zone, create) if body.ttl is None else body.ttl
    rrset = make(name, type_, ttl, _rdatas(type_, body.rdatas, zone, "/rdatas"))
    rrset = msgspec.structs.replace(rrset, comment=body.comment, disabled=body.disabled)
    lease = () if body.lease_s is None else (LeaseWish(LeaseKey(zone, name, type_), body.lease_s),)
    return _change(context, request, zone, create, (PutRRset(rrset),), lease)


def delete_rrset(context: ApiContext, request: Request) -> Proposal:
    """Delete an RRset; one that is not there is deleted already."""
    state = context.state()
    name = _name(state, request)
    zone = named_zone(state, request.values["zone"], name).name
    change = DeleteRRset(name, read_type(request.values["type"]))
    return _change(context, request, zone, None, (change,))


def patch_rrset(context: ApiContext, request: Request) -> Proposal:
    """Add records to an RRset and remove others from it, in one step."""
    zone, create, name, type_ = _target(context, request)
    body = read_model(RRsetPatch, request)
    present = _present(context.state(), zone, name, type_)
    ttl = body.ttl
    if ttl is None:
        ttl = present.ttl if present is not None else _default_ttl(context.state(), zone, create)
    changes: list[Change] = []
    if body.remove:
        changes.append(RemoveRdatas(make(name, type_, ttl, _rdatas(type_, body.remove, zone, "/remove"))))
    leases: tuple[LeaseWish, ...] = ()
    if body.add:
        added = make(name, type_, ttl, _rdatas(type_, body.add, zone, "/add"))
        changes.append(AddRdatas(added))
        keys = (LeaseKey(zone, name, type_, rdata) for rdata in added.rdatas)
        leases = () if body.lease_s is None else tuple(LeaseWish(key, body.lease_s) for key in keys)
    if not changes:
        raise Problem("invalid", "nothing to add and nothing to remove; nothing was changed")
    return _change(context, request, zone, create, tuple(changes), leases)


def _change(
    context: ApiContext,
    request: Request,
    zone: Name,
    create: ZoneSettings | None,
    changes: tuple[Change, ...],
    leases: tuple[LeaseWish, ...] = (),
) -> Proposal:
    first = changes[0]
    name, type_ = (
        (first.name, first.type) if isinstance(first, DeleteRRset) else (first.rrset.name, first.rrset.type)
    )
    state = context.state()
    index = state.zones[zone].nodes[name].index if _present(state, zone, name, type_) else 0
    command = ChangeZone(zone, changes, create=create, if_index=if_index(request, index), leases=leases)
    return write(command, lambda state: _shown(context, state, zone, name, type_))


def _shown(context: ApiContext, state: State, zone: Name, name: Name, type_: int) -> Row | None:
    rrset = _present(state, zone, name, type_)
    return None if rrset is None else _row(context, state, zone, rrset, state.zones[zone].nodes[name].index)


def _row(context: ApiContext, state: State, zone: Name, rrset: RRset, index: int) -> Row:
    return rrset_row(state, rrset, index) | leases_of(context, state).row(zone, rrset)


def _target(context: ApiContext, request: Request) -> tuple[Name, ZoneSettings | None, Name, int]:
    name = _name(context.state(), request)
    zone, create = zone_for_write(context, request.values["zone"], name)
    return zone, create, name, read_type(request.values["type"])


def _addressed(state: State, request: Request) -> tuple[Zone, Name, int]:
    name = _name(state, request)
    return named_zone(state, request.values["zone"], name), name, read_type(request.values["type"])


def _name(state: State, request: Request) -> Name:
    """Read the name of the path; ``@`` is the zone's own."""
    text, zone = request.values["name"], request.values["zone"]
    if text == "@" and zone != "-":
        return named_zone(state, zone).name
    return read_name(text)


def _present(state: State, zone: Name, name: Name, type_: int) -> RRset | None:
    known = state.zones.get(zone)
    return None if known is None else known.get(name, type_)


def _default_ttl(state: State, zone: Name, create: ZoneSettings | None) -> int:
    settings = create or state.zone_settings.get(zone)
    return settings.default_ttl if settings is not None else 5


def _rdatas(type_: int, texts: list[str], origin: Name, where: str) -> list[bytes]:
    """Read records in master-file text, and tell of all that are wrong at once. Raises ``Problem``."""
    rdatas: list[bytes] = []
    faults: list[tuple[str, str]] = []
    for position, text in enumerate(texts):
        try:
            rdatas.append(rdata_from_text(type_, text, origin))
        except BadRdata as error:
            faults.append((f"{where}/{position}", str(error)))
    if faults:
        raise faulty(faults)
    return rdatas
