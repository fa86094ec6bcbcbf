"""RRsets: canonical form, what can be stored, text and wire of each common type."""

import pytest

from node.zone.name import from_text
from node.zone.rrset import (
    CNAME,
    MX,
    TXT,
    A,
    BadRdata,
    make,
    problem,
    rdata_from_text,
    rdata_from_wire,
    rdata_to_text,
    type_from_text,
    type_to_text,
)

NAME = from_text("www.example.org")
ORIGIN = from_text("example.org")

TEXTS = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "CNAME": "target.example.org.",
    "DNAME": "target.example.org.",
    "NS": "ns1.example.org.",
    "SOA": "ns1.example.org. host.example.org. 1 2 3 4 5",
    "PTR": "host.example.org.",
    "MX": "10 mail.example.org.",
    "TXT": '"one" "two\\"quoted\\""',
    "SRV": "1 2 443 host.example.org.",
    "CAA": '0 issue "ca.example.net"',
    "NAPTR": '100 50 "s" "z3950+I2L" "" _z3950._tcp.example.org.',
    "SSHFP": "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
    "TLSA": "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    "SMIMEA": "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    "OPENPGPKEY": "AQIDBA==",
    "SVCB": '1 svc.example.org. alpn="h2" port="8443"',
    "HTTPS": '1 . alpn="h2,h3" ipv4hint="192.0.2.1"',
    "URI": '10 1 "ftp://ftp.example.org/public"',
    "LOC": "52 22 23.000 N 4 53 32.000 E -2.00m",
    "HINFO": '"PC" "Linux"',
    "RP": "admin.example.org. info.example.org.",
    "CERT": "PGP 0 0 AQIDBA==",
    "DS": "12345 13 2 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    "CDS": "12345 13 2 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    "DNSKEY": "257 3 13 AQIDBA==",
    "CDNSKEY": "257 3 13 AQIDBA==",
    "CSYNC": "66 3 A NS AAAA",
    "ZONEMD": "2018031500 1 1 " + "ab" * 48,
    "EUI48": "00-00-5e-00-53-2a",
    "EUI64": "00-00-5e-ef-10-00-00-2a",
    "TYPE65280": "\\# 3 abcdef",
}


@pytest.mark.parametrize("type_", TEXTS)
def test_text_and_wire_of_every_common_type(type_: str) -> None:
    """What a master file says comes back the same through the stored octets (RFC 3597)."""
    number = type_from_text(type_)
    rdata = rdata_from_text(number, TEXTS[type_], ORIGIN)
    assert rdata == rdata_from_text(number, rdata_to_text(number, rdata), ORIGIN)
    assert rdata == rdata_from_wire(number, rdata)
    assert type_ == type_to_text(number)


def test_relative_names_end_with_the_origin() -> None:
    """A name without final dot lies below the origin (RFC 1035 section 5.1)."""
    assert "10 mail.example.org." == rdata_to_text(MX, rdata_from_text(MX, "10 mail", ORIGIN))
    assert "10 mail" == rdata_to_text(MX, rdata_from_text(MX, "10 mail", ORIGIN), ORIGIN)


@pytest.mark.parametrize(
    ("type_", "text", "said"),
    [
        ("A", "2001:db8::1", "is not an IPv4 address"),
        ("A", "010.0.0.1", "is not an IPv4 address"),
        ("AAAA", "192.0.2.1", "is not an IPv6 address"),
        ("MX", "mail", "is not a record of type MX"),
        ("SRV", "1 2 70000 host", "is not a record of type SRV"),
    ],
)
def test_a_bad_text_is_explained(type_: str, text: str, said: str) -> None:
    """The sentence says the type and what was written."""
    with pytest.raises(BadRdata, match=said):
        rdata_from_text(type_from_text(type_), text, ORIGIN)


def test_rdatas_are_sorted_and_unique() -> None:
    """An RRset holds each record once (RFC 2181 section 5)."""
    assert make(NAME, A, 5, [b"\x02\x00\x00\x01", b"\x01\x00\x00\x01", b"\x02\x00\x00\x01"]) == make(
        NAME, A, 5, (b"\x01\x00\x00\x01", b"\x02\x00\x00\x01")
    )


@pytest.mark.parametrize(
    ("type_", "ttl", "rdatas", "said"),
    [
        (A, 5, [], "empty"),
        (A, -1, [b"\x01\x02\x03\x04"], "ttl"),
        (A, 2**31, [b"\x01\x02\x03\x04"], "ttl"),
        (A, 5, [b"\x01\x02\x03"], "4 octets"),
        (CNAME, 5, [b"\x01a\x00", b"\x01b\x00"], "only one CNAME"),
        (MX, 5, [b"\x00\x01\x01a"], "ends with a name"),
        (41, 5, [b""], "not a type that a zone can hold"),
        (252, 5, [b""], "not a type that a zone can hold"),
        (0, 5, [b""], "not a type that a zone can hold"),
        (TXT, 5, [b"x" * 65_536], "65535 are allowed"),
        (TXT, 5, [number.to_bytes(2, "big") for number in range(1001)], "at most 1000"),
    ],
)
def test_what_cannot_be_stored_is_explained(type_: int, ttl: int, rdatas: list[bytes], said: str) -> None:
    """RFC 2181 sections 5 and 8, and our own limits."""
    assert said in (problem(make(NAME, type_, ttl, rdatas)) or "")


def test_what_can_be_stored_has_no_problem() -> None:
    """Every common type."""
    for type_, text in TEXTS.items():
        number = type_from_text(type_)
        assert None is problem(make(NAME, number, 5, [rdata_from_text(number, text, ORIGIN)]))
