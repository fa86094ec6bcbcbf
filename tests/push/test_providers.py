"""Pushes to other people's DNS APIs, each against a service in memory that behaves as documented."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest
import requests

from node.push.carriers import carrier_for
from node.push.delivery import Terms, deliver
from node.push.errors import PushError
from node.push.orders import Order, Replacement, ZonePlan
from node.push.providers import hetzner, http
from node.push.providers.sigv4 import Credentials, SigV4
from node.push.settings import PusherSettings
from node.state.pushes import Target
from node.zone.name import from_text
from node.zone.rrset import type_from_text
from tests.push.fakes import FAKES, TOKEN, Fake, FakeCloudflare, FakeDynu, FakeHetzner, FakeRoute53
from tests.push.lab import AAAA, WWW, ZONE, A, addresses, rrset
from tests.push.servers import PowerDns

RECORD_KINDS = ("digitalocean", "cloudflare", "dynu")


class Service:
    """A fake service of one kind and the way to push to it."""

    def __init__(self, kind: str, fake: Fake, url: str) -> None:
        self.kind = kind
        self.fake = fake
        self.url = url

    def push(self, *orders: Order, token: str = "", zone: Any = ZONE, **terms: Any) -> tuple[Replacement, ...]:
        target = Target("far", self.kind, url=self.url, token="far")
        return push(target, *orders, token=token or self.fake.token, zone=zone, **terms)

    def texts(self, name: str = "www.example.org", type_: str = "A") -> list[str]:
        return sorted(self.fake.rrsets.get((name, type_), (0, []))[1])


def push(
    target: Target, *orders: Order, token: str = TOKEN, zone: Any = ZONE, **terms: Any
) -> tuple[Replacement, ...]:
    async def no_guard() -> None:
        pass

    async def main() -> tuple[Replacement, ...]:
        with contextlib.closing(carrier_for(target, PusherSettings(tokens={"far": token}))) as carrier:
            return await deliver(carrier, ZonePlan(zone, orders), Terms(**{"plan": 1, **terms}), no_guard)

    return asyncio.run(main())


@pytest.fixture(name="service", params=sorted(FAKES))
def _service(request: pytest.FixtureRequest) -> Iterator[Service]:
    yield from serve(request.param)


def serve(kind: str) -> Iterator[Service]:
    fake = FAKES[kind]()
    with fake.running() as url:
        yield Service(kind, fake, url)


@pytest.fixture(name="hetzner_service")
def _hetzner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(hetzner, "ACTION_POLL_S", 0.001)
    yield from serve("hetzner")


def order(*texts: str, known: tuple[str, ...] = (), name: str = "www", ttl: int = 5) -> Order:
    return Order(from_text(name, ZONE), A, ttl, addresses(*texts), addresses(*texts, *known))


def test_what_is_ordered_stands_and_a_second_push_writes_nothing(service: Service) -> None:
    """A push makes the RRset what was ordered, with the least ttl that the service takes."""
    assert 1 == len(service.push(order("192.0.2.1", "192.0.2.2")))
    assert ["192.0.2.1", "192.0.2.2"] == service.texts()
    assert max(5, service.fake.ttl_min) == service.fake.rrsets[("www.example.org", "A")][0]
    writes = service.fake.writes
    assert () == service.push(order("192.0.2.1", "192.0.2.2"))
    assert writes == service.fake.writes
    service.push(order("192.0.2.3", known=("192.0.2.1", "192.0.2.2")))
    assert ["192.0.2.3"] == service.texts()
    service.push(order(known=("192.0.2.3",)))
    assert [] == service.texts()


def test_the_apex_and_ipv6(service: Service) -> None:
    """The zone's own name is written as the service wants it, and so are IPv6 addresses."""
    six = rrset("@", "AAAA", "2001:db8::1", "2001:db8::2")
    service.push(order("192.0.2.1", name="@"), Order(ZONE, AAAA, 5, six.rdatas, six.rdatas))
    assert ["192.0.2.1"] == service.texts("example.org")
    assert ["2001:db8::1", "2001:db8::2"] == service.texts("example.org", "AAAA")
    assert () == service.push(order("192.0.2.1", name="@"), Order(ZONE, AAAA, 5, six.rdatas, six.rdatas))


