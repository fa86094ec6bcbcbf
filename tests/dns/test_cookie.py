"""Cookies: the RFC's own vectors, and what happens to queries with and without them."""

import dns.edns
import dns.message
import dns.rcode
import pytest

from node.dns.cookie import COOKIE, RollingSecrets, is_ours, renewed, siphash
from node.dns.query import parse
from node.dns.respond import Client, RespondSettings, Send, respond
from tests.dns.zones import query, view, zones

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
CLIENT = bytes.fromhex("2464c4abcf10c957")
NOW_S = 1_559_731_985


@pytest.mark.parametrize(
    ("secret", "address", "client", "now_s", "server"),
    [
        (
            "e5e973e5a6b2a43f48e7dc849e37bfcf",
            "198.51.100.100",
            "2464c4abcf10c957",
            1559731985,
            "010000005cf79f111f8130c3eee29480",
        ),
        (
            "e5e973e5a6b2a43f48e7dc849e37bfcf",
            "198.51.100.100",
            "2464c4abcf10c957",
            1559734385,
            "010000005cf7a871d4a564a1442aca77",
        ),
        (
            "dd3bdf9344b678b185a6f5cb60fca715",
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            "22681ab97d52c298",
            1559741817,
            "010000005cf7c57926556bd0934c72f8",
        ),
        (
            "445536bcd2513298075a5d379663c962",
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            "22681ab97d52c298",
            1559741961,
            "010000005cf7c609a6bb79d16625507a",
        ),
    ],
)
def test_cookies_are_those_of_every_other_server(
    secret: str, address: str, client: str, now_s: int, server: str
) -> None:
    """The vectors of RFC 9018 appendix A."""
    made = renewed(bytes.fromhex(client), address, (bytes.fromhex(secret),), now_s)
    assert client + server == made.hex()
    assert is_ours(made, address, (bytes.fromhex(secret),), now_s)


def test_reserved_octets_may_hold_anything() -> None:
    """They are part of what is hashed (RFC 9018 appendix A.3)."""
    cookie = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
    assert is_ours(cookie, "203.0.113.203", (SECRET,), 1_559_727_985)


def test_siphash_is_the_authors() -> None:
    """The vector of the SipHash paper, appendix A."""
    assert "a129ca6149be45e5" == siphash(bytes(range(16)), bytes(range(15)))[::-1].hex()


@pytest.mark.parametrize(
    ("age_s", "good", "kept"),
    [
        (0, True, True),
        (1800, True, True),
        (1801, True, False),
        (3600, True, False),
        (3601, False, False),
        (-300, True, True),
        (-301, False, False),
    ],
)
def test_a_cookie_lives_an_hour_and_is_renewed_after_half(age_s: int, good: bool, kept: bool) -> None:
    """RFC 9018 section 4.3."""
    made = renewed(CLIENT, "192.0.2.1", (SECRET,), NOW_S)
    assert good == is_ours(made, "192.0.2.1", (SECRET,), NOW_S + age_s)
    assert kept == (made == renewed(made, "192.0.2.1", (SECRET,), NOW_S + age_s))


def test_a_cookie_belongs_to_its_client_and_its_secret() -> None:
    """Another address, another client cookie, another secret; a secret that is being replaced still counts."""
    made = renewed(CLIENT, "192.0.2.1", (SECRET,), NOW_S)
    other = bytes(16)
    assert not is_ours(made, "192.0.2.2", (SECRET,), NOW_S)
    assert not is_ours(bytes(8) + made[8:], "192.0.2.1", (SECRET,), NOW_S)
    assert not is_ours(made, "192.0.2.1", (other,), NOW_S)
    assert is_ours(made, "192.0.2.1", (other, SECRET), NOW_S)
    assert made != renewed(made, "192.0.2.1", (other, SECRET), NOW_S)


ZONES = zones({"example.": "www A 192.0.2.1\n"})
LAX = view(ZONES, RespondSettings(cookie_secrets=(SECRET,)))
STRICT = view(ZONES, RespondSettings(cookie_secrets=(SECRET,), require_cookies=True))
HERE = Client("192.0.2.1", "udp")


