"""RRsets over HTTP: writing, reading, conditions, pages, and what is refused with which sentence."""

import pytest

from raft.proposal import NotCommitted, Unknown
from tests.api.conftest import Api, FakeCluster

PATH = "/v1/zones/example.org/rrsets/mail.example.org./A"


def test_put_and_get(api: Api) -> None:
    """A written RRset is there right after, with the index it was written at as its ETag."""
    written = api.put(PATH, json={"ttl": 60, "rdatas": ["192.0.2.2", "192.0.2.1"], "comment": "two"})
    assert 200 == written.status_code
    assert {"index": 2, "serial": 3, "changed": True} == written.json()
    assert "2" == written.headers["qdns-index"]
    read = api.get(PATH)
    assert {
        "name": "mail.example.org.",
        "type": "A",
        "ttl": 60,
        "rdatas": ["192.0.2.1", "192.0.2.2"],
        "comment": "two",
        "disabled": False,
        "managed_by": None,
        "index": 2,
        "lease_s": None,
        "lease_left_s": None,
        "record_leases": [],
    } == read.json()
    assert '"2"' == read.headers["etag"]


def test_repeated_put_changes_nothing(api: Api) -> None:
    """The same PUT again is accepted and changes nothing."""
    api.put(PATH, json={"rdatas": ["192.0.2.1"]})
    assert {"index": 3, "serial": 3, "changed": False} == api.put(PATH, json={"rdatas": ["192.0.2.1"]}).json()


def test_default_ttl(api: Api) -> None:
    """Without a ttl the zone's default is taken."""
    api.put(PATH, json={"rdatas": ["192.0.2.1"]})
    assert 5 == api.get(PATH).json()["ttl"]


def test_longest_zone(api: Api) -> None:
    """``-`` is the longest zone that holds the name; outside all zones the zones are named."""
    assert 200 == api.put("/v1/zones/-/rrsets/a.b.example.org/TXT", json={"rdatas": ['"x"']}).status_code
    refused = api.put("/v1/zones/-/rrsets/a.example.net/A", json={"rdatas": ["192.0.2.1"]})
    assert (404, "not_found", "the zones are: example.org") == (
        refused.status_code,
        refused.json()["code"],
        refused.json()["hint"],
    )


def test_dev_creates_the_zone(cluster: FakeCluster) -> None:
    """In development mode a record outside all zones creates the zone of its last two labels."""
    api = Api(cluster, dev=True)
    assert 200 == api.put("/v1/zones/-/rrsets/a.b.example.net/A", json={"rdatas": ["192.0.2.1"]}).status_code
    assert "ns1.example.net." == api.get("/v1/zones/example.net").json()["nameservers"][0]
    assert (
        404
        == api.put("/v1/zones/nowhere.test/rrsets/x.nowhere.test/A", json={"rdatas": ["192.0.2.1"]}).status_code
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        (PATH, {"rdatas": ["192.0.2.300"]}, 422, "/rdatas/0 192.0.2.300 is not an IPv4 address"),
        (PATH, {"rdatas": ["x", "y"]}, 422, "(and 1 more)"),
        (PATH, {"rdatas": []}, 422, "/rdatas"),
        (PATH, {"rdatas": ["192.0.2.1"], "tll": 5}, 422, "did you mean ttl?"),
        (PATH, {"rdatas": ["192.0.2.1"], "ttl": "5"}, 422, "/ttl"),
        (PATH, ["192.0.2.1"], 422, "the body is an array"),
        ("/v1/zones/example.org/rrsets/a..b/A", {"rdatas": ["192.0.2.1"]}, 422, "empty label"),
        ("/v1/zones/example.org/rrsets/mail.example.net/A", {"rdatas": ["192.0.2.1"]}, 422, "not inside"),
        (
            "/v1/zones/example.org/rrsets/a.example.org/BOGUS",
            {"rdatas": ["192.0.2.1"]},
            422,
            "not a record type",
        ),
        ("/v1/zones/example.net/rrsets/a.example.net/A", {"rdatas": ["192.0.2.1"]}, 404, "no zone example.net"),
        (
            "/v1/zones/example.org/rrsets/www.example.org/A",
            {"rdatas": ["192.0.2.1"]},
            409,
            "belongs to the service",
        ),
        (
            "/v1/zones/example.org/rrsets/www.example.org/CNAME",
            {"rdatas": ["a."]},
            409,
            "belongs to the service",
        ),
    ],
)
def test_refusals(api: Api, path: str, body: object, status: int, sentence: str) -> None:
    """What is wrong is said in a sentence, and nothing changes."""
    before = api.cluster.state.zones
    refused = api.put(path, json=body)
    assert status == refused.status_code
    assert "application/problem+json" == refused.headers["content-type"]
    assert sentence in refused.json()["detail"]
    assert before is api.cluster.state.zones


