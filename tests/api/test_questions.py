"""Lists by what is asked: filters, keys, pages, and no question that means nothing."""

import fnmatch

import msgspec
import pytest

from node.api.questions import LISTS
from node.state.command import (
    ChangeZone,
    PutRRset,
    PutService,
    PutZone,
)
from node.state.operations import Place, SetOverrides
from node.state.pushes import PutTarget, Target
from node.zone.name import from_text
from tests.api.conftest import SEED, SETTINGS, ZONE, Api, FakeCluster, service
from tests.api.test_answers import filled
from tests.state.test_planning import record

EMPTY = from_text("empty.example.org")


@pytest.fixture(name="api", scope="module")
def _api() -> Api:
    """Two zones, two services of which one has nothing in DNS, and a record that is not answered with."""
    cluster = FakeCluster()
    cluster.do(SEED)
    off = msgspec.structs.replace(record("off"), disabled=True)
    for command in (
        PutZone(from_text("other.test"), SETTINGS),
        PutService(service("192.0.2.20", fqdn=EMPTY)),
        ChangeZone(ZONE, (PutRRset(record("on")), PutRRset(off))),
        SetOverrides((Place(EMPTY, "192.0.2.20"),), "drain", allow_empty=True),
        PutTarget(Target("pdns", "powerdns", url="https://pdns.test")),
    ):
        cluster.do(command)
    cluster.vote("192.0.2.11", False)
    cluster.vote("192.0.2.10", True)
    return Api(cluster)


def shown(api: Api, path: str, key: str) -> list[str]:
    """Return the names of the items that a path shows."""
    answer = api.get(path)
    assert 200 == answer.status_code, answer.text
    return [each[key] for each in answer.json()["items"]]


ZONES, SERVICES, RECORDS = "/v1/zones", "/v1/services", "/v1/zones/example.org/rrsets"
ENDPOINTS = "/v1/services/www.example.org/endpoints"


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        (f"{ZONES}?name=*.org", "zone", ["example.org"]),
        (f"{ZONES}?name=other.test.", "zone", ["other.test"]),
        (f"{ZONES}?name=none.*", "zone", []),
        (f"{SERVICES}?name=www.*", "fqdn", ["www.example.org"]),
        (f"{SERVICES}?verdict=down", "fqdn", ["www.example.org"]),
        (f"{SERVICES}?verdict=undecided&limit=1", "fqdn", ["empty.example.org"]),
        (f"{SERVICES}?verdict=undecided&after=empty.example.org", "fqdn", ["www.example.org"]),
        (f"{SERVICES}?published=true", "fqdn", ["www.example.org"]),
        (f"{SERVICES}?published=false", "fqdn", ["empty.example.org"]),
        (f"{SERVICES}?published=false&verdict=down", "fqdn", []),
        (f"{ENDPOINTS}?verdict=down", "address", ["192.0.2.11"]),
        (f"{ENDPOINTS}?published=false", "address", ["192.0.2.11"]),
        (f"{ENDPOINTS}?published=true&verdict=up", "address", ["192.0.2.10"]),
        (f"{ENDPOINTS}?limit=1&after=192.0.2.10", "address", ["192.0.2.11"]),
        (f"{RECORDS}?published=false", "name", ["off.example.org."]),
        (f"{RECORDS}?published=true&name=o*", "name", ["on.example.org."]),
        (f"{RECORDS}?published=true&name=o*&type=TXT", "name", []),
        ("/v1/push?limit=1", "target", ["knot"]),
        ("/v1/push?after=knot", "target", ["pdns"]),
        ("/v1/push?after=lost", "target", ["pdns"]),
        ("/v1/push?after=pdns", "target", []),
    ],
)
def test_filters(api: Api, path: str, key: str, expected: list[str]) -> None:
    """What fits all of what is asked is shown, in the list's order."""
    assert expected == shown(api, path, key)


