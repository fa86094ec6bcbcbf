"""``/v1/nodes``: the members, and what is asked of the leader about them."""

import hashlib
from typing import Any

import pytest

from node.api.context import Token
from node.api.message import PeerAnswer
from node.api.status import build, local_row
from node.state.command import Member
from raft.proposal import Committed, NotCommitted, Outcome
from tests.api.conftest import Api, FakeCluster


class Asked:
    """Remembers what the leader was asked, and answers as told."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.calls: list[tuple[Any, ...]] = []

    async def __call__(self, kind: str, name: str, **more: Any) -> Outcome:
        self.calls.append((kind, name, more))
        return self.outcome


def test_lists_and_shows_the_nodes(api: Api) -> None:
    """The rows are those of the status."""
    rows = api.call("GET", "/v1/nodes").json()["items"]
    assert ["ns1", "ns2", "ns3"] == [row["name"] for row in rows]
    assert ["voter"] * 3 == [row["part"] for row in rows]
    assert "ns2" == api.call("GET", "/v1/nodes/ns2").json()["name"]
    assert (404, "not_found") == (
        api.call("GET", "/v1/nodes/ns9").status_code,
        api.call("GET", "/v1/nodes/ns9").json()["code"],
    )


def test_a_node_is_let_in(cluster: FakeCluster) -> None:
    """What only the State knows of it travels with the change."""
    asked = Asked(Committed(77, None))
    api = Api(cluster, change_nodes=asked)
    body = {"raft": "192.0.2.4:7300", "api": "https://192.0.2.4:7380", "site": "ams", "role": "replica"}
    answer = api.call("PUT", "/v1/nodes/ns4", json=body, headers={"Qdns-Reason": "edge"})
    assert (200, 77, "77") == (answer.status_code, answer.json()["index"], answer.headers["Qdns-Index"])
    ((kind, name, more),) = asked.calls
    assert ("add", "ns4", "192.0.2.4:7300", "replica", "edge") == (
        kind,
        name,
        more["raft"],
        more["role"],
        more["reason"],
    )
    assert Member("ns4", api="https://192.0.2.4:7380", site="ams") == more["member"]


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [("PUT", "/v1/nodes/ns4", {"raft": "192.0.2.4:7300"}), ("POST", "/v1/nodes/ns3/replace", {})],
)
@pytest.mark.parametrize(
    "url",
    ["192.0.2.4:7380", "ftp://192.0.2.4:7380", "http://ns4/x", "javascript:alert(1)", "http://" + "a" * 300],
)
def test_an_api_that_is_no_url_is_refused(
    cluster: FakeCluster, method: str, path: str, more: dict[str, str], url: str
) -> None:
    """Other nodes and browsers are sent there, so it is a URL of HTTP or nothing reaches the leader."""
    asked = Asked(Committed(77, None))
    answer = Api(cluster, change_nodes=asked).call(method, path, json={"api": url, **more})
    assert (422, ["/api"]) == (answer.status_code, [each["pointer"] for each in answer.json()["errors"]])
    assert [] == asked.calls


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("DELETE", "/v1/nodes/ns3", "remove"),
        ("POST", "/v1/nodes/ns3/replace", "replace"),
        ("POST", "/v1/nodes/ns3/lead", "lead"),
    ],
)
def test_the_other_changes_reach_the_leader(cluster: FakeCluster, method: str, path: str, kind: str) -> None:
    """One call each, and the answer carries the log index."""
    asked = Asked(Committed(78, None))
    answer = Api(cluster, change_nodes=asked).call(method, path)
    assert (200, 78) == (answer.status_code, answer.json()["index"])
    assert (kind, "ns3") == asked.calls[0][:2]


def test_a_refusal_is_a_conflict_that_says_why(cluster: FakeCluster) -> None:
    """The leader's sentence reaches the caller."""
    api = Api(cluster, change_nodes=Asked(NotCommitted("refused", "the quorum would be lost")))
    answer = api.call("DELETE", "/v1/nodes/ns3")
    assert (409, "conflict") == (answer.status_code, answer.json()["code"])
    assert "the quorum would be lost" in answer.json()["detail"]


def test_no_leader_is_told_as_for_any_write(cluster: FakeCluster) -> None:
    """Nothing was changed, and the code says so."""
    api = Api(cluster, change_nodes=Asked(NotCommitted("no-leader", "nobody leads")))
    assert (503, "no_leader") == (
        api.call("DELETE", "/v1/nodes/ns3").status_code,
        api.call("DELETE", "/v1/nodes/ns3").json()["code"],
    )


def test_changes_need_the_scope_of_administrators(cluster: FakeCluster) -> None:
    """A token that may write records and services may not touch the cluster."""
    secret = "s" * 32
    token = Token("ci", hashlib.sha256(secret.encode()).hexdigest(), ("write",))
    api = Api(cluster, tokens=(token,), trusted_loopback=False, change_nodes=Asked(Committed(1, None)))
    answer = api.call("DELETE", "/v1/nodes/ns3", headers={"Authorization": f"Bearer {secret}"})
    assert 403 == answer.status_code


@pytest.mark.parametrize("name", ["a b", "ns4%2F", "ns%00", "x" * 64, "né"])
def test_a_name_must_be_a_word(cluster: FakeCluster, name: str) -> None:
    """What will stand in file names, certificates and log lines is plain."""
    asked = Asked(Committed(1, None))
    answer = Api(cluster, change_nodes=asked).call("PUT", f"/v1/nodes/{name}", json={"raft": "192.0.2.4:7300"})
    assert answer.status_code in (404, 422)
    assert [] == asked.calls


def test_files_that_differ_are_a_problem(cluster: FakeCluster) -> None:
    """Nodes whose files say otherwise in what all share are named, those of the smaller side first."""
    context = cluster.context(config_hash=lambda: "aaaaaaaaaaaa")
    own = local_row(context)
    answers = {
        "ns2": PeerAnswer(own | {"name": "ns2", "config_hash": "bbbbbbbbbbbb"}),
        "ns3": PeerAnswer(own | {"name": "ns3"}),
    }
    told = {each["code"]: each["text"] for each in build(context, answers)["problems"]}
    assert "the configuration files of ns2 and ns1, ns3 differ in what all share" == told["config_drift"]
    answers["ns2"] = PeerAnswer(own | {"name": "ns2", "config_hash": ""})
    assert "config_drift" not in {each["code"] for each in build(context, answers)["problems"]}


def test_what_differs_is_a_problem(cluster: FakeCluster) -> None:
    """A configuration that says otherwise is shown, never followed."""
    api = Api(cluster, configured={"ns1": "127.0.0.1:7300", "ns2": "127.0.0.9:7300", "ns4": "127.0.0.4:7300"})
    problems = {each["code"]: each["text"] for each in api.call("GET", "/v1/status").json()["problems"]}
    assert "ns4 is configured and no node of it" in problems["config_differs"]
    assert "ns3 is a node of it and not configured" in problems["config_differs"]
    assert "ns2 is configured at 127.0.0.9:7300 and reached at 127.0.0.2:7300" in problems["config_differs"]
