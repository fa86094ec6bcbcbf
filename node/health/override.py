"""What operators say of endpoints and services, over the heads of votes. Plain values of the State.

An override has an author, a reason and perhaps an end. What a person said goes before what an automation said,
and both go before the votes, which go on being counted beneath.
"""

from typing import Literal

import msgspec

OverrideKind = Literal["drain", "up", "down"]


class Override(msgspec.Struct, frozen=True, omit_defaults=True):
    """One endpoint is out of DNS on purpose (drain), or taken for up or down whatever the votes say."""

    kind: OverrideKind
    index: int
    at_ms: int
    author: str = ""
    reason: str = ""
    until_ms: int = 0
    """Wall clock at which it ends, milliseconds since 1970 UTC; 0 for when it is taken back."""
    automated: bool = False


class Maintenance(msgspec.Struct, frozen=True, omit_defaults=True):
    """A service stands still in DNS while work goes on: nothing is withdrawn or added, nobody is alarmed."""

    index: int
    at_ms: int
    author: str = ""
    reason: str = ""
    from_ms: int = 0
    """Wall clock at which it begins; 0 for at once."""
    until_ms: int = 0
    """Wall clock at which it ends; 0 for when it is taken back."""
    active: bool = True
