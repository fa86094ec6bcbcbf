"""The other nodes as a page offers them, for when the one that serves it dies. Pure.

Their addresses come from the State or the configuration. A page leads only to ``http`` and ``https``, never from
``https`` to ``http``, and its scripts may ask only those with its own scheme, by a name or IPv4 address: the policies of
browsers know no IPv6 addresses.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from node.api.context import ApiContext
from node.api.message import Request
from node.api.status import peer_urls

_PLACE = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another node."""

    name: str
    href: str
    """The same page there."""
    ready: str
    """Where the page may ask whether that node is ready; empty where it may not."""
    origin: str


def others(context: ApiContext, request: Request) -> tuple[Elsewhere, ...]:
    """Return the other nodes by name, as a page may lead to them."""
    found = (_elsewhere(name, url, request) for name, url in sorted(peer_urls(context).items()))
    return tuple(each for each in found if each is not None)


def origin_of(url: str) -> str | None:
    """Return the origin of an address as browsers write it, None where it is none of http or https."""
    try:
        parts = urlsplit(url.lower())
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not _PLACE.fullmatch(parts.netloc):
        return None
    return f"{parts.scheme}://{parts.netloc.removesuffix(_PORTS[parts.scheme])}"


def shared_with(context: ApiContext, request: Request) -> tuple[tuple[str, str], ...]:
    """Return the headers that let another node's page read an answer that everybody may have; none for other pages."""
    origin = request.headers.get("origin", "")
    if origin and origin in {origin_of(url) for url in peer_urls(context).values()}:
        return (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))
    return ()


def asked(found: Iterable[Elsewhere]) -> tuple[str, ...]:
    """Return the origins that a page's scripts ask beside their own."""
    return tuple(sorted({each.origin for each in found if each.ready}))


def _elsewhere(name: str, url: str, request: Request) -> Elsewhere | None:
    origin = origin_of(url)
    if origin is None or (request.is_tls and not origin.startswith("https:")):
        return None
    base = origin + urlsplit(url).path.rstrip("/")
    query = {key: value for key, value in request.query.items() if key != "done"}
    href = f"{base}{request.path}" + (f"?{urlencode(query)}" if query else "")
    is_alike = origin.startswith("https:") == request.is_tls and "[" not in origin
    return Elsewhere(name, href, f"{base}/readyz" if is_alike else "", origin)
