"""The path of one message: what each step answers, and what reaches the wire."""

import struct

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.dns.respond import Drop, RespondSettings, Send, respond
from tests.dns.invariants import judge
from tests.dns.zones import TCP, UDP, exchange, flags, query, texts, view, zones

ZONES = zones(
    {
        "example.": "www A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\nmx MX 1 www\nsub NS ns.sub\nns.sub A 192.0.2.9\n"
        'long TXT "'
        + "x" * 250
        + '" "'
        + "y" * 250
        + '"\n'
        + "".join(f"many AAAA 2001:db8::{number:x}\n" for number in range(1, 60))
        + "".join(f"big TXT {'z' * 200}{number}\n" for number in range(100))
        + "".join(
            f"wide MX {number} target{number}\ntarget{number} AAAA 2001:db8::{number:x}\n"
            for number in range(14)
        )
        + "".join(
            f"heavy NS ns{number}.heavy\nns{number}.heavy AAAA 2001:db8::{number:x}\n" for number in range(13)
        ),
    }
)
VIEW = view(ZONES)


def test_an_answer_is_authoritative_and_offers_no_recursion() -> None:
    """AA is set, RA is not, RD is the asker's (RFC 1035 section 4.1.1)."""
    answer = exchange(query("www.example. A"), VIEW)
    assert ("QR AA RD", dns.rcode.NOERROR) == (flags(answer), answer.rcode())


def test_the_case_of_the_question_is_kept() -> None:
    """Question and owner are spelled as asked (RFC 4343 section 4.1)."""
    answer = exchange(query("wWw.ExAmPlE. A"), VIEW)
    assert "wWw.ExAmPlE." == str(answer.question[0].name)
    assert "wWw.ExAmPlE." == str(answer.answer[0].name)


def test_labels_with_any_octets_are_answered() -> None:
    """A label is eight-bit clean (RFC 2181 section 11)."""
    packet = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\x02\xff\x00\x07example\x00" + struct.pack("!HH", 1, 1)
    assert dns.rcode.NXDOMAIN == exchange(packet, VIEW).rcode()


def test_pointers_are_never_chained_for_long() -> None:
    """A DNAME that feeds itself makes names that end in one another; readers follow few pointers of one name."""
    where = zones({"example.": "grow DNAME b.grow\n"})
    answer = exchange(query("x.grow.example. A"), view(where), TCP)
    assert 18 == len(answer.answer)


def test_rotation_turns_the_addresses() -> None:
    """Each address stands first in its turn."""
    firsts = [
        exchange(query("www.example. A"), VIEW, rotation=number).answer[0][0].address for number in range(4)
    ]
    assert ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"] == firsts


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        (struct.pack("!6H", 1, 0, 0, 0, 0, 0), dns.rcode.FORMERR),
        (struct.pack("!6H", 1, 0, 2, 0, 0, 0) + query("www.example. A")[12:] * 2, dns.rcode.FORMERR),
        (query("www.example. A") + b"\x00", dns.rcode.FORMERR),
        (query("www.example. A")[:-1], dns.rcode.FORMERR),
        (struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c" + struct.pack("!HH", 1, 1), dns.rcode.FORMERR),
        (
            struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\x41" + b"a" * 65 + b"\x00\x00\x01\x00\x01",
            dns.rcode.FORMERR,
        ),
        (struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\x01a" * 128 + b"\x00\x00\x01\x00\x01", dns.rcode.FORMERR),
        (struct.pack("!6H", 1, 2 << 11, 0, 0, 0, 0), dns.rcode.NOTIMP),
        (struct.pack("!6H", 1, 1 << 11, 1, 0, 0, 0) + b"\xff", dns.rcode.NOTIMP),
        (query("www.elsewhere. A"), dns.rcode.REFUSED),
        (query("www.example. AXFR"), dns.rcode.REFUSED),
        (query("www.example. A", rdclass="ANY"), dns.rcode.REFUSED),
        (query("www.example. A", rdclass="HS"), dns.rcode.REFUSED),
    ],
    ids=lambda value: None if isinstance(value, int) else "packet",  # query ids are random
)
def test_what_cannot_be_answered_gets_its_rcode(packet: bytes, rcode: dns.rcode.Rcode) -> None:
    """FORMERR, NOTIMP and REFUSED, each for its cause (RFC 1035 section 4.1.1)."""
    answer = exchange(packet, VIEW)
    assert (rcode, packet[:2]) == (answer.rcode(), answer.id.to_bytes(2, "big"))
    assert not answer.answer


