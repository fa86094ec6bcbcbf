"""What users reach and how it is probed: services, endpoints, checks.

These are the objects that commands carry and State keeps. They are plain values; ``node.state``
checks them once when a command is applied (``problem``), and everything behind may rely on it.
"""

import ipaddress
from typing import Literal

import msgspec

from node.zone.name import Name, is_within

CHECK_KINDS = ("http", "https", "tcp")
ENDPOINTS_MAX = 256
MODES = ("active-active", "active-standby")

CheckKind = Literal["http", "https", "tcp"]
Mode = Literal["active-active", "active-standby"]


class Check(msgspec.Struct, frozen=True):
    """How one endpoint is probed. Times are on the service; ``{}`` never reaches this far."""

    kind: CheckKind
    port: int
    path: str = "/"
    method: str = "GET"
    host: str = ""
    """Host header and TLS server name; empty means the service's own name."""
    expect_status: tuple[tuple[int, int], ...] = ((200, 399),)
    expect_body: str = ""
    """A regular expression searched in the first 64 KiB of the body; empty matches everything."""
    headers: tuple[tuple[str, str], ...] = ()
    verify: bool = True
    send: str = ""
    expect: str = ""


class Endpoint(msgspec.Struct, frozen=True):
    """One address that can stand for the service in DNS."""

    address: str
    """Canonical text of an IPv4 or IPv6 address."""
    name: str = ""
    priority: int = 1
    weight: int = 1
    probe_from: tuple[str, ...] = ()
    """Names of the nodes that probe it; empty means all."""


class Service(msgspec.Struct, frozen=True):
    """A name users reach, the addresses behind it and the rules for publishing them."""

    fqdn: Name
    zone: Name
    check: Check
    endpoints: tuple[Endpoint, ...]
    ttl: int = 5
    interval_ms: int = 2000
    timeout_ms: int = 1000
    recheck_ms: int = 500
    """Interval while the latest result contradicts this node's vote."""
    rise: int = 2
    fall: int = 3
    fail_open_percent: int = 50
    """More than this share of endpoints down keeps all of them; 100 switches fail-open off."""
    mode: Mode = "active-active"


def canonical_address(text: str) -> str:
    """Return the canonical text of an IP address. Raises ``ValueError`` with a sentence."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text} is not an IPv4 or IPv6 address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise ValueError(f"{text}: an address in DNS cannot carry a zone index")
    return str(address)


def endpoint_of(service: Service, address: str) -> Endpoint | None:
    """Return the endpoint with this canonical address, or None."""
    return next((each for each in service.endpoints if each.address == address), None)


def problem(service: Service) -> str | None:
    """Return a sentence that says why the service cannot be accepted, or None when it can."""
    addresses = [endpoint.address for endpoint in service.endpoints]
    checks = (
        (not is_within(service.fqdn, service.zone), "the service's name is not inside its zone"),
        (len(addresses) > ENDPOINTS_MAX, f"a service can have at most {ENDPOINTS_MAX} endpoints"),
        (len(set(addresses)) != len(addresses), "an address stands twice among the endpoints"),
        (not 1 <= service.ttl <= 604_800, "the ttl must be between 1 second and 7 days"),
        (not 100 <= service.interval_ms <= 86_400_000, "the interval must be between 100 ms and 1 day"),
        (not 10 <= service.timeout_ms <= 60_000, "the timeout must be between 10 ms and 60 s"),
        (not 10 <= service.recheck_ms <= 86_400_000, "the recheck must be between 10 ms and 1 day"),
        (not 1 <= service.rise <= 100, "rise must be between 1 and 100"),
        (not 1 <= service.fall <= 100, "fall must be between 1 and 100"),
        (not 0 <= service.fail_open_percent <= 100, "fail_open must be between 0 and 100 percent"),
    )
    for wrong, sentence in checks:
        if wrong:
            return sentence
    return _check_problem(service.check) or _endpoints_problem(service.endpoints)


def _check_problem(check: Check) -> str | None:
    if not 1 <= check.port <= 65_535:
        return "the check's port must be between 1 and 65535"
    if any(low > high or not 100 <= low <= 599 or high > 599 for low, high in check.expect_status):
        return "expect_status holds codes from 100 to 599, each range from low to high"
    texts = (check.path, check.method, check.host, *(part for pair in check.headers for part in pair))
    if any(char in text for text in texts for char in "\r\n\x00"):
        return "the check's path, method, host and headers cannot hold line breaks"
    return None


def _endpoints_problem(endpoints: tuple[Endpoint, ...]) -> str | None:
    for endpoint in endpoints:
        try:
            canonical = canonical_address(endpoint.address)
        except ValueError as error:
            return str(error)
        if canonical != endpoint.address:
            return f"the address {endpoint.address} must be written {canonical}"
        if not 0 <= endpoint.weight < 2**20 or not 1 <= endpoint.priority <= 1000:
            return f"endpoint {endpoint.address}: weight is 0 to 1048575, priority 1 to 1000"
    return None
