"""What answerers say to EDNS options: octet by octet what ``respond`` says, or they hand it up."""

import ipaddress
import mmap
import time
from dataclasses import replace

import pytest

from node.dns import answerer_stats as stats
from node.dns.answerer_clients import Clients
from node.dns.answerer_desk import Desk
from node.dns.limiter import LimiterSettings
from node.dns.networks import Network
from node.dns.policy import Policy, from_row, to_row
from node.dns.respond import Client, RespondSettings, Send, respond
from node.dns.shared_limiter import OCTETS, SharedLimiter
from node.zone.name import from_text
from tests.dns.tables import Twin, packet
from tests.dns.zones import view, zones

SECRET = b"0123456789abcdef"
HOST = "192.0.2.77"
ADDRESS = bytes((192, 0, 2, 77))
LONG = "".join(f"long TXT {'x' * 200}{number}\n" for number in range(5))
ZONE = "www A 192.0.2.1\nal CNAME www\nsub NS ns.sub\nns.sub A 192.0.2.9\nmx MX 10 www\n" + LONG
COOKIES = Policy(cookie_secrets=(SECRET,))


@pytest.fixture
def twin() -> Twin:
    """Build a table."""
    return Twin(zones({"example.": ZONE}))


def with_options(name: str, type_: int, options: bytes, *, size: int = 1232, flags: int = 0) -> bytes:
    """Write a query with options."""
    bare = packet(from_text(name), type_, edns=size, dnssec=bool(flags & 0x0100), flags=flags)
    return bare[:-2] + len(options).to_bytes(2, "big") + options


def networks(*texts: str) -> tuple[Network, ...]:
    """Read networks."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def option(code: int, data: bytes) -> bytes:
    """Write an option."""
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def expected(twin: Twin, query: bytes, now_s: int) -> bytes:
    """Return what ``respond`` says to a client with cookies on."""
    seen = replace(view(twin.zones), settings=RespondSettings(cookie_secrets=(SECRET,)))
    outcome = respond(query, Client(HOST, "udp"), seen, 0, now_s)
    assert isinstance(outcome, Send)
    return outcome.packet


@pytest.mark.parametrize("size", [512, 700, 1232, 4096])
@pytest.mark.parametrize(
    "name", ["www.example.", "al.example.", "no.example.", "x.sub.example.", "mx.example.", "out."]
)
def test_a_cookie_is_answered_as_by_respond(
    twin: Twin, name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client's cookie gets a server's, one of ours is given back, and other options are passed over."""
    now_s = int(time.time())
    monkeypatch.setattr(time, "time", lambda: float(now_s))
    desk = Desk(twin.cache, policy=COOKIES)
    first = with_options(name, 1, option(10, b"8octets!"), size=size)
    answer = expected(twin, first, now_s)
    ours = answer[answer.index(b"8octets!") :][:24]
    for flags in (0, 0x0100, 0x0010):
        for options in (
            option(10, b"8octets!"),
            option(8, b"\x00\x01\x18\x00\xc0\x00\x02") + option(10, ours),
            option(12, bytes(40)),
            option(10, b"8octets!" + b"\x01" + bytes(15)),
        ):
            for type_ in (1, 28, 15, 16):
                query = with_options(name, type_, options, size=size, flags=flags)
                found = desk.answer(query, ADDRESS)
                assert found is not None
                assert expected(twin, query, now_s) == query[:2] + found


