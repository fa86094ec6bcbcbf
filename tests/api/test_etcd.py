"""The etcd v2 façade: HelixDNS keys, etcd's answers, its conditions, watches and error codes."""

import asyncio
import json
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.etcd.errors import EtcdProblem
from node.api.etcd.keys import key_text, read_key
from node.api.server import ApiServer
from node.state.command import ChangeZone, Command, DeleteRRset, PutRRset
from node.zone.name import from_labels, from_text, to_text
from node.zone.rrset import A, make, type_from_text
from raft.proposal import NotCommitted, Outcome
from tests.api.conftest import ZONE, Api, FakeCluster
from tests.api.test_server import serve, until

KEYS = "/v2/keys/helix"
FOO = f"{KEYS}/org/example/foo/A"


def set_(api: Api, key: str, value: str, **fields: str) -> httpx.Response:
    """PUT a value as curl -d does."""
    return api.put(f"{KEYS}{key}", data={"value": value} | fields)


def error(response: httpx.Response) -> tuple[int, int]:
    """Return the status and etcd's code."""
    return response.status_code, response.json()["errorCode"]


def test_first_line_of_the_blog(cluster: FakeCluster) -> None:
    """The HelixDNS blog's first command works as printed; the record is there with ttl 5."""
    api = Api(cluster, dev=True)
    written = api.put(
        "/v2/keys/helix/com/example/foo/A",
        content=b"value=123.123.123.123",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert 201 == written.status_code
    assert {
        "action": "set",
        "node": {
            "key": "/helix/com/example/foo/A",
            "value": "123.123.123.123",
            "createdIndex": 2,
            "modifiedIndex": 2,
        },
    } == written.json()
    assert ("2", "2", "3") == tuple(
        written.headers[name] for name in ("x-etcd-index", "x-raft-index", "x-raft-term")
    )
    rrset = cluster.state.zones[from_text("example.com")].get(from_text("foo.example.com"), A)
    assert rrset is not None
    assert (5, (bytes([123] * 4),)) == (rrset.ttl, rrset.rdatas)


def test_outside_all_zones(api: Api) -> None:
    """Outside development mode a name in no zone is not found, and the zones are named."""
    refused = set_(api, "/com/example/foo/A", "192.0.2.1")
    assert (404, 100) == error(refused)
    assert "foo.example.com is in none" in refused.json()["cause"]
    assert "the zones are: example.org" in refused.json()["cause"]


def test_get_set_delete(api: Api) -> None:
    """A key is read as it was set, a second set tells of the first, and a deleted key is gone."""
    set_(api, "/org/example/foo/A", "192.0.2.1")
    assert ("get", "192.0.2.1") == (api.get(FOO).json()["action"], api.get(FOO).json()["node"]["value"])
    again = set_(api, "/org/example/foo/A", "192.0.2.2")
    assert (200, "192.0.2.1") == (again.status_code, again.json()["prevNode"]["value"])
    deleted = api.call("DELETE", FOO)
    assert (200, "delete", "192.0.2.2") == (
        deleted.status_code,
        deleted.json()["action"],
        deleted.json()["prevNode"]["value"],
    )
    assert (404, 100) == error(api.get(FOO))
    assert (404, 100) == error(api.call("DELETE", FOO))


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("/org/example/foo/AAAA", "2001:DB8::1", "2001:db8::1"),
        ("/org/example/foo/CNAME", "bar.example.org.", "bar.example.org."),
        ("/org/example/foo/CNAME", "bar.example.org", "bar.example.org."),
        ("/org/example/foo/TXT", 'say "hi" to them', '"say \\"hi\\" to them"'),
        ("/org/example/foo/TXT", '"a" "b"', '"a" "b"'),
        ("/org/example/foo/TXT", "x" * 300, f'"{"x" * 255}" "{"x" * 45}"'),
        ("/org/example/foo/MX", "10 mail.example.org.", "10 mail.example.org."),
        ("/org/example/FOO/A", "192.0.2.1", "192.0.2.1"),
        ("/org/example/%2A/A", "192.0.2.1", "192.0.2.1"),
    ],
)
def test_values(api: Api, key: str, value: str, shown: str) -> None:
    """Values of each type are read and shown as HelixDNS does; labels may be written in any case."""
    assert 201 == set_(api, key, value).status_code
    assert shown == api.get(f"{KEYS}{key}").json()["node"]["value"]


