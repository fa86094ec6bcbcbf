"""The votes of the past under other settings: what would have come or gone."""

from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.health.rule import Rule
from node.health.steadiness import Failback, FlapLimit
from node.state.command import DropVotes, PutService
from node.state.operations import ClearOverrides, EndWaits, KeepSchedule, Place, SetMaintenance, SetOverrides
from node.state.whatif import PLAYED_MAX, WhatIf, compare
from tests.state.play import NODES, WWW
from tests.state.test_overrides import ADDRESSES, ONE, THREE, TWO, Cluster

BEGIN_MS = 1_000_000


def asked(cluster: Cluster, **changes: object) -> WhatIf:
    known = cluster.state.services[WWW]
    other = msgspec.structs.replace(known.service, **changes)
    return compare(cluster.state, known, other, BEGIN_MS, cluster.now_ms)


def told(found: WhatIf) -> list[tuple[str, str]]:
    words = {(True, True): "same", (True, False): "gone", (False, True): "new"}
    return [(each.address, words[each.present is not None, each.other is not None]) for each in found.rows]


def vote(cluster: Cluster, seconds: float, address: str, word: str, *nodes: str) -> None:
    cluster.now_ms += round(seconds * 1000)
    cluster.cast(address, word == "up", *nodes)


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    """Three endpoints that three nodes have called up."""
    cluster = Cluster(recheck_ms=500, fall=3, rise=2)
    for address in ADDRESSES:
        vote(cluster, 0, address, "up", *NODES)
    return cluster


def test_as_it_is_nothing_differs(cluster: Cluster) -> None:
    """What was withdrawn is found again, with its times and its reason."""
    vote(cluster, 10, ONE, "down", "n1", "n2")
    vote(cluster, 30, ONE, "up", "n1")
    vote(cluster, 10, TWO, "down", *NODES)
    found = asked(cluster)
    assert [(ONE, "same"), (TWO, "same")] == told(found)
    (first, second) = [each.present for each in found.rows]
    assert first is not None
    assert second is not None
    assert (BEGIN_MS + 10_000, BEGIN_MS + 40_000, "down") == (first.out_ms, first.back_ms, first.reason)
    assert (BEGIN_MS + 50_000, 0) == (second.out_ms, second.back_ms)
    assert (15, ()) == (found.votes, found.notes)


def test_another_rule(cluster: Cluster) -> None:
    """With any node's word one alone withdraws; with all nodes' word two do not."""
    vote(cluster, 10, ONE, "down", "n1")
    vote(cluster, 10, ONE, "up", "n1")
    vote(cluster, 10, TWO, "down", "n1", "n2")
    vote(cluster, 10, TWO, "up", "n1", "n2")
    assert [(TWO, "same")] == told(asked(cluster))
    assert [(ONE, "new"), (TWO, "same")] == told(asked(cluster, rule=Rule("any")))
    assert [(TWO, "gone")] == told(asked(cluster, rule=Rule("all")))


def test_a_higher_fall_spares_what_was_short(cluster: Cluster) -> None:
    """A vote comes later, and never where the endpoint was well again before."""
    vote(cluster, 10, ONE, "down", *NODES)
    vote(cluster, 2, ONE, "up", *NODES)
    vote(cluster, 10, TWO, "down", *NODES)
    vote(cluster, 60, TWO, "up", *NODES)
    found = asked(cluster, fall=10)
    assert [(ONE, "gone"), (TWO, "same")] == told(found)
    present, other = found.rows[1].present, found.rows[1].other
    assert present is not None
    assert other is not None
    assert (3_500, 0) == (other.out_ms - present.out_ms, other.back_ms - present.back_ms)


def test_a_lower_fall_moves_what_is_known(cluster: Cluster) -> None:
    """It says that more may have come, of which nothing is known."""
    vote(cluster, 10, ONE, "down", *NODES)
    vote(cluster, 60, ONE, "up", *NODES)
    found = asked(cluster, fall=1)
    present, other = found.rows[0].present, found.rows[0].other
    assert present is not None
    assert other is not None
    assert -1_000 == other.out_ms - present.out_ms
    assert "fewer than 3 bad probes" in found.notes[0]


def test_fail_open_and_waits(cluster: Cluster) -> None:
    """What keeps and what holds back is played as well, by the times of then."""
    vote(cluster, 10, ONE, "down", *NODES)
    vote(cluster, 10, TWO, "down", *NODES)
    vote(cluster, 10, ONE, "up", *NODES)
    vote(cluster, 10, TWO, "up", *NODES)
    vote(cluster, 300, THREE, "down", "n1")
    found = asked(cluster, fail_open_percent=50)
    assert [(ONE, "same"), (TWO, "same")] == told(found)
    assert found.rows[0].other is not None
    assert found.rows[1].other is not None
    assert BEGIN_MS + 20_000 == found.rows[0].other.back_ms
    assert BEGIN_MS + 30_000 == found.rows[1].other.out_ms
    found = asked(cluster, failback=Failback("after", 60_000))
    assert found.rows[0].other is not None
    assert BEGIN_MS + 90_000 == found.rows[0].other.back_ms
    assert [(ONE, "same"), (TWO, "same")] == told(asked(cluster, flap_limit=FlapLimit(2, 60_000, 60_000)))