def test_all_faults_with_pointers(api: Api) -> None:
    """Every fault of a body is told at once, each with a JSON pointer."""
    refused = api.put(PATH, json={"rdatas": "x", "ttl": 1.5, "colour": "red"}).json()
    assert ["/colour", "/rdatas", "/ttl"] == sorted(each["pointer"] for each in refused["errors"])


def test_bad_json(api: Api) -> None:
    """Text that is not JSON is refused with its place."""
    refused = api.put(PATH, content=b'{"ttl": 5,\n "rdatas": [}')
    assert (400, "bad_request") == (refused.status_code, refused.json()["code"])
    assert "line 2, column 13" in refused.json()["detail"]


def test_bad_octets(api: Api) -> None:
    """A body that is not UTF-8, a number without end and deep nesting are refused as well."""
    for body in (b"\xff\xfe\xfa", b"[" * 100_000, b'{"ttl": NaN}', b'{"ttl": ' + b"9" * 5000 + b"}"):
        assert 400 == api.put(PATH, content=body).status_code


def test_condition_is_checked_when_applied(api: Api) -> None:
    """If-Match loses against a writer that came between, and says so with 412."""
    api.put(PATH, json={"rdatas": ["192.0.2.1"]})
    tag = api.get(PATH).headers["etag"]
    api.put(PATH, json={"rdatas": ["192.0.2.2"]})
    refused = api.put(PATH, json={"rdatas": ["192.0.2.3"]}, headers={"If-Match": tag})
    assert (412, "precondition") == (refused.status_code, refused.json()["code"])
    assert api.get(PATH).json() == refused.json()["present"]
    assert ["192.0.2.2"] == api.get(PATH).json()["rdatas"]


def test_create_only(api: Api) -> None:
    """If-None-Match: * writes only what does not exist."""
    only_new = {"If-None-Match": "*"}
    assert 200 == api.put(PATH, json={"rdatas": ["192.0.2.1"]}, headers=only_new).status_code
    assert 412 == api.put(PATH, json={"rdatas": ["192.0.2.2"]}, headers=only_new).status_code
    api.call("DELETE", PATH)
    gone = api.put(PATH, json={"rdatas": ["192.0.2.2"]}, headers={"If-Match": '"2"'})
    assert (412, None) == (gone.status_code, gone.json()["present"])


def test_not_modified(api: Api) -> None:
    """A read with the present ETag is answered with 304."""
    api.put(PATH, json={"rdatas": ["192.0.2.1"]})
    read = api.get(PATH, headers={"If-None-Match": api.get(PATH).headers["etag"]})
    assert (304, b"") == (read.status_code, read.content)


def test_patch(api: Api) -> None:
    """PATCH adds and removes single records and keeps the rest, the ttl included."""
    api.put(PATH, json={"rdatas": ["192.0.2.1", "192.0.2.2"], "ttl": 77})
    api.call("PATCH", PATH, json={"add": ["192.0.2.3"], "remove": ["192.0.2.1"]})
    assert (["192.0.2.2", "192.0.2.3"], 77) == (api.get(PATH).json()["rdatas"], api.get(PATH).json()["ttl"])
    assert 422 == api.call("PATCH", PATH, json={}).status_code


def test_delete(api: Api) -> None:
    """A deleted RRset is gone; deleting it again changes nothing."""
    api.put(PATH, json={"rdatas": ["192.0.2.1"]})
    assert api.call("DELETE", PATH).json()["changed"]
    assert 404 == api.get(PATH).status_code
    assert not api.call("DELETE", PATH).json()["changed"]