def test_srv_and_soa_are_json(api: Api) -> None:
    """SRV values are a JSON list, protocol before service in the key; SOA values are a JSON object."""
    value = '[{"Priority":10,"Weight":60,"Port":5060,"Target":"sip.example.org."},{"priority":20,"weight":0,"port":5060,"target":"b.example.org."}]'
    assert 201 == set_(api, "/org/example/_tcp/_sip/SRV", value).status_code
    assert api.cluster.state.zones[ZONE].get(from_text("_sip._tcp.example.org"), 33) is not None
    shown = json.loads(api.get(f"{KEYS}/org/example/_tcp/_sip/SRV").json()["node"]["value"])
    assert {"Priority": 10, "Weight": 60, "Port": 5060, "Target": "sip.example.org."} == shown[0]
    soa = json.loads(api.get(f"{KEYS}/org/example/SOA").json()["node"]["value"])
    assert ("ns1.example.org.", 60) == (soa["Ns"], soa["Minttl"])
    soa |= {"Minttl": 30}
    assert 200 == set_(api, "/org/example/SOA", json.dumps(soa)).status_code
    assert '"Minttl": 30' in api.get(f"{KEYS}/org/example/SOA").json()["node"]["value"]


@pytest.mark.parametrize(
    ("key", "value", "status", "code", "cause"),
    [
        ("/org/example/foo/A", "notanip", 400, 209, "notanip is not an IPv4 address; nothing was changed"),
        ("/org/example/foo/A", "", 400, 209, "value is empty"),
        ("/org/example/foo/A", "010.0.0.1", 400, 209, "010.0.0.1 is not an IPv4 address"),
        ("/org/example/_sip/_tcp/SRV", "[]", 400, 209, "the protocol comes before the service"),
        ("/org/example/_tcp/_sip/SRV", "[]", 400, 209, "an empty list"),
        ("/org/example/_tcp/_sip/SRV", "[{]", 400, 209, "not JSON"),
        ("/org/example/_tcp/_sip/SRV", '[{"Port":1}]', 400, 209, "lacks Priority, Weight, Target"),
        (
            "/org/example/_tcp/_sip/SRV",
            '[{"Priority":1,"Weight":1,"Port":70000,"Target":"a."}]',
            400,
            209,
            "SRV",
        ),
        ("/org/example/foo", "192.0.2.1", 400, 209, "must be a record type in upper case"),
        ("/org/example.com/A", "192.0.2.1", 400, 209, "write each label as a step of its own"),
        ("/org/example/foo/A/b/c", "192.0.2.1", 400, 209, "one step at most"),
        ("/org/example/foo/A/%20", "192.0.2.1", 400, 209, "cannot be a key"),
        ("/org/example/www/AAAA", "2001:db8::1", 403, 106, "belongs to the service"),
    ],
)
def test_bad_keys_and_values(api: Api, key: str, value: str, status: int, code: int, cause: str) -> None:
    """What cannot be stored is refused when it is written, with a readable cause."""
    before = api.cluster.state.zones
    refused = set_(api, key, value)
    assert (status, code) == error(refused)
    assert cause in refused.json()["cause"]
    assert before is api.cluster.state.zones


def test_other_roots(api: Api) -> None:
    """There is nothing but /helix."""
    assert (404, 100) == error(api.get("/v2/keys/message"))
    assert "nothing but /helix" in api.put("/v2/keys/message", data={"value": "x"}).json()["cause"]