def test_operators_and_lost_leases_are_played(cluster: Cluster) -> None:
    """A drain is one whatever the rule, maintenance keeps what is there, votes that were dropped count no more."""
    cluster.now_ms += 10_000
    cluster.do(SetOverrides((Place(WWW, ONE),), "drain"))
    cluster.now_ms += 10_000
    cluster.do(ClearOverrides((Place(WWW, ONE),)))
    cluster.do(SetMaintenance(WWW, True))
    vote(cluster, 10, TWO, "down", *NODES)
    vote(cluster, 10, TWO, "up", *NODES)
    cluster.do(SetMaintenance(WWW, False))
    cluster.do(DropVotes("n1"))
    vote(cluster, 10, THREE, "down", "n2")
    found = asked(cluster, rule=Rule("any"))
    assert [(ONE, "same"), (THREE, "new")] == told(found)


def test_who_came_back_when(cluster: Cluster) -> None:
    """At once, after a time, or when somebody said so: as it was then, and as it would be in each other way."""
    as_it_is = msgspec.structs.replace(cluster.state.services[WWW].service, failback=Failback("manual"))
    cluster.do(PutService(as_it_is))
    vote(cluster, 10, ONE, "down", *NODES)
    vote(cluster, 10, ONE, "up", *NODES)
    cluster.now_ms += 100_000
    cluster.do(EndWaits((Place(WWW, ONE),)))
    vote(cluster, 10, TWO, "down", *NODES)
    vote(cluster, 10, TWO, "up", *NODES)
    for failback, one_ms, two_ms in (
        (Failback("manual"), 120_000, 0),
        (Failback(), 20_000, 140_000),
        (Failback("after", 30_000), 50_000, 0),
    ):
        found = asked(cluster, failback=failback)
        assert [(ONE, "same"), (TWO, "same")] == told(found)
        backs = [
            each.other.back_ms - BEGIN_MS if each.other and each.other.back_ms else 0 for each in found.rows
        ]
        assert [one_ms, two_ms] == backs
        presents = [each.present.back_ms for each in found.rows if each.present]
        assert [BEGIN_MS + 120_000, 0] == presents
    cluster.now_ms += 30_000
    later = asked(cluster, failback=Failback("after", 30_000)).rows[1].other
    assert later is not None
    assert BEGIN_MS + 170_000 == later.back_ms


def test_only_what_is_asked_and_held(cluster: Cluster) -> None:
    """Absences that began before are left out; of a long history the newest part is played, from when is said."""
    vote(cluster, 10, ONE, "down", *NODES)
    vote(cluster, 10, ONE, "up", *NODES)
    known = cluster.state.services[WWW]
    assert 0 == len(compare(cluster.state, known, known.service, cluster.now_ms, cluster.now_ms).rows)
    for _ in range(PLAYED_MAX // 8):
        vote(cluster, 1, TWO, "down", *NODES)
        vote(cluster, 1, TWO, "up", *NODES)
    assert asked(cluster).begins_ms > BEGIN_MS


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "rule": st.sampled_from([Rule("any"), Rule("all"), Rule("count", 2)]),
        "fail_open_percent": st.sampled_from([0, 50, 100]),
        "failback": st.sampled_from([Failback("after", 5_000), Failback("manual")]),
        "flap_limit": st.just(FlapLimit(2, 60_000, 5_000)),
        "min_up": st.integers(0, 3),
    },
)
VOTES = st.lists(
    st.tuples(
        st.sampled_from(ADDRESSES), st.sampled_from(["up", "down"]), st.sampled_from(NODES), st.integers(0, 9)
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(VOTES, SETTINGS)
def test_a_play_is_what_the_cluster_would_have_done(
    votes: list[tuple[str, str, str, int]], changes: dict[str, object]
) -> None:
    """A dumb twin that really had these settings, and the same votes, saw the same absences; nothing is changed."""
    as_it_is, as_it_might_be = Cluster(), Cluster(**changes)
    seen: list[tuple[str, int]] = []
    for address, word, node, seconds in votes:
        for _ in range(seconds):
            as_it_is.now_ms += 1_000
            as_it_might_be.now_ms += 1_000
            seen += gone_by(as_it_might_be, lambda: as_it_might_be.do(KeepSchedule(as_it_might_be.now_ms)))
        as_it_is.cast(address, word == "up", node)
        seen += gone_by(as_it_might_be, partial(as_it_might_be.cast, address, word == "up", node))
        as_it_might_be.do(KeepSchedule(as_it_might_be.now_ms))
    state = as_it_is.state
    found = asked(as_it_is, **changes)
    assert state is as_it_is.state
    assert sorted(seen) == sorted(
        (each.other.address, each.other.out_ms) for each in found.rows if each.other is not None
    )


def gone_by(cluster: Cluster, act: Callable[[], None]) -> list[tuple[str, int]]:
    """Act, and return what that took out of DNS, with the time."""
    before = cluster.published
    act()
    return [(each, cluster.now_ms) for each in before if each not in cluster.published]
