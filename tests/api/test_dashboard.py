"""Every page of the dashboard without a browser: what it says, what it offers to whom, and what its forms do."""

import gzip
import hashlib
import html
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from node.api.context import PushChange, PushUnreadable, Token
from node.dns.explain import explain, explain_at
from node.probe.history import Cell
from node.zone.name import from_text
from node.zone.rrset import A, make, rdata_from_text
from tests.api.conftest import WWW, ZONE, Api, FakeCluster
from tests.api.test_page import text

SERVICE = "/services/www.example.org"
PAGES = (
    "/", "/services", SERVICE, f"{SERVICE}?span=24h", "/zones", "/zones/example.org", "/events", "/events?at=1",
    "/push", "/cluster", "/query", "/query?name=www.example.org", "/query?name=www.example.org&at=1",
)  # fmt: skip


def fields(page: httpx.Response, **more: str) -> dict[str, str]:
    """Return what a form of the page sends."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert found is not None
    return {"form_token": found[1]} | more


def send(api: Api, path: str, on: str = "", **more: str) -> httpx.Response:
    """Fill in and send a form that stands on a page."""
    return api.call("POST", path, data=fields(api.get(on or path), **more))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_light_and_under_the_policy(api: Api, path: str) -> None:
    """Each has one heading, a command that tells the same, nothing inline, and a first load below 40 kB."""
    page = api.get(path)
    assert 200 == page.status_code
    assert 1 == page.text.count("<h1")
    assert "<code>qdns " in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|https?://(?!127|www\.w3|\{)", page.text)
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))
    weight = sum(len(gzip.compress(each.content)) for each in [page, *map(api.get, sorted(files))])
    assert 40_000 > weight
    labels = set(re.findall(r'<label[^>]* for="([^"]+)"', page.text))
    assert labels <= set(re.findall(r' id="([^"]+)"', page.text))
    ids = re.findall(r' id="([^"]+)"', page.text)
    assert len(set(ids)) == len(ids)


def test_a_service_as_every_node_sees_it(cluster: FakeCluster) -> None:
    """Strips by node and verdict, shares of good probes, latencies in words, and uptime as far as it is known."""

    def series(_fqdn: bytes, address: str, count: int, _minutes: int) -> list[Cell | None]:
        cells: list[Cell | None] = [None] * (count - 3)
        return [*cells, Cell(30, 30, 12, 20), Cell(30, 15, 14, 20), Cell(30, 0, 0, 0)]

    cluster.vote("192.0.2.10", True)
    cluster.now_ms += 3_600_000
    cluster.vote("192.0.2.10", False, "ns1", "ns2", evidence="HTTP 503")
    cluster.now_ms += 3_600_000
    page = Api(cluster, series=series).get(SERVICE)
    shown = text(page.text)
    for expected in (
        "since 1 h 0 min · 24 h 50.00 % (of 2 h 0 min known)",
        "▼ down HTTP 503",
        "no answer from this node",
        "Latency ns1 14 ms at last, 12 to 14 ms; ns2 nothing measured; ns3 nothing measured",
        "up -&gt; down (2 of 3)",
    ):
        assert expected in shown, expected
    assert 'aria-label="192.0.2.10 from ns1: up 1, down 2 of the last 60 minutes"' in page.text
    assert 'aria-label="192.0.2.10 verdict, last hour: up' in page.text
    assert 404 == Api(cluster).get("/services/no.example.org").status_code
    assert 400 == Api(cluster).get(f"{SERVICE}?span=9h").status_code


def test_operating_on_an_endpoint(api: Api) -> None:
    """Drain, force, fail over and back: with reason and end, and what was committed is told on the page."""
    sent = send(api, SERVICE, action="drain", endpoint="192.0.2.10", reason="CHG-1", **{"for": "1h"})
    assert 303 == sent.status_code
    page = api.get(sent.headers["location"])
    assert "Committed at index" in page.text
    override = api.get("/v1/services/www.example.org").json()["endpoints"][0]["override"]
    assert ("drain", "CHG-1", "local") == (override["kind"], override["reason"], override["author"])
    assert "2023-11-14T23:13:20.000Z" == override["until_at"]
    assert "Drain no more" in page.text
    for action, kind in (("undrain", None), ("force-up", "up"), ("unforce", None), ("force-down", "down")):
        assert 303 == send(api, SERVICE, action=action, endpoint="192.0.2.10", reason="r").status_code
        override = api.get("/v1/services/www.example.org").json()["endpoints"][0]["override"]
        assert kind == (override and override["kind"])
    assert 303 == send(api, SERVICE, action="failover", endpoint="192.0.2.10", reason="r").status_code
    overrides = [each["override"] for each in api.get("/v1/services/www.example.org").json()["endpoints"]]
    assert [None, "down", "down"] == [each and each["kind"] for each in overrides]
    assert 303 == send(api, SERVICE, action="failback", reason="r").status_code
    assert 303 == send(api, SERVICE, action="maintenance", reason="r", **{"for": "15m"}).status_code
    assert "maintenance goes on" in text(api.get(SERVICE).text)
    assert 303 == send(api, SERVICE, action="maintained", reason="r").status_code


def test_what_a_form_refuses(api: Api) -> None:
    """No reason, an unknown action, or a service left without records: a page says so and nothing changes."""
    index = api.cluster.state.index
    for more, sentence in (
        ({"action": "drain", "endpoint": "192.0.2.10"}, "say why"),
        ({"action": "explode", "reason": "r"}, "is none of"),
        ({"action": "drain", "endpoint": "192.0.2.99", "reason": "r"}, "has no endpoint 192.0.2.99"),
        ({"action": "drain", "endpoint": "192.0.2.10", "reason": "r", "for": "soon"}, "is not a duration"),
    ):
        refused = send(api, SERVICE, **more)
        assert (True, True) == (
            refused.status_code >= 400,
            sentence in text(refused.text).replace("&#39;", "'"),
        )
    assert index == api.cluster.state.index
    for address in ("192.0.2.10", "192.0.2.11"):
        send(api, SERVICE, action="drain", endpoint=address, reason="r")
    last = send(api, SERVICE, action="drain", endpoint="2001:db8::12", reason="r")
    assert 409 == last.status_code
    more = {"action": "drain", "endpoint": "2001:db8::12", "reason": "r", "allow_empty": "on"}
    assert 303 == send(api, SERVICE, **more).status_code


def test_a_form_must_be_ours(api: Api) -> None:
    """Without the token of our own page, or from a foreign page, a form changes nothing."""
    good = fields(api.get(SERVICE), action="drain", endpoint="192.0.2.10", reason="r")
    index = api.cluster.state.index
    for data, headers in (
        (good | {"form_token": "0" * 64}, {}),
        ({key: value for key, value in good.items() if key != "form_token"}, {}),
        (good, {"Origin": "http://evil.example"}),
        (good, {"Sec-Fetch-Site": "cross-site"}),
    ):
        assert 403 == api.call("POST", SERVICE, data=data, headers=headers).status_code
    assert index == api.cluster.state.index


@pytest.mark.parametrize(
    ("scope", "offered", "status"),
    [("read", False, 403), ("endpoints:operate", True, 303), ("admin", True, 303)],
)
def test_what_a_token_may(cluster: FakeCluster, scope: str, offered: bool, status: int) -> None:
    """Log in, and the pages offer what the token may do; what it may not do is refused, too."""
    secret = f"qdns_{scope}"
    token = Token(scope, hashlib.sha256(secret.encode()).hexdigest(), (scope,))
    api = Api(cluster, tokens=(token, Token("x", "0" * 64, ("admin",))), trusted_loopback=False)
    assert 401 == api.get(SERVICE).status_code
    headers = {"Cookie": f"qdns_token={secret}"}
    page = api.get(SERVICE, headers=headers)
    assert offered == ("Force down" in page.text)
    assert scope in text(page.text)
    # A reader's page holds no form of this kind, but what makes its token is known: the log-in and the key.
    more = {"action": "drain", "endpoint": "192.0.2.10", "reason": "r"}
    data = fields(page, **more) if offered else more
    answer = api.call("POST", SERVICE, data=data, headers=headers)
    assert status == answer.status_code
    other = {"Cookie": "qdns_token=guess"}
    assert 401 == api.call("POST", SERVICE, data=data, headers=other).status_code
    if offered:
        assert (
            scope
            == api.get("/v1/services/www.example.org", headers=headers).json()["endpoints"][0]["override"][
                "author"
            ]
        )


def test_changing_records(api: Api) -> None:
    """A change is shown before it is made; who was overtaken meanwhile changes nothing."""
    zone = "/zones/example.org"
    form = {"name": "mail", "type": "mx", "rdatas": "10 mx1.example.org.\r\n20 mx2.example.org.", "ttl": "60"}
    preview = send(api, zone, step="preview", **form)
    assert 200 == preview.status_code
    assert "comes: 60 10 mx1.example.org. + comes: 60 20 mx2.example.org." in text(preview.text)
    assert 404 == api.get("/v1/zones/example.org/rrsets/mail.example.org/MX").status_code
    commit = fields(preview, step="commit", index="0", reason="CHG-2", **form)
    done = api.call("POST", zone, data=commit)
    assert 303 == done.status_code
    assert "zone.changed example.org." in text(api.get(done.headers["location"]).text)
    assert 412 == api.call("POST", zone, data=commit).status_code
    edited = api.get(f"{zone}?edit=mail.example.org./MX")
    assert "10 mx1.example.org.\n20 mx2.example.org.</textarea>" in edited.text
    index = re.search(
        r'name="index" value="(\d+)"', send(api, zone, step="preview", name="mail", type="MX").text
    )
    assert index is not None
    gone = send(api, zone, step="commit", name="mail", type="MX", rdatas="", index=index[1])
    assert 303 == gone.status_code
    assert 404 == api.get("/v1/zones/example.org/rrsets/mail.example.org/MX").status_code


@pytest.mark.parametrize(
    ("more", "status", "sentence"),
    [
        ({"name": "www.example.net.", "type": "A", "rdatas": "192.0.2.1"}, 422, "is not in example.org"),
        ({"name": "a", "type": "NOPE", "rdatas": "x"}, 422, "NOPE"),
        ({"name": "a", "type": "A", "rdatas": "300.1.1.1"}, 422, "300.1.1.1"),
        ({"name": "a", "type": "A", "rdatas": "192.0.2.1", "ttl": "long"}, 422, "not a number"),
    ],
)
def test_records_that_are_refused(api: Api, more: dict[str, str], status: int, sentence: str) -> None:
    """What cannot be written is told before anything is changed."""
    refused = send(api, "/zones/example.org", step="preview", **more)
    assert (status, True) == (refused.status_code, sentence in refused.text)


def test_zones_and_who_has_their_serial(api: Api) -> None:
    """A node that has applied a zone's last change has its serial; a silent one is told as that."""
    shown = text(api.get("/zones").text)
    assert "example.org 2 4 ● same ✕ no answer ✕ no answer" in shown
    assert "No records of this kind." in api.get("/zones/example.org?name=nothing.example.org").text
    assert 404 == api.get("/zones/example.net").status_code


