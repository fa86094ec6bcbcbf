"""Lags and leaders of late: what one node remembers, what it tells, and what the cluster's page makes of all nodes'."""

from dataclasses import replace
from typing import Any

import pytest

from node.api.course import CELLS, LEADERS_MAX, STEP_S, Course, Reign, first_seen, together
from node.api.handlers.course import gathered
from node.api.message import PeerAnswer
from tests.api.conftest import NOW_MS, Api, FakeCluster, Peer, Replica
from tests.api.test_page import text

STEP_MS = STEP_S * 1000
LEADING = Replica(commit_index=100, applied_index=98, peers=(Peer("ns2", match_index=60), Peer("ns3")))


def test_a_leader_knows_how_far_the_others_are() -> None:
    """Each step holds the most that was seen in it; who has told nothing yet is unknown, not far behind."""
    course = Course()
    course.look(LEADING, NOW_MS)
    course.look(replace(LEADING, applied_index=100, peers=(Peer("ns2", match_index=90),)), NOW_MS + 1)
    course.look(
        replace(LEADING, peers=(Peer("ns2", match_index=100), Peer("ns3", match_index=0))), NOW_MS + STEP_MS
    )
    lags = course.lags(NOW_MS + STEP_MS)
    assert {"ns1", "ns2"} == set(lags)
    assert [None] * (CELLS - 2) + [40, 0] == lags["ns2"]
    assert [2, 2] == lags["ns1"][-2:]


def test_who_hears_no_leader_knows_nothing() -> None:
    """A node that is cut off does not say that it has everything."""
    course = Course()
    course.look(Replica(role="follower", leader=None, commit_index=9, applied_index=9), NOW_MS)
    assert {} == course.lags(NOW_MS)
    assert () == course.reigns


def test_a_quarter_of_an_hour_is_kept() -> None:
    """Older steps give way, also when the clock was set back, and names that are gone go with them."""
    course = Course()
    for step in range(3 * CELLS):
        course.look(
            replace(LEADING, peers=(Peer(f"n{step // CELLS}", match_index=1),)), NOW_MS + step * STEP_MS
        )
    last_ms = NOW_MS + (3 * CELLS - 1) * STEP_MS
    assert {"ns1": [2] * CELLS, "n2": [99] * CELLS} == course.lags(last_ms)
    assert {} == course.lags(last_ms + CELLS * STEP_MS)
    course.look(LEADING, NOW_MS)
    assert 2 == course.lags(NOW_MS)["ns1"][-1]


def test_leaders_by_term() -> None:
    """A term is remembered once; what a node finds at its start did not begin then; old ones give way."""
    course = Course()
    course.look(Replica(ready=False, leader=None, term=2), NOW_MS)
    course.look(Replica(role="follower", leader="ns2", term=3), NOW_MS + 1)
    course.look(Replica(role="follower", leader=None, term=3), NOW_MS + 2)
    course.look(Replica(role="follower", leader="ns2", term=3), NOW_MS + 3)
    course.look(Replica(leader="ns1", term=5), NOW_MS + 4)
    assert (Reign(3, "ns2", NOW_MS + 1, began=False), Reign(5, "ns1", NOW_MS + 4, began=True)) == course.reigns
    for term in range(6, 6 + 2 * LEADERS_MAX):
        course.look(Replica(term=term), NOW_MS + term)
    assert LEADERS_MAX == len(course.reigns)


def test_what_several_nodes_saw() -> None:
    """The most that anybody tells, and each term as it was first seen to begin."""
    assert {"a": [None] * (CELLS - 2) + [3, 7]} == together(
        [{"a": [None] * (CELLS - 2) + [3, None]}, {"a": [None] * (CELLS - 2) + [1, 7]}]
    )
    seen = (Reign(1, "a", 50, True), Reign(2, "b", 60, False), Reign(2, "b", 70, True), Reign(2, "b", 65, True))
    assert [Reign(2, "b", 65, True), Reign(1, "a", 50, True)] == list(first_seen(seen))


def told(**fields: Any) -> dict[str, PeerAnswer]:
    row = {
        "name": "ns2",
        "step_s": STEP_S,
        "step": NOW_MS // STEP_MS,
        "lag_entries": {"ns3": [None] * (CELLS - 1) + [5]},
        "leaders": [{"term": 4, "leader": "ns3", "at": "2023-11-14T22:00:00.000Z", "began": True}],
    }
    return {"ns2": PeerAnswer(row=row | fields)}


@pytest.mark.parametrize(("ahead", "place"), [(0, -1), (-2, -3)])
def test_a_peer_in_another_step(cluster: FakeCluster, ahead: int, place: int) -> None:
    """What the others tell is laid where it belongs by their clocks."""
    lags, reigns = gathered(cluster.context(), told(step=NOW_MS // STEP_MS + ahead))
    assert 5 == lags["ns3"][place]
    assert 1 == sum(each is not None for each in lags["ns3"])
    assert ["ns3"] == [each.leader for each in reigns]


@pytest.mark.parametrize(
    "fields",
    [
        {"step_s": 60, "leaders": None},
        {"step": "now", "leaders": ["x", {"term": "x"}]},
        {"lag_entries": [1], "leaders": [{"term": 1, "leader": "a", "at": "yesterday"}]},
        {"lag_entries": {"ns3": [0] * (CELLS + 1)}, "leaders": [{"term": 1, "leader": None, "at": None}]},
        {"lag_entries": {"ns3": [-1] * CELLS}, "leaders": {}},
        {"lag_entries": {"ns3": ["0"] * CELLS}, "leaders": [{"term": 1, "leader": "a", "at": 5}]},
    ],
)
def test_a_strange_answer_is_left_out(cluster: FakeCluster, fields: dict[str, Any]) -> None:
    """A node of another version spoils nothing."""
    assert ({}, []) == gathered(cluster.context(), told(**fields))


def test_the_page_and_the_api(cluster: FakeCluster) -> None:
    """Both tell the same; without scripts the chart is words and the leaders are a table."""
    course = Course()
    course.look(replace(LEADING, term=6), NOW_MS - 3_600_000)
    course.look(replace(LEADING, term=7), NOW_MS)
    api = Api(cluster, course=course)
    row = api.get("/v1/course").json()
    assert (40, STEP_S, "ns1") == (row["lag_entries"]["ns2"][-1], row["step_s"], row["name"])
    assert [6, 7] == [each["term"] for each in row["leaders"]]
    shown = text(api.get("/cluster").text)
    assert "ns1 2 entries throughout; ns2 40 entries throughout; ns3 nothing measured" in shown
    assert "ns1 7 0 s ago ns1 6 1 h 0 min ago or earlier: so a node found it at its start" in shown
    assert "Nothing is known yet." in Api(cluster).get("/cluster").text
