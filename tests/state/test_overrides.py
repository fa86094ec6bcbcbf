"""Drain, force and maintenance: what operators say, committed, with an end, over the heads of votes."""

import msgspec
import pytest

from node.health.rule import Rule
from node.health.service import Check, Endpoint, Service
from node.state.command import (
    Member,
    PutService,
    Seed,
)
from node.state.operations import (
    ClearOverrides,
    KeepSchedule,
    Place,
    SetMaintenance,
    SetOverrides,
)
from node.state.overrides import next_due_ms
from node.state.snapshot import dump, load
from tests.state.play import NODES, WWW, ZONE, Play, places

ONE, TWO, THREE = ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


class Cluster(Play):
    """One service of three endpoints, in no zone of ours."""

    def __init__(self, **fields: object) -> None:
        super().__init__(now_ms=1_000_000)
        self.do(Seed(tuple(Member(name) for name in NODES)))
        service = Service(WWW, ZONE, Check("tcp", 80), tuple(map(Endpoint, ADDRESSES)), fail_open_percent=100)
        self.do(PutService(msgspec.structs.replace(service, **fields)))

    @property
    def published(self) -> tuple[str, ...]:
        return self.state.services[WWW].published


def test_a_drained_endpoint_leaves_dns_and_comes_back() -> None:
    """Whatever the votes say; it has an author and a reason."""
    cluster = Cluster()
    cluster.cast(ONE, True)
    cluster.do(SetOverrides(places(ONE), "drain"))
    assert (TWO, THREE) == cluster.published
    ((_, override),) = cluster.state.services[WWW].overrides
    assert ("alice", "work", "drain") == (override.author, override.reason, override.kind)
    assert "endpoint.drained" in cluster.kinds
    cluster.do(ClearOverrides(places(ONE)))
    assert ADDRESSES == cluster.published
    assert "endpoint.released" in cluster.kinds


def test_forced_verdicts_go_before_votes_which_are_still_counted() -> None:
    """Down although all say up, and up although all say down; then the votes decide again."""
    cluster = Cluster()
    for address in ADDRESSES:
        cluster.cast(address, address != ONE)
    cluster.do(SetOverrides(places(ONE), "up"))
    cluster.do(SetOverrides(places(TWO), "down"))
    assert (ONE, THREE) == cluster.published
    cluster.cast(ONE, True)
    cluster.do(ClearOverrides(places(ONE, TWO)))
    assert ADDRESSES == cluster.published


def test_what_is_taken_out_on_purpose_is_outside_the_count() -> None:
    """Two of three drained, the third down: that is all of them down, not a third."""
    cluster = Cluster(fail_open_percent=50)
    cluster.do(SetOverrides(places(ONE), "drain"))
    cluster.cast(TWO, False)
    assert (THREE,) == cluster.published
    assert not cluster.state.services[WWW].fail_open
    cluster.cast(THREE, False)
    assert (TWO, THREE) == cluster.published
    assert cluster.state.services[WWW].fail_open


def test_of_two_drains_of_the_last_two_endpoints_exactly_one_wins() -> None:
    """Each alone is fine; who comes second in the log is refused, and nothing of it is done."""
    cluster = Cluster()
    cluster.do(SetOverrides(places(ONE), "drain"))
    cluster.do(SetOverrides(places(TWO), "drain"))
    before = cluster.state.services
    refused = cluster.do_refused(SetOverrides(places(THREE), "down"))
    assert "would leave www.example.org. without any record" in refused.detail
    assert "--allow-empty" in refused.hint
    assert before == cluster.state.services
    cluster.do(SetOverrides(places(THREE), "drain", allow_empty=True))
    assert () == cluster.published


def test_all_or_nothing() -> None:
    """One endpoint that is not there, and none is drained."""
    cluster = Cluster()
    assert "not-found" == cluster.do_refused(SetOverrides(places(ONE, "192.0.2.9"), "drain")).code
    assert ADDRESSES == cluster.published
    assert "not-found" == cluster.do_refused(SetOverrides((Place(ZONE, ONE),), "drain")).code
    assert "invalid" == cluster.do_refused(SetOverrides((), "drain")).code


def test_an_automation_never_replaces_what_a_person_said() -> None:
    """The other way round it does."""
    cluster = Cluster()
    cluster.do(SetOverrides(places(ONE), "drain"))
    cluster.do(SetOverrides(places(ONE), "up", automated=True))
    assert "drain" == dict(cluster.state.services[WWW].overrides)[ONE].kind
    cluster.do(SetOverrides(places(TWO), "down", automated=True))
    cluster.do(SetOverrides(places(TWO), "up"))
    assert "up" == dict(cluster.state.services[WWW].overrides)[TWO].kind


def test_an_override_ends_by_itself_at_one_index() -> None:
    """The leader says what time it is; all nodes decide alike."""
    cluster = Cluster()
    cluster.do(SetOverrides(places(ONE), "drain", until_ms=2_000_000))
    assert 2_000_000 == next_due_ms(cluster.state.services[WWW])
    cluster.do(KeepSchedule(1_999_999))
    assert (TWO, THREE) == cluster.published
    cluster.do(KeepSchedule(2_000_000))
    assert ADDRESSES == cluster.published
    assert next_due_ms(cluster.state.services[WWW]) is None


