"""``/v1/tokens``: who may use the API. Secrets are made and kept by whoever asks; here come only their hashes."""

from node.api.access import has_tokens, is_unix
from node.api.body import read_model
from node.api.condition import if_index
from node.api.context import ApiContext, Token
from node.api.handlers.common import read, write
from node.api.message import Proposal, Request, Response, shown
from node.api.models import TokenBody
from node.api.problem import Problem
from node.api.views import Row, moment
from node.state.api_tokens import ApiToken, PutToken, RevokeToken
from node.state.scopes import Need, allows
from node.state.state import KnownToken, State

_ADMIN = Need("cluster:admin")


def list_tokens(context: ApiContext, _request: Request) -> Response:
    """List the cluster's tokens, then those of this node's file."""
    state = context.state()
    rows = [_row(context, state.tokens[name]) for name in sorted(state.tokens)]
    rows += [_file_row(each) for each in context.tokens]
    return shown({"items": rows, "next": None}, state.index)


def get_token(context: ApiContext, request: Request) -> Response:
    """Show a token of the cluster."""
    known = _known(context.state(), request)
    return read(request, _row(context, known), known.index)


def put_token(context: ApiContext, request: Request) -> Proposal:
    """Create a token or make it another one."""
    name, body = request.values["name"], read_model(TokenBody, request)
    if any(each.name == name for each in context.tokens):
        raise Problem("conflict", f"{name} is a token of this node's configuration; nothing was changed")
    _require_a_way_back(context, request, body.scopes, expires=body.expires_in_s is not None)
    expires_ms = context.now_ms() + body.expires_in_s * 1000 if body.expires_in_s is not None else 0
    token = ApiToken(
        name, bytes.fromhex(body.sha256), tuple(" ".join(each.split()) for each in body.scopes), expires_ms
    )
    known = context.state().tokens.get(name)
    if known is not None and _is_administrator(known.token) and not _is_administrator(token):
        _require_an_administrator(context, request, name)
    command = PutToken(token, if_index(request, known.index if known is not None else 0))
    return write(command, lambda state: _present(context, state, name))


def delete_token(context: ApiContext, request: Request) -> Proposal:
    """Take a token back."""
    known = _known(context.state(), request)
    name = known.token.name
    if len(context.state().tokens) > 1:  # without any, this machine's clients are let in again
        _require_an_administrator(context, request, name)
    return write(
        RevokeToken(name, if_index(request, known.index)), lambda state: _present(context, state, name)
    )


def _require_a_way_back(context: ApiContext, request: Request, scopes: list[str], *, expires: bool) -> None:
    """Refuse a first token with which nobody could make a second one. Raises ``Problem``."""
    if has_tokens(context) or is_unix(request.client) or (allows(scopes, _ADMIN) and not expires):
        return
    raise Problem(
        "conflict",
        "with the first token this machine's clients need one, too, so the first has the scope admin and no end; "
        "nothing was changed",
        "qdns token create admin --scope admin",
    )


def _require_an_administrator(context: ApiContext, request: Request, name: str) -> None:
    """Refuse when no other token could make tokens. Raises ``Problem``."""
    others = [each.token for key, each in context.state().tokens.items() if key != name]
    is_last = not any(_is_administrator(each) for each in others)
    if (
        is_last
        and not any(allows(each.scopes, _ADMIN) for each in context.tokens)
        and not is_unix(request.client)
    ):
        raise Problem(
            "conflict",
            f"{name} is the last token that can make others; nothing was changed",
            "make another administrator first, or do this over the Unix socket",
        )


def _is_administrator(token: ApiToken) -> bool:
    return allows(token.scopes, _ADMIN) and not token.expires_ms


def _known(state: State, request: Request) -> KnownToken:
    known = state.tokens.get(request.values["name"])
    if known is None:
        raise Problem("not_found", f"there is no token {request.values['name']}", "qdns token list")
    return known


def _present(context: ApiContext, state: State, name: str) -> Row | None:
    known = state.tokens.get(name)
    return None if known is None else _row(context, known)


def _row(context: ApiContext, known: KnownToken) -> Row:
    token = known.token
    return {
        "name": token.name,
        "scopes": list(token.scopes),
        "source": "cluster",
        "created_at": moment(known.at_ms),
        "created_by": known.actor,
        "expires_at": moment(token.expires_ms),
        "expired": bool(token.expires_ms) and token.expires_ms <= context.now_ms(),
        "index": known.index,
    }


def _file_row(token: Token) -> Row:
    """Write a token of this node's file; when it was made is not known, and it does not end."""
    unknown = {"created_at": None, "created_by": "", "expires_at": None, "expired": False, "index": 0}
    return {"name": token.name, "scopes": list(token.scopes), "source": "file", **unknown}
