"""Certificates, refusals and clocks in the status: who is meant, what is wrong, what to do."""

from typing import Any

import pytest

from node.api.context import TrustSummary
from node.api.message import PeerAnswer
from node.api.peers import _offset_s
from node.api.status import build, local_row
from node.api.trust_problems import find_trust_problems, trust_row
from tests.api.conftest import NOW_MS, FakeCluster

DAY_MS = 86_400_000


def row(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "certificate": None, "refusals": {}, "clock_offset_s": None} | fields


def told(*rows: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(code, severity, text) for code, severity, text, _ in find_trust_problems("ns1", rows)]


def ending(name: str, in_days: float, problem: str = "") -> dict[str, Any]:
    summary = TrustSummary(NOW_MS + int(in_days * DAY_MS), problem)
    return row(name, **trust_row(summary, NOW_MS))


@pytest.mark.parametrize(
    ("in_days", "expected"),
    [
        (31, []),
        (29.5, [("certificate_ends_soon", "warning")]),
        (0.5, [("certificate_ends_soon", "warning")]),
        (-0.5, [("certificate_expired", "critical")]),
    ],
)
def test_the_end_of_a_certificate_is_told_in_time(in_days: float, expected: list[tuple[str, str]]) -> None:
    """Nothing while there is time, a warning in the last 30 days, critical afterwards; with the command that renews."""
    found = list(find_trust_problems("ns1", [ending("ns3", in_days)]))
    assert expected == [each[:2] for each in found]
    assert [("qdns", "init", "--renew", "ns3")] * len(expected) == [each[3] for each in found]
    assert all("ns3" in each[2] for each in found)


def test_files_that_are_not_in_use_are_told() -> None:
    """A node that keeps its old certificate says why."""
    ((code, _, text),) = told(ending("ns2", 300, "The node cannot use the key /k: denied."))
    assert "certificate_unusable" == code
    assert "ns2 goes on with its old certificate files: The node cannot use the key /k: denied." == text


def test_a_refusal_is_told_once_with_all_who_see_it() -> None:
    """Two nodes that refuse a third for one reason make one line."""
    refusals = {"ns3": "has a certificate that has expired"}
    found = told(row("ns1", refusals=refusals), row("ns2", refusals=refusals), row("ns3"))
    text = "ns1, ns2: no connection with ns3, which has a certificate that has expired"
    assert [("node_refused", "warning", text)] == found


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ({"ns2": 4.9, "ns3": -4.9}, []),
        ({"ns2": 0.1, "ns3": 12.0}, ["the clock of ns3 is 12.0 s ahead of the clock of ns1; set both by NTP"]),
        ({"ns2": -30.0}, ["the clock of ns2 is 30.0 s behind the clock of ns1; set both by NTP"]),
        (
            {"ns2": 60.0, "ns3": 60.5},
            ["the clock of ns1 is 60.5 s behind the clocks of ns2, ns3; set it by NTP"],
        ),
        (
            {"ns2": 60.0, "ns3": -60.5},
            [
                "the clock of ns2 is 60.0 s ahead of the clock of ns1; set both by NTP",
                "the clock of ns3 is 60.5 s behind the clock of ns1; set both by NTP",
            ],
        ),
    ],
)
def test_the_clock_that_is_off_is_named(offsets: dict[str, float], expected: list[str]) -> None:
    """More than 5 s apart is told, with the node whose clock stands alone."""
    rows = [row("ns1"), *(row(name, clock_offset_s=offset_s) for name, offset_s in offsets.items())]
    assert expected == [text for _, _, text in told(*rows)]


def test_the_offset_is_measured_halfway() -> None:
    """A slow answer is not a wrong clock; a row without a clock tells nothing."""
    assert 0.0 == _offset_s({"clock_ms": 100_500}, 100.0, 101.0)
    assert 10.0 == _offset_s({"clock_ms": 110_500}, 100.0, 101.0)
    assert _offset_s({}, 100.0, 101.0) is None


def test_the_status_document_carries_them(cluster: FakeCluster) -> None:
    """A peer's clock and refusals come from its answer, and stand among the problems."""
    own = local_row(cluster.context())
    third = own | {"name": "ns3", "role": "follower", "refusals": {"ns2": "has another shared secret"}}
    answers = {"ns2": PeerAnswer(own | {"name": "ns2"}, clock_offset_s=7.0), "ns3": PeerAnswer(third)}
    status = build(cluster.context(), answers)
    assert {"clock_off", "node_refused"} <= {each["code"] for each in status["problems"]}
    assert [None, 7.0, None] == [each["clock_offset_s"] for each in status["nodes"]]