def test_compare_and_swap(api: Api) -> None:
    """prevExist, prevValue and prevIndex are checked when the change is applied, with etcd's codes."""
    key = "/org/example/foo/A"
    assert (404, 100) == error(set_(api, key, "192.0.2.1", prevExist="true"))
    created = set_(api, key, "192.0.2.1", prevExist="false")
    assert (201, "create") == (created.status_code, created.json()["action"])
    assert (412, 105) == error(set_(api, key, "192.0.2.9", prevExist="false"))
    assert "update" == set_(api, key, "192.0.2.2", prevExist="true").json()["action"]
    lost = set_(api, key, "192.0.2.9", prevValue="192.0.2.1")
    assert (412, 101, "[192.0.2.1 != 192.0.2.2]") == (*error(lost), lost.json()["cause"])
    assert (412, 101) == error(set_(api, key, "192.0.2.9", prevValue="two"))
    assert "compareAndSwap" == set_(api, key, "192.0.2.3", prevValue="192.0.2.2").json()["action"]
    index = api.get(FOO).json()["node"]["modifiedIndex"]
    assert (412, 101) == error(set_(api, key, "192.0.2.9", prevIndex="1"))
    assert 200 == set_(api, key, "192.0.2.4", prevIndex=str(index)).status_code
    assert (412, 101) == error(api.call("DELETE", f"{FOO}?prevValue=192.0.2.3"))
    assert "compareAndDelete" == api.call("DELETE", f"{FOO}?prevValue=192.0.2.4").json()["action"]
    assert (400, 203) == error(set_(api, key, "192.0.2.9", prevIndex="x"))
    assert (400, 209) == error(set_(api, key, "192.0.2.9", prevExist="maybe"))


def test_several_records(api: Api) -> None:
    """A/1 and A/2 are records of one RRset; each keeps its key whatever the others do."""
    set_(api, "/org/example/foo/A/1", "192.0.2.9")
    set_(api, "/org/example/foo/A/2", "192.0.2.1")
    set_(api, "/org/example/foo/A/blue", "192.0.2.5")
    node = api.get(FOO).json()["node"]
    assert {"1": "192.0.2.9", "2": "192.0.2.1", "blue": "192.0.2.5"} == {
        each["key"].rpartition("/")[2]: each["value"] for each in node["nodes"]
    }
    changed = set_(api, "/org/example/foo/A/1", "192.0.2.2")
    assert (200, "192.0.2.9") == (changed.status_code, changed.json()["prevNode"]["value"])
    assert "192.0.2.1" == api.get(f"{FOO}/2").json()["node"]["value"]
    rrset = api.cluster.state.zones[ZONE].get(from_text("foo.example.org"), A)
    assert rrset is not None
    assert [1, 2, 5] == [rdata[3] for rdata in rrset.rdatas]
    api.call("DELETE", f"{FOO}/2")
    assert (404, 100) == error(api.get(f"{FOO}/2"))
    assert (403, 102) == error(set_(api, "/org/example/foo/A", "192.0.2.1"))
    assert (403, 102) == error(api.call("DELETE", FOO))
    assert (403, 108) == error(api.call("DELETE", f"{FOO}?dir=true"))
    assert 200 == api.call("DELETE", f"{FOO}?recursive=true").status_code
    assert (404, 100) == error(api.get(FOO))


def test_last_record_takes_the_rrset_along(api: Api) -> None:
    """The RRset goes with its last record, and so does the name."""
    set_(api, "/org/example/foo/A/1", "192.0.2.9")
    assert 200 == api.call("DELETE", f"{FOO}/1").status_code
    assert from_text("foo.example.org") not in api.cluster.state.zones[ZONE].nodes


def test_records_written_elsewhere_are_counted(api: Api) -> None:
    """An RRset of several records that came by another door is shown as 1, 2, ... in their order."""
    name = from_text("foo.example.org")
    api.cluster.do(ChangeZone(ZONE, (PutRRset(make(name, A, 60, [b"\xc0\0\2\2", b"\xc0\0\2\1"])),)))
    nodes = api.get(FOO).json()["node"]["nodes"]
    assert [("1", "192.0.2.1"), ("2", "192.0.2.2")] == [(each["key"][-1], each["value"]) for each in nodes]
    set_(api, "/org/example/foo/A/2", "192.0.2.7")
    rrset = api.cluster.state.zones[ZONE].get(name, A)
    assert rrset is not None
    assert ([1, 7], 60) == ([rdata[3] for rdata in rrset.rdatas], rrset.ttl)


def test_a_faster_writer_costs_no_record(api: Api) -> None:
    """Two writers of different records at once both win: the loser of the race plans again."""
    other = make(from_text("foo.example.org"), A, 60, [b"\xc0\0\2\1", b"\xc0\0\2\2"])
    api.cluster.before = lambda: api.cluster.do(ChangeZone(ZONE, (PutRRset(other),))) and None
    assert 201 == set_(api, "/org/example/foo/A/blue", "192.0.2.3").status_code
    rrset = api.cluster.state.zones[ZONE].get(from_text("foo.example.org"), A)
    assert rrset is not None
    assert [1, 2, 3] == [rdata[3] for rdata in rrset.rdatas]


