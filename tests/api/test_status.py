"""The status document: rows of nodes, what is a problem, and the one word for all of it."""

from dataclasses import replace
from typing import Any

import pytest

from node.api.context import ProbeSummary, PushProgress, ReceiverRow, Vital
from node.api.message import PeerAnswer
from node.api.status import build, local_row
from node.state.pushes import ReportPush
from node.state.state import Receiver
from tests.api.conftest import NOW_MS, Api, FakeCluster, Peer


def peers(cluster: FakeCluster, **fields: Any) -> dict[str, PeerAnswer]:
    """Return rows of two healthy peers, with these fields changed in the second."""
    row = local_row(cluster.context())
    second = row | {"name": "ns2", "role": "follower"}
    third = row | {"name": "ns3", "role": "follower"} | fields
    return {"ns2": PeerAnswer(second), "ns3": PeerAnswer(third)}


def decided(cluster: FakeCluster) -> FakeCluster:
    """Let every endpoint be voted up."""
    for address in ("192.0.2.10", "192.0.2.11", "2001:db8::12"):
        cluster.vote(address, True)
    return cluster


def codes(status: dict[str, Any]) -> list[str]:
    """Return the codes of the problems."""
    return [problem["code"] for problem in status["problems"]]


def test_healthy(cluster: FakeCluster) -> None:
    """A cluster at peace has one row a node and no problems."""
    decided(cluster)
    status = build(cluster.context(), peers(cluster))
    assert ("healthy", []) == (status["health"], status["problems"])
    assert [("ns1", "fra", "leader", 0), ("ns2", "ams", "follower", 0), ("ns3", "lhr", "follower", 0)] == [
        (row["name"], row["site"], row["role"], row["lag_entries"]) for row in status["nodes"]
    ]
    assert [{"zone": "example.org", "serial": 2, "rrsets": 4}] == status["zones"]
    assert 1 == len(status["services"])
    assert ("knot", "behind") == (status["pushes"][0]["target"], status["pushes"][0]["state"])


def test_unreachable_node_is_a_row(cluster: FakeCluster) -> None:
    """A node that does not answer is a row with the reason, what the leader knows, and since when."""
    decided(cluster)
    lost = Peer("ns3", connected=False, last_contact_s=130.0, match_index=2)
    cluster.replica = replace(cluster.replica, peers=(Peer("ns2"), lost))
    answers = peers(cluster) | {"ns3": PeerAnswer(error="connection refused 127.0.0.3:7380")}
    status = build(cluster.context(), answers)
    row = status["nodes"][2]
    assert ("unreachable", None, 2, cluster.state.index - 2) == (
        row["state"],
        row["role"],
        row["commit_index"],
        row["lag_entries"],
    )
    problem = status["problems"][0]
    assert "ns3 is unreachable since 22:11:10 UTC (connection refused 127.0.0.3:7380)" == problem["text"]
    assert ("degraded", ["qdns", "node", "show", "ns3"]) == (status["health"], problem["next"])


def test_differing_digests_come_first(cluster: FakeCluster) -> None:
    """Two states at one index are critical and stand first."""
    decided(cluster)
    cluster.vote("192.0.2.10", False)
    status = build(cluster.context(), peers(cluster, state_digest="0000"))
    assert ("critical", "digest_mismatch") == (status["health"], codes(status)[0])
    assert "digest_mismatch" not in codes(
        build(cluster.context(), peers(cluster, state_digest="0000", applied_index=1))
    )


@pytest.mark.parametrize(
    ("fields", "code", "sentence"),
    [
        ({"has_quorum": False, "leader": None}, "no_quorum", "in contact with 1 of 3 nodes"),
        ({"leader": None, "role": "follower"}, "no_leader", "an election is going on"),
    ],
)
def test_without_a_leader(cluster: FakeCluster, fields: Any, code: str, sentence: str) -> None:
    """Without quorum or leader the status is critical and says what still works."""
    lonely = tuple(replace(peer, connected=False) for peer in cluster.replica.peers)
    cluster.replica = replace(cluster.replica, peers=lonely, **fields)
    status = build(cluster.context(), {})
    problem = status["problems"][0]
    assert ("critical", code) == (status["health"], problem["code"])
    assert sentence in problem["text"]
    assert "answering DNS from commit" in problem["text"]


