"""``Idempotency-Key``: a write that is sent again, to whatever node, gets the answer it got first.

The header is that of draft-ietf-httpapi-idempotency-key-header. The key belongs to whoever asks, by the name
of their token, and goes through the log with the write: what the first committed try came to is part of the
State of every node. Another request under a used key is refused (422), whatever else may be said of it.
"""

import hashlib
import re

import msgspec

from node.api.message import SAFE, Request
from node.api.problem import Problem
from node.api.routes import Route
from node.state.command import Decline, Ticket

HEADER = "idempotency-key"
KEY_CHARACTERS_MAX = 64
_DETAIL_CHARACTERS_MAX = 500
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
"""A String of RFC 9651 section 3.3.3."""
_BARE = re.compile(r"[!#-\[\]-~]+")
_OF_THE_STATE = {
    "invalid": "invalid",
    "not_found": "not-found",
    "conflict": "conflict",
    "precondition": "precondition",
}
_CONDITIONS = ("if-match", "if-none-match")


def takes_key(route: Route) -> bool:
    """Say whether the header means anything here: what becomes no entry, or several, has nothing to be kept with."""
    return route.method not in SAFE and route.pattern.startswith("/v1/") and route.makes_entry


def ticket_of(request: Request) -> Ticket | None:
    """Return the ticket of a request that has a key, else None. Raises ``Problem``."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    return Ticket(request.identity.name, _key(text.strip()), _digest(request), 0)


def declined(problem: Problem) -> Decline | None:
    """Return the command that makes a refusal the answer to its key.

    None for a refusal that does not depend on the State: another try gets the same one, on any node.
    """
    code = _OF_THE_STATE.get(problem.code)
    if code is None or problem.errors:
        return None
    detail = problem.detail[:_DETAIL_CHARACTERS_MAX]
    return Decline(code, detail, problem.hint[:_DETAIL_CHARACTERS_MAX])  # type: ignore[arg-type]


def _key(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    bare = text if _BARE.fullmatch(text) else ""
    key = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted[1])
    if not 0 < len(key) <= KEY_CHARACTERS_MAX:
        raise Problem(
            "bad_request",
            f"Idempotency-Key is not one string of 1 to {KEY_CHARACTERS_MAX} ASCII characters; nothing was changed",
            'Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324"',
        )
    return key


def _digest(request: Request) -> bytes:
    """Return what tells this request from another one: all that decides what it does."""
    conditions = [request.headers.get(name) for name in _CONDITIONS]
    parts = (request.method, request.path, sorted(request.query.items()), conditions, request.body)
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=16).digest()
