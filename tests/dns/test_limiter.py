"""The rate limit: equal answers to one network count together, and time gives back."""

import asyncio
import socket
from ipaddress import ip_address, ip_network

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message

from node.dns.cookie import COOKIE
from node.dns.grants import LOOPBACK
from node.dns.limiter import Limiter, LimiterSettings, LineLimit, Verdict
from node.dns.respond import RespondSettings
from node.dns.server import DnsServer, DnsSettings
from tests.dns.test_server import serve
from tests.dns.zones import query, view, zones

NAME = b"\x03www\x00"


def limiter(**settings: int) -> Limiter:
    return Limiter(LimiterSettings(responses_per_s=2, **settings))


def test_what_exceeds_the_rate_is_dropped_and_every_second_is_cut() -> None:
    """Two a second, then nothing but every second one cut."""
    judged = [limiter_.judge("192.0.2.1", 0, NAME, 1.0) for limiter_ in [limiter()] for _ in range(6)]
    assert [Verdict.SEND, Verdict.SEND, Verdict.DROP, Verdict.CUT, Verdict.DROP, Verdict.CUT] == judged


def test_time_gives_back() -> None:
    """Half a second is worth one answer, and waiting never saves up more than a burst."""
    judge = limiter().judge
    assert [Verdict.SEND] * 2 == [judge("192.0.2.1", 0, NAME, 1.0) for _ in range(2)]
    assert [Verdict.SEND, Verdict.DROP] == [judge("192.0.2.1", 0, NAME, 1.5) for _ in range(2)]
    assert [Verdict.SEND, Verdict.SEND, Verdict.CUT] == [judge("192.0.2.1", 0, NAME, 100.0) for _ in range(3)]


def test_networks_names_and_rcodes_have_their_own_accounts() -> None:
    """Neighbours in a /24 or a /56 share one; others do not."""
    judge = limiter(slip=0).judge
    for _ in range(3):
        judge("192.0.2.1", 0, NAME, 1.0)
        judge("2001:db8::1", 0, NAME, 1.0)
    assert Verdict.DROP is judge("192.0.2.200", 0, NAME, 1.0)
    assert Verdict.DROP is judge("2001:db8:0:ff::1", 0, NAME, 1.0)
    assert Verdict.SEND is judge("192.0.3.1", 0, NAME, 1.0)
    assert Verdict.SEND is judge("2001:db8:0:100::1", 0, NAME, 1.0)
    assert Verdict.SEND is judge("192.0.2.1", 3, NAME, 1.0)
    assert Verdict.SEND is judge("192.0.2.1", 0, b"\x01x\x00", 1.0)


def test_the_table_is_bounded() -> None:
    """The account not used for longest goes."""
    full = limiter(table_max=10)
    for number in range(1000):
        full.judge(f"10.0.{number % 250}.1", 0, number.to_bytes(2, "big"), 1.0)
    assert 10 == len(full.accounts)


ZONES = zones({"example.": "www A 192.0.2.1\n*.wild A 192.0.2.2\n"})
LIMITED = DnsSettings(("127.0.0.1:0",), limiter=LimiterSettings(responses_per_s=5, burst_s=1))


def test_a_flood_over_udp_is_limited_and_tcp_is_not() -> None:
    """Names below a wildcard count as one, as do denials of one zone; a cut answer leads to TCP."""

    async def test(server: DnsServer, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as flood:
            flood.setblocking(False)
            flood.connect((host, port))
            for kind in ("wild.example.", "example."):
                for number in range(40):
                    await loop.sock_sendall(flood, query(f"x{number}.{kind} A"))
            answers = []
            while (
                server.counters.queries["udp", "A"] + server.counters.dropped["limited"] < 80
                or len(answers) < server.counters.queries["udp", "A"]
            ):
                answers.append(dns.message.from_wire(await loop.sock_recv(flood, 4096)))
        cut = [answer for answer in answers if answer.flags & dns.flags.TC]
        assert len(cut) == server.counters.cut >= 30
        assert 10 <= len(answers) - len(cut) <= 20
        assert all(not answer.answer and answer.question for answer in cut)
        answer = await dns.asyncquery.tcp(
            dns.message.make_query("x.wild.example.", "A"), host, port=port, timeout=5
        )
        assert answer.answer

    serve(test, LIMITED, lambda: view(ZONES))


def test_a_client_with_a_cookie_is_not_limited() -> None:
    """Its address is not forged (RFC 7873 section 5.2.5)."""
    shown = view(ZONES, RespondSettings(cookie_secrets=(bytes(16),)))

    async def test(server: DnsServer, host: str, port: int) -> None:
        option = b"clientco"
        for _ in range(30):
            asked = dns.message.make_query(
                "www.example.", "A", use_edns=0, options=[dns.edns.GenericOption(COOKIE, option)]
            )
            answer = await dns.asyncquery.udp(asked, host, port=port, timeout=5)
            option = next(each.to_wire() for each in answer.options if each.otype == COOKIE)
            assert answer.answer
        assert 0 == server.counters.cut + server.counters.dropped["limited"]

    serve(test, LIMITED, lambda: shown)


def test_the_exempt_are_not_counted() -> None:
    """Nobody forges loopback, and whoever is listed is trusted."""
    judging = Limiter(LimiterSettings(responses_per_s=1, exempt=(*LOOPBACK, ip_network("10.0.0.0/8"))))
    for address in ("127.0.0.1", "::1", "10.1.2.3", "::ffff:10.1.2.3"):
        assert [Verdict.SEND] * 20 == [judging.judge(address, 0, b"", 1.0) for _ in range(20)]
    assert {} == judging.accounts
    assert Verdict.DROP in [judging.judge("192.0.2.1", 0, b"", 1.0) for _ in range(20)]


def test_many_addresses_do_not_fill_the_memory() -> None:
    """What is remembered of them has a limit."""
    judging = Limiter(LimiterSettings(responses_per_s=1))
    for number in range(10_000):
        judging.judge(str(ip_address(number)), 0, b"", 1.0)
    assert len(judging._known) <= 4096


def test_lines_of_the_log_are_limited() -> None:
    """So many a second, whoever asks for more."""
    limit = LineLimit(3)
    assert [True] * 3 + [False] * 2 == [limit.admits(5.5) for _ in range(5)]
    assert limit.admits(6.1)
