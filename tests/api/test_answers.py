"""Every answer of ``/v1`` is as the description says: no key is missing, and none is there that it does not name."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from node.api.answers.table import ANSWERS
from node.api.context import PushChange, ReceiverRow, TrustSummary
from node.api.table import TABLE
from node.health.steadiness import FlapLimit
from node.state.api_tokens import ApiToken, PutToken
from node.state.command import (
    ChangeZone,
    LeaseWish,
    PutRRset,
    PutService,
)
from node.state.desired import Desired, encode
from node.state.operations import Place, SetMaintenance, SetOverrides
from node.state.pushes import HoldPush, ReportPush
from node.state.state import Receiver
from node.zone.lease import LeaseKey
from node.zone.name import from_text
from node.zone.rrset import A
from raft.proposal import Committed
from tests.api.conftest import SEED, WWW, ZONE, Api, FakeCluster, service
from tests.api.described import Description
from tests.cluster.servers import wait_until
from tests.process import Process
from tests.state.test_planning import record

NOW_MS = 1_700_000_000_000
VALUES = {"zone": "example.org", "type": "A", "fqdn": "www.example.org", "address": "192.0.2.10", "index": "1"}
NAMES = {"nodes": "ns1", "zones": "a.example.org", "push": "knot", "tokens": "admin", "notify": "ops"}
QUERIES = {"/v1/explain": "?name=www.example.org", "/v1/series": "?service=www.example.org"}
NO_JSON = ("/v1/zones/{zone}/file", "/v1/backup")


def filled(path: str) -> str:
    """Return a described path with values in it."""
    text = path.replace("{name}", NAMES.get(path.split("/")[2], ""))
    for key, value in VALUES.items():
        text = text.replace(f"{{{key}}}", value)
    return text + QUERIES.get(path, "")


@pytest.fixture(name="full", scope="module")
def _full() -> Api:
    """An API of a cluster that has some of everything that can be shown, also what is rarely there."""
    cluster = FakeCluster()
    cluster.do(SEED)
    leased = record("leased")
    wishes = (
        LeaseWish(LeaseKey(ZONE, leased.name, A), 90),
        LeaseWish(LeaseKey(ZONE, leased.name, A, leased.rdatas[0]), 60),
    )
    steady = service("192.0.2.20", fqdn=from_text("steady.example.org"), flap_limit=FlapLimit())
    for command in (
        ChangeZone(ZONE, (PutRRset(leased), PutRRset(record("a"))), leases=wishes),
        PutService(steady),
        SetOverrides((Place(WWW, "192.0.2.10"),), "drain", NOW_MS + 60_000),
        SetMaintenance(steady.fqdn, True),
        ReportPush("knot", "ns1", 1, ok=False, detail="timed out"),
        HoldPush("knot", "ns1", 1, ZONE, 7, 8),
        PutToken(ApiToken("admin", b"\x01" * 32, ("admin",))),
    ):
        cluster.do(command)
    cluster.vote("192.0.2.11", False)
    api = Api(
        cluster,
        receivers=lambda: [
            ReceiverRow("ops", "webhook", "https://chat.test", Receiver(3, 1, failures=2, detail="HTTP 503")),
            ReceiverRow("new", "mail", "a@example.org", None),
        ],
        series=lambda *_: [SimpleNamespace(probes=5, good=4, mean_ms=2, longest_ms=7), None],
        trust=lambda: TrustSummary(certificate_ends_ms=NOW_MS, refusals={"ns2": "was removed"}),
        push_diff=_push_diff,
        change_nodes=_changed,
        hear=lambda *_: True,
        test_receiver=_tested,
    )
    api.context.course.look(cluster.replica, NOW_MS)
    api.client_address = "unix:root"
    return api


async def _changed(*_: object, **__: object) -> Committed:
    return Committed(77, None)


async def _tested(_name: str) -> str:
    return "HTTP 204"


async def _push_diff(_target: str) -> list[PushChange]:
    rrset = record("a")
    return [PushChange(ZONE, rrset.name, A, None, rrset), PushChange(ZONE, rrset.name, A, rrset, None)]


@pytest.fixture(name="described", scope="module")
def _described(full: Api) -> Description:
    return Description(full.get("/openapi.json").json())


def test_what_is_read(full: Api, described: Description) -> None:
    """What a cluster with some of everything shows is described to the last key."""
    paths = [path for path in described.gets() if path not in NO_JSON]
    assert {f"GET {path}" for path in paths} == {key for key in ANSWERS if key.startswith("GET")}
    for path in paths:
        answer = full.get(filled(path))
        assert 200 == answer.status_code, (path, answer.text)
        assert [] == described.faults("get", path, answer.json()), path
        items = answer.json().get("items", [1])
        assert items, f"{path} shows nothing"
    local = full.get("/v1/status?scope=local").json()
    assert [] == described.faults("get", "/v1/nodes/{name}", local)
    paged = full.get("/v1/events?after=0&limit=1").json()
    assert [] == described.faults("get", "/v1/events", paged)


ENDPOINT = "/v1/services/{fqdn}/endpoints/{address}"
WRITES: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("PUT", "/v1/zones/{zone}/rrsets/{name}/{type}", {"json": {"rdatas": ["192.0.2.9"]}}),
    ("PATCH", "/v1/zones/{zone}/rrsets/{name}/{type}", {"json": {"add": ["192.0.2.8"]}}),
    ("DELETE", "/v1/zones/{zone}/rrsets/{name}/{type}", {}),
    ("PUT", "/v1/zones/{zone}", {"json": {"nameservers": ["ns1.example.org"], "negative_ttl": 9}}),
    ("PUT", ENDPOINT, {"json": {"weight": 3}}),
    ("PUT", f"{ENDPOINT}/drain", {}),
    ("DELETE", f"{ENDPOINT}/drain", {}),
    ("PUT", f"{ENDPOINT}/force", {"json": {"verdict": "down"}}),
    ("DELETE", f"{ENDPOINT}/force", {}),
    ("POST", "/v1/overrides", {"json": {"action": "drain", "places": ["www.example.org/192.0.2.10"]}}),
    ("PUT", "/v1/services/{fqdn}/failover", {"json": {"to": "192.0.2.10"}}),
    ("DELETE", "/v1/services/{fqdn}/failover", {}),
    ("DELETE", "/v1/services/{fqdn}/failover", {}),
    ("PUT", "/v1/services/{fqdn}/maintenance", {}),
    ("DELETE", "/v1/services/{fqdn}/maintenance", {}),
    ("POST", "/v1/services/{fqdn}/refresh", {}),
    ("POST", "/v1/services/{fqdn}/whatif", {"json": {"rise": 1}}),
    ("POST", "/v1/push/{name}/pause", {}),
    ("POST", "/v1/push/{name}/resume", {}),
    ("PUT", "/v1/zones/{zone}/file?dry_run=true", {"content": "b 60 IN A 192.0.2.1\n"}),
    ("PUT", "/v1/zones/{zone}/file", {"content": "b 60 IN A 192.0.2.1\n"}),
    ("POST", "/v1/plan", {"content": encode(Desired(SEED.zones, SEED.services, ()))}),
    ("POST", "/v1/apply", {"content": encode(Desired(SEED.zones, SEED.services, ()))}),
    ("POST", "/v1/apply", {"content": encode(Desired(SEED.zones, SEED.services, ()))}),
    ("PUT", "/v1/log", {"json": {"level": "info"}}),
    ("POST", "/v1/acme/present", {"json": {"fqdn": "_acme-challenge.example.org.", "value": "x"}}),
    ("POST", "/v1/acme/cleanup", {"json": {"fqdn": "_acme-challenge.example.org.", "value": "x"}}),
    ("PUT", "/v1/services/{fqdn}", {"json": {"check": "push://60s", "endpoints": ["192.0.2.10"]}}),
    ("POST", f"{ENDPOINT}/heartbeat", {}),
    ("PUT", "/v1/nodes/{name}", {"json": {"raft": "192.0.2.4:7300"}}),
    ("POST", "/v1/nodes/{name}/replace", {}),
    ("POST", "/v1/nodes/{name}/lead", {}),
    ("DELETE", "/v1/nodes/{name}", {}),
    ("POST", "/v1/push/{name}/release", {}),
    ("POST", "/v1/push/{name}/refresh", {}),
    ("POST", "/v1/notify/{name}/test", {}),
    ("POST", "/v1/batch", {"json": {"operations": [{"method": "DELETE", "path": "/v1/zones/example.org/rrsets/b.example.org/A"}]}}),
    ("PUT", "/v1/tokens/{name}", {"json": {"sha256": "ab" * 32, "scopes": ["admin"]}}),
    ("DELETE", ENDPOINT, {}),
    ("DELETE", "/v1/services/{fqdn}", {}),
    ("DELETE", "/v1/tokens/{name}", {}),
    ("DELETE", "/v1/zones/{zone}", {}),
)  # fmt: skip


def test_what_is_written(full: Api, described: Description) -> None:
    """Answers to writes, too, every one of them, one after the other, on what the ones before left."""
    known = {(method, path.partition("?")[0]) for method, path, _ in WRITES}
    written = {(each.method, each.pattern) for each in TABLE.routes if each.documented and each.method != "GET"}
    assert {(method, path) for method, path in written if path.startswith("/v1/")} == known
    for method, path, options in WRITES:
        if path == "/v1/zones/{zone}" and method == "DELETE":  # in which no service may live
            full.call("DELETE", "/v1/services/steady.example.org")
        answer = full.call(method, filled(path), **options)
        assert 200 == answer.status_code, (method, path, answer.text)
        pattern = path.partition("?")[0]
        assert [] == described.faults(method.lower(), pattern, answer.json()), (method, path)


MORE = """
[dns]
listen = ["127.0.0.1:{port}"]

