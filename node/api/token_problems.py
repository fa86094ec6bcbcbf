"""When nobody will be let make tokens any more. Pure.

Reading the status asks for no administrator's token, so no sentence here names one.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from node.api.context import Token
from node.api.views import DAY_MS, moment
from node.state.scopes import Need, allows
from node.state.state import State
from node.state.tokens import is_administrator

LEFT_DAYS: Final = 30
"""Sooner than this an end needs a person; a later one is what somebody wanted."""
_ADMIN: Final = Need("cluster:admin")
_NEXT: Final = ("qdns", "token", "create", "NAME", "--scope", "admin")

Told = tuple[str, Literal["warning", "note"], str, tuple[str, ...]]
"""Code, severity, sentence, the next step."""


def find_token_problems(state: State, in_file: Sequence[Token], now_ms: int) -> Iterator[Told]:
    """Yield what is wrong when all administrators of the log have an end and this node's file has none either.

    Where the log has no administrator at all, the Unix socket is how people wanted it.
    """
    ends = [each.token.expires_ms for each in state.tokens.values() if is_administrator(each.token)]
    if not ends or 0 in ends or any(allows(each.scopes, _ADMIN) for each in in_file):
        return
    last_ms = max(ends)
    day = (moment(last_ms) or "")[:10]
    if last_ms <= now_ms:
        text = f"the last administrator's token ended on {day}: only over the Unix socket can tokens be made"
        yield "no_administrator", "warning", text, _NEXT
        return
    text = f"no administrator's token lasts: the last one ends on {day}, then only the Unix socket is left"
    severity: Literal["warning", "note"] = "warning" if last_ms - now_ms < LEFT_DAYS * DAY_MS else "note"
    yield "administrator_ends", severity, text, _NEXT