def test_events_are_filtered(api: Api) -> None:
    """By kind, by subject, by index, and older ones behind a link."""
    for number in range(120):
        api.cluster.vote("192.0.2.10", number % 2 == 0, "ns1")
    first = api.get("/events?kind=vote.*")
    assert 100 == first.text.count('<th scope="row">vote.cast</th>')
    older = re.search(r'href="(/events\?before=[^"]+)"', first.text)
    assert older is not None
    assert 20 == api.get(older[1].replace("&amp;", "&")).text.count('<th scope="row">vote.cast</th>')
    assert "Nothing of the kind" in api.get("/events?of=nowhere").text
    assert 400 == api.get("/events?before=x").status_code


def test_push_targets(cluster: FakeCluster) -> None:
    """Each with its state; the difference is read when asked for; steering is a form."""

    async def diff(_target: str) -> list[PushChange]:
        rrset = make(WWW, A, 5, [rdata_from_text(A, "192.0.2.10", ZONE)])
        return [PushChange(ZONE, from_text("www.example.org"), A, None, rrset)]

    async def unreadable(target: str) -> list[PushChange]:
        raise PushUnreadable(f"{target} refused the connection")

    api = Api(cluster, push_diff=diff)
    assert "comes: 5 192.0.2.10" in text(api.get("/push/knot/diff").text)
    assert "knot refused the connection" in Api(cluster, push_diff=unreadable).get("/push/knot/diff").text
    assert 404 == api.get("/push/nothing/diff").status_code
    assert 303 == send(api, "/push/knot", "/push", action="pause", reason="r").status_code
    assert "paused" in text(api.get("/push").text)
    assert 400 == send(api, "/push/knot", "/push", action="burn", reason="r").status_code


