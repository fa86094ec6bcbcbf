"""etcd's TTLs on keys and directories over the leases of the log: E2 to E7 and E10 of what HelixDNS' users rely on."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from node.lease_clock import LeaseClock
from node.state.command import ExpireLeases
from node.zone.name import from_text
from node.zone.rrset import A
from tests.api.conftest import NOW_MS, SEED, ZONE, Api, FakeCluster
from tests.api.test_etcd import FOO, KEYS, error, set_

HOST = f"{KEYS}/org/example/foo"


@dataclass
class Timed:
    """A cluster whose leader ends leases when time passes, and its API."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    now_s: float = 1_000.0

    def __post_init__(self) -> None:
        self.clock = LeaseClock(lambda: self.now_s)
        self.cluster.listeners.append(lambda state, changed: self.clock.take(state, changed and changed.leases))
        self.cluster.do(SEED)
        self.api = Api(self.cluster, lease_left_s=self.clock.left_s)

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.cluster.now_ms += int(seconds * 1000)
        grants = self.clock.due(1000)
        if grants:
            self.cluster.do(ExpireLeases(grants))

    def put(self, path: str, **fields: str) -> httpx.Response:
        return self.api.put(path, data=fields)

    def node(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(path).json()["node"]
        return found


@pytest.fixture(name="timed")
def _timed() -> Timed:
    return Timed()


def test_key_with_a_ttl(timed: Timed) -> None:
    """E2: a key has a ttl and an absolute expiration; when that is over it is not found (100)."""
    written = set_(timed.api, "/org/example/foo/A", "192.0.2.1", ttl="5")
    assert (201, 5) == (written.status_code, written.json()["node"]["ttl"])
    assert "2023-11-14T22:13:25.000000000Z" == written.json()["node"]["expiration"]
    assert NOW_MS == 1_700_000_000_000
    timed.pass_time(1.5)
    assert 4 == timed.node(FOO)["ttl"]
    assert 2 == timed.cluster.state.zones[ZONE].nodes[from_text("foo.example.org")].rrsets[0].ttl
    timed.pass_time(3.5)
    assert (404, 100) == error(timed.api.get(FOO))


@pytest.mark.parametrize("ttl", ["0", "-1", "soon", "NaN", "1.5", "99999999999999999999"])
def test_ttl_is_a_number_of_seconds(timed: Timed, ttl: str) -> None:
    """E2: no ttl of 0, below 0 or that is not a number (202)."""
    assert (400, 202) == error(set_(timed.api, "/org/example/foo/A", "192.0.2.1", ttl=ttl))
    assert (404, 100) == error(timed.api.get(FOO))


@pytest.mark.parametrize("fields", [{"ttl": "", "prevExist": "true"}, {}])
def test_ttl_is_taken_away(timed: Timed, fields: dict[str, str]) -> None:
    """E4: an empty ttl, or a plain write without one, lets the key stay."""
    set_(timed.api, "/org/example/foo/A", "192.0.2.1", ttl="5")
    updated = set_(timed.api, "/org/example/foo/A", "192.0.2.1", **fields)
    assert 200 == updated.status_code
    assert "ttl" not in updated.json()["node"]
    timed.pass_time(60)
    assert "192.0.2.1" == timed.node(FOO)["value"]
    rrset = timed.cluster.state.zones[ZONE].get(from_text("foo.example.org"), A)
    assert rrset is not None
    assert 5 == rrset.ttl


def test_refresh(timed: Timed) -> None:
    """E5: a refresh renews without a change of value, serial or watchers; what is gone cannot be refreshed."""
    set_(timed.api, "/org/example/foo/A", "192.0.2.1", ttl="5")
    zone = timed.cluster.state.zones[ZONE]
    for _ in range(5):
        timed.pass_time(4)
        refreshed = timed.put(FOO, ttl="5", refresh="true", prevExist="true")
        assert (200, "update", 5) == (
            refreshed.status_code,
            refreshed.json()["action"],
            refreshed.json()["node"]["ttl"],
        )
        assert "192.0.2.1" == refreshed.json()["node"]["value"] == refreshed.json()["prevNode"]["value"]
    assert zone is timed.cluster.state.zones[ZONE]
    timed.pass_time(5)
    assert (404, 100) == error(timed.put(FOO, ttl="5", refresh="true", prevExist="true"))
    assert (404, 100) == error(timed.api.get(FOO))


def test_refresh_needs_a_ttl_and_no_value(timed: Timed) -> None:
    """E5: value and refresh at once is an error (212), so is a refresh without a ttl (213)."""
    set_(timed.api, "/org/example/foo/A", "192.0.2.1", ttl="5")
    assert (400, 212) == error(timed.put(FOO, ttl="5", refresh="true", value="192.0.2.2"))
    assert (400, 213) == error(timed.put(FOO, refresh="true"))


def test_refresh_under_a_condition(timed: Timed) -> None:
    """E5, E8: a refresh can be bound to the value and the index."""
    set_(timed.api, "/org/example/foo/A", "192.0.2.1", ttl="5")
    assert (412, 101) == error(timed.put(FOO, ttl="9", refresh="true", prevValue="192.0.2.9"))
    assert 9 == timed.put(FOO, ttl="9", refresh="true", prevValue="192.0.2.1").json()["node"]["ttl"]
    index = str(timed.node(FOO)["modifiedIndex"])
    assert 7 == timed.put(FOO, ttl="7", refresh="true", prevIndex=index).json()["node"]["ttl"]
    assert (412, 101) == error(timed.put(FOO, ttl="9", refresh="true", prevIndex="1"))


def test_a_key_without_ttl_gets_one_by_a_refresh(timed: Timed) -> None:
    """E5: a refresh gives a key that stays a ttl."""
    set_(timed.api, "/org/example/foo/A", "192.0.2.1")
    assert 5 == timed.put(FOO, ttl="5", refresh="true").json()["node"]["ttl"]
    timed.pass_time(6)
    assert (404, 100) == error(timed.api.get(FOO))


def test_directory_with_a_ttl(timed: Timed) -> None:
    """E6: a directory dies with all in it, however long its children were to live, and those that came later."""
    made = timed.put(HOST, ttl="30", dir="true")
    assert (201, "set", True, 30) == (
        made.status_code,
        made.json()["action"],
        made.json()["node"]["dir"],
        made.json()["node"]["ttl"],
    )
    set_(timed.api, "/org/example/foo/A", "192.0.2.1", ttl="300")
    set_(timed.api, "/org/example/foo/bar/TXT", "x")
    timed.pass_time(10)
    refreshed = timed.put(HOST, ttl="30", dir="true", refresh="true", prevExist="true")
    assert (200, "update") == (refreshed.status_code, refreshed.json()["action"])
    timed.pass_time(25)
    assert (5, 265) == (timed.node(HOST)["ttl"], timed.node(FOO)["ttl"])
    timed.pass_time(5)
    assert (404, 100) == error(timed.api.get(HOST))
    assert (404, 100) == error(timed.put(HOST, ttl="30", dir="true", prevExist="true"))
    assert 0 == len(timed.cluster.state.leases)


def test_refreshing_a_directory_refreshes_no_child(timed: Timed) -> None:
    """E6: the shorter of both ttls counts, and a directory's is its own."""
    timed.put(HOST, ttl="30", dir="true")
    set_(timed.api, "/org/example/foo/A", "192.0.2.1", ttl="10")
    timed.pass_time(9)
    timed.put(HOST, ttl="30", dir="true", prevExist="true")
    timed.pass_time(1)
    assert (404, 100) == error(timed.api.get(FOO))
    assert {"key": "/helix/org/example/foo", "dir": True, "nodes": [], "ttl": 29} == {
        field: value for field, value in timed.node(HOST).items() if field in ("key", "dir", "nodes", "ttl")
    }


def test_making_directories(timed: Timed) -> None:
    """E6: one that is there is not a file (102); an empty one is listed, deleted with dir=true, not by mistake."""
    assert 201 == timed.put(HOST, dir="true").status_code
    assert (403, 102) == error(timed.put(HOST, dir="true"))
    assert (403, 102) == error(timed.put(HOST, dir="true", ttl="30"))
    assert (403, 102) == error(timed.put(HOST, dir="true", prevExist="false"))
    assert (403, 102) == error(timed.put(HOST, dir="true", prevValue="x"))
    assert (403, 107) == error(timed.put(KEYS, dir="true"))
    assert "/helix/org/example/foo" in [each["key"] for each in timed.node(f"{KEYS}/org/example")["nodes"]]
    assert timed.put(f"{KEYS}/org/example/a/b/c", dir="true").is_success
    assert ["/helix/org/example/a/b/c"] == [
        each["key"] for each in timed.node(f"{KEYS}/org/example/a/b")["nodes"]
    ]
    assert (403, 102) == error(timed.api.call("DELETE", HOST))
    assert 200 == timed.api.call("DELETE", f"{HOST}?dir=true").status_code
    assert (404, 100) == error(timed.api.get(HOST))
    assert 200 == timed.api.call("DELETE", f"{KEYS}/org/example/a?recursive=true").status_code
    assert 0 == len(timed.cluster.state.leases)


def test_existing_directory_gets_a_ttl_and_loses_it(timed: Timed) -> None:
    """E4, E6: what is a directory because something lies in it can be leased, and be freed of it."""
    set_(timed.api, "/org/example/foo/A", "192.0.2.1")
    assert 200 == timed.put(HOST, dir="true", prevExist="true", ttl="30").status_code
    assert 30 == timed.node(HOST)["ttl"]
    freed = timed.put(HOST, dir="true", prevExist="true", ttl="")
    assert "ttl" not in freed.json()["node"]
    timed.pass_time(60)
    assert "192.0.2.1" == timed.node(FOO)["value"]


def test_each_of_several_records_has_its_own_ttl(timed: Timed) -> None:
    """E2, E5: records of one RRset are leased, renewed and expire one by one; POST takes a ttl, too."""
    set_(timed.api, "/org/example/foo/A/1", "192.0.2.1", ttl="10")
    set_(timed.api, "/org/example/foo/A/2", "192.0.2.2", ttl="20")
    posted = timed.api.call("POST", FOO, data={"value": "192.0.2.3", "ttl": "30"})
    assert 30 == posted.json()["node"]["ttl"]
    timed.pass_time(5)
    assert [5, 15, 25] == [each["ttl"] for each in timed.node(FOO)["nodes"]]
    refreshed = timed.put(f"{FOO}/1", ttl="20", refresh="true", prevExist="true")
    assert ("update", "192.0.2.1", 20) == (
        refreshed.json()["action"],
        refreshed.json()["node"]["value"],
        refreshed.json()["node"]["ttl"],
    )
    timed.pass_time(15)
    assert ["192.0.2.1", "192.0.2.3"] == [each["value"] for each in timed.node(FOO)["nodes"]]
    assert (404, 100) == error(timed.put(f"{FOO}/2", ttl="20", refresh="true", prevExist="true"))
    set_(timed.api, "/org/example/foo/A/1", "192.0.2.1", ttl="")
    timed.pass_time(60)
    assert ["192.0.2.1"] == [each["value"] for each in timed.node(FOO)["nodes"]]


def test_directory_of_records_has_a_ttl(timed: Timed) -> None:
    """E6: the directory of an RRset's records can be leased as a whole."""
    rrset = f"{KEYS}/org/example/foo/A"
    assert (400, 209) == error(timed.put(rrset, dir="true", ttl="10"))
    set_(timed.api, "/org/example/foo/A/1", "192.0.2.1")
    assert (403, 102) == error(timed.put(rrset, dir="true", ttl="10"))
    assert 10 == timed.put(rrset, dir="true", ttl="10", prevExist="true").json()["node"]["ttl"]
    timed.pass_time(10)
    assert (404, 100) == error(timed.api.get(rrset))


def test_watchers_are_told_of_the_end(timed: Timed) -> None:
    """E6, E10: a watch is told "expire": of a key with what it was, of a directory once and with its own key."""
    set_(timed.api, "/org/example/foo/A", "192.0.2.1", ttl="5")
    timed.pass_time(5)
    index = timed.cluster.state.index
    told = timed.api.get(f"{FOO}?wait=true&waitIndex={index}").json()
    assert ("expire", "/helix/org/example/foo/A", "192.0.2.1") == (
        told["action"],
        told["node"]["key"],
        told["prevNode"]["value"],
    )
    timed.put(HOST, ttl="5", dir="true")
    set_(timed.api, "/org/example/foo/A", "192.0.2.1")
    timed.pass_time(5)
    index = timed.cluster.state.index
    for path in (FOO, HOST, f"{KEYS}/org"):
        told = timed.api.get(f"{path}?wait=true&recursive=true&waitIndex={index}").json()
        assert ("expire", "/helix/org/example/foo", True) == (
            told["action"],
            told["node"]["key"],
            told["node"]["dir"],
        )


def test_watchers_of_one_record(timed: Timed) -> None:
    """E10: the end of one of several records is told with its key."""
    set_(timed.api, "/org/example/foo/A/1", "192.0.2.1")
    set_(timed.api, "/org/example/foo/A/2", "192.0.2.2", ttl="5")
    timed.pass_time(5)
    told = timed.api.get(f"{FOO}?wait=true&waitIndex={timed.cluster.state.index}").json()
    assert ("expire", "/helix/org/example/foo/A/2") == (told["action"], told["node"]["key"])


def test_health_decides_for_itself(timed: Timed) -> None:
    """A service's records and the directory they are in cannot be leased."""
    www = f"{KEYS}/org/example/www"
    assert (403, 106) == error(timed.put(www, dir="true", prevExist="true", ttl="30"))
    assert (403, 106) == error(timed.put(f"{www}/A", refresh="true", ttl="30"))


def test_self_registration(timed: Timed) -> None:
    """H33: a container that registers itself and is gone leaves nothing behind."""
    timed.put(f"{KEYS}/org/example/web1", dir="true", ttl="30")
    set_(timed.api, "/org/example/web1/A", "192.0.2.1")
    set_(timed.api, "/org/example/_tcp/_http/SRV", "0 0 80 web1.example.org.", ttl="30")
    timed.pass_time(31)
    assert (404, 100) == error(timed.api.get(f"{KEYS}/org/example/web1"))
    assert (404, 100) == error(timed.api.get(f"{KEYS}/org/example/_tcp"))


def test_v1_shows_what_is_left(timed: Timed) -> None:
    """/v1 takes ``lease_s`` and shows what is left, of an RRset and of single records."""
    path = "/v1/zones/example.org/rrsets/foo.example.org/A"
    assert timed.api.put(path, json={"rdatas": ["192.0.2.1"], "ttl": 60, "lease_s": 90}).is_success
    timed.pass_time(10)
    row = timed.api.get(path).json()
    assert (90, 80.0, 45, []) == (row["lease_s"], row["lease_left_s"], row["ttl"], row["record_leases"])
    assert timed.api.call("PATCH", path, json={"add": ["192.0.2.2"], "lease_s": 20}).is_success
    row = timed.api.get(path).json()
    assert [{"rdata": "192.0.2.2", "lease_s": 20, "lease_left_s": 20.0}] == row["record_leases"]
    timed.pass_time(20)
    assert ["192.0.2.1"] == timed.api.get(path).json()["rdatas"]
    timed.pass_time(60)
    assert 404 == timed.api.get(path).status_code
    assert 400 <= timed.api.put(path, json={"rdatas": ["192.0.2.1"], "lease_s": 0}).status_code < 500
