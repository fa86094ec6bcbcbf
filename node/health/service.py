"""What users reach and how it is probed: services, endpoints, checks.

These are the objects that commands carry and State keeps. They are plain values; ``node.state``
checks them once when a command is applied (``problem``), and everything behind may rely on it.
"""

import ipaddress
import re
from typing import Literal

import msgspec

from node.health import rule as rules
from node.health import steadiness
from node.health.rule import Rule
from node.health.steadiness import Failback, FlapLimit
from node.zone.name import Name, is_wildcard, is_within

CHECK_KINDS = ("http", "https", "tcp", "tls", "dns", "udp", "icmp", "grpc", "exec", "composite", "push")
PORTLESS_KINDS = ("icmp", "exec", "composite", "push")
ENDPOINTS_MAX = 256
FALLBACKS_MAX = 16
TAGS_MAX = 16
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PARTS_MAX = 8
"""Of a composite check."""
MODES = ("active-active", "active-standby")

Selection = Literal["all", "weighted", "weighted-one", "sticky", "site"]
CheckKind = Literal["http", "https", "tcp", "tls", "dns", "udp", "icmp", "grpc", "exec", "composite", "push"]
Mode = Literal["active-active", "active-standby"]
WhenDown = Literal["nodata", "all", "last_good", "fallback"]


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one endpoint is probed. Times are on the service; ``{}`` never reaches this far."""

    kind: CheckKind
    port: int
    """0 where the kind has none: icmp, exec, composite."""
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
    """Text that must stand in the answer (tcp, udp); for dns an rdata that must be among the answers."""
    warn_expiry_days: int = 0
    """A certificate that ends within so many days is told as a warning (https, tls); 0 says nothing."""
    query_name: Name = Name(b"")
    """What a dns check asks for; empty means the service's own name."""
    query_type: int = 1
    expect_rcodes: tuple[int, ...] = (0,)
    tls: bool = False
    """Whether grpc goes over TLS."""
    grpc_service: str = ""
    """The service asked about in grpc's health protocol; empty means the server as a whole."""
    command: str = ""
    """The name of a program that every node's local configuration gives an argv for (exec)."""
    parts: tuple["Part", ...] = ()
    """The checks that a composite one is made of."""
    needed: int = 0
    """How many parts of a composite check must be good; 0 means all."""
    lease_s: int = 60
    """How long a heartbeat of the endpoint counts (push)."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One check of a composite one."""

    check: Check
    must_pass: bool = False
    """The whole is bad when this part is, however many others are good."""
    observe_only: bool = False
    """Only told in the evidence; it neither counts nor is needed."""


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """One address that can stand for the service in DNS."""

    address: str
    """Canonical text of an IPv4 or IPv6 address."""
    name: str = ""
    priority: int = 1
    weight: int = 1
    probe_from: tuple[str, ...] = ()
    """Names of the nodes that probe it; empty means all."""
    probe_address: str = ""
    """The address that is probed instead of the published one; empty means that one."""
    site: str = ""
    """Where it is, as nodes have sites."""
    tags: tuple[str, ...] = ()
    """By which operators mean it together with others."""


class Service(msgspec.Struct, frozen=True, omit_defaults=True):
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
    rule: Rule = Rule()
    """How the nodes' votes become a verdict."""
    when_down: WhenDown = "nodata"
    """What is published when every endpoint is down and fail-open does not keep them."""
    fallback: tuple[str, ...] = ()
    """Addresses published instead of endpoints that are all down, by ``when_down`` = ``fallback``."""
    min_up: int = 0
    """With fewer endpoints up than this all are kept, as for fail-open."""
    max_answers: int = 0
    """At most so many endpoints are published at a time, the best by priority and weight; 0 for all."""
    flap_limit: FlapLimit | None = None
    """What is up and down too often is held out of DNS; None: nothing is."""
    failback: Failback = Failback()
    ttl_min: int = 0
    """The ttl while an endpoint is undecided, down or changing; 0: ``ttl`` stays as it is."""
    separate_families: bool = False
    """Whether IPv4 and IPv6 endpoints are judged as two services would be."""
    selection: Selection = "all"
    """Which of the published addresses one answer holds: all in turn, all in an order drawn by weight, one drawn by
    weight, one that stays the same for a client's network, or those at the answering node's site."""