def test_maintenance_freezes_what_stands_and_judges_at_its_end() -> None:
    """Votes go on being counted; nothing is withdrawn, nobody is alarmed."""
    cluster = Cluster()
    cluster.do(SetMaintenance(WWW, on=True))
    for address in ADDRESSES:
        cluster.cast(address, False)
    assert ADDRESSES == cluster.published
    assert "service.down" not in cluster.kinds
    cluster.cast(TWO, True)
    cluster.do(SetMaintenance(WWW, on=False))
    assert (TWO,) == cluster.published
    assert ["maintenance.begun", "maintenance.ended"] == [
        kind for kind in cluster.kinds if kind.startswith("maintenance")
    ]


def test_planned_maintenance_begins_and_ends_by_the_clock() -> None:
    """What is planned changes nothing before its time."""
    cluster = Cluster()
    cluster.do(SetMaintenance(WWW, on=True, from_ms=2_000_000, until_ms=3_000_000))
    cluster.cast(ONE, False)
    assert (TWO, THREE) == cluster.published
    cluster.do(KeepSchedule(2_000_000))
    cluster.cast(TWO, False)
    assert (TWO, THREE) == cluster.published
    cluster.do(KeepSchedule(3_000_000))
    assert (THREE,) == cluster.published
    refused = cluster.do_refused(SetMaintenance(WWW, on=True, from_ms=5, until_ms=5))
    assert "end before it begins" in refused.detail


def test_a_changed_definition_keeps_what_operators_said() -> None:
    """Of endpoints that stay; what was said of one that goes, goes with it."""
    cluster = Cluster()
    cluster.do(SetOverrides(places(ONE, TWO), "drain"))
    service = cluster.state.services[WWW].service

    cluster.do(PutService(msgspec.structs.replace(service, endpoints=service.endpoints[1:], ttl=9)))
    assert [TWO] == [address for address, _ in cluster.state.services[WWW].overrides]
    assert (THREE,) == cluster.published


def test_overrides_are_part_of_the_snapshot() -> None:
    """A node that restores one decides as the others do."""
    cluster = Cluster(rule=Rule("count", 2))
    cluster.do(SetOverrides(places(ONE), "drain", until_ms=7))
    cluster.do(SetMaintenance(WWW, on=True))
    assert cluster.state == load(dump(cluster.state))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"when_down": "nodata"}, ()),
        ({"when_down": "all"}, ADDRESSES),
        ({"when_down": "fallback", "fallback": ("198.51.100.1",)}, ("198.51.100.1",)),
        ({"when_down": "last_good"}, (THREE,)),
        ({"min_up": 1}, ADDRESSES),
    ],
)
def test_what_stands_when_all_is_down_is_the_operators_choice(
    fields: dict[str, object], expected: tuple[str, ...]
) -> None:
    """Judged for the whole service, in whatever order the endpoints go."""
    cluster = Cluster(**fields)
    for address in ADDRESSES:
        cluster.cast(address, False)
    assert expected == cluster.published


def test_answers_can_be_limited_to_the_best() -> None:
    """By priority, then weight; the next one takes the place of one that is down."""
    endpoints = (Endpoint(ONE, priority=2), Endpoint(TWO, weight=5), Endpoint(THREE, weight=9))
    cluster = Cluster(endpoints=endpoints, max_answers=1)
    assert (THREE,) == cluster.published
    cluster.cast(THREE, False)
    assert (TWO,) == cluster.published


def test_what_operators_change_counts_as_a_change_of_what_is_published() -> None:
    """So that push targets follow a drain at once, not only when they are read again."""
    cluster = Cluster()
    before = cluster.state.services[WWW].published_index
    cluster.do(SetOverrides(places(ONE), "drain"))
    assert before < cluster.state.services[WWW].published_index == cluster.state.index
    cluster.cast(TWO, True)
    assert cluster.state.services[WWW].published_index < cluster.state.index


def test_some_are_taken_out_and_others_let_go_in_one_step() -> None:
    """A failover to a drained endpoint never leaves the service without any record in between."""
    cluster = Cluster()
    cluster.do(SetOverrides(places(TWO), "drain"))
    cluster.do(SetOverrides(places(ONE, THREE), "down", released=places(TWO)))
    assert (TWO,) == cluster.published
    refused = cluster.do_refused(SetOverrides(places(TWO), "down", released=()))
    assert "without any record" in refused.detail


def test_fallback_addresses_are_ours_to_take_away_where_they_were_pushed() -> None:
    """Also when the service has other ones by now."""
    cluster = Cluster(when_down="fallback", fallback=("198.51.100.9",))
    cluster.do(
        PutService(
            msgspec.structs.replace(cluster.state.services[WWW].service, when_down="nodata", fallback=())
        )
    )
    assert ("198.51.100.9",) == cluster.state.services[WWW].retired
