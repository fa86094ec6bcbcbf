"""Whatever is sent to whichever path, the answer is a sentence and never a bug of ours."""

import json
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.api.table import TABLE
from tests.api.conftest import SEED, Api, FakeCluster

EDGE = [
    "-",
    "@",
    ".",
    "example.org",
    "www.example.org.",
    "*",
    "A",
    "SOA",
    "ANY",
    "TYPE0",
    "TYPE65536",
    "192.0.2.10",
]
segments = st.sampled_from(EDGE) | st.text(min_size=1, max_size=20)
keys = st.lists(st.sampled_from(["helix", "org", "example", "A", "SRV", "1", "_tcp"]) | segments, max_size=5)
values = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats()
fields = st.sampled_from(
    ["rdatas", "ttl", "check", "endpoints", "zone", "rrsets", "name", "nameservers", "add", "kind", "records"]
)
bodies = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(fields, st.recursive(values, lambda deeper: st.lists(deeper, max_size=3), max_leaves=6)),
    st.sampled_from([b"value=192.0.2.1", b"value=&prevExist=true", b"prevIndex=9", b"dir=true", b"ttl=5"]),
)
queries = st.dictionaries(
    st.sampled_from(
        ["limit", "after", "name", "type", "kind", "recursive", "waitIndex", "rrset_name", "q", "max", "scope"]
    ),
    st.text(max_size=12) | st.integers().map(str),
    max_size=3,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_never_a_bug(data: st.DataObject) -> None:
    """Any method, path, query and body gets an answer below 500 that says what is wrong."""
    route = data.draw(st.sampled_from(TABLE.routes))
    path = route.pattern
    for part in route.pattern.split("/"):
        if part.endswith("...}"):
            path = path.replace(part, "/".join(quote(each, safe="") for each in data.draw(keys)))
        elif part.startswith("{"):
            path = path.replace(part, quote(data.draw(segments), safe=""))
    cluster = FakeCluster()
    cluster.do(SEED)
    options: dict[str, Any] = {"params": data.draw(queries)}
    body = data.draw(bodies)
    options["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Api(cluster).run(lambda client: client.request(route.method, path, **options))
    assert isinstance(response, httpx.Response)
    assert 500 > response.status_code, response.text
    if response.status_code >= 400:
        assert response.content


HOSTILE = [
    b'{"nameservers":["a"],"default_ttl":1' + b"0" * 30 + b"}",
    b'{"rdatas":["192.0.2.1"],"ttl":-1' + b"0" * 30 + b"}",
    b'{"check":"tcp://{}:1","endpoints":[{"address":"192.0.2.1","weight":1' + b"0" * 40 + b"}]}",
    b'{"rrsets":[{"name":"x.example.org.","type":"A","ttl":1'
    + b"0" * 30
    + b',"records":[{"content":"192.0.2.1"}]}]}',
    b'{"\\ud800":1}',
    b'{"nameservers":["\\uDfff"]}',
    b'{"check":{"kind":"http","port":80,"headers":{"\\ud800":"x"}}}',
    b'{"check":"http://{}:80/","endpoints":["\\ud800"]}',
    '{"nameservers":["\\ud800"]}'.encode("utf-16"),
    b"[" * 1_000_000,
    b'{"a":' * 600_000,
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/zones/a.org"),
        ("PUT", "/v1/zones/example.org/rrsets/x.example.org/A"),
        ("PUT", "/v1/services/x.example.org"),
        ("PATCH", "/api/v1/servers/localhost/zones/example.org."),
        ("PUT", "/v2/keys/helix/org/example/x/TXT"),
    ],
)
def test_hostile_bodies(api: Api, method: str, path: str, body: bytes) -> None:
    """Numbers that the log cannot carry, halves of characters and depth without end are bad requests."""
    assert 400 <= api.call(method, path, content=body).status_code < 500
    assert 1 == len(api.cluster.entries)


def test_many_faults_cost_little(api: Api) -> None:
    """A body with faults without number tells of some and of how many there are, in a moment."""
    path = "/api/v1/servers/localhost/zones/example.org."
    answer = api.call("PATCH", path, json={"rrsets": [{}] * 1_000})
    assert 422 == answer.status_code
    assert "(and 1999 more)" in answer.json()["error"]
    answer = api.put("/v1/zones/a.org", json={f"k{each}": 0 for each in range(150)})
    assert 50 == len(answer.json()["errors"])
    began_s = time.process_time()
    answer = api.put("/v1/zones/a.org", content=json.dumps({f"k{each}": 0 for each in range(200_000)}).encode())
    assert 2 > time.process_time() - began_s
    assert "the body has 200000 keys" in answer.json()["detail"]


def test_patterns_without_number(api: Api) -> None:
    """Each pattern is tried on each event, so there are few."""
    assert 400 == api.get("/v1/events?kind=" + "x," * 5_000).status_code
    assert 400 == api.get("/v1/events?kind=" + "*a" * 1_000).status_code
    assert api.get("/v1/events?kind=zone.*,%20service.*").json()["items"]


def test_an_origin_that_is_no_url(api: Api) -> None:
    """What is no URL is not this site."""
    answer = api.put("/v1/zones/a.org", json={"nameservers": ["a"]}, headers={"Origin": "http://["})
    assert 403 == answer.status_code
