"""What Prometheus scrapes: every number equals the status, the text is in order, and lists are bounded."""

import asyncio
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node.api.context import ProbeSummary, PushProgress, Token, TrustSummary
from node.api.metrics.exposition import expose
from node.api.metrics.sight import Limits, take
from node.api.status import build, local_row
from node.dns.answer_counts import answer_row
from node.dns.answerer_stats import LINE_WORDS
from node.dns.counters import Counters
from node.state.command import PutZone
from node.state.pushes import ReportPush
from node.zone.name import from_text
from tests.api.conftest import NOW_MS, SETTINGS, Api, FakeCluster, Peer

Labels = frozenset[tuple[str, str]]


def read(text: str) -> dict[tuple[str, Labels], float]:
    """Return every sample of a text by name and labels; none may come twice."""
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    found = {(each.name, frozenset(each.labels.items())): each.value for each in samples}
    assert len(samples) == len(found)
    return found


def at(found: dict[tuple[str, Labels], float], name: str, **labels: str) -> float:
    """Return one sample of ours."""
    return found[f"qdns_{name}", frozenset(labels.items())]


def answers() -> dict[str, Any]:
    """Return what a DNS server has counted."""
    counted = Counters()
    counted.queries.update({("udp", "A"): 7, ("tcp", "TXT"): 2})
    counted.responses.update({"NOERROR": 8, "NXDOMAIN": 1})
    counted.dropped["limited"] = 3
    counted.failures = 1
    return answer_row(counted, [0] * LINE_WORDS, 0)


@pytest.fixture(name="busy")
def _busy(cluster: FakeCluster) -> Api:
    """Give a node something of everything."""
    cluster.vote("192.0.2.10", True)
    cluster.vote("192.0.2.11", False, "ns1", "ns2")
    cluster.do(ReportPush("knot", "ns2", 2, True))
    peers = (Peer("ns2", match_index=3), Peer("ns3", connected=False, last_contact_s=None))
    cluster.replica = replace(cluster.replica, peers=peers, stale_s=0.25, commit_index=cluster.state.index + 4)
    return Api(
        cluster,
        answers=answers,
        probes=lambda: ProbeSummary(True, 3, 2),
        trust=lambda: TrustSummary(NOW_MS),
        pushes=lambda: [PushProgress("knot", 4)],
    )


def test_the_log_equals_the_status(busy: Api) -> None:
    """Role, term, indexes, quorum and peers are those of the node's own row."""
    found, row = read(busy.get("/metrics").text), local_row(busy.context)
    for key in ("term", "commit_index", "applied_index", "lag_entries"):
        assert row[key] == at(found, f"raft_{key}")
    assert 4 == at(found, "raft_lag_entries")
    assert [1, 0, 0, 0] == [
        at(found, "raft_role", role=each) for each in ("leader", "follower", "candidate", "learner")
    ]
    assert (1, 1, 1, 0.25) == tuple(
        at(found, f"raft_{each}")
        for each in ("has_quorum", "has_leader", "ready", "leader_last_contact_seconds")
    )
    assert (1, 0) == tuple(at(found, "raft_peer_connected", peer=each) for each in ("ns2", "ns3"))
    assert (2, 1) == (at(found, "raft_peers"), at(found, "raft_connected_peers"))
    assert 0.01 == at(found, "raft_peer_last_contact_seconds", peer="ns2")
    assert row["commit_index"] - 3 == at(found, "raft_peer_lag_entries", peer="ns2")
    assert not [key for key in found if "_peer_last" in key[0] and ("peer", "ns3") in key[1]]
    assert (row["probes"]["endpoints"], row["probes"]["late"]) == (
        at(found, "probe_endpoints"),
        at(found, "probe_late_endpoints"),
    )
    assert 1 == at(found, "build_info", cluster="prod", node="ns1", version="1.0.0")
    assert (NOW_MS - 3_600_000) / 1000 == found["process_start_time_seconds", frozenset()]
    assert NOW_MS / 1000 == at(found, "certificate_expiry_timestamp_seconds")


def test_the_state_equals_the_status(busy: Api) -> None:
    """Zones, verdicts, votes and pushes are those of the status document."""
    found, status = read(busy.get("/metrics").text), build(busy.context, {})
    (zone,), (service,), (push,) = status["zones"], status["services"], status["pushes"]
    assert (zone["serial"], zone["rrsets"]) == (
        at(found, "zone_serial", zone="example.org"),
        at(found, "zone_rrsets", zone="example.org"),
    )
    assert (1, zone["rrsets"], 1, 3, 1) == tuple(
        at(found, each) for each in ("zones", "rrsets", "services", "endpoints", "push_targets")
    )
    assert {"up", "down", "undecided"} == {each["verdict"] for each in service["endpoints"]}
    for each in service["endpoints"]:
        one = {"service": service["fqdn"], "address": each["address"]}
        assert each["published"] == at(found, "endpoint_published", **one)
        for verdict in ("up", "down", "undecided"):
            assert (each["verdict"] == verdict) == at(found, "endpoint_verdict", **one, verdict=verdict)
        for vote in each["votes"]:
            assert vote["up"] == at(found, "endpoint_vote_up", **one, node=vote["node"])
            assert 0.012 == at(found, "endpoint_probe_seconds", **one, node=vote["node"])
    assert 5 == len([name for name, _ in found if name == "qdns_endpoint_vote_up"])
    assert service["fail_open"] == at(found, "service_fail_open", service=service["fqdn"])
    assert ("behind", 4, 2) == (push["state"], push["wanted"], push["plan"])
    assert (4, 2, 2, 1, 0, NOW_MS / 1000) == (
        at(found, "push_wanted_index", target="knot"),
        at(found, "push_applied_index", target="knot"),
        at(found, "push_behind_entries", target="knot"),
        at(found, "push_state", target="knot", state="behind"),
        at(found, "push_state", target="knot", state="synced"),
        at(found, "push_last_success_timestamp_seconds", target="knot"),
    )