def test_endpoints_down(cluster: FakeCluster) -> None:
    """One endpoint down is told with its votes, most of them down as fail-open, all down as critical."""
    decided(cluster)
    cluster.vote("2001:db8::12", False, "ns1", "ns2")
    status = build(cluster.context(), peers(cluster))
    assert "www.example.org 2001:db8::12 is withdrawn: 2 of 3 nodes say down" == status["problems"][0]["text"]
    assert ["qdns", "service", "show", "www.example.org"] == status["problems"][0]["next"]
    cluster.vote("192.0.2.11", False)
    assert ["fail_open"] == codes(build(cluster.context(), peers(cluster)))
    cluster.vote("192.0.2.10", False)
    status = build(cluster.context(), peers(cluster))
    assert ("critical", ["service_down"]) == (status["health"], codes(status))


def test_undecided_for_long(cluster: FakeCluster) -> None:
    """An endpoint without a majority is a problem once it should have had one."""
    assert [] == codes(build(cluster.context(), peers(cluster)))
    cluster.now_ms = NOW_MS + 11_000
    status = build(cluster.context(), peers(cluster))
    assert ["undecided", "push_behind"] == codes(status)
    assert "192.0.2.10, 192.0.2.11, 2001:db8::12" in status["problems"][0]["text"]


def test_receivers_that_take_nothing(cluster: FakeCluster) -> None:
    """Who is to be told of events and fails is a problem with a next step; who is new, or takes them, is none."""
    decided(cluster)
    rows = (
        ReceiverRow("mail", "mail", "mx.test", Receiver(7, 9, failures=3, node="ns2", detail="HTTP 503")),
        ReceiverRow("new", "script", "/bin/page", None),
        ReceiverRow("ops", "webhook", "hooks.test", Receiver(7, 9, accepted=3)),
    )
    status = build(cluster.context(receivers=lambda: rows), peers(cluster))
    (problem,) = status["problems"]
    assert ("degraded", "receiver_failing") == (status["health"], problem["code"])
    assert problem["text"] == (
        "receiver mail is told nothing: 3 tries in a row failed, the last by ns2: HTTP 503"
    )
    assert ["qdns", "notify", "test", "mail"] == problem["next"]


def test_a_failing_push(cluster: FakeCluster) -> None:
    """A push target that refuses is a problem, with what it said and where to look."""
    decided(cluster)
    cluster.do(ReportPush("knot", "ns2", 5, False, "NOTAUTH"))
    context = cluster.context(pushes=lambda: [PushProgress("knot", 5)])
    (problem,) = build(context, peers(cluster))["problems"]
    assert ("push_failing", "push knot fails: NOTAUTH") == (problem["code"], problem["text"])
    assert ["qdns", "push", "show", "knot"] == problem["next"]


def test_pushes(cluster: FakeCluster) -> None:
    """A push is idle, behind, failing or synced; the last failure says why."""
    decided(cluster)

    def state(wanted: int) -> tuple[str, str]:
        context = cluster.context(pushes=lambda: [PushProgress("knot", wanted)])
        row = build(context, peers(cluster))["pushes"][0]
        return row["state"], row["detail"]

    assert ("idle", "") == state(0)
    assert ("behind", "") == state(5)
    cluster.do(ReportPush("knot", "ns2", 5, False, "NOTAUTH"))
    assert ("failing", "NOTAUTH") == state(5)
    assert "push knot fails: NOTAUTH" in [
        problem["text"]
        for problem in build(cluster.context(pushes=lambda: [PushProgress("knot", 5)]), peers(cluster))[
            "problems"
        ]
    ]
    cluster.do(ReportPush("knot", "ns1", 5, True))
    assert ("synced", "") == state(5)


def test_other_nodes_troubles(cluster: FakeCluster) -> None:
    """Lag, late probes, a starting and a cut off node are told of."""
    decided(cluster)
    late = {"running": True, "endpoints": 3, "late": 2}
    status = build(
        cluster.context(),
        peers(cluster, applied_index=-500, probes=late, quorum=False),
    )
    assert ["node_isolated", "node_lags", "probes_late"] == codes(status)
    assert ["node_starting"] == codes(build(cluster.context(), peers(cluster, state="starting")))