def test_a_foreign_record_survives(service: Service) -> None:
    """Addresses that never were ours stay."""
    service.fake.put("www.example.org", "A", 3600, ["198.51.100.7"])
    service.push(order("192.0.2.1"))
    assert ["192.0.2.1", "198.51.100.7"] == service.texts()
    service.push(order(known=("192.0.2.1",)))
    assert ["198.51.100.7"] == service.texts()
    service.push(order("192.0.2.1"), own="name")
    assert ["192.0.2.1"] == service.texts()


def test_never_empty_on_the_way(service: Service) -> None:
    """New records are there before old ones go."""
    service.push(order("192.0.2.1", "192.0.2.2"))
    service.push(order("192.0.2.3", "192.0.2.4", known=("192.0.2.1", "192.0.2.2")))
    assert all(each[("www.example.org", "A")][1] for each in service.fake.history)


def test_another_ttl(service: Service) -> None:
    """A ttl changes without the records going away."""
    service.push(order("192.0.2.1", "192.0.2.2", ttl=4000))
    service.push(order("192.0.2.1", "192.0.2.2", ttl=8000))
    assert (8000, ["192.0.2.1", "192.0.2.2"]) == service.fake.rrsets[("www.example.org", "A")]


def test_a_large_zone_comes_in_pages(service: Service) -> None:
    """Many orders are read by listing the zone, page by page to the last."""
    for number in range(620):
        service.fake.put(f"a{number:03}.example.org", "A", 4000, ["198.51.100.7"])
    service.fake.put("mail.example.org", "TXT", 4000, ['"text"'])
    orders = [order("192.0.2.1", name=f"{name}{number}", ttl=4000) for number in range(5) for name in "mz"]
    assert 10 == len(service.push(*orders))
    service.fake.requests.clear()
    assert () == service.push(*orders)
    assert len(service.fake.requests) < 20


def test_many_types() -> None:
    """Services that know RRsets take every type."""
    for kind in ("powerdns", "desec", "gandi", "hetzner", "route53"):
        given = [rrset("m", "MX", "10 Mail.Elsewhere.test."), rrset("t", "TXT", '"a b" "c"', '"d;e"')]
        for service in serve(kind):
            orders = [Order(each.name, each.type, each.ttl, each.rdatas, each.rdatas) for each in given]
            assert 2 == len(service.push(*orders))
            assert () == service.push(*orders)


@pytest.mark.parametrize("kind", RECORD_KINDS)
def test_services_of_single_records_carry_addresses_alone(kind: str) -> None:
    """Another type is refused with a sentence that says what to set."""
    text = rrset("t", "TXT", '"a"')
    for service in serve(kind):
        with pytest.raises(PushError, match='what = "services"') as caught:
            service.push(Order(text.name, text.type, 60, text.rdatas, text.rdatas))
        assert "permanent" == caught.value.kind
    assert 16 == type_from_text("TXT")


def test_too_many_requests(service: Service) -> None:
    """429 is retried after as long as the service asks for."""
    service.fake.next_answers = [service.fake.limited()] * 2
    with pytest.raises(PushError) as caught:
        service.push(order("192.0.2.1"))
    assert ("retryable", "rate", 7.0) == (caught.value.kind, caught.value.code, caught.value.retry_after_s)