def test_a_long_answer_leaves_room_for_the_cookie(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every size the answer is cut where ``respond`` cuts it, or handed up, and plain queries see none of it."""
    now_s = int(time.time())
    monkeypatch.setattr(time, "time", lambda: float(now_s))
    desk = Desk(twin.cache, policy=COOKIES)
    for size in range(1040, 1232, 7):
        query = with_options("long.example.", 16, option(10, b"8octets!"), size=size)
        for _ in range(2):
            found = desk.answer(query, ADDRESS)
            assert found is None or expected(twin, query, now_s) == query[:2] + found
            plain = packet(from_text("long.example."), 16, edns=size)
            assert twin.expected(plain, 1) == [twin.answer(plain)]


def test_what_asks_for_more_is_handed_up(twin: Twin) -> None:
    """NSID, broken cookies, broken options, and cookies where ours are insisted on."""
    desk = Desk(twin.cache, policy=COOKIES)
    for options in (
        option(3, b""),
        option(10, b"short"),
        option(10, bytes(15)),
        option(10, bytes(8)) * 2,
        b"\x00\x0a\x00\x09" + bytes(8),
        b"\x00",
    ):
        assert desk.answer(with_options("www.example.", 1, options), ADDRESS) is None
    strict = Desk(twin.cache, policy=replace(COOKIES, require_cookies=True))
    assert strict.answer(with_options("www.example.", 1, option(10, b"8octets!")), ADDRESS) is None


def test_only_our_own_cookie_is_believed(twin: Twin) -> None:
    """A cookie of ours lifts the limit for the client it was made for, not for another one."""
    desk = Desk(twin.cache, policy=COOKIES)
    first = desk.answer(with_options("www.example.", 1, option(10, b"8octets!")), ADDRESS)
    assert first is not None
    assert twin.cache.source
    ours = first[first.index(b"8octets!") :][:24]
    desk.answer(with_options("www.example.", 1, option(10, ours)), ADDRESS)
    assert not twin.cache.source
    desk.answer(with_options("www.example.", 1, option(10, ours)), bytes((192, 0, 2, 78)))
    assert twin.cache.source


def test_a_flood_is_cut_and_dropped(twin: Twin) -> None:
    """Beyond the rate nothing longer than its question is sent to a network, and others go on."""
    limits = LimiterSettings(responses_per_s=3)
    policy = Policy(limits)
    limiter = SharedLimiter(mmap.mmap(-1, OCTETS), 1, 0, limits, b"k" * 16)
    desk = Desk(twin.cache, Clients(policy, limiter), policy)
    query = packet(from_text("long.example."), 16, edns=1232)
    sent = []
    for number in range(60):
        clients = desk.clients.of_batch([bytes((198, 51, 100, number))])
        assert clients is not None
        answer = desk.answer(query, b"")
        assert answer is not None
        sent.append(desk.judged(clients[0], twin.cache.source, answer, query))
    whole = [answer for answer in sent if len(answer) > len(query)]
    assert 3 <= len(whole) <= 6  # a second may end meanwhile
    for answer in sent:
        if answer and answer not in whole:
            assert len(query) == len(answer) + 2
            assert answer[0] & 2
    assert twin.cache.line[stats.LIMITED] > 20
    assert twin.cache.line[stats.CUT] > 20


def test_recursion_is_offered_to_those_who_may(twin: Twin) -> None:
    """RA is set for the networks that are forwarded for, and what is outside our zones is handed up."""
    policy = from_row(to_row(Policy(forward_for=networks("192.0.2.0/24"))))
    desk = Desk(twin.cache, Clients(policy, None), policy)
    query = packet(from_text("www.example."), 1)
    clients = desk.clients.of_batch([ADDRESS, bytes((198, 51, 100, 1))])
    assert clients is not None
    answer = desk.answer(query, ADDRESS) or b""
    judged = [desk.judged(client, twin.cache.source, answer, query) for client in clients]
    assert [0x80, 0] == [each[1] & 0x80 for each in judged]
    assert desk.answer(packet(from_text("elsewhere."), 1), ADDRESS) is None


def test_a_policy_survives_the_wire() -> None:
    """What is written is read back."""
    policy = Policy(
        LimiterSettings(responses_per_s=9, slip=0, exempt=networks("10.0.0.0/8", "2001:db8::/32")),
        (SECRET,),
        b"m" * 32,
        require_cookies=True,
        forward_for=networks("::1/128"),
    )
    assert policy == from_row(to_row(policy))
