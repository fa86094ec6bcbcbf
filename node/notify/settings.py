"""Who is told of events, as this node's own configuration says: addresses, secrets, and what each wants to hear."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from node.notify.names import Severity


@dataclass(frozen=True, slots=True)
class Wish:
    """What a receiver wants to hear of."""

    events: tuple[str, ...] = ("*",)
    """Patterns of names, see ``node.notify.names``."""
    services: tuple[str, ...] = ()
    """Patterns of services; with some, nothing is told that is not of such a service."""
    severity: Severity = "warning"
    """The least."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that gets every event as JSON, signed when there is a secret."""

    url: str = field(repr=False)
    secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Script:
    """A program of this machine that gets every event as JSON on its standard input."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mail:
    """A server that takes mail (RFC 5321)."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    sender: str
    to: tuple[str, ...]
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Receiver:
    """One who is told."""

    name: str
    way: Webhook | Script | Mail
    wish: Wish = Wish()


@dataclass(frozen=True, slots=True)
class NotifierSettings:
    """The receivers by name, and times in seconds."""

    cluster: str
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    takeover_s: float = 20.0
    """So long a node lets each earlier one of the order be silent; longer than any try takes."""
    retry_first_s: float = 2.0
    retry_max_s: float = 300.0
    give_up_s: float = 24 * 3600.0
    """An event that nobody accepted for so long is of no use any more."""
    skip_every_s: float = 60.0
    """How often it is noted that a receiver did not want what came."""
    batch_max: int = 50
    """So many events go into one mail at most."""


def kind_of(receiver: Receiver) -> str:
    """Return the word for the way."""
    return {Webhook: "webhook", Script: "script", Mail: "mail"}[type(receiver.way)]


def place_of(receiver: Receiver) -> str:
    """Return where the way leads, without anything that may be secret in it."""
    way = receiver.way
    if isinstance(way, Webhook):
        return way.url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if isinstance(way, Script):
        return way.argv[0]
    return ", ".join(way.to)