def test_pages_of_what_fits(api: Api) -> None:
    """Going from page to page shows all that fits, once."""
    for path, key in (
        (f"{SERVICES}?verdict=undecided", "fqdn"),
        (f"{ENDPOINTS}?", "address"),
        ("/v1/push?", "target"),
    ):
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = api.get(f"{path}&limit=1" + (f"&after={after}" if after else "")).json()
            seen += [each[key] for each in page["items"]]
            after = page["next"]
        assert shown(api, path, key) == seen


def test_only_some_keys(api: Api) -> None:
    """``fields`` shows these keys of each item, in that order, and names what there is when one is not."""
    assert [{"name": "off.example.org.", "type": "A"}] == api.get(
        f"{RECORDS}?name=off*&fields=name,type"
    ).json()["items"]
    assert {"verdict", "address"} == set(api.get(f"{ENDPOINTS}?fields=address, verdict").json()["items"][0])
    for wrong in ("nmae", "name,", ""):
        refused = api.get(f"{RECORDS}?fields={wrong}")
        assert (400, "bad_request") == (refused.status_code, refused.json()["code"])
        assert "there are name, type, ttl, rdatas," in refused.json()["detail"]


@pytest.mark.parametrize("pattern", sorted(LISTS))
def test_what_is_no_question(api: Api, pattern: str) -> None:
    """A filter that is spelled wrong is refused with those that there are; what all reads take is taken."""
    refused = api.get(f"{filled(pattern)}?vredict=down")
    assert (400, "bad_request") == (refused.status_code, refused.json()["code"])
    for each in (*LISTS[pattern], "min_index"):
        assert getattr(each, "name", each) in refused.json()["detail"].partition("there are ")[2].split(", ")
    assert 200 == api.get(f"{filled(pattern)}?min_index=1&consistency=leader&limit=5").status_code


@pytest.mark.parametrize(
    "question",
    [f"{SERVICES}?verdict=dwon", f"{SERVICES}?published=yes", f"{RECORDS}?published=", f"{ENDPOINTS}?verdict=&limit=1",
     f"{ZONES}?name={'x' * 256}", "/v1/push?limit=0"],
)  # fmt: skip
def test_no_such_value(api: Api, question: str) -> None:
    """A value that means nothing is refused, with what it could be."""
    refused = api.get(question)
    assert (400, "bad_request") == (refused.status_code, refused.json()["code"])


def test_described(api: Api) -> None:
    """Every list's questions stand in the description, besides what every read takes."""
    paths = api.get("/openapi.json").json()["paths"]
    for pattern, known in LISTS.items():
        told = [each["name"] for each in paths[pattern]["get"]["parameters"] if each["in"] == "query"]
        assert [*(each.name for each in known), "min_index", "consistency", "index", "wait"] == told


@pytest.mark.parametrize(
    "path", ["/v1/zones", "/v1/services", "/v1/zones/example.org/rrsets", "/zones/example.org"]
)
def test_patterns_have_a_length(api: Api, path: str) -> None:
    """A longer pattern than any name is refused with what to do, by every door."""
    assert 200 == api.get(f"{path}?name={'*a' * 127}").status_code
    refused = api.get(f"{path}?name={'*a' * 128}")
    assert 400 == refused.status_code
    assert "name has 256 characters, at most 255 are looked for" in refused.text
    assert path.startswith("/zones") or "ask by a shorter pattern" == refused.json()["hint"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/zones?name=%s",
        "/v1/services?name=%s",
        "/v1/zones/example.org/rrsets?name=%s",
        "/v1/events?kind=%s",
        "/events?kind=%s",
        "/api/v1/servers/localhost/search-data?q=%s",
    ],
)
def test_patterns_are_not_kept(api: Api, path: str) -> None:
    """Whoever asks by ever new patterns fills no cache of the process with them."""
    before = fnmatch._compile_pattern.cache_info().misses  # type: ignore[attr-defined]
    assert 200 == api.get(path % f"*never-asked-before-{len(path)}*").status_code
    assert before == fnmatch._compile_pattern.cache_info().misses  # type: ignore[attr-defined]
