"""Commands on services and votes: majority, silence, fail-open, and what reaches the zone."""

import sys
from types import FrameType

import msgspec
import pytest

from node.health.service import Endpoint
from node.state.command import (
    Ballot,
    CastVotes,
    ChangeZone,
    DeleteEndpoint,
    DeleteRRset,
    DeleteService,
    DeleteZone,
    DropVotes,
    Entry,
    Member,
    Prerequisite,
    PutEndpoint,
    PutRRset,
    PutService,
    PutZone,
    Seed,
    encode,
)
from node.state.machine import apply
from node.state.pushes import PutTarget, Target
from node.state.state import Accepted, Refused, State
from node.zone.name import Name, from_text
from node.zone.rrset import AAAA, A, make
from tests.state.conftest import SETTINGS, WWW, ZONE, Cluster, service

IP1, IP2, IP3 = (bytes((192, 0, 2, each)) for each in (1, 2, 3))


def cast(node: str, address: str, up: bool, after_drop: int = 0) -> CastVotes:
    return CastVotes(node, (Ballot(WWW, address, up, 3, "HTTP 503"),), after_drop)


def test_unknown_endpoints_are_published(cluster: Cluster) -> None:
    """Before any verdict every endpoint stands in DNS."""
    assert (IP1, IP2, IP3) == cluster.addresses()


def test_a_majority_withdraws_and_restores(cluster: Cluster) -> None:
    """One down vote of three changes nothing, the second withdraws, two up votes bring it back."""
    cluster.do(cast("ns1", "192.0.2.1", up=False))
    assert (IP1, IP2, IP3) == cluster.addresses()
    cluster.do(cast("ns2", "192.0.2.1", up=False))
    assert (IP2, IP3) == cluster.addresses()
    cluster.do(cast("ns1", "192.0.2.1", up=True))
    assert (IP2, IP3) == cluster.addresses()
    applied = cluster.do(cast("ns3", "192.0.2.1", up=True))
    assert (IP1, IP2, IP3) == cluster.addresses()
    kinds = ["vote.cast", "verdict.changed", "service.published", "zone.changed"]
    assert kinds == [event.kind for event in applied.changed.events]


def test_an_equal_vote_changes_nothing(cluster: Cluster) -> None:
    """A vote that says what its node said before leaves no trace."""
    cluster.do(cast("ns1", "192.0.2.1", up=False))
    before = cluster.state
    assert Accepted(3, False) == cluster.do(cast("ns1", "192.0.2.1", up=False)).result
    assert before.services is cluster.state.services


def test_a_dropped_vote_counts_for_no_side(cluster: Cluster) -> None:
    """A silent node's votes vanish; the verdict stays, and one vote alone cannot change it."""
    cluster.do(cast("ns1", "192.0.2.1", up=False))
    cluster.do(DropVotes("ns1"))
    cluster.do(cast("ns2", "192.0.2.1", up=False))
    assert (IP1, IP2, IP3) == cluster.addresses()


def test_votes_from_before_a_drop_are_refused(cluster: Cluster) -> None:
    """A ballot on its way while its node's lease ended does not come back to life."""
    cluster.do(cast("ns1", "192.0.2.1", up=True))
    cluster.do(DropVotes("ns1"))
    late = cluster.do(cast("ns1", "192.0.2.1", up=False)).result
    assert isinstance(late, Refused)
    assert "precondition" == late.code
    assert isinstance(cluster.do(cast("ns1", "192.0.2.1", up=False, after_drop=1)).result, Accepted)


def test_dropping_a_node_without_votes_changes_nothing(cluster: Cluster) -> None:
    """A second drop is the same as one."""
    assert Accepted(2, False) == cluster.do(DropVotes("ns2")).result


def test_fail_open_judges_the_whole_service_at_once(cluster: Cluster) -> None:
    """More than half down keeps all; at exactly half or less the dead ones leave again."""
    for address in ("192.0.2.1", "192.0.2.2"):
        cluster.do(cast("ns1", address, up=False))
        cluster.do(cast("ns2", address, up=False))
    assert (IP1, IP2, IP3) == cluster.addresses()
    assert cluster.state.services[WWW].fail_open
    for node in ("ns1", "ns2"):
        cluster.do(cast(node, "192.0.2.2", up=True))
    assert (IP2, IP3) == cluster.addresses()


