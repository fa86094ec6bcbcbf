"""Uptime and charts as pure functions."""

from hypothesis import given
from hypothesis import strategies as st

from node.api.dash.chart import BOTTOM, HEIGHT, TOP, chart
from node.api.dash.past import Uptime, uptime
from node.api.views import DAY_MS
from tests.api.conftest import NOW_MS, WWW, FakeCluster

ADDRESS = "192.0.2.10"
HOUR_MS = 3_600_000


def uptime_of(cluster: FakeCluster, span_ms: int) -> Uptime:
    known = dict(cluster.state.services[WWW].endpoints)[ADDRESS]
    return uptime(cluster.state, WWW, (ADDRESS, known), cluster.now_ms, span_ms)


def test_uptime(cluster: FakeCluster) -> None:
    """It counts the time for which a verdict is known, within the span, and says how much that is."""
    assert Uptime(None, 0) == uptime_of(cluster, DAY_MS)
    cluster.vote(ADDRESS, True)
    cluster.now_ms = NOW_MS + 3 * HOUR_MS
    cluster.vote(ADDRESS, False)
    cluster.now_ms += HOUR_MS
    assert Uptime(75.0, 4 * HOUR_MS) == uptime_of(cluster, DAY_MS)
    assert Uptime(50.0, 2 * HOUR_MS) == uptime_of(cluster, 2 * HOUR_MS)
    assert Uptime(0.0, HOUR_MS // 2) == uptime_of(cluster, HOUR_MS // 2)
    cluster.now_ms += 2 * DAY_MS
    assert Uptime(0.0, DAY_MS) == uptime_of(cluster, DAY_MS)


@given(st.lists(st.none() | st.integers(0, 10**6), min_size=1, max_size=96))
def test_a_chart_holds_every_value(values: list[int | None]) -> None:
    """Whatever was measured lies between the axes, a gap is not bridged, and the words tell the extremes."""
    drawn = chart({"ns1": values}, 60)
    known = [value for value in values if value is not None]
    path = drawn.lines[0].path
    points = [float(part.split()[1].split("h")[0]) for part in path.replace("L", "M").split("M") if part]
    assert len(known) == len(points)
    assert all(TOP <= y <= HEIGHT - BOTTOM for y in points)
    runs = sum(value is not None and (not at or values[at - 1] is None) for at, value in enumerate(values))
    assert runs == path.count("M")
    expected = f"{known[-1]} ms at last, {min(known)} to {max(known)} ms" if known else "nothing measured"
    if len(set(known)) == 1:
        expected = f"{known[0]} ms throughout"
    assert expected == drawn.lines[0].text
    assert "now" == drawn.columns[-1][1]
