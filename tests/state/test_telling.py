"""What events say of services: each change with what was before, and in words that say why."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from node.health.rule import Rule
from node.health.service import Check, Endpoint, Service
from node.health.steadiness import Failback, FlapLimit
from node.state.command import (
    Ballot,
    CastVotes,
    DeleteService,
    PutService,
)
from node.state.operations import KeepSchedule, SetMaintenance, SetOverrides
from node.state.state import EndpointState, Event, ServiceState
from node.state.undoing import UNDO_OCTETS_MAX, read_undo, undo_of, undone
from node.zone.name import from_text
from tests.state.play import WWW, ZONE, places
from tests.state.test_overrides import ONE, THREE, TWO, Cluster

ENDPOINTS = st.lists(
    st.builds(Endpoint, st.integers(1, 8).map("192.0.2.{}".format), weight=st.integers(1, 2)),
    max_size=8,
    unique_by=lambda each: each.address,
).map(tuple)
SERVICES = st.builds(
    lambda endpoints, **fields: Service(WWW, endpoints=endpoints, **fields),
    ENDPOINTS,
    zone=st.sampled_from([ZONE, from_text("org")]),
    check=st.sampled_from([Check("tcp", 80), Check("http", 80, headers=(("A", "b"),)), Check("push", 0)]),
    ttl=st.sampled_from([5, 60]),
    rule=st.sampled_from([Rule(), Rule("count", 2)]),
    flap_limit=st.sampled_from([None, FlapLimit()]),
    failback=st.sampled_from([Failback(), Failback("after", 20_000)]),
)


def newest(cluster: Cluster, kind: str) -> Event:
    """Return the latest event of a kind."""
    return next(each for _, each in sorted(cluster.state.events.items(), reverse=True) if each.kind == kind)


def test_what_left_dns_and_why() -> None:
    """One event for one change of what is published, with the word for why, whatever it came from."""
    cluster = Cluster(ttl=60, ttl_min=5)
    cluster.cast(ONE, True)
    cluster.do(CastVotes("n1", (Ballot(WWW, ONE, False, 7, "HTTP 503"),)))
    cast = newest(cluster, "vote.cast").data
    assert ("up", "HTTP 503", "7") == tuple(cast[key] for key in ("before", "evidence", "latency_ms"))
    cluster.do(CastVotes("n2", (Ballot(WWW, ONE, False),)))
    assert "majority" == newest(cluster, "verdict.changed").data["rule"]
    told = newest(cluster, "service.published")
    assert f"{ONE} out (down); 2 addresses are in DNS" == told.text
    assert {"service": "www.example.org.", "withdrawn": ONE} == told.data
    cluster.do(SetOverrides(places(TWO), "drain", until_ms=9_000_000))
    assert f"{TWO} out (drained); 1 address is in DNS" == newest(cluster, "service.published").text
    assert "9000000" == newest(cluster, "endpoint.drained").data["until_ms"]
    cluster.do(SetOverrides(places(TWO), "up"))
    assert "drain" == newest(cluster, "endpoint.forced_up").data["before"]
    cluster.do(SetMaintenance(WWW, True, 0, 5_000_000))
    cluster.do(KeepSchedule(6_000_000))
    ended = newest(cluster, "maintenance.ended").data
    assert ("begun", "alice", "work") == tuple(ended[key] for key in ("before", "author", "why"))
    cluster.do(DeleteService(WWW))
    told = newest(cluster, "service.published")
    assert (
        f"{TWO} out (no endpoint any more), {THREE} out (no endpoint any more); no addresses are in DNS"
        == told.text
    )


def test_what_a_definition_has_otherwise() -> None:
    """The fields and the endpoints that changed; a name for a check, a rule and a failback."""
    cluster = Cluster()
    service = cluster.state.services[WWW].service
    endpoints = (Endpoint(TWO), Endpoint(ONE, weight=3), Endpoint("192.0.2.9"))
    other = msgspec.structs.replace(service, endpoints=endpoints, ttl=7, rule=Rule("any"))
    cluster.do(PutService(other))
    told = newest(cluster, "service.changed")
    assert (
        f"ttl 5 -> 7, rule majority -> any; 192.0.2.9 added; {THREE} removed; {ONE}: weight 1 -> 3" == told.text
    )
    cluster.do(PutService(msgspec.structs.replace(other, endpoints=endpoints[::-1])))
    assert "order of endpoints" == newest(cluster, "service.changed").text
    many = tuple(Endpoint(f"192.0.2.{number}") for number in range(10, 20))
    cluster.do(PutService(msgspec.structs.replace(other, endpoints=many)))
    assert "and 6 more added" in newest(cluster, "service.changed").text


@settings(deadline=None)
@given(SERVICES, SERVICES)
def test_there_is_a_way_back(before: Service, after: Service) -> None:
    """From any definition, or from none, to the one it replaced."""
    known = tuple((each.address, EndpointState(verdict="down")) for each in before.endpoints)
    state = ServiceState(before, known, (), fail_open=True, index=1)
    for new in (after, None):
        undo = read_undo(undo_of(state, new))
        assert undo is not None
        assert before == undone(new, undo)
        left = {each.address for each in new.endpoints} if new is not None else set()
        assert {address for address, _ in known if address not in left} == set(undo.gone)


def test_a_way_back_is_short_or_not_kept() -> None:
    """One endpoint of many costs one endpoint; all of them cost too much. What is not kept is told as that."""
    many = tuple(Endpoint(f"2001:db8::{number:x}", name="n" * 60) for number in range(256))
    state = ServiceState(Service(WWW, ZONE, Check("tcp", 80), many), (), (), fail_open=False, index=1)
    one_less = msgspec.structs.replace(state.service, endpoints=many[:100] + many[101:])
    assert len(undo_of(state, one_less)) < 200
    assert b"" == undo_of(state, None)
    assert len(undo_of(state, msgspec.structs.replace(one_less, ttl=9))) < UNDO_OCTETS_MAX
    assert read_undo(b"") is None
    assert read_undo(b"\xc1") is None
    undo = read_undo(undo_of(state, one_less))
    assert undo is not None
    assert undone(None, undo) is None