def test_a_service_that_fails(service: Service) -> None:
    """5xx, HTML instead of JSON and a broken connection are retried; the next push succeeds."""
    service.fake.next_answers = [(503, {}, b"<html>down</html>")] * 2
    with pytest.raises(PushError) as caught:
        service.push(order("192.0.2.1"))
    assert "retryable" == caught.value.kind
    service.fake.next_answers.clear()
    service.fake.next_answers = [(200, {}, b"<html>welcome</html>")]
    with pytest.raises(PushError) as caught:
        service.push(order("192.0.2.1"))
    assert ("retryable", "garbage") == (caught.value.kind, caught.value.code)
    service.fake.next_answers = [(200, {}, {"unexpected": []})]
    with pytest.raises(PushError) as caught:
        service.push(order("192.0.2.1"))
    assert ("retryable", "garbage") == (caught.value.kind, caught.value.code)
    service.fake.next_answers = [None, None]
    with pytest.raises(PushError) as caught:
        service.push(order("192.0.2.1"))
    assert ("retryable", "unreachable") == (caught.value.kind, caught.value.code)
    service.fake.next_answers.clear()
    service.push(order("192.0.2.1"))
    assert ["192.0.2.1"] == service.texts()


def test_a_wrong_token_is_permanent_and_never_shown(service: Service) -> None:
    """What the service does not accept has to be mended by people; the text holds no token."""
    with pytest.raises(PushError) as caught:
        service.push(order("192.0.2.1"), token="another-token")
    assert ("permanent", "token") == (caught.value.kind, caught.value.code)
    assert "another-token" not in str(caught.value)


def test_a_zone_that_is_not_there(service: Service) -> None:
    """A zone that the token does not reach is permanent."""
    zone = from_text("example.net")
    rdatas = addresses("192.0.2.1")
    with pytest.raises(PushError) as caught:
        service.push(Order(from_text("www.example.net"), A, 4000, rdatas, rdatas), zone=zone)
    assert "permanent" == caught.value.kind


def test_a_redirect_is_not_followed(service: Service) -> None:
    """The token goes to the given URL and nowhere else."""
    service.fake.next_answers = [(302, {"Location": "http://127.0.0.1:1/"}, None)]
    with pytest.raises(PushError) as caught:
        service.push(order("192.0.2.1"))
    assert ("permanent", "redirect") == (caught.value.kind, caught.value.code)


def test_a_fence_is_refused(service: Service) -> None:
    """A service without prerequisites cannot be fenced."""
    with pytest.raises(PushError, match="fence"):
        service.push(order("192.0.2.1"), fence=True)


def test_a_record_that_appears_between_reading_and_writing() -> None:
    """Single records are listed again before they change, so nothing is added twice."""
    for kind in RECORD_KINDS:
        for service in serve(kind):
            target = Target("far", kind, url=service.url, token="far")
            carrier = carrier_for(target, PusherSettings(tokens={"far": TOKEN}))
            service.fake.put("www.example.org", "A", 60, ["192.0.2.1"])
            change = Replacement(WWW, A, None, rrset("www", "A", "192.0.2.1"))
            with contextlib.closing(carrier), pytest.raises(PushError) as caught:
                asyncio.run(carrier.replace(ZONE, [change]))
            assert "conflict" == caught.value.kind
            assert ["192.0.2.1"] == service.texts()


def test_cloudflare_proxied_records_stay_proxied() -> None:
    """Beside proxied records new ones are proxied too, and their automatic ttl is no difference."""
    for service in serve("cloudflare"):
        assert isinstance(service.fake, FakeCloudflare)
        service.fake.proxied = {"www.example.org"}
        service.fake.put("www.example.org", "A", 300, ["192.0.2.1"])
        service.push(order("192.0.2.1", "192.0.2.2"))
        assert ["192.0.2.1", "192.0.2.2"] == service.texts()
        assert () == service.push(order("192.0.2.1", "192.0.2.2"))


def test_dynu_errors_stand_in_the_body() -> None:
    """HTTP says 200 while the body says 501: that is a failure."""
    for service in serve("dynu"):
        assert isinstance(service.fake, FakeDynu)
        service.fake.next_answers = [
            (200, {}, {"statusCode": 501, "type": "Argument Exception", "message": "Invalid."})
        ]
        with pytest.raises(PushError, match=r"Invalid\.") as caught:
            service.push(order("192.0.2.1"))
        assert "permanent" == caught.value.kind
        service.fake.next_answers = [None]  # a dropped connection is asked once more
        service.push(order("192.0.2.1"))
        assert ["192.0.2.1"] == service.texts()