def test_moving_leadership(cluster: FakeCluster) -> None:
    """The form asks the leader to hand over, with the reason."""
    asked: list[tuple[str, str, str]] = []

    async def change(kind: str, name: str, **more: Any) -> Any:
        from raft.proposal import Committed

        asked.append((kind, name, more["reason"]))
        return Committed(7, None)

    api = Api(cluster, change_nodes=change)
    sent = send(api, "/cluster", node="ns2", reason="kernel")
    assert (303, "/cluster?done=7") == (sent.status_code, sent.headers["location"])
    assert [("lead", "ns2", "kernel")] == asked


def test_an_entry_tells_why(api: Api) -> None:
    """Each event links to all about its entry: who, why, the votes of then and the records, and on to the answer of then."""
    api.context = replace(api.context, explain=explain, explain_at=explain_at)
    api.cluster.vote("192.0.2.10", False, "ns1", "ns2", evidence="HTTP 503")
    index = api.cluster.state.index
    api.cluster.vote("192.0.2.10", True)
    (link,) = set(re.findall(rf'href="(/events\?at={index})"', api.get(SERVICE).text))
    page = api.get(link)
    seen = text(page.text)
    for words in (
        f"qdns event show {index}",
        "verdict.changed",
        "192.0.2.10 is not published: it is down",
        "▼ ns2 ams HTTP 503",
        "gone: www.example.org. 5 A 192.0.2.10",
    ):
        assert words in seen
    then = f"/query?name=www.example.org&amp;type=A&amp;at={index}"
    assert f'href="{then}"' in page.text
    answer = text(api.get(then.replace("&amp;", "&")).text)
    assert "192.0.2.10: not in DNS down" in answer
    assert f"qdns explain www.example.org A --at {index}" in answer
    assert "192.0.2.10: in DNS up" in text(api.get("/query?name=www.example.org&type=A&at=").text)
    assert 404 == api.get("/events?at=99").status_code
    assert "index 99 is to come" in text(api.get("/query?name=www.example.org&at=99").text)
    assert "is not a" in text(api.get("/query?name=www.example.org&at=now").text)


def test_a_command_to_copy_runs_nothing_else(api: Api) -> None:
    """Whoever made the link chose the name; in a shell it stays one word."""
    shown = text(api.get("/events?kind=%3Bid%3B%27%60id%60").text)
    assert """qdns event list --kind ';id;'"'"'`id`'""" in html.unescape(shown)


def test_a_question(api: Api) -> None:
    """The answer with its reasons; what is wrong with a question is said beside the form."""
    assert "this node answers no DNS" in api.get("/query?name=www.example.org").text
    assert (200, True) == ((bad := api.get("/query?name=a..b")).status_code, "is not a name" in bad.text)
