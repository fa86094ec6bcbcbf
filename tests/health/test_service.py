"""Services are checked once, when a command is applied; a sentence says what is wrong."""

import msgspec
import pytest

from node.health.service import (
    CHECK_KINDS,
    Check,
    Endpoint,
    Part,
    Service,
    canonical_address,
    endpoint_of,
    problem,
)
from node.zone.name import from_text

FQDN = from_text("www.example.test")
ZONE = from_text("example.test")
HTTP = Check("http", 80)
ENDPOINTS = (Endpoint("192.0.2.1"),)


def build(check=HTTP, endpoints=ENDPOINTS, **fields):
    return Service(**{"fqdn": FQDN, "zone": ZONE, "check": check, "endpoints": tuple(endpoints)} | fields)


def composite(*parts, **fields):
    return Check("composite", 0, parts=tuple(parts), **fields)


GOOD = {
    "http": HTTP,
    "https": Check("https", 443, warn_expiry_days=14),
    "tcp": Check("tcp", 25, expect="220 "),
    "tls": Check("tls", 443, host="other.test"),
    "dns": Check("dns", 53, query_name=ZONE, query_type=6, expect_rcodes=(0, 3)),
    "udp": Check("udp", 123, send="x"),
    "icmp": Check("icmp", 0),
    "grpc": Check("grpc", 50051, grpc_service="shop.Cart", tls=True),
    "exec": Check("exec", 0, command="replication"),
    "push": Check("push", 0, lease_s=30),
    "composite": composite(Part(HTTP, must_pass=True), Part(Check("icmp", 0), observe_only=True), needed=1),
}


def test_there_is_an_example_of_every_kind():
    """Each kind of check is accepted in its plain form."""
    assert sorted(CHECK_KINDS) == sorted(GOOD)
    assert dict.fromkeys(GOOD) == {kind: problem(build(check)) for kind, check in GOOD.items()}


def test_services_survive_their_bytes():
    """Every kind of check comes out of the log as it went in."""
    for check in GOOD.values():
        service = build(check, [Endpoint("2001:db8::1", probe_address="192.0.2.9")])
        assert service == msgspec.msgpack.decode(msgspec.msgpack.encode(service), type=Service)
        assert isinstance(hash(service.check), int)


BAD = {
    "a name outside the zone": (build(zone=from_text("example.org")), "not inside its zone"),
    "an address twice": (build(endpoints=[Endpoint("192.0.2.1")] * 2), "stands twice"),
    "an address that is none": (build(endpoints=[Endpoint("192.0.2.256")]), "not an IPv4 or IPv6 address"),
    "an address with a zone index": (build(endpoints=[Endpoint("fe80::1%eth0")]), "zone index"),
    "an address in another form": (build(endpoints=[Endpoint("2001:DB8::1")]), "must be written 2001:db8::1"),
    "a probe address in another form": (
        build(endpoints=[Endpoint("192.0.2.1", probe_address="2001:db8:0::1")]),
        "must be written 2001:db8::1",
    ),
    "a weight too high": (build(endpoints=[Endpoint("192.0.2.1", weight=2**20)]), "weight is 0 to"),
    "a priority of 0": (build(endpoints=[Endpoint("192.0.2.1", priority=0)]), "priority 1 to"),
    "too many endpoints": (
        build(endpoints=[Endpoint(f"192.0.{n // 256}.{n % 256}") for n in range(257)]),
        "at most 256",
    ),
    "ttl": (build(ttl=0), "ttl"),
    "interval": (build(interval_ms=99), "interval"),
    "timeout": (build(timeout_ms=60_001), "timeout"),
    "recheck": (build(recheck_ms=9), "recheck"),
    "rise": (build(rise=0), "rise"),
    "fall": (build(fall=101), "fall"),
    "fail_open": (build(fail_open_percent=101), "fail_open"),
    "no port": (build(Check("tcp", 0)), "port must be between 1 and 65535"),
    "a port for ping": (build(Check("icmp", 7)), "has no port"),
    "a status that is none": (build(Check("http", 80, expect_status=((200, 600),))), "expect_status"),
    "a status range upside down": (build(Check("http", 80, expect_status=((300, 200),))), "expect_status"),
    "a line break in a header": (build(Check("http", 80, headers=(("A", "b\r\nC: d"),))), "line breaks"),
    "a line break in the path": (build(Check("http", 80, path="/ HTTP/1.1\n")), "line breaks"),
    "exec without a command": (build(Check("exec", 0)), "needs the name of a command"),
    "a command without exec": (build(Check("http", 80, command="rm")), "only an exec check"),
    "days of warning": (build(Check("tls", 443, warn_expiry_days=-1)), "warn_expiry"),
    "a query type of 0": (build(Check("dns", 53, query_type=0)), "query type"),
    "no rcode": (build(Check("dns", 53, expect_rcodes=())), "at least one rcode"),
    "an rcode too high": (build(Check("dns", 53, expect_rcodes=(16,))), "between 0 and 15"),
    "parts of a plain check": (build(Check("http", 80, parts=(Part(HTTP),))), "only a composite"),
    "a composite of nothing": (build(composite()), "1 to 8 parts"),
    "a composite of nine": (build(composite(*[Part(HTTP)] * 9)), "1 to 8 parts"),
    "a composite of composites": (build(composite(Part(composite(Part(HTTP))))), "cannot be part"),
    "more needed than there are": (build(composite(Part(HTTP), needed=2)), "needs 2 of 1"),
    "nothing that counts": (build(composite(Part(HTTP, observe_only=True))), "needs 0 of 0"),
    "a part that must and must not": (
        build(composite(Part(HTTP, must_pass=True, observe_only=True), Part(HTTP))),
        "cannot be there",
    ),
    "a bad part": (build(composite(Part(HTTP), Part(Check("tcp", 0)))), "port must be"),
    "a port of a composite": (build(Check("composite", 80, parts=(Part(HTTP),))), "has no port"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said(name):
    """Each mistake is refused with a sentence of its own."""
    service, words = BAD[name]
    assert words in (problem(service) or "")


def test_the_limits_are_inclusive():
    """The values at the edges are allowed."""
    low = build(ttl=1, interval_ms=100, timeout_ms=10, recheck_ms=10, rise=1, fall=1, fail_open_percent=0)
    high = build(
        ttl=604_800, interval_ms=86_400_000, timeout_ms=60_000, rise=100, fall=100, fail_open_percent=100
    )
    assert (None, None) == (problem(low), problem(high))
    assert problem(build(endpoints=())) is None


def test_addresses_have_one_form():
    """An address is read in any form and written in one."""
    assert "2001:db8::1" == canonical_address("2001:0DB8:0:0::0001")
    assert "192.0.2.1" == canonical_address("192.0.2.1")


def test_endpoints_are_found_by_address():
    """An endpoint is found by its canonical address, or not at all."""
    service = build(endpoints=[Endpoint("192.0.2.1", name="one")])
    assert "one" == endpoint_of(service, "192.0.2.1").name
    assert endpoint_of(service, "192.0.2.2") is None