[[services]]
fqdn = "www.example.org"
endpoints = ["127.0.0.2"]
healthcheck = "tcp://{}:1"

[[push]]
name = "knot"
type = "rfc2136"
server = "127.0.0.1:1"
zones = ["example.org"]

[[notify]]
name = "ops"
type = "webhook"
url = "http://127.0.0.1:1/"
"""


def test_a_running_node(tmp_path: Path) -> None:
    """What a real node shows, asked for every path that can be read, is described to the last key."""
    with Process(tmp_path, MORE) as node:
        url = f"http://127.0.0.1:{node.api}"
        wait_until(lambda: requests.get(f"{url}/readyz", timeout=5).ok, "the node is ready")
        wait_until(lambda: requests.get(f"{url}/v1/zones/example.org", timeout=5).ok, "it is seeded")
        record = {"rdatas": ["192.0.2.1"]}
        assert requests.put(f"{url}/v1/zones/example.org/rrsets/a.example.org/A", json=record, timeout=10).ok
        admin = {"sha256": hashlib.sha256(b"secret").hexdigest(), "scopes": ["admin"]}
        assert requests.put(f"{url}/v1/tokens/admin", json=admin, timeout=10).ok
        session = requests.Session()
        session.headers["Authorization"] = "Bearer secret"
        described = Description(session.get(f"{url}/openapi.json", timeout=10).json())
        first = session.get(f"{url}/v1/events", timeout=10).json()["items"][0]["index"]
        for path in described.gets():
            where = url + filled(path).replace("192.0.2.10", "127.0.0.2").replace(
                "/events/1", f"/events/{first}"
            )
            answer = session.get(where, timeout=10)
            if path == "/v1/push/{name}/diff":  # nothing listens there
                assert (502, "unreachable") == (answer.status_code, answer.json()["code"])
                continue
            assert 200 == answer.status_code, (path, answer.text[:500])
            if path not in NO_JSON:
                assert [] == described.faults("get", path, answer.json()), path
        local = session.get(f"{url}/v1/status?scope=local", timeout=10).json()
        assert [] == described.faults("get", "/v1/nodes/{name}", local)
