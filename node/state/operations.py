"""Commands of operators on endpoints and services: overrides, maintenance, waits, and the clock that ends them."""

import msgspec

from node.health.override import OverrideKind
from node.zone.name import Name


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """One endpoint of one service."""

    fqdn: Name
    address: str


class SetOverrides(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="set-overrides"):
    """Drain endpoints, or take them for up or down whatever the votes say; all or nothing.

    ``until_ms`` is the wall clock at which it ends, 0 for when it is taken back.
    """

    places: tuple[Place, ...]
    kind: OverrideKind
    until_ms: int = 0
    allow_empty: bool = False
    """Whether a service may be left without any record."""
    automated: bool = False
    """Said by an automation, which never replaces what a person said."""
    released: tuple[Place, ...] = ()
    """Endpoints that the votes decide about again, in the same step."""


class ClearOverrides(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="clear-overrides"):
    """Let the votes decide again about these endpoints."""

    places: tuple[Place, ...]


class EndWaits(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="end-waits"):
    """Let endpoints come back into DNS that are up and wait, for having flapped or for somebody to say so."""

    places: tuple[Place, ...]


class SetMaintenance(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="set-maintenance"):
    """Let a service stand still in DNS, from and until a wall clock (0: at once, until taken back)."""

    fqdn: Name
    on: bool
    from_ms: int = 0
    until_ms: int = 0


class KeepSchedule(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="keep-schedule"):
    """Begin and end what is due at this time of the leader's wall clock."""

    now_ms: int
