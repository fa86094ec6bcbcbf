"""What operators say of endpoints and services, as bodies of ``/v1``; and which endpoints a pattern means."""

import ipaddress
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from node.api.body import Body
from node.api.names import plain
from node.api.problem import Problem
from node.health.service import Endpoint, canonical_address
from node.state.operations import Place
from node.state.overrides import PLACES_MAX
from node.state.state import State
from node.zone.name import sort_key

LASTS_S_MAX = 366 * 86_400


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 2026-11-22T14:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC; write 2026-11-22T14:00:00Z")
    return text


class LastingBody(Body):
    """Something that ends by itself, or when it is taken back."""

    for_s: float | None = Field(
        None, gt=0, le=LASTS_S_MAX, description="ends by itself after so many seconds", examples=[1800]
    )

    def until_ms(self, from_ms: int) -> int:
        """Return the wall clock at which it ends, 0 for when it is taken back."""
        return 0 if self.for_s is None else from_ms + round(self.for_s * 1000)


class DrainBody(LastingBody):
    """An endpoint is taken out of DNS."""

    allow_empty: bool = Field(False, description="whether a service may be left without any record")
    automated: bool = Field(False, description="said by an automation, which never replaces what a person said")


class ForceBody(DrainBody):
    """An endpoint is taken for up or down, whatever the votes say."""

    verdict: Literal["up", "down"]


class OverridesBody(DrainBody):
    """One action on many endpoints, all or nothing."""

    places: list[str] = Field(
        min_length=1,
        max_length=PLACES_MAX,
        description="patterns of service/address, service/name, service/network, service/tag:TAG or service/site:SITE",
        examples=[["www.example.org/192.0.2.*", "*/tag:rack7"]],
    )
    action: Literal["drain", "force-up", "force-down", "release", "failback"]


class MaintenanceBody(LastingBody):
    """A service stands still in DNS while work goes on."""

    from_at: Annotated[str, AfterValidator(_moment)] | None = Field(
        None, description="when it begins, RFC 3339; left out: now", examples=["2026-11-22T22:00:00Z"]
    )

    def from_ms(self) -> int:
        """Return the wall clock at which it begins, 0 for at once."""
        return 0 if self.from_at is None else round(datetime.fromisoformat(self.from_at).timestamp() * 1000)


class FailoverBody(LastingBody):
    """Some endpoints of a service alone are to be used: by address, name, network, tag:, site: or a pattern."""

    to: str = Field(examples=["198.51.100.20"])
    allow_empty: bool = False


def places_of(state: State, patterns: list[str]) -> tuple[Place, ...]:
    """Return the endpoints that any of the patterns means, in order. Raises ``Problem``."""
    found: dict[Place, None] = {}
    for pattern in patterns:
        before = len(found)
        matching = list(_matching(state, pattern))
        found |= dict.fromkeys(matching)
        if not matching:
            raise Problem("not_found", f"no endpoint is {pattern}", "qdns endpoint list")
        if len(found) > PLACES_MAX:
            many = f"{pattern} means {len(found) - before} endpoints, at most {PLACES_MAX} can change at once"
            raise Problem("invalid", many)
    return tuple(found)


def is_meant(endpoint: Endpoint, pattern: str) -> bool:
    """Say whether an address, a name, a pattern of these, a network, ``tag:`` or ``site:`` means the endpoint."""
    kind, colon, value = pattern.partition(":")
    if colon and kind == "tag":
        return any(fnmatchcase(each.lower(), value.lower()) for each in endpoint.tags)
    if colon and kind == "site":
        return bool(endpoint.site) and fnmatchcase(endpoint.site.lower(), value.lower())
    if "/" in pattern:
        return _is_in_network(endpoint.address, pattern)
    try:
        pattern = canonical_address(pattern.removeprefix("[").removesuffix("]"))
    except ValueError:
        pattern = pattern.lower()
    return fnmatchcase(endpoint.address, pattern) or fnmatchcase(endpoint.name.lower(), pattern)


def _is_in_network(address: str, text: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False


def _matching(state: State, pattern: str) -> Iterator[Place]:
    service_pattern, slash, endpoint_pattern = pattern.partition("/")
    if not slash or not endpoint_pattern:
        raise Problem(
            "invalid", f"{pattern!r} does not say which endpoints", 'write it like "www.example.org/192.0.2.*"'
        )
    service_pattern = service_pattern.lower().removesuffix(".")
    for fqdn in sorted(state.services, key=sort_key):
        if fnmatchcase(plain(fqdn), service_pattern):
            for endpoint in state.services[fqdn].service.endpoints:
                if is_meant(endpoint, endpoint_pattern):
                    yield Place(fqdn, endpoint.address)