def ask(
    option: bytes | None, seen: object = LAX, client: Client = HERE
) -> tuple[dns.rcode.Rcode, bytes | None, bool]:
    """Ask with a cookie option; return rcode, the cookie that came back, and whether the client is trusted."""
    options = [] if option is None else [dns.edns.GenericOption(COOKIE, option)]
    outcome = respond(query("www.example. A", use_edns=0, options=options), client, seen, 0, NOW_S)  # type: ignore[arg-type]
    assert isinstance(outcome, Send)
    back = [
        option.to_wire() for option in dns.message.from_wire(outcome.packet).options if option.otype == COOKIE
    ]
    return dns.message.from_wire(outcome.packet).rcode(), back[0] if back else None, outcome.is_trusted


def test_a_client_gets_a_cookie_and_is_known_by_it() -> None:
    """RFC 7873 section 5.2.3 and 5.2.5."""
    rcode, made, is_trusted = ask(CLIENT)
    assert (dns.rcode.NOERROR, False) == (rcode, is_trusted)
    assert made is not None
    assert (dns.rcode.NOERROR, made, True) == ask(made)


def test_without_a_cookie_or_a_secret_there_is_none() -> None:
    """Nobody is answered what was not asked for."""
    assert (dns.rcode.NOERROR, None, False) == ask(None)
    assert (dns.rcode.NOERROR, None, False) == ask(CLIENT, view(ZONES))


@pytest.mark.parametrize("length", [0, 7, 9, 15, 41])
def test_a_cookie_of_another_length_is_a_format_error(length: int) -> None:
    """RFC 7873 section 5.2.2."""
    assert (dns.rcode.FORMERR, None, False) == ask(b"c" * length)


def test_where_cookies_are_required_a_wrong_one_is_refused_over_udp_only() -> None:
    """BADCOOKIE with a fresh cookie (RFC 7873 section 5.2.3); TCP proves the address by itself."""
    rcode, made, _ = ask(CLIENT + bytes(16), STRICT)
    assert dns.rcode.BADCOOKIE == rcode
    assert made is not None
    assert (dns.rcode.NOERROR, made, True) == ask(made, STRICT)
    assert dns.rcode.NOERROR == ask(CLIENT, STRICT, Client("192.0.2.1", "tcp"))[0]
    assert dns.rcode.NOERROR == ask(None, STRICT)[0]


def test_a_query_without_question_asks_for_a_cookie() -> None:
    """RFC 7873 section 5.4; without cookies of ours it is a format error."""
    message = dns.message.Message(id=5)
    message.use_edns(0, options=[dns.edns.GenericOption(COOKIE, CLIENT)])
    for seen, rcode in ((LAX, dns.rcode.NOERROR), (view(ZONES), dns.rcode.FORMERR)):
        outcome = respond(message.to_wire(), HERE, seen, 0, NOW_S)
        assert isinstance(outcome, Send)
        answer = dns.message.from_wire(outcome.packet)
        assert (rcode, []) == (answer.rcode(), answer.question)
    parsed = parse(message.to_wire())
    assert parsed is not None
    assert parsed.fault is None


def test_rolling_secrets_overlap_by_a_day() -> None:
    """A cookie of yesterday, or of a node whose clock is ahead, is taken; one of another master is not."""
    rolling, other = RollingSecrets(b"m" * 32), RollingSecrets(b"o" * 32)
    midnight = 20_000 * 86_400
    for made_at, seen_at in ((midnight - 60, midnight + 60), (midnight + 60, midnight - 60)):
        cookie = renewed(b"clientco", "192.0.2.1", rolling.at(made_at), made_at)
        assert is_ours(cookie, "192.0.2.1", rolling.at(seen_at), seen_at)
        assert not is_ours(cookie, "192.0.2.1", other.at(seen_at), seen_at)
    assert rolling.at(midnight) is rolling.at(midnight + 86_399)
    assert rolling.at(midnight)[0] != rolling.at(midnight + 86_400)[0]
