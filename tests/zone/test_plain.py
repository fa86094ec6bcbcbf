"""The fast reading and writing of plain records, held against dnspython's, which knows everything."""

import time
from unittest import mock

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.zone.master_file import BadMasterFile, parse
from node.zone.name import Name, from_text
from node.zone.plain import PlainReader, plain_address, plain_text
from node.zone.rrset import rdata_from_text, type_from_text

ORIGIN = from_text("example.com")

labels = st.sampled_from(
    ["a", "B", "*", "_sip", "x" * 63, "x" * 64, "1", "a-b", "a\\.b", "ü", "a$", "IN", "60", ""]
)
names = st.one_of(
    st.lists(labels, min_size=1, max_size=5).map(".".join),
    st.lists(labels, min_size=1, max_size=3).map(lambda parts: ".".join(parts) + "."),
    st.sampled_from(
        ["@", ".", "example.com.", "EXAMPLE.com.", "a.example.com.", f"{'x.' * 126}y", f"{'x.' * 130}"]
    ),
)
numbers = st.sampled_from(
    ["0", "1", "10", "010", "65535", "65536", "256", "-1", "x", "1e1", "123456789", "1h", "٣"]
)
addresses = st.one_of(
    st.lists(st.sampled_from(["0", "1", "10", "255", "256", "01", "", "x", "٣"]), min_size=3, max_size=5).map(
        ".".join
    ),
    st.sampled_from(
        ["::", "::1", "1::", "2001:db8::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2", "fe80::1%eth0"]
    ),
    st.text("0123456789abcdefABCDEF:.", max_size=20),
    st.ip_addresses(v=6).map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded.upper()),
)
strings = st.one_of(
    st.text(max_size=5),
    st.text('ab "\\;()', max_size=8).map(lambda text: f'"{text}"'),
    st.sampled_from(
        ['"a b"', '""', "bare", f'"{"x" * 255}"', f'"{"x" * 256}"', "y" * 256, '"a;b"', '"(a)"', '"a""b"']
    ),
)
data = st.one_of(
    addresses,
    names,
    st.tuples(numbers, names).map(" ".join),
    st.tuples(numbers, numbers, numbers, names).map("\t".join),
    st.lists(strings, min_size=1, max_size=3).map(" ".join),
    st.tuples(numbers, st.sampled_from(["issue", "iodef", "x1", "x_"]), strings).map(" ".join),
)
types = st.sampled_from(
    ["A", "AAAA", "NS", "CNAME", "PTR", "DNAME", "MX", "SRV", "TXT", "CAA", "aaaa", "mX", "HINFO"]
)
spaces = st.sampled_from([" ", "\t", "  ", " \t "])
fields = st.lists(st.one_of(numbers, st.sampled_from(["IN", "in", "CH", "In"])), max_size=3)
ends = st.sampled_from(["", " ", "\t", " ; a comment", ";x", " ;", " ) ", "\r"])
line = st.builds(
    lambda owner, head, type_, rest, space, end: space.join([owner, *head, type_, rest]) + end,
    st.one_of(names, st.just("")),
    fields,
    types,
    data,
    spaces,
    ends,
)


def read(text: str) -> object:
    """Return what a text is read as, or that it is refused."""
    try:
        contents = parse(text, ORIGIN, 5)
    except BadMasterFile as bad:
        return [each.place.line for each in bad.problems]
    return contents


@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.one_of(line, st.just("$ORIGIN Sub.Example.COM."), st.just("$TTL 77")), min_size=1, max_size=4)
)
@example(["a IN A 192.0.2.1 ; x", " 60 AAAA ::1"])
@example(["$ORIGIN Sub.Example.COM.", "a MX 10 Mail", " TXT a;b", "b CNAME @"])
def test_a_plain_line_is_read_as_the_library_reads_it(lines: list[str]) -> None:
    """Read fast or by dnspython: the same RRsets with the same places and comments, or a refusal of the same lines."""
    text = "\n".join(lines)
    fast = read(text)
    with mock.patch.object(PlainReader, "read", return_value=None):
        assert read(text) == fast


