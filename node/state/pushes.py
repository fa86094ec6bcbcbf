"""Commands on push targets: what they are, what came of a push, and a person's hand on one.

``if_index``: the object's last change must be at this index, 0 means it must not exist, None means no
condition.
"""

from typing import Literal

import msgspec

from node.zone.name import Name


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """An outside server that gets our RRsets pushed. Secrets stay in files: ``tsig`` is a key's name."""

    name: str
    kind: str
    server: str = ""
    zones: tuple[Name, ...] = ()
    what: Literal["services", "all"] = "services"
    tsig: str = ""
    method: str = "native"
    url: str = ""
    token: str = ""
    """The *name* of a credential in the local configuration, never the credential."""
    min_interval_ms: int = 0
    own: Literal["addresses", "name"] = "addresses"
    """What is ours at a name we publish: the rdatas we put there, or the whole RRset."""
    fence: bool = False
    """Keep the plan's number in a TXT record on the server, so that a late push of an older one fails there."""
    withdrawal_percent_max: int = 100
    """More than this share of a zone's service records withdrawn within a minute holds the push; 100 never does."""


class ReportPush(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="report-push"):
    """What became of carrying plan ``plan`` (a log index) to ``target``, tried by ``node``."""

    target: str
    node: str
    plan: int
    ok: bool
    detail: str = ""


class PutTarget(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="put-target"):
    """Create a push target or make it exactly this one."""

    target: Target
    if_index: int | None = None


class DeleteTarget(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="delete-target"):
    """Delete a push target; what was pushed stays where it is."""

    name: str
    if_index: int | None = None


class SteerPush(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="steer-push"):
    """Pause a push target, let it go on, have it read and repaired as a whole, or release it from a hold."""

    target: str
    action: Literal["pause", "resume", "refresh", "release"]


class HoldPush(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="hold-push"):
    """Hold what would take most of a zone's service records away, until a person releases it.

    ``index`` is of the State that was judged: a hold of what was released since then is none.
    """

    target: str
    node: str
    index: int
    zone: Name
    withdrawn: int
    of: int
