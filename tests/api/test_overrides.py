"""What operators say over HTTP: drain, force, maintenance, failover, refresh."""

from dataclasses import replace
from typing import Any

import pytest

from node.api.context import Token
from node.api.operations import is_meant
from node.health.service import Endpoint
from node.state.command import PutService
from node.state.operations import KeepSchedule
from tests.api.conftest import NOW_MS, Api, service

WWW = "/v1/services/www.example.org"
ONE, TWO, SIX = "192.0.2.10", "192.0.2.11", "2001:db8::12"


def in_dns(api: Api) -> list[str]:
    published: list[str] = api.get(WWW).json()["published"]
    return published


def test_drain_and_undrain(api: Api) -> None:
    """A drained endpoint is out of DNS at once; author, reason and end are shown; taken back it is in again."""
    said = api.put(
        f"{WWW}/endpoints/{ONE}/drain", json={"for_s": 1800}, headers={"Qdns-Reason": "kernel"}
    ).json()
    assert (True, False) == (said["changed"], said["places"][0]["published"])
    assert [TWO, SIX] == in_dns(api)
    override = api.get(WWW).json()["endpoints"][0]["override"]
    assert ("drain", "local", "kernel") == tuple(override[key] for key in ("kind", "author", "reason"))
    assert "2023-11-14T22:43:20.000Z" == override["until_at"]
    assert 409 == api.call("DELETE", f"{WWW}/endpoints/{ONE}/force").status_code
    assert api.call("DELETE", f"{WWW}/endpoints/{ONE}/drain").json()["changed"]
    assert not api.call("DELETE", f"{WWW}/endpoints/{ONE}/drain").json()["changed"]
    assert [ONE, TWO, SIX] == in_dns(api)


def test_its_time_is_counted_by_the_committed_clock(api: Api) -> None:
    """It ends when an entry says that its time has come, on all nodes at one index."""
    api.put(f"{WWW}/endpoints/{ONE}/drain", json={"for_s": 10})
    api.cluster.do(KeepSchedule(NOW_MS + 9_999))
    assert [TWO, SIX] == in_dns(api)
    api.cluster.do(KeepSchedule(NOW_MS + 10_000))
    assert [ONE, TWO, SIX] == in_dns(api)


def test_force(api: Api) -> None:
    """An endpoint is taken for up or down whatever the votes say."""
    api.cluster.vote(ONE, False)
    assert [TWO, SIX] == in_dns(api)
    assert 200 == api.put(f"{WWW}/endpoints/{ONE}/force", json={"verdict": "up"}).status_code
    assert [ONE, TWO, SIX] == in_dns(api)
    api.put(f"{WWW}/endpoints/{ONE}/force", json={"verdict": "down"})
    assert ("down", "forced down") == tuple(
        api.get(WWW).json()["endpoints"][0][key] for key in ("verdict", "reason")
    )
    assert 422 == api.put(f"{WWW}/endpoints/{ONE}/force", json={"verdict": "maybe"}).status_code
    assert 404 == api.put(f"{WWW}/endpoints/192.0.2.99/force", json={"verdict": "up"}).status_code


def test_patterns_mean_all_or_nothing(api: Api) -> None:
    """Patterns are read where they are carried out; what would empty a service changes no endpoint."""
    refused = api.call("POST", "/v1/overrides", json={"places": ["www.example.org/*"], "action": "drain"})
    assert 409 == refused.status_code
    assert "this would leave www.example.org. without any record: 3 of 3" in refused.json()["detail"]
    assert [ONE, TWO, SIX] == in_dns(api)
    body = {
        "places": ["WWW.example.org./192.0.2.1?", f"*/{SIX.upper()}"],
        "action": "drain",
        "allow_empty": True,
    }
    said = api.call("POST", "/v1/overrides", json=body).json()
    assert [(ONE, False), (TWO, False), (SIX, False)] == [
        (e["address"], e["published"]) for e in said["places"]
    ]
    assert said["index"] == api.cluster.state.index
    said = api.call("POST", "/v1/overrides", json={"places": ["*/*"], "action": "release"}).json()
    assert 3 == len(said["places"])
    assert [ONE, TWO, SIX] == in_dns(api)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"places": ["www.example.org/10.*"], "action": "drain"}, 404, "no endpoint is www.example.org/10.*"),
        ({"places": ["www.example.org"], "action": "drain"}, 422, "does not say which endpoints"),
        ({"places": [], "action": "drain"}, 422, "at least 1"),
        ({"places": ["*/*"], "action": "explode"}, 422, "action"),
        ({"places": ["*/*"], "action": "drain", "for_s": -1}, 422, "greater than 0"),
    ],
)
def test_bad_patterns(api: Api, body: Any, status: int, sentence: str) -> None:
    """What means nothing is refused, and nothing changes."""
    index = api.cluster.state.index
    refused = api.call("POST", "/v1/overrides", json=body)
    assert status == refused.status_code
    assert sentence in refused.json()["detail"]
    assert index == api.cluster.state.index


def test_an_automation_never_replaces_what_a_person_said(api: Api) -> None:
    """A script may drain, and a person has the last word."""
    api.put(f"{WWW}/endpoints/{ONE}/force", json={"verdict": "up"})
    assert not api.put(f"{WWW}/endpoints/{ONE}/drain", json={"automated": True}).json()["changed"]
    assert "up" == api.get(WWW).json()["endpoints"][0]["override"]["kind"]