def test_how_a_node_probes(cluster: FakeCluster) -> None:
    """A share of probes that begin late is told with how late and how loaded; a node that is isolated or cannot probe is told of."""
    decided(cluster)
    behind = ProbeSummary(endpoints=3, late_percent=12.5, delay_ms=340, load=1.25)
    (problem,) = build(cluster.context(probes=lambda: behind), peers(cluster))["problems"]
    expected = "12.5 % of the probes of ns1 begin late, by up to 340 ms (load 1.25): its votes come late"
    assert ("probes_late", "warning", expected) == (problem["code"], problem["severity"], problem["text"])
    now_and_then = ProbeSummary(endpoints=3, late_percent=0.5, delay_ms=200, load=0.1)
    assert [] == codes(build(cluster.context(probes=lambda: now_and_then), peers(cluster)))
    isolated = build(cluster.context(probes=lambda: ProbeSummary(isolated=True)), peers(cluster))
    assert ["probes_isolated"] == codes(isolated)
    (stale,) = build(cluster.context(probes=lambda: ProbeSummary(stale=3)), peers(cluster))["problems"]
    expected = "ns1 has had no result of 3 endpoints for too long: it does not vote on them"
    assert ("probes_stale", expected) == (stale["code"], stale["text"])


def test_over_http(api: Api) -> None:
    """The document comes over HTTP; scope=local is this node's own row only."""
    status = api.get("/v1/status").json()
    assert ("prod", "ns1", 3, 1) == (
        status["cluster"],
        status["leader"],
        status["term"],
        status["commit_index"],
    )
    assert ["ns2", "ns3"] == [row["name"] for row in status["nodes"] if row["state"] == "unreachable"]
    local = api.get("/v1/status?scope=local").json()
    assert ("ns1", "leader", ["127.0.0.1:9000"]) == (local["name"], local["role"], local["dns"])
    assert 400 == api.get("/v1/status?scope=galaxy").status_code


def test_readiness(api: Api) -> None:
    """/readyz says part by part what is missing; DNS answers need no leader."""
    assert (200, "[+]node ok\n[+]leader ok\n[+]store ok\n") == (
        api.get("/readyz").status_code,
        api.get("/readyz").text,
    )
    api.cluster.replica = replace(api.cluster.replica, leader=None, has_quorum=False)
    assert (503, "[+]node ok\n[-]leader not ok: no leader is known\n[+]store ok\n") == (
        api.get("/readyz").status_code,
        api.get("/readyz").text,
    )
    assert 200 == api.get("/readyz?noleader").status_code
    assert (200, "[+]raft ok\n[+]dns ok\n") == (api.get("/healthz").status_code, api.get("/healthz").text)


@pytest.mark.parametrize(
    ("sick", "worth_keeping", "ready", "well"),
    [
        ("raft", "[-]raft not ok: why\n[+]dns ok\n", "[+]node ok\n[+]leader ok\n[-]store not ok: why\n", 503),
        ("dns", "[+]raft ok\n[-]dns not ok: why\n", "[-]node not ok: why\n[+]leader ok\n[+]store ok\n", 503),
        ("probes", "[+]raft ok\n[+]dns ok\n", "[+]node ok\n[+]leader ok\n[+]store ok\n", 503),
    ],
)
def test_health_of_the_parts(
    cluster: FakeCluster, sick: str, worth_keeping: str, ready: str, well: int
) -> None:
    """Each part that stands still is told where it counts: late probes are no reason to restart or to be passed over."""

    async def vitals() -> tuple[Vital, ...]:
        return tuple(Vital(part, "why" if part == sick else "") for part in ("raft", "dns", "probes"))

    api = Api(cluster, vitals=vitals)
    for path, text in (("/healthz", worth_keeping), ("/readyz", ready)):
        reply = api.get(path)
        assert (503 if "[-]" in text else 200, text) == (reply.status_code, reply.text)
    health = api.get("/health")
    assert well == health.status_code
    assert f"[-]{sick} not ok: why\n" in health.text


def test_a_node_that_has_not_caught_up_is_alive_and_not_ready(cluster: FakeCluster) -> None:
    """Nobody should restart it, and nobody should ask it."""
    cluster.replica = replace(cluster.replica, ready=False)
    api = Api(cluster)
    assert (200, 503, 503) == tuple(api.get(path).status_code for path in ("/healthz", "/readyz", "/health"))
