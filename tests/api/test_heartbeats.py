"""Endpoints say by themselves that they are well, with a token that is good for nothing else."""

import hashlib
from typing import Any

import msgspec

from node.health.service import Check
from node.state.command import Member, PutService
from node.state.tokens import ApiToken, PutToken
from node.zone.name import Name
from tests.api.conftest import WWW, Api, FakeCluster, service

PATH = "/v1/services/www.example.org/endpoints/192.0.2.1/heartbeat"
SECRET = "qdns_jobs_0123456789abcdef0123456789abcdef"


def api(cluster: FakeCluster, *scopes: str, **fields: Any) -> tuple[Api, list[tuple[Name, str]]]:
    heard: list[tuple[Name, str]] = []

    def hear(fqdn: Name, address: str) -> bool:
        heard.append((fqdn, address))
        return address == "192.0.2.1"

    digest = hashlib.sha256(SECRET.encode()).digest()
    cluster.do(PutToken(ApiToken("jobs", digest, scopes)))
    definition = service("192.0.2.1", "192.0.2.2", fail_open_percent=100)
    cluster.do(PutService(msgspec.structs.replace(definition, check=Check("push", 0, lease_s=30), **fields)))
    return Api(cluster, hear=hear), heard


def post(api: Api, path: str = PATH, secret: str = SECRET) -> Any:
    return api.call("POST", path, headers={"Authorization": f"Bearer {secret}"})


def test_it_is_heard_by_the_node_that_is_told(cluster: FakeCluster) -> None:
    """The answer says for how long it counts and how the endpoint stands; nothing is written for it."""
    here, heard = api(cluster, "heartbeat name=www.example.org")
    before = cluster.state.index
    answer = post(here)
    assert (200, [(WWW, "192.0.2.1")], before) == (answer.status_code, heard, cluster.state.index)
    body = answer.json()
    assert ("ns1", 30, "undecided", True) == tuple(
        body[key] for key in ("node", "lease_s", "verdict", "published")
    )


def test_the_token_is_good_for_nothing_else(cluster: FakeCluster) -> None:
    """Not for another name, not for reading, not without it."""
    here, heard = api(cluster, "heartbeat name=other.example.org")
    assert 403 == post(here).status_code
    assert 403 == here.get("/v1/status", headers={"Authorization": f"Bearer {SECRET}"}).status_code
    assert 401 == here.call("POST", PATH).status_code == post(here, secret="qdns_wrong").status_code
    assert [] == heard


def test_operators_may_report_too(cluster: FakeCluster) -> None:
    """The scope is part of those that may take endpoints out."""
    here, heard = api(cluster, "endpoints:operate")
    assert 200 == post(here).status_code
    assert 1 == len(heard)


def test_what_would_be_of_no_use_is_refused(cluster: FakeCluster) -> None:
    """A service that is probed, an endpoint that is not there, one just learned of, a node that does not vote."""
    here, _ = api(cluster, "heartbeat")
    assert 404 == post(here, PATH.replace("192.0.2.1", "192.0.2.9")).status_code
    assert 503 == post(here, PATH.replace("192.0.2.1", "192.0.2.2")).status_code
    members = cluster.state.members
    cluster.state = msgspec.structs.replace(cluster.state, members=(Member("ns2"),))
    assert "ns1 does not vote" in post(here).json()["detail"]
    cluster.state = msgspec.structs.replace(cluster.state, members=members)
    cluster.do(PutService(service("192.0.2.1")))
    refused = post(here)
    assert (409, True) == (refused.status_code, "is probed by http://" in refused.json()["detail"])


def test_the_check_is_said_and_shown(cluster: FakeCluster) -> None:
    """In one line or in full; nobody probes, so there is nowhere to probe from."""
    here = Api(cluster)
    path = "/v1/services/jobs.example.org"
    assert 200 == here.put(path, json={"check": "push://5m", "endpoints": ["192.0.2.1"]}).status_code
    read = here.get(path).json()
    assert ({"kind": "push", "port": 0, "lease_s": 300}, "push://300s") == (read["check"], read["check_text"])
    narrowed = [{"address": "192.0.2.1", "probe_from": ["ns1"]}]
    assert (
        "reports by itself"
        in here.put(path, json={"check": "push://5m", "endpoints": narrowed}).json()["detail"]
    )
    assert 422 == here.put(path, json={"check": "push://soon"}).status_code