def test_hetzner_actions_are_waited_for(hetzner_service: Service) -> None:
    """A change is an action that ends later, well or badly."""
    assert isinstance(hetzner_service.fake, FakeHetzner)
    hetzner_service.fake.polls_left = 4
    hetzner_service.push(order("192.0.2.1"))
    assert "GET /actions/7" in hetzner_service.fake.requests
    hetzner_service.fake.action_error = "zone is locked"
    with pytest.raises(PushError, match="zone is locked"):
        hetzner_service.push(order("192.0.2.2", known=("192.0.2.1",)))


def test_a_service_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout of the library is for one read; the deadline is for all of them."""
    monkeypatch.setattr(http, "DEADLINE_S", 0.2)

    class Dripping(Fake):
        def handle(self, *_: Any) -> Any:
            time.sleep(0.5)  # the service's slowness, not the test's waiting

    fake = Dripping()
    with fake.running() as url:
        started = time.monotonic()
        with pytest.raises(PushError) as caught:
            push(Target("far", "powerdns", url=url, token="far"), order("192.0.2.1"))
        assert time.monotonic() - started < 2
    assert ("retryable", "silent") == (caught.value.kind, caught.value.code)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({}, 0, 0),
        ({"Retry-After": "7"}, 7, 7),
        ({"Retry-After": "99999"}, 3600, 3600),
        ({"Retry-After": "soon"}, 0, 0),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], least: float, most: float) -> None:
    """Seconds are taken, nonsense is not, and nothing is believed beyond an hour."""
    assert least <= http.retry_after_s(headers) <= most


def test_a_time_to_wait_for() -> None:
    """A date (RFC 9110 section 10.2.3) and a reset time are understood too."""
    now = time.time()
    assert 50 <= http.retry_after_s({"Retry-After": formatdate(now + 60, usegmt=True)}) <= 60
    assert 50 <= http.retry_after_s({"RateLimit-Remaining": "0", "RateLimit-Reset": str(int(now) + 60)}) <= 60
    assert 0 == http.retry_after_s({"RateLimit-Remaining": "5", "RateLimit-Reset": str(int(now) + 60)})


def test_missing_secrets_are_named() -> None:
    """A target whose token this node does not have says which, and so does an unknown kind."""
    with pytest.raises(PushError, match='no token "far"'):
        carrier_for(Target("far", "desec", token="far"), PusherSettings())
    with pytest.raises(PushError, match='type "nothing"'):
        carrier_for(Target("far", "nothing"), PusherSettings())
    with pytest.raises(PushError, match="needs the url"):
        carrier_for(Target("far", "powerdns", token="far"), PusherSettings(tokens={"far": "x"}))


def test_route53_loses_to_whoever_was_faster_and_reads_again() -> None:
    """A batch names what it takes away, so one that comes late fails as a whole, and nothing of it is done."""
    for service in serve("route53"):
        carrier = carrier_for(
            Target("far", "route53", url=service.url, token="far"),
            PusherSettings(tokens={"far": service.fake.token}),
        )
        service.fake.put("www.example.org", "A", 60, ["192.0.2.9"])
        changes = [
            Replacement(from_text("a", ZONE), A, None, rrset("a", "A", "192.0.2.1")),
            Replacement(WWW, A, rrset("www", "A", "192.0.2.1"), rrset("www", "A", "192.0.2.2")),
        ]
        with (
            contextlib.closing(carrier),
            pytest.raises(PushError, match="does not match the current") as caught,
        ):
            asyncio.run(carrier.replace(ZONE, changes))
        assert "conflict" == caught.value.kind
        assert {("www.example.org", "A")} == set(service.fake.rrsets)


def test_route53_leaves_aliases_and_routing_policies_alone() -> None:
    """What is no plain RRset is somebody's; the sentence says so."""
    for service in serve("route53"):
        assert isinstance(service.fake, FakeRoute53)
        listed = (
            "<ResourceRecordSets><ResourceRecordSet><Name>www.example.org.</Name><Type>A</Type><AliasTarget/>"
            "</ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated>"
        )
        service.fake.next_answers = [
            service.fake._zones(),
            service.fake._xml("ListResourceRecordSetsResponse", listed),
        ]
        with pytest.raises(PushError, match="alias or a routing policy"):
            service.push(order("192.0.2.1"))


