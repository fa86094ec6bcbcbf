"""Pushes by RFC 2136 to real servers."""

import asyncio
import threading
from typing import Any

import pytest

from node.push.delivery import Terms, deliver
from node.push.errors import PushError
from node.push.orders import Order, Replacement, ZonePlan
from node.push.rfc2136 import Rfc2136, Server
from node.push.settings import TsigSecret
from node.zone.name import from_text
from node.zone.rrset import RRset
from tests.ports import free_port
from tests.push.lab import AAAA, TXT, WWW, ZONE, A, addresses, rrset
from tests.push.servers import KEY_NAME, SECRET, WRONG_SECRET, NameServer

pytestmark = pytest.mark.real


def carrier(server: NameServer, secret: str = SECRET, name: str = KEY_NAME) -> Rfc2136:
    return Rfc2136(Server(server.address, name, TsigSecret("hmac-sha256", secret)))


def order(*texts: str, known: tuple[str, ...] = (), name: str = "www", ttl: int = 5) -> Order:
    return Order(from_text(name, ZONE), A, ttl, addresses(*texts), addresses(*texts, *known))


async def no_guard() -> None:
    """Let everything pass."""


def push(carrier: Any, *orders: Order, **terms: Any) -> tuple[Replacement, ...]:
    plan = ZonePlan(ZONE, orders)
    return asyncio.run(deliver(carrier, plan, Terms(**{"plan": 1, **terms}), no_guard))


def put(server: NameServer, given: RRset, before: RRset | None = None) -> None:
    """Write as somebody else would."""
    change = Replacement(given.name, given.type, before, given)
    asyncio.run(carrier(server).replace(ZONE, [change]))


def test_what_is_ordered_stands_and_a_second_push_sends_nothing(server: NameServer) -> None:
    """A push makes the RRset exactly what was ordered; repeated, it finds nothing to do."""
    assert 1 == len(push(carrier(server), order("192.0.2.1", "192.0.2.2")))
    assert ["192.0.2.1", "192.0.2.2"] == server.ask("www.example.org")
    assert 5 == server.ttl("www.example.org")
    assert () == push(carrier(server), order("192.0.2.1", "192.0.2.2"))
    push(carrier(server), order("192.0.2.2", known=("192.0.2.1",), ttl=7))
    assert ["192.0.2.2"] == server.ask("www.example.org")
    assert 7 == server.ttl("www.example.org")
    push(carrier(server), order(known=("192.0.2.1", "192.0.2.2")))
    assert [] == server.ask("www.example.org")


def test_a_foreign_record_at_the_name_survives(server: NameServer) -> None:
    """Addresses that never were ours stay, unless the whole name is ours."""
    put(server, rrset("www", "A", "198.51.100.7"))
    push(carrier(server), order("192.0.2.1"))
    assert ["192.0.2.1", "198.51.100.7"] == server.ask("www.example.org")
    push(carrier(server), order(known=("192.0.2.1",)))
    assert ["198.51.100.7"] == server.ask("www.example.org")
    push(carrier(server), order("192.0.2.1"), own="name")
    assert ["192.0.2.1"] == server.ask("www.example.org")


def test_more_changes_than_one_message_takes(server: NameServer) -> None:
    """A hundred and twenty RRsets go in messages of at most fifty."""
    orders = [order(f"192.0.2.{number}", name=f"host{number}") for number in range(120)]
    assert 120 == len(push(carrier(server), *orders))
    assert ["192.0.2.119"] == server.ask("host119.example.org")


def test_a_large_update_goes_by_tcp(server: NameServer) -> None:
    """A message that UDP cannot carry is sent by TCP, and its RRset is read by TCP."""
    texts = [f"192.0.2.{number}" for number in range(95)]
    push(carrier(server), order(*texts))
    assert () == push(carrier(server), order(*texts))


def test_a_concurrent_writer_is_noticed(server: NameServer) -> None:
    """What is replaced must still be what was read (RFC 2136 section 2.4.2); otherwise it is read again."""
    put(server, rrset("www", "A", "198.51.100.7"))
    native = carrier(server)
    stale = Replacement(WWW, A, rrset("www", "A", "198.51.100.9"), rrset("www", "A", "192.0.2.1"))
    with pytest.raises(PushError) as caught:
        asyncio.run(native.replace(ZONE, [stale]))
    assert "conflict" == caught.value.kind
    intruders = iter(["198.51.100.8"])

    class Interrupted(Rfc2136):
        async def replace(self, zone: Any, replacements: Any) -> None:
            for text in intruders:
                before = rrset("www", "A", "198.51.100.7")
                after = rrset("www", "A", "198.51.100.7", text)
                await native.replace(ZONE, [Replacement(WWW, A, before, after)])
            await super().replace(zone, replacements)

    push(Interrupted(Server(server.address, KEY_NAME, TsigSecret("hmac-sha256", SECRET))), order("192.0.2.1"))
    assert ["192.0.2.1", "198.51.100.7", "198.51.100.8"] == server.ask("www.example.org")


