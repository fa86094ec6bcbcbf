"""Whatever is sent to whichever path, the answer is a sentence and never a bug of ours."""

import json
from typing import Any
from urllib.parse import quote

import httpx
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