def test_route53_errors_stand_in_the_body() -> None:
    """Status 400 may mean to wait, or that the key is wrong; document types are refused."""
    for service in serve("route53"):
        fake = service.fake
        assert isinstance(fake, FakeRoute53)
        for code, kind in (
            ("PriorRequestNotComplete", ("retryable", "rate")),
            ("AccessDenied", ("permanent", "token")),
            ("InvalidInput", ("permanent", "rejected")),
        ):
            fake.next_answers = [fake.error(400, code, "why")]
            with pytest.raises(PushError) as caught:
                service.push(order("192.0.2.1"))
            assert kind == (caught.value.kind, caught.value.code), code
        declared = "<?xml version='1.0' encoding='{}'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"
        for encoding in ("utf-8", "utf-16"):
            fake.next_answers = [(200, {}, declared.format(encoding).encode(encoding))]
            with pytest.raises(PushError, match="cannot be read"):
                service.push(order("192.0.2.1"))
        with pytest.raises(PushError, match="ACCESS_KEY_ID:SECRET_ACCESS_KEY"):
            service.push(order("192.0.2.1"), token="only-one-part")


def test_route53_wildcards_and_many_records() -> None:
    """The star stands as an octal number there; what is too much for one request comes in several."""
    for service in serve("route53"):
        assert isinstance(service.fake, FakeRoute53)
        service.push(order("192.0.2.1", name="*"))
        assert () == service.push(order("192.0.2.1", name="*"))
        service.fake.batch_records_max = 400
        texts = [f"198.51.100.{number}" for number in range(100)]
        service.push(*(order(*texts, name=f"big{number}") for number in range(6)))
        assert 7 == len(service.fake.rrsets)


def test_the_signature_of_aws() -> None:
    """The vector ``get-vanilla`` and its relatives of AWS' own test suite, and a temporary key."""
    key = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    when = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    for url, signature in (
        ("https://example.amazonaws.com/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ):
        request = requests.Request("GET", url, auth=SigV4(key, "us-east-1", "service", lambda: when)).prepare()
        assert request.headers["Authorization"].endswith(f"Signature={signature}")
    temporary = SigV4(Credentials("A", "b", "session"), "us-east-1", "service", lambda: when)
    signed = requests.Request("GET", "https://example.amazonaws.com/", auth=temporary).prepare()
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token" in signed.headers["Authorization"]
    assert "session" not in repr(Credentials("A", "b", "session"))


@pytest.mark.real
def test_the_real_powerdns(tmp_path: Any) -> None:
    """The fake is not all that the carrier fits: a real server takes, shows and deletes the same."""
    server = PowerDns(tmp_path / "pdns")
    server.start()
    try:
        target = Target("far", "powerdns", url=f"http://127.0.0.1:{server.api_port}", token="far")
        text = rrset("t", "TXT", '"a b" "c"')
        orders = [order(f"192.0.2.{number}", name=f"host{number}") for number in range(20)]
        orders.append(Order(text.name, text.type, 60, text.rdatas, text.rdatas))
        assert 21 == len(push(target, *orders, token=server.api_key))
        assert () == push(target, *orders, token=server.api_key)
        assert ["192.0.2.7"] == server.ask("host7.example.org")
        push(target, order(name="host7", known=("192.0.2.7",)), token=server.api_key)
        assert [] == server.ask("host7.example.org")
        with pytest.raises(PushError) as caught:
            push(target, order("192.0.2.1"), token="wrong")
        assert "token" == caught.value.code
    finally:
        server.stop()
