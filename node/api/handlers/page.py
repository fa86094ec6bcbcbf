"""``/``: the status page, its files, and logging in to it with a token."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from node.api.access import COOKIE, BadToken, token_for
from node.api.context import ApiContext
from node.api.message import TEXT, AskPeers, PeerAnswer, Request, Response
from node.api.page import login_page, static_file, status_page
from node.api.problem import Problem
from node.state.state import State

_COOKIE_FLAGS = "Path=/; HttpOnly; SameSite=Strict"


def get_page(context: ApiContext, _request: Request) -> AskPeers:
    """Show the page."""

    def answer(answers: Mapping[str, PeerAnswer]) -> Response:
        return status_page(context, answers)

    return AskPeers(answer)


def get_static(_context: ApiContext, request: Request) -> Response:
    """Serve one of the page's files."""
    found = static_file(request.values["name"])
    if found is None:
        raise Problem("not_found", "there is no such file")
    return found


def log_in(context: ApiContext, request: Request) -> Response:
    """Keep a token in a cookie, which serves for reading only; ask again when it is not known."""
    fields = parse_qs(request.body.decode("utf-8", "replace"), max_num_fields=10)
    secret = fields.get("token", [""])[0].strip()
    if token_for(context, secret) is None:
        raise BadToken("unauthorized", "This token is not known here.")
    return Response(303, headers=(("Location", "/"), ("Set-Cookie", f"{COOKIE}={secret}; {_COOKIE_FLAGS}")))


def log_out(_context: ApiContext, _request: Request) -> Response:
    """Forget the cookie."""
    return Response(303, headers=(("Location", "/"), ("Set-Cookie", f"{COOKIE}=; {_COOKIE_FLAGS}; Max-Age=0")))


def tell(problem: Problem, _state: State) -> Response:
    """Tell of a problem to a person: the log-in form where a token is asked for, else plain text."""
    if problem.code == "unauthorized":
        return login_page(problem.detail if isinstance(problem, BadToken) else "", 401)
    status = {
        "forbidden": 403,
        "not_found": 404,
        "too_large": 413,
        "too_many": 429,
        "bad_request": 400,
        "failed": 500,
    }.get(problem.code, 503)
    return Response(status, f"{problem.detail}\n{problem.hint}\n".encode(), TEXT, problem.headers)
