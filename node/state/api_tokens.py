"""Commands on tokens of the HTTP API. The log holds hashes; no secret is ever in it.

``if_index``: the object's last change must be at this index, 0 means it must not exist, None means no
condition.
"""

import msgspec


class ApiToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who may do what: a name for the events, the SHA-256 of the whole secret, and scopes as they are written."""

    name: str
    sha256: bytes
    scopes: tuple[str, ...]
    expires_ms: int = 0
    """The wall clock from which on it is worth nothing; 0 for never. Judged by the node that is asked."""


class PutToken(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="put-token"):
    """Create a token or make it exactly this one."""

    token: ApiToken
    if_index: int | None = None
    keeps_administrator: bool = False
    """Refuse it when nobody could make tokens any more; the proposer knows of no other way in."""


class NoteTokenUses(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="note-token-uses"):
    """Remember that tokens were used on a day; an earlier one than is known changes nothing by itself.

    Proposed by a node for its own account when it first sees them on that day, so that use costs no entry a request.
    """

    day: int
    """Days since 1970-01-01 UTC, by the proposer's wall clock; for people to read."""
    names: tuple[str, ...]
    corrects: bool = False
    """Whether the day also takes the place of one that is later by more than a day: some clock ran ahead.

    The leader alone says so, as a clock that is behind would take every day for one that is ahead.
    """


class RevokeToken(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="revoke-token"):
    """Take a token back, from this index on."""

    name: str
    if_index: int | None = None
    keeps_administrator: bool = False
    """As in ``PutToken``; taking the last token of all away is no lockout, as that opens loopback again."""
