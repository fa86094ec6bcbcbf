"""What a node counts beside its rooms: bounded, and in the shape that Prometheus wants."""

from node.state.state import Event
from node.tally import OTHER, SERVICES_MAX, TIMES_MAX, Histogram, Tally
from node.zone.name import from_text

WWW = from_text("www.example.org")


def test_a_histogram_counts_up_to_its_bounds() -> None:
    """Each bound includes its own value; the last is infinity."""
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.add(value)
    assert [("0.1", 2.0), ("1", 3.0), ("+Inf", 4.0)] == histogram.cumulative()
    assert (4, 7.65) == (histogram.count, histogram.sum)


def test_probes_are_counted_by_service_as_far_as_there_is_room() -> None:
    """Ten thousand services do not make ten thousand counters, and none is forgotten."""
    tally = Tally("ns1")
    for number in range(5 * SERVICES_MAX):
        tally.probe_ended(from_text(f"s{number}.example.org"), True, 0.01)
    assert 2 * SERVICES_MAX + 1 == len(tally.probes)
    assert 3 * SERVICES_MAX == tally.probes[OTHER, True]
    assert 5 * SERVICES_MAX == tally.probe_times.count
    assert TIMES_MAX == len(tally.recent_probes())
    assert [] == tally.recent_probes()


def test_what_the_log_decides_is_counted() -> None:
    """Verdicts by what they became, and the votes of others."""
    tally = Tally("ns1")

    def event(kind: str, **data: str) -> Event:
        return Event(1, 0, 0, kind, "", "", data=data)

    votes = [event("vote.cast", node=node) for node in ("ns1", "ns2", "ns3")]
    tally.committed([event("verdict.changed", after="down"), event("zone.changed"), *votes])
    assert ({"down": 1}, 2) == (dict(tally.transitions), tally.votes_received)


def test_pushes_are_counted_by_target_and_result() -> None:
    """How long each attempt took, too."""
    tally = Tally("ns1")
    tally.push_ended("knot", True, 0.2)
    tally.push_ended("knot", False, 20.0)
    assert {("knot", True): 1, ("knot", False): 1} == dict(tally.pushes)
    assert [("10", 1.0), ("+Inf", 2.0)] == tally.push_times.cumulative()[-2:]
