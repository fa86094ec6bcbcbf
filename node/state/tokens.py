"""What the commands on tokens of the API do."""

import re
from collections.abc import Mapping

import msgspec

from node.state.api_tokens import ApiToken, NoteTokenUses, PutToken, RevokeToken
from node.state.draft import Draft
from node.state.scopes import BadScope, Need, allows, read_scope
from node.state.state import KnownToken, Refused, Result
from node.state.zones import condition

TOKENS_MAX = 1_000
SCOPES_MAX = 16
DAY_MAX = 2_932_896
"""9999-12-31, the last day that people's calendars can show."""
DAYS_APART_MAX = 1
"""Clocks that are right are on the same day, or on either side of a midnight."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
_DIGEST_OCTETS = 32
_RESERVED = ("local", "node")
"""What the events call those who need no token."""
_ADMIN = Need("cluster:admin")


def problem(token: ApiToken) -> str | None:
    """Return what is wrong with a token, None when it is good."""
    if not _NAME.fullmatch(token.name):
        return (
            f"{token.name[:63]!r} cannot be the name of a token: letters, digits, dots and hyphens, 63 at most"
        )
    if token.name in _RESERVED:
        return f"{token.name} is no name for a token: events call others so"
    if len(token.sha256) != _DIGEST_OCTETS:
        return f"a SHA-256 has {_DIGEST_OCTETS} octets, not {len(token.sha256)}"
    if not 0 < len(token.scopes) <= SCOPES_MAX:
        return f"a token has 1 to {SCOPES_MAX} scopes, not {len(token.scopes)}"
    try:
        for scope in token.scopes:
            read_scope(scope)
    except BadScope as error:
        return str(error)
    return None


def put_token(draft: Draft, command: PutToken) -> Result:
    """Create the token or make it exactly this one."""
    token, known = command.token, draft.state.tokens
    old = known.get(token.name)
    wrong = condition(draft, command.if_index, old.index if old is not None else 0)
    if wrong:
        return wrong
    reason = problem(token)
    if reason is not None:
        return draft.refused("invalid", reason)
    if old is None and len(known) >= TOKENS_MAX:
        return draft.refused(
            "conflict", f"there are {TOKENS_MAX} tokens, which is the limit", "qdns token list"
        )
    if any(known[name].token.sha256 == token.sha256 for name in sorted(known) if name != token.name):
        return draft.refused("conflict", "another token has this secret", "take a new one")
    if old is not None and old.token == token:
        return draft.accepted()
    entry = draft.entry
    used_day = old.used_day if old is not None and old.token.sha256 == token.sha256 else 0
    after = known.set(token.name, KnownToken(token, draft.index, entry.at_ms, entry.actor, used_day))
    lockout = _lockout(draft, after, token.name) if command.keeps_administrator else None
    if lockout:
        return lockout
    draft.update(tokens=after)
    draft.tell("token.changed" if old else "token.created", token.name, ", ".join(token.scopes))
    return draft.accepted()


def revoke_token(draft: Draft, command: RevokeToken) -> Result:
    """Take the token back."""
    old = draft.state.tokens.get(command.name)
    if old is None:
        return draft.refused("not-found", f"there is no token {command.name[:63]}", "qdns token list")
    wrong = condition(draft, command.if_index, old.index)
    if wrong:
        return wrong
    after = draft.state.tokens.delete(command.name)
    lockout = _lockout(draft, after, command.name) if command.keeps_administrator else None
    if lockout:
        return lockout
    draft.update(tokens=after)
    draft.tell("token.revoked", command.name, "it is worth nothing from here on")
    return draft.accepted()


def note_uses(draft: Draft, command: NoteTokenUses) -> Result:
    """Keep the latest day of each, unless it is to be corrected; tokens that are gone meanwhile are none any more."""
    if not 0 < command.day <= DAY_MAX or len(command.names) > TOKENS_MAX:
        return draft.refused(
            "invalid", f"a day is a number from 1 to {DAY_MAX}, of at most {TOKENS_MAX} tokens"
        )
    for name in command.names:
        known = draft.state.tokens
        old = known.get(name)
        if old is None:
            continue
        is_ahead = command.corrects and old.used_day > command.day + DAYS_APART_MAX
        if old.used_day < command.day or is_ahead:
            draft.update(tokens=known.set(name, msgspec.structs.replace(old, used_day=command.day)))
    return draft.accepted()


def _lockout(draft: Draft, after: Mapping[str, KnownToken], name: str) -> Refused | None:
    """Return why nobody could make tokens any more, None when somebody can, or could not before either.

    Two administrators that are made less at once, each beside the other, come here one after the other.
    """
    before = draft.state.tokens
    if not after or _has_administrator(after) or (before and not _has_administrator(before)):
        return None
    if not before:
        return draft.refused(
            "conflict",
            "with the first token this machine's clients need one, too, so the first has the scope admin and no end",
            "qdns token create admin --scope admin",
        )
    return draft.refused(
        "conflict",
        f"{name[:63]} is the last token that can make others and has no end",
        "make another administrator first (qdns token create NAME --scope admin), or do this over the Unix socket",
    )


def _has_administrator(tokens: Mapping[str, KnownToken]) -> bool:
    """Say whether one of the tokens can make others and has no end."""
    return any(is_administrator(each.token) and not each.token.expires_ms for each in tokens.values())


def is_administrator(token: ApiToken) -> bool:
    """Say whether a token can make others, as long as it lasts."""
    return allows(token.scopes, _ADMIN)
