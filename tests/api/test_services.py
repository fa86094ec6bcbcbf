"""Services and endpoints over HTTP."""

import pytest

from node.zone.name import from_text
from tests.api.conftest import Api

API = "/v1/services/api.example.org"


def test_create_with_a_one_line_check(api: Api) -> None:
    """A service can be written with the check as one line and the endpoints as addresses."""
    body = {"check": "https://{}:8443/health", "endpoints": ["192.0.2.1", "2001:DB8::1"], "ttl": 10}
    assert 200 == api.put(API, json=body).status_code
    read = api.get(API).json()
    assert ("api.example.org", "example.org", ["A", "AAAA"], 10) == (
        read["fqdn"],
        read["zone"],
        read["types"],
        read["ttl"],
    )
    assert ("https", 8443, "/health") == tuple(read["check"][key] for key in ("kind", "port", "path"))
    assert "https://{}:8443/health" == read["check_text"]
    assert ["192.0.2.1", "2001:db8::1"] == read["published"]
    assert [("192.0.2.1", "undecided", True), ("2001:db8::1", "undecided", True)] == [
        (each["address"], each["verdict"], each["published"]) for each in read["endpoints"]
    ]


def test_create_with_long_forms(api: Api) -> None:
    """Check and endpoints can be tables that say everything."""
    body = {
        "check": {"kind": "http", "port": 80, "headers": {"X-Probe": "1"}, "expect_status": [[200, 204]]},
        "endpoints": [{"address": "192.0.2.1", "name": "blue", "priority": 2, "probe_from": ["ns1"]}],
        "mode": "active-standby",
    }
    api.put(API, json=body)
    read = api.get(API).json()
    assert ({"X-Probe": "1"}, [[200, 204]]) == (read["check"]["headers"], read["check"]["expect_status"])
    assert ("blue", 2, ["ns1"]) == tuple(
        read["endpoints"][0][key] for key in ("name", "priority", "probe_from")
    )


@pytest.mark.parametrize(
    ("body", "pointer", "sentence"),
    [
        ({"check": "ftp://{}:21"}, "/check", '"ftp" is not a scheme of a check'),
        ({"check": "http://10.0.0.1:80/"}, "/check", "{} must be the host"),
        ({"check": "{}"}, "/check", "has no port"),
        ({"check": "tcp://{}:70000"}, "/check", "a port is a number"),
        ({"check": "tcp://{}:80/x"}, "/check", "a tcp check has no path"),
        ({"check": {"kind": "http"}}, "/check/port", "required"),
        (
            {"check": {"kind": "http", "port": 80, "expect_body": "("}},
            "/check/expect_body",
            "regular expression",
        ),
        ({"check": "{}:80", "endpoints": ["300.1.1.1"]}, "/endpoints/0/address", "not an IPv4 or IPv6 address"),
        ({"check": "{}:80", "endpoints": ["fe80::1%eth0"]}, "/endpoints/0/address", "zone index"),
        ({"check": "{}:80", "intervall_ms": 5}, "/intervall_ms", "did you mean interval_ms?"),
        ({}, "/check", "required"),
    ],
)
def test_faults_point_at_their_place(api: Api, body: object, pointer: str, sentence: str) -> None:
    """A fault of a service's body is a pointer and a sentence."""
    refused = api.put(API, json=body)
    assert 422 == refused.status_code
    fault = refused.json()["errors"][0]
    assert pointer == fault["pointer"]
    assert sentence in fault["message"]


def test_judged_when_applied(api: Api) -> None:
    """What depends on the state is judged when the command is applied."""
    refused = api.put(API, json={"check": "{}:80", "interval_ms": 1})
    assert (422, "invalid") == (refused.status_code, refused.json()["code"])
    assert "the interval must be between" in refused.json()["detail"]
    refused = api.put("/v1/services/a.example.net", json={"check": "{}:80"})
    assert 422 == refused.status_code
    assert "none of this cluster's zones" in refused.json()["detail"]


def test_zone_of_others(api: Api) -> None:
    """A service of a zone that is not ours is only pushed, and keeps its zone when it is written again."""
    path = "/v1/services/a.example.net"
    assert 200 == api.put(path, json={"check": "{}:80", "zone": "example.net"}).status_code
    assert 200 == api.put(path, json={"check": "{}:81"}).status_code
    assert "example.net" == api.get(path).json()["zone"]


def test_votes_and_verdicts_are_shown(api: Api) -> None:
    """A service shows each node's vote with its evidence, and the verdict that follows."""
    api.cluster.vote("192.0.2.11", False, "ns1", "ns2", evidence="HTTP 503")
    row = api.get("/v1/services/www.example.org").json()["endpoints"][1]
    assert ("down", False, "down") == (row["verdict"], row["published"], row["reason"])
    assert [("ns1", False, 12, "HTTP 503"), ("ns2", False, 12, "HTTP 503")] == [
        (vote["node"], vote["up"], vote["latency_ms"], vote["evidence"]) for vote in row["votes"]
    ]
    assert "2023-11-14T22:13:20.000Z" == row["since_at"]