def test_exactly_half_down_is_not_fail_open(cluster: Cluster) -> None:
    """One of two endpoints down leaves DNS."""
    cluster.do(PutService(service("192.0.2.1", "192.0.2.2")))
    for node in ("ns1", "ns3"):
        cluster.do(cast(node, "192.0.2.1", up=False))
    assert (IP2,) == cluster.addresses()


def test_strangers_cannot_vote(cluster: Cluster) -> None:
    """A vote in the name of no member is refused; one for an unknown endpoint is nothing."""
    assert isinstance(cluster.do(cast("ns9", "192.0.2.1", up=False)).result, Refused)
    assert Accepted(3, False) == cluster.do(cast("ns1", "192.0.2.77", up=False)).result


def test_probe_from_narrows_the_electorate(cluster: Cluster) -> None:
    """Where one node alone probes, its vote is the majority, and others' votes do not count."""
    local = msgspec.structs.replace(
        service("192.0.2.1", "192.0.2.2"),
        endpoints=(Endpoint("192.0.2.1", probe_from=("ns2",)), Endpoint("192.0.2.2")),
    )
    cluster.do(PutService(local))
    cluster.do(cast("ns1", "192.0.2.1", up=False))
    assert (IP1, IP2) == cluster.addresses()
    cluster.do(cast("ns2", "192.0.2.1", up=False))
    assert (IP2,) == cluster.addresses()


def test_active_standby_publishes_the_best_priority(cluster: Cluster) -> None:
    """The standby appears only when no better priority has an endpoint that is not down."""
    endpoints = (Endpoint("192.0.2.1"), Endpoint("192.0.2.2", priority=2))
    cluster.do(PutService(msgspec.structs.replace(service(), endpoints=endpoints, mode="active-standby")))
    assert (IP1,) == cluster.addresses()
    for node in ("ns1", "ns2"):
        cluster.do(cast(node, "192.0.2.1", up=False))
    assert (IP2,) == cluster.addresses()


def test_both_families_have_their_rrset(cluster: Cluster) -> None:
    """IPv6 endpoints stand in an AAAA RRset, which goes when its last endpoint does."""
    cluster.do(PutService(service("192.0.2.1", "2001:db8::1")))
    assert (bytes.fromhex("20010db8000000000000000000000001"),) == cluster.addresses(AAAA)
    cluster.do(DeleteEndpoint(WWW, "2001:db8::1"))
    assert () == cluster.addresses(AAAA)
    assert (IP1,) == cluster.addresses(A)


def test_an_endpoint_keeps_its_votes_when_others_come_and_go(cluster: Cluster) -> None:
    """Adding an endpoint does not forget what is known of the rest."""
    cluster.do(cast("ns1", "192.0.2.1", up=False))
    cluster.do(cast("ns2", "192.0.2.1", up=False))
    cluster.do(PutEndpoint(WWW, Endpoint("192.0.2.4")))
    assert (IP2, IP3, bytes((192, 0, 2, 4))) == cluster.addresses()


def test_deleting_a_service_removes_its_rrsets(cluster: Cluster) -> None:
    """No record outlives its service, and the name can be used by hand again."""
    cluster.do(DeleteService(WWW))
    assert cluster.state.zones[ZONE].node(WWW) is None


def test_a_service_without_our_zone_is_pushed_only(new_cluster: type[Cluster]) -> None:
    """A service whose zone others serve is accepted, and appears in the zone when it comes here."""
    cluster = new_cluster()
    cluster.do(Seed((Member("ns1"),), (), (service("192.0.2.1"),)))
    assert ("192.0.2.1",) == cluster.state.services[WWW].published
    cluster.do(PutZone(ZONE, SETTINGS))
    assert (IP1,) == cluster.addresses()


def test_a_seed_is_all_or_nothing(new_cluster: type[Cluster]) -> None:
    """One bad service leaves the cluster unseeded; a second seed changes nothing."""
    cluster = new_cluster()
    bad = service("192.0.2.1", fqdn=from_text("www.example.net"))
    assert isinstance(cluster.do(Seed((Member("ns1"),), (PutZone(ZONE, SETTINGS),), (bad,))).result, Refused)
    assert not cluster.state.seeded
    assert not cluster.state.zones
    cluster.do(Seed((Member("ns1"),)))
    assert Accepted(3, False) == cluster.do(Seed((Member("ns2"),))).result
    assert (Member("ns1"),) == cluster.state.members


