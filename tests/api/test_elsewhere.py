"""Where a page may lead when its node dies: only to addresses of nodes, never from https to http, and told to the browser."""

from dataclasses import replace
from typing import Any

import pytest

from node.api.context import Token
from node.api.elsewhere import asked, origin_of, others
from node.api.message import Request
from tests.api.conftest import Api, FakeCluster
from tests.api.test_tokens import SECRET, digest_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://192.0.2.2:7380", "http://192.0.2.2:7380"),
        ("https://NS2.example.org/", "https://ns2.example.org"),
        ("http://ns2.example.org:80/qdns", "http://ns2.example.org"),
        ("https://ns2:443", "https://ns2"),
        ("http://[2001:db8::2]:7380", "http://[2001:db8::2]:7380"),
        ("javascript:alert(1)", None),
        ("http://ns2;script-src *", None),
        ("http://ns2\r\nX: y", None),
        ("http://a@ns2", None),
        ("http://*", None),
        ("http://ns2 http://evil.example", None),
        ("//ns2", None),
        ("http://[::1", None),
        ("", None),
    ],
)
def test_origins(url: str, origin: str | None) -> None:
    """What is no plain address of a node gets into no policy and no link."""
    assert origin == origin_of(url)


def found(cluster: FakeCluster, *, is_tls: bool, **urls: str) -> Any:
    request = Request("GET", "/services/a%2Fb", query={"span": "24h", "done": "7"}, is_tls=is_tls)
    return others(cluster.context(peer_urls=urls), request)


def test_the_same_page_there(cluster: FakeCluster) -> None:
    """Path and query are kept, but what was just done; a node behind a path of a proxy keeps that, too."""
    here = found(cluster, is_tls=False, ns2="http://ns2:7380/", ns3="http://proxy/ns3")
    assert ["http://ns2:7380/services/a%2Fb?span=24h", "http://proxy/ns3/services/a%2Fb?span=24h"] == [
        each.href for each in here
    ]
    assert ["http://ns2:7380/readyz", "http://proxy/ns3/readyz"] == [each.ready for each in here]
    assert ("http://ns2:7380", "http://proxy") == asked(here)


def test_schemes(cluster: FakeCluster) -> None:
    """A page that came over TLS leads to https alone; scripts ask only where the scheme is the page's own."""
    urls = {"ns2": "https://ns2:7380", "ns3": "http://ns3:7380"}
    assert ["ns2"] == [each.name for each in found(cluster, is_tls=True, **urls)]
    plain = found(cluster, is_tls=False, **urls)
    assert [("ns2", ""), ("ns3", "http://ns3:7380/readyz")] == [(each.name, each.ready) for each in plain]
    over_ipv6 = found(cluster, is_tls=False, ns2="http://[2001:db8::2]:7380", ns3="javascript:alert(1)//")
    assert [("ns2", "")] == [(each.name, each.ready) for each in over_ipv6]
    assert () == asked(over_ipv6)


def test_the_policy_names_the_other_nodes_alone(cluster: FakeCluster) -> None:
    """A page may ask itself and the other nodes; pages without them, such as the log-in, nobody else."""
    hostile = {"ns2": "http://127.0.0.2:7380", "ns3": "http://x;script-src *"}
    page = Api(cluster, peer_urls=hostile).get("/zones")
    policy = page.headers["content-security-policy"]
    assert "connect-src 'self' http://127.0.0.2:7380;" in policy
    assert "*" not in policy
    assert "script-src *" not in page.text
    tokens = (Token("x", "0" * 64, ("admin",)),)
    login = Api(cluster, tokens=tokens, trusted_loopback=False).get("/zones")
    assert "connect-src 'self';" in login.headers["content-security-policy"]


def test_who_may_read_whether_a_node_is_ready(cluster: FakeCluster) -> None:
    """A page of another node may, from where the nodes say they are; any other page may not."""
    api = Api(cluster, peer_urls={"ns2": "HTTP://127.0.0.2:7380/", "ns3": "http://ns3:80"})
    for origin, is_shared in (
        ("http://127.0.0.2:7380", True),
        ("http://ns3", True),
        ("http://127.0.0.2:7381", False),
        ("https://127.0.0.2:7380", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
    ):
        headers = {"Origin": origin} if origin else {}
        answer = api.get("/readyz", headers=headers)
        assert (200, origin if is_shared else None) == (
            answer.status_code,
            answer.headers.get("access-control-allow-origin"),
        )
        assert "access-control-allow-origin" not in api.get("/v1/status", headers=headers).headers
        assert "access-control-allow-origin" not in api.get("/", headers=headers).headers
    cluster.replica = replace(cluster.replica, leader=None)
    unready = api.get("/readyz", headers={"Origin": "http://ns3"})
    assert (503, "http://ns3") == (unready.status_code, unready.headers["access-control-allow-origin"])


@pytest.mark.parametrize(
    ("referer", "place"),
    [
        ("http://localhost:7380/services/www.example.org?span=24h", "/services/www.example.org?span=24h"),
        ("http://localhost:7380/login", "/"),
        ("http://evil.example/services", "/"),
        ("http://localhost:7380//evil.example", "/"),
        ("http://localhost:7380/\\evil.example", "/"),
        ("http://localhost:7380/a\tb", "/ab"),
        ("http://[", "/"),
        ("", "/"),
    ],
)
def test_after_the_log_in_comes_what_was_asked_for(cluster: FakeCluster, referer: str, place: str) -> None:
    """It is the page on which the form stood, of this site alone."""
    tokens = (Token("ops", digest_of(SECRET), ("read",)),)
    api = Api(cluster, tokens=tokens, trusted_loopback=False)
    headers = {"Referer": referer} if referer else {}
    done = api.call("POST", "/login", data={"token": SECRET}, headers=headers)
    assert (303, place) == (done.status_code, done.headers["location"])
