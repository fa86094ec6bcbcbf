"""What a token of the HTTP API may do, as it is written: ``records:write zone=example.org name=** type=TXT``. Pure.

One module reads scopes and judges by them, for tokens of the log and of configuration files alike. A scope
that cannot be read grants nothing.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from node.zone.grant import Grant, grant_from_text
from node.zone.name import Name, from_text, to_text
from node.zone.rrset import TXT, type_from_text, type_to_text

CHARACTERS_MAX = 300
_OPERATE = ("endpoints:operate", "heartbeat")
_INCLUDES = {
    "read": {"read"},
    "records:write": {"read", "records:write"},
    "acme": {"read", "records:write"},
    "heartbeat": {"heartbeat"},
    "endpoints:operate": {"read", *_OPERATE},
    "services:write": {"read", "services:write", *_OPERATE},
    "write": {"read", "records:write", "services:write", *_OPERATE},
    "admin": {"read", "records:write", "services:write", *_OPERATE, "cluster:admin"},
    "cluster:admin": {"read", "records:write", "services:write", *_OPERATE, "cluster:admin"},
}
WORDS = tuple(_INCLUDES)
_CONDITIONS = {"records:write": ("zone", "name", "type"), "acme": ("zone",), "heartbeat": ("zone", "name")}
_CHALLENGES = Grant((b"_acme-challenge", b"**"), frozenset({TXT}))


class BadScope(ValueError):
    """The text is no scope; the message says why and what would be one."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a change takes. Without a name it takes all of the zone, without a zone it is not about one."""

    word: str
    zone: Name | None = None
    name: Name | None = None
    type: int | None = None

    def __str__(self) -> str:
        zone = f" zone={_plain(self.zone)}" if self.zone is not None else ""
        name = f" name={_plain(self.name)}" if self.name is not None else ""
        return f"{self.word}{zone}{name}" + (
            f" type={type_to_text(self.type)}" if self.type is not None else ""
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope that was read; what is None or empty is no condition."""

    word: str
    zone: Name | None = None
    names: Grant | None = None
    types: frozenset[int] = frozenset()

    def allows(self, need: Need) -> bool:
        """Say whether the scope is enough."""
        if need.word not in _INCLUDES[self.word]:
            return False
        if self.zone is not None and self.zone != need.zone:
            return False
        if self.names is not None and (need.name is None or not self.names.covers(need.name, need.type or 255)):
            return False
        return not self.types or need.type in self.types


def read_scope(text: str) -> Scope:
    """Read a scope. Raises ``BadScope``."""
    word, *conditions = (text.split() if len(text) <= CHARACTERS_MAX else []) or [""]
    if word not in _INCLUDES:
        raise BadScope(f"{text[:CHARACTERS_MAX]!r} is no scope; one begins with {', '.join(WORDS)}")
    given = dict(_condition(word, each) for each in conditions)
    if len(given) != len(conditions):
        raise BadScope(f"{text!r} says one thing twice")
    try:
        zone = from_text(given["zone"]) if "zone" in given else None
        names = grant_from_text(given["name"]) if "name" in given else None
        types = (
            frozenset(type_from_text(each.upper()) for each in given["type"].split(","))
            if "type" in given
            else None
        )
    except ValueError as error:
        raise BadScope(f"{text!r}: {error}") from None
    return Scope(word, zone, _CHALLENGES if word == "acme" else names, types or frozenset())


def _condition(word: str, text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    known = _CONDITIONS.get(word, ())
    if not sign or not value or key not in known:
        what = f"only {', '.join(f'{each}=' for each in known)} can follow" if known else "nothing can follow"
        raise BadScope(f"{text!r} in the scope {word}: {what}")
    return key, value


def allows(scopes: Iterable[str], need: Need) -> bool:
    """Say whether any of these scopes, as they are written, is enough."""
    return any(scope is not None and scope.allows(need) for scope in map(_read_or_none, scopes))


def includes(scopes: Iterable[str], word: str) -> bool:
    """Say whether any of these scopes is of this word or includes it, whatever conditions it has."""
    found = (scope for scope in map(_read_or_none, scopes) if scope is not None)
    return any(word in _INCLUDES[scope.word] for scope in found)


def reaches(scopes: Iterable[str], word: str, zone: Name) -> bool:
    """Say whether any of these scopes includes this word for anything in a zone."""
    found = (scope for scope in map(_read_or_none, scopes) if scope is not None)
    return any(word in _INCLUDES[scope.word] and scope.zone in (None, zone) for scope in found)


@functools.lru_cache(maxsize=4096)
def _read_or_none(text: str) -> Scope | None:
    try:
        return read_scope(text)
    except BadScope:
        return None


def _plain(name: Name) -> str:
    return to_text(name).removesuffix(".") or "."