@pytest.mark.parametrize(
    "text",
    [
        "www 300 IN A 192.0.2.1",
        "@ IN NS ns1.example.net.",
        "* A 192.0.2.1",
        "\tAAAA 2001:db8::1 ; comment",
        "_sip._tcp SRV 0 5 5060 sip",
        "@ MX 10 mail",
        '@ TXT "v=spf1 mx -all" "second"',
        '@ CAA 0 issue "letsencrypt.org"',
        "1.0.0.127.in-addr.arpa. PTR localhost.",
    ],
)
def test_the_usual_lines_are_plain(text: str) -> None:
    """The lines that make up large zones take the fast way."""
    assert PlainReader(ORIGIN).read(text) is not None


wire_names = st.lists(st.binary(min_size=1, max_size=20), max_size=5).map(
    lambda parts: b"".join(bytes((len(part),)) + part for part in parts) + b"\0"
)
rdatas = st.one_of(
    st.binary(max_size=40),
    st.ip_addresses().map(lambda address: address.packed),
    wire_names,
    st.binary(min_size=2, max_size=2).flatmap(lambda head: wire_names.map(lambda name: head + name)),
    st.binary(min_size=6, max_size=6).flatmap(lambda head: wire_names.map(lambda name: head + name)),
    st.sampled_from(
        [
            ORIGIN,
            b"\3WWW\7Example\3com\0",
            b"\0\1" + ORIGIN,
            b"\3a b",
            b'\3a"b',
            b"\0",
            bytes(10) + b"\xff\xff\1\2\3\4",
        ]
    ),
)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(["A", "AAAA", "NS", "CNAME", "MX", "SRV", "TXT"]),
    rdatas,
    st.sampled_from([None, ORIGIN, from_text("."), from_text("com")]),
)
def test_a_plain_rdata_is_written_as_the_library_writes_it(
    type_: str, rdata: bytes, origin: Name | None
) -> None:
    """What the fast way writes is what dnspython writes; what it leaves alone may be anything."""
    number = type_from_text(type_)
    plain = plain_text(number, rdata, origin)
    if plain is None:
        return
    library_origin = None if origin is None else dns.name.from_wire(origin, 0)[0]
    parsed = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(number), rdata, 0, len(rdata))
    assert parsed.to_text(origin=library_origin, relativize=origin is not None) == plain
    again = rdata_from_text(number, plain, origin or ORIGIN)
    assert rdata == again if origin is None else rdata.lower() == again.lower()


addresses = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded.upper()),
    st.text("0123456789abcdefABCDEF.:%/ \\\u0661", max_size=20),
    st.sampled_from(
        ["192.0.2.01", "192.0.2", "1.2.3.4 ", "fe80::1%eth0", "::ffff:192.0.2.1", "1.2.3.4 ; x", "::1/64"]
    ),
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(["A", "AAAA"]), addresses)
@example("A", "192.0.2.1")
@example("AAAA", "2001:DB8::1")
def test_an_address_is_read_as_the_library_reads_it(type_: str, text: str) -> None:
    """What the fast way reads is what dnspython reads; what it leaves alone may be anything."""
    number = type_from_text(type_)
    plain = plain_address(number, text)
    if plain is not None:
        assert dns.rdata.from_text(dns.rdataclass.IN, number, text).to_wire() == plain


@pytest.mark.parametrize("line", ["a A{blanks}(", "a{blanks}(", "a 1{blanks}(", "a IN{blanks}(", "{blanks}("])
def test_a_line_of_blanks_costs_no_more_than_its_length(line):
    """A line that is not plain is left to others at once, however many blanks it has."""
    started = time.process_time()
    assert PlainReader(b"\0").read(line.format(blanks=" " * 100_000)) is None
    assert time.process_time() - started < 1