@pytest.mark.parametrize("key", [FOO, f"{FOO}/x"])
def test_a_record_that_is_gone_again_was_written(api: Api, key: str) -> None:
    """A write that another writer undid at once succeeded, and is told so."""
    name = from_text("foo.example.org")
    direct = api.context.propose

    async def overtaken(command: Command, **how: Any) -> Outcome:
        outcome = await direct(command, **how)
        api.cluster.do(ChangeZone(ZONE, (DeleteRRset(name, A),)))
        return outcome

    api.context = replace(api.context, propose=overtaken)
    answer = api.put(key, data={"value": "192.0.2.1"})
    assert (201, "192.0.2.1") == (answer.status_code, answer.json()["node"]["value"])


def test_post_adds(api: Api) -> None:
    """POST adds a record under a key that follows all others."""
    first = api.call("POST", FOO, data={"value": "192.0.2.2"})
    second = api.call("POST", FOO, data={"value": "192.0.2.1"})
    assert (201, "create") == (first.status_code, first.json()["action"])
    assert first.json()["node"]["key"] < second.json()["node"]["key"]
    assert 2 == len(api.get(FOO).json()["node"]["nodes"])


def test_listing(api: Api) -> None:
    """A directory lists what is below it, sorted, ``_`` names too; recursive shows everything."""
    set_(api, "/org/example/_tcp/_sip/SRV", "0 0 5060 sip.example.org.")
    set_(api, "/org/example/b/a/TXT", "x")
    node = api.get(f"{KEYS}/org/example").json()["node"]
    assert [
        "/helix/org/example/NS",
        "/helix/org/example/SOA",
        "/helix/org/example/_tcp",
        "/helix/org/example/b",
        "/helix/org/example/www",
    ] == [each["key"] for each in node["nodes"]]
    assert ["/helix/org"] == [each["key"] for each in api.get(KEYS).json()["node"]["nodes"]]
    found: list[str] = []

    def walk(node: dict[str, Any]) -> None:
        for each in node.get("nodes", ()):
            walk(each)
        if "value" in node:
            found.append(node["key"])

    walk(api.get(f"{KEYS}/?recursive=true&sorted=true").json()["node"])
    assert "/helix/org/example/b/a/TXT" in found
    assert "/helix/org/example/_tcp/_sip/SRV" in found
    assert "/helix/org/example/www/A/1" in found
    assert (404, 100) == error(api.get(f"{KEYS}/org/example/nothing"))


def test_delete_a_directory(api: Api) -> None:
    """A recursive delete takes all below in one entry and leaves the zone's own records."""
    for name in ("a", "a/b", "a/c/d", "e"):
        set_(api, f"/org/example/{name}/TXT", "x")
    assert (403, 102) == error(api.call("DELETE", f"{KEYS}/org/example/a"))
    index = api.cluster.state.index
    assert 200 == api.call("DELETE", f"{KEYS}/org/example/a?recursive=true").status_code
    assert index + 1 == api.cluster.state.index
    assert (404, 100) == error(api.get(f"{KEYS}/org/example/a"))
    assert 200 == api.get(f"{KEYS}/org/example/e/TXT").status_code
    assert (403, 107) == error(api.call("DELETE", f"{KEYS}/org?recursive=true"))


def test_failures_of_the_log(api: Api) -> None:
    """Without a leader a write fails at once with code 301."""
    api.cluster.refusal = NotCommitted("no-leader", "an election is going on")
    refused = set_(api, "/org/example/foo/A", "192.0.2.1")
    assert (503, 301) == error(refused)
    assert "not changed" in refused.json()["cause"]
    assert (503, 301) == error(api.get(f"{FOO}?quorum=true"))