def test_endpoints(api: Api) -> None:
    """An endpoint is added, changed and removed by its address, however that is written."""
    path = "/v1/services/www.example.org/endpoints"
    assert api.put(f"{path}/2001:DB8:0::99").json()["changed"]
    assert api.put(f"{path}/2001:db8::99", json={"name": "spare", "weight": 3}).json()["changed"]
    assert not api.put(f"{path}/%5B2001:db8::99%5D").json()["changed"]
    row = api.get(path).json()["items"][-1]
    assert ("2001:db8::99", "spare", 3) == (row["address"], row["name"], row["weight"])
    assert api.call("DELETE", f"{path}/2001:db8::99").json()["changed"]
    assert 404 == api.call("DELETE", f"{path}/2001:db8::99").status_code
    assert 422 == api.put(f"{path}/nonsense").status_code
    assert 404 == api.put("/v1/services/none.example.org/endpoints/192.0.2.1").status_code


def test_delete_and_conditions(api: Api) -> None:
    """A service is deleted under the condition that it is still what was read."""
    path = "/v1/services/www.example.org"
    tag = api.get(path).headers["etag"]
    api.put(f"{path}/endpoints/192.0.2.99")
    assert 412 == api.call("DELETE", path, headers={"If-Match": tag}).status_code
    tag = api.get(path).headers["etag"]
    assert 200 == api.call("DELETE", path, headers={"If-Match": tag}).status_code
    assert 404 == api.get(path).status_code


def test_lists(api: Api) -> None:
    """Services and zones are listed in canonical order, page by page."""
    for name in ("b", "a", "x.a"):
        api.put(f"/v1/services/{name}.example.org", json={"check": "{}:80"})
    first = api.get("/v1/services?limit=2").json()
    assert ["a.example.org", "x.a.example.org"] == [each["fqdn"] for each in first["items"]]
    rest = api.get(f"/v1/services?limit=2&after={first['next']}").json()
    assert ["b.example.org", "www.example.org"] == [each["fqdn"] for each in rest["items"]]
    assert rest["next"] is None


def test_zones(api: Api) -> None:
    """A zone is made from its settings, changed, and deleted once nothing lives in it."""
    path = "/v1/zones/example.net."
    body = {"nameservers": ["ns1.example.net", "ns2.example.net."], "contact": "jane.doe@example.net"}
    assert 200 == api.put(path, json=body).status_code
    zone = api.get(path).json()
    assert ["ns1.example.net.", "ns2.example.net."] == zone["nameservers"]
    assert "jane\\.doe.example.net." == zone["contact"]
    assert ("example.net", 2) == (zone["zone"], zone["rrsets"])
    assert ["example.net", "example.org"] == [each["zone"] for each in api.get("/v1/zones").json()["items"]]
    assert 200 == api.call("DELETE", path).status_code
    assert 404 == api.get(path).status_code
    assert 409 == api.call("DELETE", "/v1/zones/example.org").status_code
    assert 422 == api.put(path, json={"nameservers": []}).status_code


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("dns://{}:53/www.example.org?type=AAAA", "dns://{}:53/www.example.org?type=AAAA"),
        ("icmp://{}", "icmp://{}"),
        ({"kind": "exec", "command": "queue"}, "exec://queue"),
        ({"kind": "grpc", "port": 50051, "tls": True}, "grpcs://{}:50051"),
        (
            {"kind": "composite", "needed": 1, "parts": [{"kind": "icmp"}, {"kind": "tcp", "port": 22}]},
            "1 of: icmp://{}, tcp://{}:22",
        ),
    ],
)
def test_every_kind_is_written_and_read_back(api: Api, check: object, text: str) -> None:
    """What is shown of a check is what makes the same check."""
    assert 200 == api.put(API, json={"check": check}).status_code
    read = api.get(API).json()
    assert text == read["check_text"]
    assert not api.put(API, json={"check": read["check"]}).json()["changed"]


@pytest.mark.parametrize(
    ("check", "pointer", "sentence"),
    [
        ({"kind": "tcp", "port": 1, "method": "HEAD"}, "/check/method", "no meaning in a check of kind tcp"),
        ({"kind": "icmp", "port": 7}, "/check", "has no port"),
        ({"kind": "composite", "parts": [{"kind": "tcp"}]}, "/check/parts/0/port", "required"),
        ({"kind": "dns", "port": 53, "query_type": "NONSENSE"}, "/check/query_type", "not a record type"),
    ],
)
def test_faults_of_checks(api: Api, check: object, pointer: str, sentence: str) -> None:
    """Options belong to kinds."""
    fault = api.put(API, json={"check": check}).json()["errors"][0]
    assert (pointer, True) == (fault["pointer"], sentence in fault["message"])


