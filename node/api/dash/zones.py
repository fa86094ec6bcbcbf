"""The zones with their serials, and one zone: its records to search, to change with the difference shown first."""

import json
from collections.abc import Mapping
from dataclasses import replace
from shlex import quote
from typing import Any

from node.api.context import ApiContext
from node.api.dash.frame import framed
from node.api.handlers import rrsets
from node.api.listing import page, read_limit
from node.api.message import AskPeers, PeerAnswer, Reply, Request, Response, heavy
from node.api.names import named_zone, plain, read_name, read_type
from node.api.problem import Problem
from node.api.status import build
from node.api.views import Row, event_row, zone_row
from node.state.events import oldest_number
from node.state.state import Accepted, State
from node.zone.name import Name, is_within, to_text
from node.zone.rrset import type_to_text
from node.zone.zone import Zone

EVENTS_SHOWN = 20


def list_zones(context: ApiContext, request: Request) -> AskPeers:
    """Show the zones, a page at a time, and which nodes have the present serial of each."""

    def answer(answers: Mapping[str, PeerAnswer]) -> Response:
        state, nodes = context.state(), build(context, answers)["nodes"]
        names, after = page(state.zones, request, read_limit(request, 200))
        rows = [_zone_row(state, name, nodes) for name in names]
        return framed(
            "zones.html.j2", context, request, part="zones", command="qdns zone list",
            zones=rows, nodes=nodes, after=after,
        )  # fmt: skip

    return AskPeers(answer)


def _zone_row(state: State, name: Name, nodes: list[Row]) -> Row:
    """Show a zone; a node that has applied its last change has its serial."""
    row = zone_row(state, state.zones[name])
    row["nodes"] = {
        node["name"]: None if node["applied_index"] is None else node["applied_index"] >= row["index"]
        for node in nodes
    }
    return row


def get_zone(context: ApiContext, request: Request) -> Reply:
    """Show a zone's records by pattern, and the form to add or change one of them."""
    state = context.state()
    zone = named_zone(state, request.values["zone"])
    return heavy(zone.rrset_count, lambda: _shown(context, state, zone, request))


def _shown(context: ApiContext, state: State, zone: Zone, request: Request) -> Response:
    rows, after = rrsets.matching_rows(context, state, zone, request)
    return framed(
        "zone.html.j2", context, request, part="zones", command=f"qdns record list {quote(plain(zone.name))}",
        zone=zone_row(state, zone), rows=rows, after=after, events=_events(state, zone),
        query=dict(request.query), edited=_edited(context, state, zone, request),
    )  # fmt: skip


def _edited(context: ApiContext, state: State, zone: Zone, request: Request) -> Row | None:
    """Return the RRset that the form is to be filled with, None for an empty form."""
    name, slash, type_ = request.query.get("edit", "").rpartition("/")
    if not slash:
        return None
    return rrsets.row_of(context, state, zone, read_name(name, zone.name), read_type(type_))


def _events(state: State, zone: Zone) -> list[Row]:
    name, found = to_text(zone.name), []
    for number in range(state.events_next - 1, oldest_number(state) - 1, -1):
        event = state.events[number]
        if event.kind.startswith("zone.") and event.subject == name:
            found.append(event_row(event))
            if len(found) == EVENTS_SHOWN:
                break
    return found


def post_record(context: ApiContext, request: Request) -> Reply:
    """Show what a record would become, or change it when that was seen: ``step`` is preview or commit."""
    state, form = context.state(), request.form
    zone = named_zone(state, request.values["zone"])
    name, type_ = _name_in(zone, form.get("name") or "@"), read_type(form.get("type", ""))
    change = _as_request(request, zone, name, type_)
    proposal = rrsets.delete_rrset(context, change) if _deletes(form) else rrsets.put_rrset(context, change)
    if form.get("step") == "commit":
        return replace(proposal, answer=_changed(zone), refuse=None)
    return _preview(context, request, zone, name, type_)


def _name_in(zone: Zone, text: str) -> Name:
    """Read a name as people write it beside a zone: whole, or without the zone's. Raises ``Problem``."""
    name = read_name(text, zone.name)
    if not is_within(name, zone.name) and not text.endswith("."):
        name = read_name(f"{text}.{to_text(zone.name).lstrip('.')}")
    if not is_within(name, zone.name):
        raise Problem("invalid", f"{plain(name)} is not in {plain(zone.name)}; nothing was changed")
    return name


def _deletes(form: Mapping[str, str]) -> bool:
    return not form.get("rdatas", "").strip()


def _as_request(request: Request, zone: Zone, name: Name, type_: int) -> Request:
    """Return the form as the request that ``/v1`` takes, with the condition that nothing changed meanwhile."""
    form = request.form
    ttl = form.get("ttl", "")
    if ttl and not (ttl.isascii() and ttl.isdigit() and len(ttl) <= 10):
        raise Problem("invalid", f"the TTL {ttl} is not a number of seconds; nothing was changed")
    body: dict[str, Any] = {
        "rdatas": [line.strip() for line in form.get("rdatas", "").splitlines() if line.strip()],
        "comment": form.get("comment", ""),
        "disabled": "disabled" in form,
    } | ({"ttl": int(ttl)} if ttl else {})
    present = form.get("index") or str(_present_index(zone, name, type_))
    condition = {"if-none-match": "*"} if present == "0" else {"if-match": f'"{present}"'}
    return replace(
        request,
        values={"zone": plain(zone.name), "name": to_text(name), "type": type_to_text(type_)},
        body=json.dumps(body).encode(),
        headers=dict(request.headers) | condition,
    )


def _present_index(zone: Zone, name: Name, type_: int) -> int:
    return zone.nodes[name].index if zone.get(name, type_) is not None else 0


def _changed(zone: Zone) -> Any:
    def answer(_state: State, accepted: Accepted) -> Response:
        return Response(303, headers=(("Location", f"/zones/{plain(zone.name)}?done={accepted.index}"),))

    return answer


def _preview(context: ApiContext, request: Request, zone: Zone, name: Name, type_: int) -> Response:
    """Show the lines that would go and come."""
    state, form = context.state(), request.form
    row = rrsets.row_of(context, state, zone, name, type_)
    before = _lines(row) if row else []
    ttl = form.get("ttl") or str(row["ttl"] if row else state.zone_settings[zone.name].default_ttl)
    after = [] if _deletes(form) else [line.strip() for line in form["rdatas"].splitlines() if line.strip()]
    shown = {"rdatas": after, "ttl": ttl, "comment": form.get("comment", ""), "disabled": "disabled" in form}
    return framed(
        "record.html.j2", context, request, part="zones",
        command=f"qdns record get {quote(plain(name))} {type_to_text(type_)}",
        zone=plain(zone.name), name=to_text(name), type=type_to_text(type_), form=form,
        present=_present_index(zone, name, type_), before=before, after=_lines(shown),
    )  # fmt: skip


def _lines(row: Row) -> list[str]:
    """Write an RRset as lines of which each can go or come alone."""
    note = "".join(
        (" (disabled)" if row["disabled"] else "", f"  ; {row['comment']}" if row["comment"] else "")
    )
    return [f"{row['ttl']} {rdata}{note}" for rdata in row["rdatas"]]
