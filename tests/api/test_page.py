"""The overview: what it says, that it escapes, its policy, its size, and logging in."""

import gzip
import hashlib
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from node.api.context import Token
from node.api.dash.rendering import ago, strip_text
from node.api.timeline import CELL_MS, CELLS, verdict_cells
from node.health.service import Endpoint
from node.state.command import PutEndpoint
from tests.api.conftest import NOW_MS, WWW, Api, FakeCluster

SECRET = "qdns_reader_1234"


def text(html: str) -> str:
    """Return what a reader sees, with single blanks."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_says_what_is_served_and_why(api: Api) -> None:
    """The page names nodes, services, votes with their evidence, pushes, zones, problems and events."""
    api.cluster.vote("192.0.2.10", True)
    api.cluster.vote("2001:db8::12", False, "ns1", "ns2", evidence="HTTP 503")
    page = api.get("/")
    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    shown = text(page.text)
    for expected in (
        "▲ Degraded 1 of 3 nodes answer, ns1 leads. 2 of 3 endpoints in DNS, 1 withdrawn.",
        "ns2 is unreachable (connection refused 127.0.0.2:7380; its log is connected)",
        "www.example.org 2001:db8::12 is withdrawn: 2 of 3 nodes say down",
        "qdns service show www.example.org",
        "✕ down, withdrawn ▼ down HTTP 503 ▼ down HTTP 503 · no vote",
        "◐ undecided",
        "▲ up 12 ms",
        "pushed to knot",
        "verdict.changed",
        "up 1, down 0 of the last 60 minutes",
    ):
        assert expected in shown, expected


def test_escapes(api: Api) -> None:
    """Whatever stands in names, evidence or reasons, it is text and never markup."""
    evil = '<script>alert("x")</script>'
    api.cluster.vote("192.0.2.10", False, "ns1", evidence=evil)
    api.cluster.do(PutEndpoint(WWW, Endpoint("192.0.2.99", name=evil)), actor=evil, reason=evil)
    page = api.get("/").text
    assert evil not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"leader": None, "has_quorum": False}, "✕ Critical No quorum. DNS is answered from commit 1"),
        ({"leader": None}, "No leader at the moment: an election is going on."),
    ],
)
def test_without_leader(api: Api, changes: Any, sentence: str) -> None:
    """The page is readable on any node, without a leader too, and says what still works."""
    api.cluster.replica = replace(api.cluster.replica, **changes)
    assert sentence in text(api.get("/").text)


def test_policy_and_weight(api: Api) -> None:
    """Nothing is loaded from elsewhere, nothing is inline, and a first visit costs at most 40 kB."""
    page = api.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|https?://(?!127)", page.text)
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))
    assert 3 == len(files)
    weight = len(gzip.compress(page.content))
    for path in files:
        found = api.get(path)
        assert (200, "max-age=31536000, immutable") == (found.status_code, found.headers["cache-control"])
        weight += len(gzip.compress(found.content))
    assert 40_000 > weight
    assert 404 == api.get("/static/..%2Fserver.py").status_code


def test_log_in(cluster: FakeCluster) -> None:
    """Where a token is asked for, a form takes it; the cookie lets read the page and change nothing."""
    token = Token("reader", hashlib.sha256(SECRET.encode()).hexdigest(), ("admin",))
    api = Api(cluster, tokens=(token,), trusted_loopback=False)
    asked = api.get("/")
    assert (401, True) == (asked.status_code, '<form method="post" action="/login">' in asked.text)
    wrong = api.call("POST", "/login", data={"token": "guess"})
    assert (401, True) == (wrong.status_code, "not known here" in wrong.text)
    right = api.call("POST", "/login", data={"token": SECRET})
    assert (303, "/") == (right.status_code, right.headers["location"])
    cookie = right.headers["set-cookie"]
    assert cookie.endswith("HttpOnly; SameSite=Strict")
    headers = {"Cookie": cookie.partition(";")[0]}
    assert 200 == api.get("/", headers=headers).status_code
    path = "/v1/zones/example.org/rrsets/a.example.org/A"
    assert 401 == api.put(path, json={"rdatas": ["192.0.2.1"]}, headers=headers).status_code
    assert "Max-Age=0" in api.call("POST", "/logout").headers["set-cookie"]
    assert 403 == api.call("POST", "/login", data={"token": SECRET}, headers={"Origin": "http://x"}).status_code


def test_guessing_at_the_form(cluster: FakeCluster) -> None:
    """Wrong tokens in the form are counted like those in headers, and a right one is let in."""
    token = Token("ci", hashlib.sha256(SECRET.encode()).hexdigest(), ("read",))
    api = Api(cluster, trusted_loopback=False, tokens=(token,))

    async def guess(client: httpx.AsyncClient) -> list[int]:
        tokens = [*(f"{n}" for n in range(11)), SECRET]
        return [(await client.post("/login", data={"token": each})).status_code for each in tokens]

    assert [401] * 10 + [429, 303] == api.run(guess)


def test_cells(cluster: FakeCluster) -> None:
    """A strip shows the worst verdict of each minute, as committed events tell it."""
    cluster.vote("192.0.2.10", True)
    cluster.now_ms += 90 * CELL_MS
    cluster.vote("192.0.2.10", False)
    cluster.now_ms += 3 * CELL_MS
    cluster.vote("192.0.2.10", True)
    now_ms = cluster.now_ms + 10 * CELL_MS + 1
    cells = verdict_cells(cluster.state, now_ms, [WWW])[WWW, "192.0.2.10"]
    assert ["up"] * 46 + ["down"] * 4 + ["up"] * 10 == cells
    assert "up 56, down 4 of the last 60 minutes" == strip_text(cells)
    assert ["undecided"] * CELLS == verdict_cells(cluster.state, now_ms, [WWW])[WWW, "192.0.2.11"]


def test_ago() -> None:
    """Ages are told in their leading units."""
    moment = "2023-11-14T22:13:20.000Z"
    assert ["0 s", "59 s", "1 min", "1 h 1 min", "2 d 3 h", ""] == [
        ago(NOW_MS + after * 1000, at)
        for after, at in (
            (-5, moment),
            (59, moment),
            (60, moment),
            (3660, moment),
            (183_700, moment),
            (5, None),
        )
    ]
