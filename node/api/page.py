"""The status page: the rows of ``/v1/status`` and the latest events as HTML, useful without JavaScript.

Everything shown is escaped by Jinja2; the page loads nothing but its own style and one small module.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any

import jinja2

from node.api.context import ApiContext
from node.api.events import newest
from node.api.message import HTML, PeerAnswer, Response
from node.api.names import read_name
from node.api.status import build
from node.api.timeline import CELLS, verdict_cells
from node.api.views import Row, event_row
from node.health.verdict import quorum

EVENTS_SHOWN = 25
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (("Content-Security-Policy", _POLICY), ("X-Frame-Options", "DENY"))


def status_page(context: ApiContext, answers: Mapping[str, PeerAnswer]) -> Response:
    """Render the page from this node's view and what the other nodes answered."""
    state, now_ms = context.state(), context.now_ms()
    status = build(context, answers)
    cells = verdict_cells(state, now_ms)
    for service in status["services"]:
        fqdn = read_name(service["fqdn"])
        for endpoint in service["endpoints"]:
            endpoint["by_node"] = {each["node"]: each for each in endpoint["votes"]}
            endpoint["held"] = _is_held(endpoint, len(state.members))
            # The log's thread may have brought the endpoint in after the cells were made.
            endpoint["cells"] = cells.get((fqdn, endpoint["address"]), ["undecided"] * CELLS)
    events = [event_row(event) for event in reversed(newest(state, EVENTS_SHOWN))]
    body = _render("status.html.j2", status=status, counts=_counts(status), events=events, now_ms=now_ms)
    return Response(body=body, content_type=HTML, headers=_HEADERS, index=state.index)


def login_page(sentence: str, status: int) -> Response:
    """Render the form that asks for a token."""
    return Response(status, _render("login.html.j2", sentence=sentence), HTML, _HEADERS)


def static_file(name: str) -> Response | None:
    """Return one of the page's own files, None when there is no such."""
    found = _STATIC.get(name)
    if found is None:
        return None
    body, content_type = found
    return Response(
        body=body, content_type=content_type, headers=(("Cache-Control", "max-age=31536000, immutable"),)
    )


def _render(template: str, **values: Any) -> bytes:
    return _environment.get_template(template).render(**values).encode()


def _is_held(endpoint: Row, members: int) -> bool:
    """Say whether a verdict stands though no majority of the present votes says so."""
    agreeing = sum(1 for each in endpoint["votes"] if each["up"] == (endpoint["verdict"] == "up"))
    needed = quorum(len(endpoint["probe_from"]) or members)
    return bool(endpoint["verdict"] != "undecided" and agreeing < needed)


def _counts(status: Row) -> Row:
    """Count what the one sentence on top tells."""
    endpoints = [each for service in status["services"] for each in service["endpoints"]]
    reachable = [node for node in status["nodes"] if node["state"] != "unreachable"]
    return {
        "nodes": len(status["nodes"]),
        "reachable": len(reachable),
        "endpoints": len(endpoints),
        "published": sum(1 for each in endpoints if each["published"]),
        "withdrawn": sum(1 for each in endpoints if each["verdict"] == "down" and not each["published"]),
    }


def ago(now_ms: int, moment: str | None) -> str:
    """Write how long ago a time was, in its two leading units."""
    if moment is None:
        return ""
    seconds = max(0, now_ms // 1000 - int(datetime.fromisoformat(moment).timestamp()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"


def grouped(number: int | None) -> str:
    """Write a number in groups of three digits."""
    return "-" if number is None else f"{number:,}".replace(",", "\u202f")


def strip_text(cells: list[str]) -> str:
    """Say in words what a strip shows."""
    up, down = cells.count("up"), cells.count("down")
    if not down and up == len(cells):
        return "up during the whole last hour"
    if not down and not up:
        return "no verdict during the last hour"
    return f"up {up}, down {down} of the last {len(cells)} minutes"


def _load_static() -> dict[str, tuple[bytes, str]]:
    return {
        each.name: (each.read_bytes(), _TYPES[each.name.rpartition(".")[2]])
        for each in (files("node.api") / "static").iterdir()
        if each.name.rpartition(".")[2] in _TYPES
    }


def _static_url(name: str) -> str:
    """Return a file's path with a digest, so that a new version is never taken from a cache."""
    return f"/static/{name}?v={hashlib.sha256(_STATIC[name][0]).hexdigest()[:12]}"


_STATIC = _load_static()
_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("node.api", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals |= {"static": _static_url, "ago": ago}
_environment.filters |= {"grouped": grouped, "strip_text": strip_text}