def test_dns_counters_equal_the_status(busy: Api) -> None:
    """What was answered is counted by transport, type and rcode, what was not by reason."""
    found, row = read(busy.get("/metrics").text), local_row(busy.context)["answers"]
    for key, name, label in (
        ("queries", "dns_queries_total", "transport"),
        ("types", "dns_queries_by_type_total", "type"),
        ("rcodes", "dns_responses_total", "rcode"),
        ("dropped", "dns_dropped_total", "reason"),
    ):
        assert row[key]
        assert row[key] == {dict(labels)[label]: v for (n, labels), v in found.items() if n == f"qdns_{name}"}
    assert (1, 0) == (at(found, "dns_failures_total"), at(found, "dns_cache_hits_total"))


def test_requests_are_counted(busy: Api) -> None:
    """Responses are counted by method and code; a method that nobody knows makes no label of its own."""
    busy.get("/healthz")
    busy.get("/v1/zones/nowhere.test")
    busy.call("BREW", "/healthz")
    found = read(busy.get("/metrics").text)
    assert {("GET", "200"): 1, ("GET", "404"): 1, ("other", "405"): 1} == {
        (dict(labels)["method"], dict(labels)["code"]): value
        for (name, labels), value in found.items()
        if name == "qdns_api_requests_total"
    }


def test_more_than_the_limit_is_counted_only(cluster: FakeCluster) -> None:
    """Of many objects the first in canonical order have metrics, and the text says how many have not."""
    for number in (3, 1, 2):
        cluster.do(PutZone(from_text(f"z{number}.test"), SETTINGS))
    found = read(expose(take(cluster.context()), Limits(zones=2, endpoints=2, targets=0)).decode())
    assert {"example.org", "z1.test"} == {
        dict(labels)["zone"] for name, labels in found if name == "qdns_zone_serial"
    }
    assert {"zone": 2, "service": 1, "endpoint": 3, "target": 1} == {
        dict(labels)["kind"]: value
        for (name, labels), value in found.items()
        if name == "qdns_metrics_left_out"
    }
    assert (4, 3) == (at(found, "zones"), at(found, "endpoints"))
    assert not [name for name, _ in found if name.startswith(("qdns_endpoint_", "qdns_push_state"))]


def test_odd_names_are_escaped(cluster: FakeCluster) -> None:
    """A zone whose name holds quotes and backslashes is read back as it is."""
    cluster.do(PutZone(from_text('a\\"b.test'), SETTINGS))
    zones = build(cluster.context(), {})["zones"]
    found = read(expose(take(cluster.context())).decode())
    for row in zones:
        assert row["serial"] == at(found, "zone_serial", zone=row["zone"])


def test_who_may_read(cluster: FakeCluster) -> None:
    """The rule is that of the status: everybody on this machine, or whoever has a token."""
    api = Api(cluster, tokens=(Token("prometheus", "0" * 64, ("read",)),), trusted_loopback=False)
    for path in ("/metrics", "/v1/status"):
        assert 401 == api.get(path).status_code
    distant = Api(cluster)
    distant.client_address = "192.0.2.99"
    for path in ("/metrics", "/v1/status"):
        assert 403 == distant.get(path).status_code
    assert 200 == Api(cluster).get("/metrics").status_code


def test_the_head_and_the_format(busy: Api) -> None:
    """HEAD gives the headers; the content type names the format."""
    whole, head = busy.get("/metrics"), busy.call("HEAD", "/metrics")
    assert "text/plain; version=0.0.4; charset=utf-8" == whole.headers["content-type"]
    assert (200, b"", whole.headers["content-type"]) == (
        head.status_code,
        head.content,
        head.headers["content-type"],
    )
    assert whole.text.endswith("\n")


def test_nothing_is_waited_for(busy: Api) -> None:
    """Without quorum the metrics come as ever, and nothing is proposed."""
    proposed = len(busy.cluster.entries)

    async def never(_timeout_s: float) -> Any:
        await asyncio.Event().wait()

    busy.cluster.replica = replace(busy.cluster.replica, has_quorum=False, leader=None, role="candidate")
    api = Api(busy.cluster, read_barrier=never)
    found = read(api.get("/metrics").text)
    assert (0, 0, 1) == (
        at(found, "raft_has_quorum"),
        at(found, "raft_has_leader"),
        at(found, "raft_role", role="candidate"),
    )
    assert proposed == len(busy.cluster.entries)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say(busy: Api) -> None:
    """Names, units, types and help texts are as Prometheus wants them."""
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        check=False,
        input=busy.get("/metrics").content,
        capture_output=True,
        timeout=60,
    )
    assert (0, "") == (done.returncode, (done.stdout + done.stderr).decode())
