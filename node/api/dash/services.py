"""The services as a list, and one service: each endpoint as every node sees it, by measurement and by vote."""

from collections.abc import Mapping
from shlex import quote
from typing import Any

from node.api.context import ApiContext
from node.api.dash.chart import chart
from node.api.dash.frame import framed
from node.api.dash.overview import complete
from node.api.dash.past import SPANS_MS, uptime
from node.api.dash.rendering import lasting
from node.api.handlers.series import SPANS, written
from node.api.handlers.services import service_of
from node.api.listing import page, read_limit
from node.api.message import AskPeersBoth, PeerAnswer, Request, Response
from node.api.names import plain
from node.api.problem import Problem
from node.api.status import build
from node.api.views import Row, event_row, service_definition, service_row
from node.state.events import oldest_number
from node.state.state import ServiceState, State
from node.zone.name import to_text

EVENTS_SHOWN = 30
Answers = Mapping[str, PeerAnswer]


def list_services(context: ApiContext, request: Request) -> Response:
    """Show the services by name, a page at a time."""
    state = context.state()
    names, after = page(state.services, request, read_limit(request, 200))
    rows = [service_row(state.services[name]) for name in names]
    return framed(
        "services.html.j2", context, request, part="services", command="qdns service list",
        services=rows, after=after,
    )  # fmt: skip


def get_service(context: ApiContext, request: Request) -> AskPeersBoth:
    """Show one service with what each node measured; the others are asked for their own."""
    known = service_of(context.state(), request)
    name = plain(known.service.fqdn)
    span = request.query.get("span", "1h")
    if span not in SPANS:
        raise Problem("bad_request", f"span={span} is none of {', '.join(SPANS)}")

    def answer(rows: Answers, series: Answers) -> Response:
        status = build(context, rows)
        row = service_row(known) | service_definition(known)
        complete(context, [row], status)
        _add_measurements(row, _all_series(context, known, series, span), span, status)
        _add_uptime(context, known, row)
        return framed(
            "service.html.j2", context, request, part="services", command=f"qdns service show {quote(name)}",
            service=row, nodes=status["nodes"], span=span, spans=tuple(SPANS),
            events=_events(context.state(), known),
        )  # fmt: skip

    return AskPeersBoth(f"/v1/series?service={name}&span={span}", answer)


def _all_series(
    context: ApiContext, known: ServiceState, answers: Answers, span: str
) -> dict[str, Mapping[str, Any]]:
    """Return each node's cells by address; a node that does not answer has none."""
    fqdn, (count, minutes) = known.service.fqdn, SPANS[span]
    found: dict[str, Mapping[str, Any]] = {
        name: _endpoints_of(answer, count) for name, answer in answers.items()
    }
    found[context.node] = {
        address: written(context.series(fqdn, address, count, minutes)) for address, _ in known.endpoints
    }
    return found


def _endpoints_of(answer: PeerAnswer, count: int) -> Mapping[str, Any]:
    """Return a peer's cells when they have the shape of ours; a node of another version may tell others."""
    endpoints = answer.row.get("endpoints") if answer.row is not None else None
    if not isinstance(endpoints, dict):
        return {}
    return {
        address: cells
        for address, cells in endpoints.items()
        if isinstance(cells, list) and len(cells) == count and all(_is_cell(cell) for cell in cells)
    }


def _is_cell(cell: object) -> bool:
    keys = ("probes", "good", "mean_ms", "longest_ms")
    return cell is None or (isinstance(cell, dict) and all(isinstance(cell.get(key), int) for key in keys))


def _add_measurements(
    row: Row,
    series: Mapping[str, Mapping[str, Any]],
    span: str,
    status: Row,
) -> None:
    count, minutes = SPANS[span]
    names = [node["name"] for node in status["nodes"]]
    for endpoint in row["endpoints"]:
        cells = {name: series.get(name, {}).get(endpoint["address"], [None] * count) for name in names}
        endpoint["by_node_cells"] = {name: _measured(cells[name]) for name in names}
        latencies = {
            name: [each["mean_ms"] if each and each["good"] else None for each in cells[name]] for name in names
        }
        endpoint["chart"] = chart(latencies, minutes * 60)


def _measured(cells: list[Row | None]) -> Row:
    probes = sum(cell["probes"] for cell in cells if cell)
    good = sum(cell["good"] for cell in cells if cell)
    return {
        "cells": [_word(cell) for cell in cells],
        "percent": 100 * good / probes if probes else None,
        "probes": probes,
    }


def _word(cell: Row | None) -> str:
    if cell is None:
        return "none"
    if cell["good"] == cell["probes"]:
        return "up"
    return "some" if cell["good"] else "down"


def _add_uptime(context: ApiContext, known: ServiceState, row: Row) -> None:
    """Say how much of a day, a week and a month each endpoint was up, as far as the events tell."""
    state, now_ms = context.state(), context.now_ms()
    by_address = dict(known.endpoints)
    for endpoint in row["endpoints"]:
        pair = (endpoint["address"], by_address[endpoint["address"]])
        found = {
            label: uptime(state, known.service.fqdn, pair, now_ms, span_ms)
            for label, span_ms in SPANS_MS.items()
        }
        endpoint["uptime"] = [
            {
                "span": label,
                "percent": each.percent,
                "known": lasting(each.known_ms // 1000) if each.known_ms < SPANS_MS[label] * 0.99 else "",
            }
            for label, each in found.items()
        ]


def _events(state: State, known: ServiceState) -> list[Row]:
    """Return what happened to the service of late, newest first."""
    name, found = to_text(known.service.fqdn), []
    for number in range(state.events_next - 1, oldest_number(state) - 1, -1):
        event = state.events[number]
        if event.data.get("service") == name or event.subject.partition(" ")[0] == name:
            found.append(event_row(event))
            if len(found) == EVENTS_SHOWN:
                break
    return found