def test_octets_that_are_no_command_are_a_result() -> None:
    """Whatever stands in the log, apply returns."""
    for data in (b"", b"\x00", b"\x01", b"\x01\xff\xff", b"\x63" + encode(Entry(DropVotes("x"), 0))[1:]):
        applied = apply(State(), 7, data)
        assert isinstance(applied.result, Refused)
        assert 7 == applied.state.index


def test_a_node_that_no_longer_probes_has_no_vote_left(cluster: Cluster) -> None:
    """Votes of nodes taken out of ``probe_from`` are forgotten, and do not count again when they are back."""
    one = service("192.0.2.1", "192.0.2.2", "192.0.2.3")
    cluster.do(cast("ns1", "192.0.2.1", up=False))
    narrow = (Endpoint("192.0.2.1", probe_from=("ns2", "ns3")), *one.endpoints[1:])
    cluster.do(PutService(msgspec.structs.replace(one, endpoints=narrow)))
    cluster.do(PutService(one))
    cluster.do(cast("ns2", "192.0.2.1", up=False))
    assert (IP1, IP2, IP3) == cluster.addresses()


def test_probe_from_names_nodes_of_the_cluster(cluster: Cluster) -> None:
    """A misspelt node would leave an endpoint to fewer votes, or to none for ever."""
    endpoints = (Endpoint("192.0.2.1", probe_from=("ns1", "n2")),)
    result = cluster.do(PutService(msgspec.structs.replace(service(), endpoints=endpoints))).result
    assert isinstance(result, Refused)
    assert "n2 in probe_from is not a node" in result.detail


def test_an_address_that_libraries_write_differently_is_refused(cluster: Cluster) -> None:
    """IPv4-mapped addresses have another canonical text in Python 3.13 than before: replicas would part."""
    for address in ("::ffff:c000:201", "::ffff:192.0.2.1"):
        result = cluster.do(PutService(service(address))).result
        assert isinstance(result, Refused)
        assert "write 192.0.2.1" in result.detail


def test_many_votes_cost_what_they_are(cluster: Cluster) -> None:
    """A vote does not look through all endpoints of its service for each endpoint: 256 judged in a moment."""
    addresses = [f"10.0.0.{each}" for each in range(256)]
    cluster.do(PutService(service(*addresses)))
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        cluster.do(cast("ns1", addresses[0], up=False))
    finally:
        sys.setprofile(None)
    assert calls < 40 * len(addresses)


@pytest.mark.parametrize("bad", [b"", b"\x05ab", b"\x03WWW\x00", b"\x00\x00", b"\xff" * 300])
def test_octets_that_are_no_name_are_a_result(cluster: Cluster, bad: bytes) -> None:
    """A name that is not in canonical form is refused in whatever command it stands, and leaves nothing."""
    name = Name(bad)
    settings = msgspec.structs.replace(SETTINGS, contact=name)
    commands = (
        PutZone(name, SETTINGS),
        PutZone(from_text("example.net"), settings),
        PutZone(from_text("example.net"), SETTINGS, (make(name, A, 5, [IP1]),)),
        DeleteZone(name),
        ChangeZone(name, ()),
        ChangeZone(ZONE, (PutRRset(make(name, A, 5, [IP1])),)),
        ChangeZone(ZONE, (DeleteRRset(name, A),)),
        ChangeZone(ZONE, (), (Prerequisite("name-exists", name),)),
        ChangeZone(from_text("example.net"), (), create=settings),
        PutService(service("192.0.2.1", fqdn=name)),
        PutService(msgspec.structs.replace(service("192.0.2.1", fqdn=name), zone=name)),
        DeleteService(name),
        PutEndpoint(name, Endpoint("192.0.2.1")),
        DeleteEndpoint(name, "192.0.2.1"),
        CastVotes("ns1", (Ballot(name, "192.0.2.1", True),)),
        PutTarget(Target("t", "rfc2136", zones=(name,))),
    )
    for command in commands:
        before = cluster.state
        result = cluster.do(command).result
        assert isinstance(result, Refused)
        assert "invalid" == result.code
        assert msgspec.structs.replace(before, index=before.index + 1) == cluster.state