def test_watch(cluster: FakeCluster) -> None:
    """A watch returns the next change; with waitIndex also one that was already there."""

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        app = server._app
        waiting = asyncio.create_task(client.get(f"{FOO}?wait=true"))
        await until(lambda: app is not None and app._waiting == 1)
        await client.put(f"{KEYS}/org/example/bar/A", data={"value": "192.0.2.1"})
        await client.put(FOO, data={"value": "192.0.2.2"})
        change = (await waiting).json()
        assert ("set", "192.0.2.2") == (change["action"], change["node"]["value"])
        first = cluster.state.index - 1
        again = (await client.get(f"{KEYS}/org?recursive=true&wait=true&waitIndex={first}")).json()
        assert ("/helix/org/example/bar/A", first) == (again["node"]["key"], again["node"]["modifiedIndex"])
        await client.delete(FOO)
        gone = (await client.get(f"{FOO}?wait=true&waitIndex={first + 2}")).json()
        assert ("delete", "192.0.2.2") == (gone["action"], gone["prevNode"]["value"])

    serve(cluster, work)


def test_watch_of_a_forgotten_past(api: Api) -> None:
    """A watch from before what the zone remembers is told so with code 401."""
    import msgspec

    for number in range(3):
        set_(api, "/org/example/foo/A", f"192.0.2.{number}")
    zone = api.cluster.state.zones[ZONE]
    cut = msgspec.structs.replace(zone, history=zone.history[-1:])
    api.cluster.state = msgspec.structs.replace(api.cluster.state, zones=api.cluster.state.zones.set(ZONE, cut))
    assert (400, 401) == error(api.get(f"{FOO}?wait=true&waitIndex=2"))
    assert "192.0.2.2" == api.get(f"{FOO}?wait=true&waitIndex=4").json()["node"]["value"]


def test_watch_ignores_the_serial(api: Api) -> None:
    """A deletion elsewhere in the zone moves its serial, which is no news for a recursive watch."""
    set_(api, "/org/example/foo/A", "192.0.2.1")
    api.cluster.do(ChangeZone(ZONE, (DeleteRRset(from_text("foo.example.org"), A),)))
    change = api.get(f"{KEYS}/org?recursive=true&wait=true&waitIndex=3").json()
    assert ("delete", "/helix/org/example/foo/A") == (change["action"], change["node"]["key"])


labels = st.binary(min_size=1, max_size=63)


@given(st.lists(labels, max_size=4), st.sampled_from(["A", "MX", "TYPE65400", "CNAME"]))
def test_every_name_has_one_key(parts: list[bytes], type_: str) -> None:
    """Any legal name maps to a key and back to itself, the type too."""
    from urllib.parse import quote

    name, number = from_labels(parts), type_from_text(type_)
    raw = "/".join(quote(step, safe="") for step in key_text(name, number).split("/"))
    key = read_key(raw.removeprefix("/"))
    assert (to_text(name), number) == (to_text(key.name), key.type)


@given(st.text(max_size=60))
def test_any_path_is_a_key_or_a_refusal(raw: str) -> None:
    """Whatever stands in a path, it is a key or refused as etcd does."""
    try:
        answer = str(read_key(f"helix/{raw}"))
    except EtcdProblem as problem:
        answer = problem.detail
    assert answer


@pytest.mark.real
@pytest.mark.skipif(shutil.which("etcdctl") is None, reason="etcdctl is not installed")
def test_etcdctl(cluster: FakeCluster) -> None:
    """etcdctl of the v2 API sets, gets, lists and removes, as HelixDNS' README does."""

    def etcdctl(server: ApiServer, *arguments: str) -> str:
        done = subprocess.run(
            ["etcdctl", "--no-sync", "--endpoints", f"http://{server.addresses[0]}", *arguments],
            env={"ETCDCTL_API": "2", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return (done.stdout + done.stderr).strip()

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        def ctl(*arguments: str) -> Any:
            return asyncio.to_thread(etcdctl, server, *arguments)

        assert "123.123.123.123" == await ctl("set", "/helix/org/example/foo/A", "123.123.123.123")
        assert "123.123.123.123" == await ctl("get", "/helix/org/example/foo/A")
        assert "/helix/org/example/foo/A" in await ctl("ls", "--recursive", "/helix")
        assert "192.0.2.1" == await ctl("update", "/helix/org/example/foo/A", "192.0.2.1")
        assert "PrevNode.Value: 192.0.2.1" == await ctl("rm", "/helix/org/example/foo/A")
        assert "100" in await ctl("get", "/helix/org/example/foo/A")

    serve(cluster, work)