def canonical_address(text: str) -> str:
    """Return the canonical text of an IP address. Raises ``ValueError`` with a sentence."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text} is not an IPv4 or IPv6 address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise ValueError(f"{text}: an address in DNS cannot carry a zone index")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        # Python 3.13 writes these otherwise than 3.12: replicas would not agree on the canonical text.
        raise ValueError(f"{text} stands for an IPv4 address; write {address.ipv4_mapped}")
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
        (service.selection != "all" and is_wildcard(service.fqdn), "a wildcard is answered with all addresses"),
        (not 0 <= service.ttl_min <= service.ttl, "ttl_min must be between 0 and the ttl"),
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
    return (
        rules.problem(service.rule)
        or steadiness.problem(service.flap_limit, service.failback)
        or problem_of_check(service.check)
        or _endpoints_problem(service.endpoints)
        or _push_problem(service)
        or _fallback_problem(service)
    )


def _fallback_problem(service: Service) -> str | None:
    """Say what is wrong with what is published when all is down, and with the limits of that."""
    if bool(service.fallback) != (service.when_down == "fallback"):
        return "when_down = fallback and fallback addresses need one another"
    if len(service.fallback) > FALLBACKS_MAX:
        return f"a service can have at most {FALLBACKS_MAX} fallback addresses"
    if not 0 <= service.min_up <= ENDPOINTS_MAX or not 0 <= service.max_answers <= ENDPOINTS_MAX:
        return f"min_up and max_answers must be between 0 and {ENDPOINTS_MAX}"
    for text in service.fallback:
        try:
            canonical = canonical_address(text)
        except ValueError as error:
            return str(error)
        if canonical != text:
            return f"the address {text} must be written {canonical}"
    return None


def problem_of_check(check: Check) -> str | None:
    """Return a sentence that says why the check cannot be accepted, or None."""
    if check.kind == "composite":
        return _parts_problem(check)
    if check.parts or check.needed:
        return "only a composite check has parts"
    if check.kind in PORTLESS_KINDS:
        if check.port:
            return f"a check of kind {check.kind} has no port"
    elif not 1 <= check.port <= 65_535:
        return "the check's port must be between 1 and 65535"
    if any(low > high or not 100 <= low <= 599 or high > 599 for low, high in check.expect_status):
        return "expect_status holds codes from 100 to 599, each range from low to high"
    texts = (check.path, check.method, check.host, *(part for pair in check.headers for part in pair))
    if any(char in text for text in texts for char in "\r\n\x00"):
        return "the check's path, method, host and headers cannot hold line breaks"
    return _kind_problem(check)


def _kind_problem(check: Check) -> str | None:
    """Say what is wrong with the options of single kinds."""
    if (check.kind == "exec") != bool(check.command):
        needs = check.kind == "exec"
        return "an exec check needs the name of a command" if needs else "only an exec check has a command"
    checks = (
        (not 0 <= check.warn_expiry_days <= 3650, "warn_expiry must be between 0 and 3650 days"),
        (not 1 <= check.query_type <= 65_535, "the query type must be between 1 and 65535"),
        (not 1 <= check.lease_s <= 86_400, "the lease of heartbeats must be between 1 second and 1 day"),
        (not check.expect_rcodes, "at least one rcode must be expected"),
        (any(not 0 <= rcode <= 15 for rcode in check.expect_rcodes), "an rcode is between 0 and 15"),
    )
    return next((sentence for wrong, sentence in checks if wrong), None)


def _push_problem(service: Service) -> str | None:
    """Say what has no meaning where endpoints report by themselves, to whichever node they like."""
    if service.check.kind != "push":
        return None
    narrowed = next((each for each in service.endpoints if each.probe_from or each.probe_address), None)
    if narrowed is None:
        return None
    return f"endpoint {narrowed.address} reports by itself: it has no probe_from and no probe_address"


def _parts_problem(check: Check) -> str | None:
    if not 1 <= len(check.parts) <= PARTS_MAX:
        return f"a composite check has 1 to {PARTS_MAX} parts"
    if any(part.check.kind == "composite" for part in check.parts):
        return "a composite check cannot be part of another"
    if any(part.check.kind == "push" for part in check.parts):
        return "heartbeats cannot be part of a composite check"
    if any(part.must_pass and part.observe_only for part in check.parts):
        return "a part that must pass cannot be there for observation only"
    counted = sum(not part.observe_only for part in check.parts)
    if not 0 <= check.needed <= counted or not counted:
        return f"the composite check needs {check.needed} of {counted} parts that count"
    if check.port:
        return "a check of kind composite has no port"
    return next(filter(None, (problem_of_check(part.check) for part in check.parts)), None)


def _endpoints_problem(endpoints: tuple[Endpoint, ...]) -> str | None:
    for endpoint in endpoints:
        for text in (endpoint.address, endpoint.probe_address or endpoint.address):
            try:
                canonical = canonical_address(text)
            except ValueError as error:
                return str(error)
            if canonical != text:
                return f"the address {text} must be written {canonical}"
        if not 0 <= endpoint.weight < 2**20 or not 1 <= endpoint.priority <= 1000:
            return f"endpoint {endpoint.address}: weight is 0 to 1048575, priority 1 to 1000"
        if len(endpoint.tags) > TAGS_MAX or not all(map(_TAG.fullmatch, endpoint.tags)):
            return f"endpoint {endpoint.address}: a tag is 1 to 63 letters, digits, dots and hyphens, at most {TAGS_MAX} of them"
    return None
