"""Templates into responses: Jinja2 with escaping, the pages' own files, and the policy that nothing else loads."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

import jinja2

from node.api.message import HTML, Response

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src {asked}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    ("X-Frame-Options", "DENY"),
    # With no-referrer a browser sends "Origin: null" with our own forms, which is what a foreign page's look like.
    ("Referrer-Policy", "same-origin"),
)


def html(
    template: str,
    *,
    status_code: int = 200,
    shown_index: int | None = None,
    asked: Sequence[str] = (),
    **values: Any,
) -> Response:
    """Render a template as a page; ``shown_index`` is the log index that it shows, ``asked`` are origins of other nodes."""
    body = _environment.get_template(template).render(**values).encode()
    policy = _POLICY.format(asked=" ".join(("'self'", *asked)))
    return Response(status_code, body, HTML, (("Content-Security-Policy", policy), *_HEADERS), shown_index)


def login_page(sentence: str, status: int) -> Response:
    """Render the form that asks for a token."""
    return html("login.html.j2", status_code=status, sentence=sentence)


def static_file(name: str) -> Response | None:
    """Return one of the pages' own files, None when there is no such."""
    found = _STATIC.get(name)
    if found is None:
        return None
    body, content_type = found
    return Response(
        body=body, content_type=content_type, headers=(("Cache-Control", "max-age=31536000, immutable"),)
    )


def ago(now_ms: int, moment: str | None) -> str:
    """Write how long ago a time was, in its two leading units."""
    if moment is None:
        return ""
    return lasting(max(0, now_ms // 1000 - int(datetime.fromisoformat(moment).timestamp())))


def lasting(seconds: int) -> str:
    """Write a duration in its two leading units."""
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


_SPANS = {"1h": ("hour", "minutes"), "24h": ("day", "quarters of an hour")}


def strip_text(cells: list[str], span: str = "1h") -> str:
    """Say in words what a strip of this span shows."""
    whole, parts = _SPANS[span]
    up, down = cells.count("up"), cells.count("down") + cells.count("some")
    if not down and up == len(cells):
        return f"up during the whole last {whole}"
    if not down and not up:
        return f"nothing known of the last {whole}"
    return f"up {up}, down {down} of the last {len(cells)} {parts}"


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
