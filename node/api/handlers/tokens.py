"""``/v1/tokens``: who may use the API. Secrets are made and kept by whoever asks; here come only their hashes."""

from node.api.access import is_unix
from node.api.body import read_model
from node.api.condition import if_index
from node.api.context import ApiContext, Token
from node.api.handlers.common import read_live, write
from node.api.message import Proposal, Request, Response, shown
from node.api.models import TokenBody
from node.api.problem import Problem
from node.api.questions import listed_whole
from node.api.views import Row, day, moment
from node.state.api_tokens import ApiToken, PutToken, RevokeToken
from node.state.command import KEEPS_ADMINISTRATOR_FORMAT
from node.state.scopes import Need, allows
from node.state.state import KnownToken, State

_ADMIN = Need("cluster:admin")


def list_tokens(context: ApiContext, request: Request) -> Response:
    """List the cluster's tokens, then those of this node's file."""
    rows = listed_whole("/v1/tokens", request, token_rows(context), "name")
    return shown(rows, context.state().index)


def token_rows(context: ApiContext) -> list[Row]:
    """Return the cluster's tokens, then those of this node's file, as they are shown."""
    known = context.state().tokens
    return [*(_row(context, known[name]) for name in sorted(known)), *map(_file_row, context.tokens)]


def get_token(context: ApiContext, request: Request) -> Response:
    """Show a token of the cluster."""
    state = context.state()
    known = _known(state, request)
    return read_live(_row(context, known), known.index, state.index)


def put_token(context: ApiContext, request: Request) -> Proposal:
    """Create a token or make it another one."""
    name, body = request.values["name"], read_model(TokenBody, request)
    if any(each.name == name for each in context.tokens):
        raise Problem("conflict", f"{name} is a token of this node's configuration; nothing was changed")
    expires_ms = context.now_ms() + body.expires_in_s * 1000 if body.expires_in_s is not None else 0
    token = ApiToken(
        name, bytes.fromhex(body.sha256), tuple(" ".join(each.split()) for each in body.scopes), expires_ms
    )
    known = context.state().tokens.get(name)
    condition = if_index(request, known.index if known is not None else 0)
    command = PutToken(token, condition, _has_no_other_way(context, request))
    return write(command, lambda state: _present(context, state, name))


def delete_token(context: ApiContext, request: Request) -> Proposal:
    """Take a token back."""
    known = _known(context.state(), request)
    name = known.token.name
    command = RevokeToken(name, if_index(request, known.index), _has_no_other_way(context, request))
    return write(command, lambda state: _present(context, state, name))


def _has_no_other_way(context: ApiContext, request: Request) -> bool:
    """Say whether tokens of the log are all that makes administrators, as far as this node and request tell.

    What then may not be done is judged at apply, behind whatever others do at the same time; but not while a node
    is there that does not know that condition.
    """
    if context.state().format < KEEPS_ADMINISTRATOR_FORMAT:
        return False
    in_file = any(allows(each.scopes, _ADMIN) for each in context.tokens)
    return not in_file and not is_unix(request.client)


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
        "last_used_on": day(known.used_day),
        "index": known.index,
    }


def _file_row(token: Token) -> Row:
    """Write a token of this node's file; when it was made is not known, and it does not end."""
    unknown = {"created_at": None, "created_by": "", "expires_at": None, "expired": False}
    return {
        "name": token.name, "scopes": list(token.scopes), "source": "file", **unknown, "last_used_on": None, "index": 0,
    }  # fmt: skip