def test_maintenance(api: Api) -> None:
    """DNS stays as it is while work goes on; the end is judged anew."""
    said = api.put(f"{WWW}/maintenance", json={"for_s": 3600}, headers={"Qdns-Reason": "db"}).json()
    assert (True, 3, 3) == (said["maintenance"]["active"], said["published"], said["endpoints"])
    api.cluster.vote(ONE, False)
    assert [ONE, TWO, SIX] == in_dns(api)
    assert api.call("DELETE", f"{WWW}/maintenance").json()["changed"]
    assert [TWO, SIX] == in_dns(api)


def test_planned_maintenance(api: Api) -> None:
    """It begins when its time has come; for_s counts from there."""
    said = api.put(f"{WWW}/maintenance", json={"from_at": "2023-11-14T23:00:00Z", "for_s": 60}).json()
    assert (False, "2023-11-14T23:01:00.000Z") == (
        said["maintenance"]["active"],
        said["maintenance"]["until_at"],
    )
    for wrong in ("tomorrow", "2023-11-14T23:00:00"):
        assert 422 == api.put(f"{WWW}/maintenance", json={"from_at": wrong}).status_code


def test_failover_to_a_drained_standby_and_back(api: Api) -> None:
    """In one step: what else there is goes down, what is wanted is released."""
    api.put(f"{WWW}/endpoints/{TWO}/drain")
    said = api.put(f"{WWW}/failover", json={"to": TWO}).json()
    assert [TWO] == in_dns(api)
    assert [(TWO, True), (ONE, False), (SIX, False)] == [(e["address"], e["published"]) for e in said["places"]]
    assert api.call("DELETE", f"{WWW}/failover").json()["changed"]
    assert [ONE, TWO, SIX] == in_dns(api)
    assert not api.call("DELETE", f"{WWW}/failover").json()["changed"]
    refused = api.put(f"{WWW}/failover", json={"to": "mars"})
    assert (404, True) == (refused.status_code, ONE in refused.json()["detail"])


def test_failover_to_what_is_down_is_refused_where_it_would_empty_the_service(api: Api) -> None:
    """Without fail-open nothing keeps it in DNS."""
    api.cluster.do(PutService(service(ONE, TWO, fail_open_percent=100)))
    api.cluster.vote(TWO, False)
    assert 409 == api.put(f"{WWW}/failover", json={"to": TWO}).status_code
    assert 200 == api.put(f"{WWW}/failover", json={"to": TWO, "allow_empty": True}).status_code
    assert [] == in_dns(api)


def test_refresh(api: Api) -> None:
    """Every target that follows the service's zone is read anew."""
    asked: list[str] = []
    api.context = replace(api.context, refresh_target=lambda name: asked.append(name) is None)
    assert ["knot"] == api.call("POST", f"{WWW}/refresh").json()["targets"]
    assert ["knot"] == asked
    assert 404 == api.call("POST", "/v1/services/none.example.org/refresh").status_code


def test_what_somebody_wanted_is_no_fault(api: Api) -> None:
    """The status tells of it as a note: the cluster is as well as without it."""
    api.put(f"{WWW}/endpoints/{ONE}/drain", headers={"Qdns-Reason": "kernel"})
    api.cluster.vote(ONE, False)
    api.cluster.vote(TWO, True)
    api.cluster.vote(SIX, True)
    problems = api.get("/v1/status").json()["problems"]
    found = [each for each in problems if "www.example.org" in each["text"]]
    assert [("drained", "note")] == [(each["code"], each["severity"]) for each in found]
    assert "www.example.org 192.0.2.10 is drained by local (kernel)" == found[0]["text"]
    assert ["qdns", "endpoint", "undrain", "www.example.org/192.0.2.10"] == found[0]["next"]
    page = api.get("/").text
    assert "◌</i> drained" in page
    assert "by local: kernel" in page


def test_nobody_is_alarmed_during_maintenance(api: Api) -> None:
    """Endpoints that go down meanwhile are told in the note."""
    api.put(f"{WWW}/maintenance")
    for address in (ONE, TWO, SIX):
        api.cluster.vote(address, False)
    found = [each for each in api.get("/v1/status").json()["problems"] if "www.example.org" in each["text"]]
    assert [("maintenance", "note")] == [(each["code"], each["severity"]) for each in found]
    assert "3 of 3 endpoints are down" in found[0]["text"]
    assert "maintenance: stays in DNS as it is" in api.get("/").text


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("endpoints:operate", 200),
        ("services:write", 200),
        ("admin", 200),
        ("read", 403),
        ("records:write", 403),
    ],
)
def test_scope(api: Api, scope: str, status: int) -> None:
    """Operating has a scope of its own, which writers of services and administrators have too."""
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    api.context = replace(api.context, tokens=(Token("ops", digest, (scope,)),), trusted_loopback=False)
    headers = {"Authorization": "Bearer abc"}
    assert status == api.put(f"{WWW}/endpoints/{ONE}/drain", headers=headers).status_code
    if scope == "endpoints:operate":
        assert 403 == api.call("DELETE", WWW, headers=headers).status_code


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("tag:rack7", "12"),
        ("tag:RACK*", "12"),
        ("site:fra", "13"),
        ("site:*", "13"),
        ("192.0.2.0/31", "1"),
        ("192.0.2.0/24", "123"),
        ("2001:db8::/32", "6"),
        ("192.0.2.0/99", ""),
        ("tag:", ""),
    ],
)
def test_endpoints_are_meant_in_many_ways(pattern: str, meant: str) -> None:
    """By tag, by site, and by network, of either family."""
    endpoints = {
        "1": Endpoint("192.0.2.1", site="fra", tags=("rack7", "old")),
        "2": Endpoint("192.0.2.2", tags=("rack7",)),
        "3": Endpoint("192.0.2.3", site="FRA"),
        "6": Endpoint("2001:db8::1"),
    }
    assert list(meant) == [key for key, each in endpoints.items() if is_meant(each, pattern)]
