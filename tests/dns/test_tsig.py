"""Signed messages, checked against another library's signatures in both directions."""

import base64
import time

import dns.message
import dns.name
import dns.rcode
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dns.query import parse
from node.dns.respond import Client, RespondSettings, Send, View, respond
from node.dns.tsig import BADKEY, BADSIG, BADTIME, Key, Signature, Signer, Unsigned, signed_request, verify
from node.zone.name import from_text
from tests.dns.zones import zones

SECRET = b"0123456789abcdef0123456789abcdef"
ALGORITHMS = ["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"]


def key(algorithm: str = "hmac-sha256", name: str = "Key.Example", secret: bytes = SECRET) -> Key:
    return Key(from_text(name), from_text(algorithm), secret)


def theirs(ours: Key) -> dns.tsig.Key:
    """Return a key of ours as the other library's."""
    algorithm = dns.name.from_wire(ours.algorithm, 0)[0]
    return dns.tsig.Key(dns.name.from_wire(ours.name, 0)[0], base64.b64encode(ours.secret).decode(), algorithm)


def signed(ours: Key, question: str = "www.example.") -> tuple[bytes, dns.message.Message]:
    """Sign a query with the other library."""
    message = dns.message.make_query(question, "A")
    message.use_tsig(theirs(ours))
    return message.to_wire(), message


def found(packet: bytes, *keys: Key, now_s: int | None = None) -> Signature:
    """Verify a packet."""
    query = parse(packet)
    assert query is not None
    assert query.tsig_start is not None
    now_s = int(time.time()) if now_s is None else now_s
    return verify(packet, query.tsig_start, {each.name: each for each in keys}, now_s)


ZONES = zones({"example.": "www A 192.0.2.1\n"})


def answered(packet: bytes, *keys: Key, now_s: int | None = None) -> bytes:
    """Answer a packet by all steps."""
    settings = RespondSettings(keys={each.name: each for each in keys})
    view = View(ZONES, ready=True, node="ns1", settings=settings)
    now_s = int(time.time()) if now_s is None else now_s
    outcome = respond(packet, Client("192.0.2.9", "udp"), view, 0, now_s)
    assert isinstance(outcome, Send)
    return outcome.packet


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_another_library_signs_is_answered_signed(algorithm: str) -> None:
    """RFC 8945 section 5: the request verifies here, the answer there."""
    ours = key(algorithm)
    packet, message = signed(ours)
    assert 0 == found(packet, ours).error
    answer = dns.message.from_wire(answered(packet, ours), keyring=theirs(ours), request_mac=message.mac)
    assert answer.had_tsig
    assert (dns.rcode.NOERROR, "192.0.2.1") == (answer.rcode(), answer.answer[0][0].address)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_we_sign_verifies_elsewhere(algorithm: str) -> None:
    """A request of ours, as NOTIFY needs it."""
    ours = key(algorithm)
    packet = signed_request(dns.message.make_query("www.example.", "A").to_wire(), ours, int(time.time()))
    assert dns.message.from_wire(packet, keyring=theirs(ours)).had_tsig
    assert 0 == found(packet, ours).error


def test_many_messages_are_signed_one_after_the_other() -> None:
    """Each signature covers the one before and the timers (RFC 8945 section 5.3.1)."""
    ours = key()
    packet, message = signed(ours)
    signer = Signer(found(packet, ours))
    context = None
    for number in range(3):
        answer = dns.message.make_response(dns.message.make_query("www.example.", "A"))
        answer.id = message.id
        octets = signer.sign(answer.to_wire(), int(time.time()))
        read = dns.message.from_wire(
            octets, keyring=theirs(ours), request_mac=message.mac, multi=True, tsig_ctx=context
        )
        context = read.tsig_ctx
        assert read.had_tsig, number


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (key(secret=b"another secret of that length..."), BADSIG),
        (key(name="other.example"), BADKEY),
        (key("hmac-sha512"), BADKEY),
    ],
)
def test_a_wrong_key_is_told_without_a_signature(other: Key, error: int) -> None:
    """NOTAUTH with BADSIG or BADKEY and no MAC (RFC 8945 section 5.3.2)."""
    packet, _ = signed(key())
    assert error == found(packet, other).error
    answer = dns.message.from_wire(answered(packet, other), keyring=False)
    assert (dns.rcode.NOTAUTH, []) == (answer.rcode(), answer.answer)
    assert answer.tsig is not None
    assert (error, b"") == (answer.tsig[0].error, answer.tsig[0].mac)


@pytest.mark.parametrize(("late_s", "error"), [(300, 0), (301, BADTIME), (-300, 0), (-301, BADTIME)])
def test_a_message_lives_as_long_as_its_fudge(late_s: int, error: int) -> None:
    """BADTIME tells the server's time, signed (RFC 8945 section 5.2.3)."""
    ours = key()
    packet, message = signed(ours)
    now_s = found(packet, ours).time_s + late_s
    assert error == found(packet, ours, now_s=now_s).error
    if error:
        answer = dns.message.from_wire(answered(packet, ours, now_s=now_s), keyring=False)
        assert dns.rcode.NOTAUTH == answer.rcode()
        assert answer.tsig is not None
        assert (BADTIME, now_s) == (answer.tsig[0].error, int.from_bytes(answer.tsig[0].other, "big"))
        assert answer.tsig[0].mac
    assert message.mac


def with_mac(packet: bytes, length: int) -> bytes:
    """Cut the MAC of a signed packet to a length."""
    read = dns.message.from_wire(packet, keyring=False)
    query = parse(packet)
    assert query is not None
    assert read.tsig is not None
    start, rdata = query.tsig_start, read.tsig[0]
    cut = rdata.replace(mac=rdata.mac[:length]).to_wire()
    name, fixed = read.tsig.name.to_wire(), b"\x00\xfa\x00\xff" + bytes(4)
    return packet[:start] + name + fixed + len(cut).to_bytes(2, "big") + cut


def test_a_truncated_mac_is_accepted_down_to_half() -> None:
    """16 octets of 32 are enough, 15 are a format error (RFC 8945 section 5.2.2.1)."""
    ours = key()
    packet, _ = signed(ours)
    assert 0 == found(with_mac(packet, 16), ours).error
    with pytest.raises(Unsigned):
        found(with_mac(packet, 15), ours)
    assert (
        dns.rcode.FORMERR == dns.message.from_wire(answered(with_mac(packet, 15), ours), keyring=False).rcode()
    )


@given(st.binary(max_size=80), st.integers(0, 200))
def test_a_broken_record_is_a_format_error_or_a_bad_signature(octets: bytes, place: int) -> None:
    """Whatever stands in the record, nothing is raised and nothing is accepted."""
    packet, _ = signed(key())
    place %= len(packet)
    mutated = packet[:place] + octets + packet[place + len(octets) :]
    if mutated != packet and len(mutated) >= 12 and not mutated[2] & 0x80:
        answered(mutated, key())


def test_a_changed_message_has_a_bad_signature() -> None:
    """Every octet before the record is covered, but for the id."""
    packet, _ = signed(key())
    query = parse(packet)
    assert query is not None
    assert query.tsig_start is not None
    changed = packet[:13] + b"x" + packet[14:]
    assert BADSIG == found(changed, key()).error
    assert 0 == found(b"\x00\x00" + packet[2:], key()).error