def test_rules(api: Api) -> None:
    """How votes become a verdict, in short and in full; fallback addresses mean when_down = fallback."""
    body = {"check": "{}:80", "rule": "40%", "fallback": ["198.51.100.1"], "min_up": 1, "max_answers": 2}
    assert 200 == api.put(API, json=body).status_code
    read = api.get(API).json()
    assert ({"kind": "fraction", "number": 40, "min_voters": 0}, "fallback") == (
        read["rule"],
        read["when_down"],
    )
    assert not api.put(API, json=body | {"rule": read["rule"]}).json()["changed"]
    assert 422 == api.put(API, json=body | {"rule": "most"}).status_code


def test_when_an_endpoint_comes_back(api: Api) -> None:
    """Flapping and failback are said, shown, and refused where they cannot be."""
    body = {"check": "{}:80", "flap_limit": {"changes": 4}, "failback": "after", "failback_after_ms": 60_000}
    assert 200 == api.put(API, json=body).status_code
    read = api.get(API).json()
    assert {"changes": 4, "per_ms": 600_000, "hold_ms": 300_000} == read["flap_limit"]
    assert ("after", 60_000) == (read["failback"], read["failback_after_ms"])
    assert not api.put(API, json=body | {"flap_limit": read["flap_limit"]}).json()["changed"]
    assert "2 to 100 changes" in api.put(API, json=body | {"flap_limit": {"changes": 1}}).json()["detail"]
    assert "auto, manual, or after" in api.put(API, json=body | {"failback": "manual"}).json()["detail"]


def test_a_ttl_that_follows_and_families_apart(api: Api) -> None:
    """Both are said and shown; a low ttl above the other is refused."""
    body = {
        "check": "{}:80",
        "endpoints": ["192.0.2.1"],
        "selection": "sticky",
        "ttl": 300,
        "ttl_min": 10,
        "separate_families": True,
    }
    assert 200 == api.put(API, json=body).status_code
    read = api.get(API).json()
    assert (300, 10, 10, True) == tuple(read[key] for key in ("ttl", "ttl_min", "ttl_now", "separate_families"))
    assert "ttl_min must be" in api.put(API, json=body | {"ttl_min": 301}).json()["detail"]


def test_what_would_have_been(api: Api) -> None:
    """The votes of the past under other settings, beside what they came to; nothing is written."""
    api.put(API, json={"check": "{}:80", "endpoints": ["192.0.2.1", "192.0.2.2", "192.0.2.3"]})
    fqdn = from_text("api.example.org")
    api.cluster.vote("192.0.2.1", True, fqdn=fqdn)
    api.cluster.now_ms += 5_000
    api.cluster.vote("192.0.2.1", False, "ns1", fqdn=fqdn)
    index = api.cluster.state.index
    found = api.call("POST", f"{API}/whatif", json={"rule": "any", "since_s": 60}).json()
    assert (index, index, 0, 1) == (
        api.cluster.state.index,
        found["index"],
        found["withdrawals"],
        found["would_be"],
    )
    (row,) = found["rows"]
    assert ("192.0.2.1", "new", None, "down") == (
        row["endpoint"],
        row["change"],
        row["present"],
        row["other"]["reason"],
    )
    assert 422 == api.call("POST", f"{API}/whatif", json={"fall": 0}).status_code
    assert 422 == api.call("POST", f"{API}/whatif", json={"falls": 2}).status_code
    assert 404 == api.call("POST", f"{API.replace('api.', 'no.')}/whatif", json={}).status_code


def test_verdicts_are_never_not_modified(api: Api) -> None:
    """The ETag is the definition's, for writes: whoever asks with it is told of the verdicts of now all the same."""
    path = "/v1/services/www.example.org"
    etag = {"If-None-Match": api.get(path).headers["etag"]}
    api.cluster.vote("192.0.2.11", False)
    for each in (path, f"{path}/endpoints", "/v1/push/knot", "/v1/zones/example.org"):
        known = {"If-None-Match": api.get(each).headers["etag"]}
        assert 200 == api.get(each, headers=known).status_code
    told = api.get(path, headers=etag).json()["endpoints"]
    assert ["undecided", "down", "undecided"] == [each["verdict"] for each in told]
    written = api.put(
        f"{path}/endpoints/192.0.2.10", json={"weight": 2}, headers={"If-Match": etag["If-None-Match"]}
    )
    assert 200 == written.status_code
