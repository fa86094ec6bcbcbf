"""The command with which a node takes votes back."""

import msgspec

from node.zone.name import Name


class Abstention(msgspec.Struct, frozen=True, omit_defaults=True):
    """One endpoint of which a node says nothing any more, and why."""

    fqdn: Name
    address: str
    evidence: str = ""


class WithdrawVotes(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="withdraw-votes"):
    """``node`` no longer knows of these endpoints: its votes on them do not count until it votes again.

    ``after_drop`` is as in ``CastVotes``.
    """

    node: str
    abstentions: tuple[Abstention, ...]
    after_drop: int = 0