def test_pages_in_canonical_order(api: Api) -> None:
    """Pages follow the canonical order of RFC 4034 section 6.1 and stay right while data changes."""
    for name in ("b", "a.b", "z", "y.a", "a"):
        api.put(f"/v1/zones/example.org/rrsets/{name}.example.org/TXT", json={"rdatas": ['"x"']})
    path = "/v1/zones/example.org/rrsets?type=TXT&limit=2"
    first = api.get(path).json()
    assert ["a.example.org.", "y.a.example.org."] == [each["name"] for each in first["items"]]
    api.call("DELETE", "/v1/zones/example.org/rrsets/y.a.example.org/TXT")
    api.put("/v1/zones/example.org/rrsets/aa.example.org/TXT", json={"rdatas": ['"x"']})
    rest = api.get(f"{path}&after={first['next']}").json()
    assert ["aa.example.org.", "b.example.org."] == [each["name"] for each in rest["items"]]
    last = api.get(f"{path}&after={rest['next']}").json()
    assert (["a.b.example.org.", "z.example.org."], None) == (
        [each["name"] for each in last["items"]],
        last["next"],
    )


def test_filters(api: Api) -> None:
    """A list can be narrowed to a name, a pattern of names, and a type."""

    def names(query: str) -> list[str]:
        found = api.get(f"/v1/zones/example.org/rrsets?{query}").json()
        return [each["name"] for each in found["items"]]

    assert ["www.example.org."] * 2 == names("name=www.example.org")
    assert ["www.example.org."] == names("name=w*&type=AAAA")
    assert [] == names("name=nothing.example.org")
    assert 400 == api.get("/v1/zones/example.org/rrsets?after=rubbish").status_code


def test_managed_rows_name_their_service(api: Api) -> None:
    """RRsets that follow from a service say which."""
    assert "www.example.org" == api.get("/v1/zones/-/rrsets/www.example.org/A").json()["managed_by"]


def test_names_with_odd_characters(api: Api) -> None:
    """A label may hold a slash, a dot and a blank; the path carries them percent-encoded."""
    path = "/v1/zones/example.org/rrsets/a%2Fb\\.c%20d.example.org/TXT"
    assert 200 == api.put(path, json={"rdatas": ['"x"']}).status_code
    assert "a/b\\.c\\032d.example.org." == api.get(path).json()["name"]


def test_fates_of_a_proposal(api: Api) -> None:
    """No quorum says that nothing was changed; an unknown outcome says that repeating is safe."""
    api.cluster.refusal = NotCommitted("no-quorum", "1 of 3 nodes")
    refused = api.put(PATH, json={"rdatas": ["192.0.2.1"]})
    assert (503, "no_quorum", "1") == (
        refused.status_code,
        refused.json()["code"],
        refused.headers["retry-after"],
    )
    assert "not changed" in refused.json()["detail"]
    api.cluster.refusal = Unknown("the leader changed")
    refused = api.put(PATH, json={"rdatas": ["192.0.2.1"]})
    assert (503, "outcome_unknown") == (refused.status_code, refused.json()["code"])
    api.cluster.refusal = NotCommitted("too-large", "the entry")
    assert 413 == api.put(PATH, json={"rdatas": ["192.0.2.1"]}).status_code


def test_who_and_why(api: Api) -> None:
    """A write carries who asked and why into the log."""
    api.put(PATH, json={"rdatas": ["192.0.2.1"]}, headers={"Qdns-Reason": "moving in — at last".encode()})
    entry = api.cluster.entries[-1]
    assert ("local", "moving in — at last") == (entry.actor, entry.reason)


def test_min_index(api: Api) -> None:
    """A read can ask for an index and is refused when the node does not reach it in time."""
    assert 200 == api.get("/v1/zones?min_index=1").status_code
    refused = api.get("/v1/zones?min_index=99")
    assert (503, "not_ready") == (refused.status_code, refused.json()["code"])
    assert 400 == api.get("/v1/zones?min_index=x").status_code


def test_leader_consistency(api: Api) -> None:
    """A read through the leader fails without quorum, while a local one goes on."""
    assert 200 == api.get("/v1/zones?consistency=leader").status_code
    api.cluster.refusal = NotCommitted("no-quorum", "1 of 3 nodes")
    assert 503 == api.get("/v1/zones?consistency=leader").status_code
    assert 200 == api.get("/v1/zones").status_code