def test_a_wildcard_is_not_taken_for_a_record(server: NameServer) -> None:
    """An answer that a wildcard made (RFC 4592) is neither kept at the name nor waited to vanish."""
    push(carrier(server), order("192.0.2.1", name="a.wild"))
    assert ["192.0.2.1"] == server.ask("a.wild.example.org")
    push(carrier(server), order(name="a.wild", known=("192.0.2.1", "192.0.2.200")))
    assert ["192.0.2.200"] == server.ask("a.wild.example.org")
    push(carrier(server), order(name="b.wild", known=("192.0.2.200",)))
    push(carrier(server), order("192.0.2.1", name="c.alias"))
    assert ["192.0.2.1"] == server.ask("c.alias.example.org")


def test_a_cname_in_the_way(server: NameServer) -> None:
    """Servers ignore records beside a CNAME without an error (RFC 2136 section 3.4.2.2), so it is named."""
    put(server, rrset("www", "CNAME", "elsewhere.test."))
    with pytest.raises(PushError, match="CNAME") as caught:
        push(carrier(server), order("192.0.2.1"))
    assert "permanent" == caught.value.kind
    push(carrier(server), order("192.0.2.1"), own="name")
    assert ["192.0.2.1"] == server.ask("www.example.org")


def test_never_empty_while_it_changes(server: NameServer) -> None:
    """Whoever asks during replacements always gets addresses."""
    push(carrier(server), order("192.0.2.1", "192.0.2.2"))
    answers: set[tuple[str, ...]] = set()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.add(tuple(server.ask("www.example.org")))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number in range(20):
            known = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
            push(carrier(server), order(known[number % 3], known=known))
    finally:
        stop.set()
        asking.join()
    assert len(answers) > 2
    assert () not in answers


@pytest.mark.parametrize(
    ("secret", "name", "code"),
    [(WRONG_SECRET, KEY_NAME, "bad-signature"), (SECRET, "nobody", "bad-key")],
)
def test_a_wrong_key_is_permanent(server: NameServer, secret: str, name: str, code: str) -> None:
    """A key that the server does not accept (RFC 8945 section 5.2) is a fault for people to mend."""
    with pytest.raises(PushError) as caught:
        push(carrier(server, secret, name), order("192.0.2.1"))
    assert ("permanent", True) == (caught.value.kind, caught.value.code in (code, "refused", "not-auth"))
    assert secret not in str(caught.value)


def test_no_key_where_one_is_needed(server: NameServer) -> None:
    """An unsigned update is refused; the sentence says what to look at."""
    with pytest.raises(PushError) as caught:
        push(Rfc2136(Server(server.address)), order("192.0.2.1"))
    assert ("permanent", True) == (caught.value.kind, caught.value.code in ("refused", "not-auth"))


def test_a_zone_that_is_not_there(server: NameServer) -> None:
    """A zone that the server does not hold is told before anything is sent."""
    with pytest.raises(PushError) as caught:
        asyncio.run(carrier(server).serial(from_text("example.net")))
    assert "permanent" == caught.value.kind


def test_a_fence_stops_an_older_plan(server: NameServer) -> None:
    """A plan older than the sentinel is stale, also when the sentinel rose after it was read."""
    push(carrier(server), order("192.0.2.1"), plan=7, fence=True)
    assert ['"plan=7"'] == server.ask("_quorumdns.example.org", "TXT")
    with pytest.raises(PushError) as caught:
        push(carrier(server), order("192.0.2.9"), plan=6, fence=True)
    assert "stale" == caught.value.kind
    newer = carrier(server)
    overtaken = iter([8])

    class Paused(Rfc2136):
        async def replace(self, zone: Any, replacements: Any) -> None:
            for plan in overtaken:  # the same contents again: only the sentinel tells
                await deliver(newer, ZonePlan(ZONE, (order("192.0.2.1"),)), Terms(plan, fence=True), no_guard)
            await super().replace(zone, replacements)

    late = Paused(Server(server.address, KEY_NAME, TsigSecret("hmac-sha256", SECRET)))
    with pytest.raises(PushError) as caught:
        push(late, order("192.0.2.9", known=("192.0.2.1",)), plan=7, fence=True)
    assert "stale" == caught.value.kind
    assert ["192.0.2.1"] == server.ask("www.example.org")
    assert ['"plan=8"'] == server.ask("_quorumdns.example.org", "TXT")


def test_many_types_and_the_case_of_names(server: NameServer) -> None:
    """Names inside rdatas compare without case (RFC 4034 section 6.2), whatever the server makes of them."""
    given = [
        rrset("mail", "MX", "10 Mail.Elsewhere.TEST."),
        rrset("text", "TXT", '"Some Text"', '"other"'),
        rrset("six", "AAAA", "2001:db8::1"),
        rrset("_s._tcp", "SRV", "1 2 3 Host.Elsewhere.Test."),
    ]
    orders = [Order(each.name, each.type, each.ttl, each.rdatas, each.rdatas) for each in given]
    assert 4 == len(push(carrier(server), *orders))
    assert () == push(carrier(server), *orders)
    assert {AAAA, TXT} <= {each.type for each in given}


def test_a_closed_port_fails_at_once() -> None:
    """Nobody listens: that is known without waiting for a deadline."""
    with pytest.raises(PushError) as caught:
        push(Rfc2136(Server(f"127.0.0.1:{free_port()}")), order("192.0.2.1"))
    assert ("retryable", "closed") == (caught.value.kind, caught.value.code)
