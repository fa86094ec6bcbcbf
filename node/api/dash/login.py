"""Logging in to the pages with a token, out again, and the pages' files."""

import re
from urllib.parse import parse_qs, urlsplit

from node.api.access import COOKIE, BadToken, token_for
from node.api.context import ApiContext
from node.api.dash.rendering import html, login_page, static_file
from node.api.message import Request, Response
from node.api.problem import Problem, rendered
from node.state.state import State

_COOKIE_FLAGS = "Path=/; HttpOnly; SameSite=Strict"
_PLACE = re.compile(r"/(?![/\\])[\x21-\x7e]{0,2000}")
"""A path of this site: two slashes would name another one."""


def get_static(_context: ApiContext, request: Request) -> Response:
    """Serve one of the pages' files."""
    found = static_file(request.values["name"])
    if found is None:
        raise Problem("not_found", "there is no such file")
    return found


def log_in(context: ApiContext, request: Request) -> Response:
    """Keep a token in a cookie, which serves the pages alone; ask again when it is not known."""
    fields = parse_qs(request.body.decode("utf-8", "replace"), max_num_fields=10)
    secret = fields.get("token", [""])[0].strip()
    if token_for(context, secret) is None:
        raise BadToken("unauthorized", "This token is not known here.")
    flags = f"{_COOKIE_FLAGS}; Secure" if request.is_tls else _COOKIE_FLAGS
    return Response(
        303, headers=(("Location", _asked_page(request)), ("Set-Cookie", f"{COOKIE}={secret}; {flags}"))
    )


def _asked_page(request: Request) -> str:
    """Return the page on which the form to log in was shown, in the place of what was asked for there."""
    try:
        came_from = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    place = came_from.path + (f"?{came_from.query}" if came_from.query else "")
    is_ours = came_from.netloc.lower() == request.headers.get("host", "").lower()
    return place if is_ours and _PLACE.fullmatch(place) and came_from.path != "/login" else "/"


def log_out(_context: ApiContext, _request: Request) -> Response:
    """Forget the cookie."""
    return Response(303, headers=(("Location", "/"), ("Set-Cookie", f"{COOKIE}=; {_COOKIE_FLAGS}; Max-Age=0")))


def tell(problem: Problem, _state: State) -> Response:
    """Tell of a problem to a person: the log-in form where a token is asked for, else a page of its own."""
    if problem.code == "unauthorized":
        return login_page(problem.detail if isinstance(problem, BadToken) else "", 401)
    page = html(
        "problem.html.j2",
        status_code=rendered(problem).status,
        detail=problem.detail,
        hint=problem.hint,
        errors=[f"{each['pointer'].removeprefix('/')}: {each['message']}" for each in problem.errors],
    )
    return Response(page.status, page.body, page.content_type, (*page.headers, *problem.headers))