@pytest.mark.parametrize(
    ("packet", "reason"),
    [(b"", "short"), (b"\x00" * 11, "short"), (b"\x00\x01\x80" + b"\x00" * 9, "answer")],
)
def test_some_messages_get_no_answer(packet: bytes, reason: str) -> None:
    """A message without header cannot be answered, an answer must not be (RFC 1035 section 7.3)."""
    assert Drop(reason) == respond(packet, UDP, VIEW)


def test_before_it_is_ready_a_node_denies_nothing() -> None:
    """SERVFAIL and "not ready" until the state is known (RFC 8914 section 4.15)."""
    answer = exchange(query("nothing.example. A", use_edns=0), view({}, ready=False))
    assert dns.rcode.SERVFAIL == answer.rcode()
    assert [14] == [option.code for option in answer.options if isinstance(option, dns.edns.EDEOption)]


class TestEdns:
    """RFC 6891."""

    def test_an_answer_has_an_opt_record_when_the_query_has(self) -> None:
        """No OPT without being asked (section 6.1.1)."""
        assert -1 == exchange(query("www.example. A"), VIEW).edns
        answer = exchange(query("www.example. A", use_edns=0), VIEW)
        assert (0, 1232, 0) == (answer.edns, answer.payload, answer.ednsflags)

    def test_the_do_bit_comes_back(self) -> None:
        """RFC 3225 section 3."""
        assert dns.flags.DO == exchange(query("www.example. A", want_dnssec=True), VIEW).ednsflags

    def test_another_version_is_refused(self) -> None:
        """BADVERS with our version (section 6.1.3)."""
        answer = exchange(query("www.example. A", use_edns=1), VIEW)
        assert (dns.rcode.BADVERS, 0, []) == (answer.rcode(), answer.edns, answer.answer)

    def test_unknown_options_are_ignored(self) -> None:
        """Section 6.1.2."""
        options = [dns.edns.GenericOption(65001, b"abc"), dns.edns.GenericOption(65002, b"")]
        answer = exchange(query("www.example. A", use_edns=0, options=options), VIEW)
        assert (dns.rcode.NOERROR, ()) == (answer.rcode(), answer.options)

    @pytest.mark.parametrize("question", ["www.example. A", "www.elsewhere. A"])
    def test_the_node_is_told_when_asked(self, question: str) -> None:
        """RFC 5001 section 2.2; the option without data stands last, where a careless parser loses it."""
        options = [dns.edns.GenericOption(3, b"")]
        answer = exchange(query(question, use_edns=0, options=options), VIEW)
        assert b"ns1" == next(option for option in answer.options if option.otype == 3).nsid

    def test_the_node_is_not_told_where_that_is_switched_off(self) -> None:
        """An operator may keep node names private."""
        packet = query("www.example. A", use_edns=0, options=[dns.edns.GenericOption(3, b"")])
        assert () == exchange(packet, view(ZONES, RespondSettings(show_node=False))).options

    @pytest.mark.parametrize(
        "tail",
        [
            b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00" * 2,
            b"\x01a\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00",
            b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x03\x00\x03\x00",
            b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x06\x00\x03\x00\x09ab",
        ],
    )
    def test_a_broken_opt_record_is_a_format_error(self, tail: bytes) -> None:
        """Two of them, an owner that is not the root, options cut short (section 6.1.1)."""
        plain = query("www.example. A")
        packet = plain[:10] + struct.pack("!H", len(tail) // 11 if len(tail) == 22 else 1) + plain[12:] + tail
        assert dns.rcode.FORMERR == exchange(packet, VIEW).rcode()


class TestSize:
    """What fits, and what happens when it does not."""

    @pytest.mark.parametrize(
        ("edns", "is_truncated"),
        [({}, True), ({"use_edns": 0, "payload": 100}, True), ({"use_edns": 0, "payload": 4096}, True)],
    )
    def test_too_much_is_cut_to_the_question(self, edns: dict[str, int], is_truncated: bool) -> None:
        """TC set, the question kept, nothing else (RFC 2181 section 9); our own limit is 1232."""
        answer = exchange(query("many.example. AAAA", **edns), VIEW)
        assert is_truncated == bool(answer.flags & dns.flags.TC)
        assert ("many.example.", []) == (str(answer.question[0].name), answer.answer)

    def test_over_tcp_it_is_whole(self) -> None:
        """TCP carries up to 65535 octets."""
        answer = exchange(query("big.example. TXT"), VIEW, TCP)
        assert (0, 100) == (answer.flags & dns.flags.TC, len(answer.answer[0]))

    def test_the_agreed_size_is_used(self) -> None:
        """Between 512 and our limit the asker decides (RFC 6891 section 6.2.3)."""
        assert dns.flags.TC & exchange(query("long.example. TXT"), VIEW).flags
        assert not dns.flags.TC & exchange(query("long.example. TXT", use_edns=0, payload=1232), VIEW).flags

    def test_courtesy_is_left_out_without_tc(self) -> None:
        """Additional data that does not fit is no loss (RFC 2181 section 9)."""
        answer = exchange(query("wide.example. MX"), VIEW)
        assert (0, 14) == (answer.flags & dns.flags.TC, len(answer.answer[0]))
        assert 0 < len(answer.additional) < 14

    def test_missing_glue_is_truncation(self) -> None:
        """A referral without its glue is useless (RFC 9471 section 3.1)."""
        assert dns.flags.TC & exchange(query("x.heavy.example. A"), VIEW).flags
        whole = exchange(query("x.heavy.example. A", use_edns=0, payload=1232), VIEW)
        assert (0, 13) == (whole.flags & dns.flags.TC, len(whole.additional))

    @given(
        st.integers(12, 1300),
        st.sampled_from(["many AAAA", "wide MX", "x.heavy A", "www A", "nothing A", "big TXT"]),
    )
    def test_no_answer_exceeds_its_limit(self, payload: int, question: str) -> None:
        """Whatever the size, an answer fits, and what another library reads is whole."""
        name, type_ = question.split()
        packet = query(f"{name}.example. {type_}", use_edns=0, payload=payload)
        outcome = respond(packet, UDP, VIEW)
        assert isinstance(outcome, Send)
        assert len(outcome.packet) <= max(512, min(payload, 1232))
        assert dns.message.from_wire(outcome.packet).question


class TestChaos:
    """Class CH (RFC 4892)."""

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("version.bind.", "quorumdns"),
            ("VERSION.server.", "quorumdns"),
            ("id.server.", "ns1"),
            ("hostname.bind.", "ns1"),
        ],
    )
    def test_the_server_tells_who_it_is(self, name: str, text: str) -> None:
        """Version and node name."""
        answer = exchange(query(f"{name} TXT", rdclass="CH"), view(ZONES, RespondSettings(version="quorumdns")))
        assert [f'{name} 0 CH TXT "{text}"'] == texts(answer.answer)

    def test_what_is_private_is_refused(self) -> None:
        """The version that nobody gave and a hidden node are refused, as is any other name."""
        hidden = view(ZONES, RespondSettings(show_node=False))
        for name in ("version.bind.", "id.server.", "www.example."):
            assert dns.rcode.REFUSED == exchange(query(f"{name} TXT", rdclass="CH"), hidden).rcode()


class TestAnyOctets:
    """Whatever arrives, an outcome comes out, and an answer never answers an answer."""

    @given(st.binary(max_size=300))
    @example(b"\x00" * 12)
    def test_random_octets(self, packet: bytes) -> None:
        """Octets without meaning."""
        judge(packet)

    @given(
        st.sampled_from(
            [query("www.example. A"), query("x.heavy.example. A", use_edns=0), query("many.example. AAAA")]
        ),
        st.lists(st.tuples(st.integers(0, 70), st.integers(0, 255)), max_size=6),
        st.integers(0, 70),
    )
    def test_mutated_queries(self, packet: bytes, changes: list[tuple[int, int]], cut: int) -> None:
        """Octets with almost a meaning."""
        octets = bytearray(packet)
        for position, octet in changes:
            octets[position % len(octets)] = octet
        judge(bytes(octets))
        judge(bytes(octets[:cut]))
