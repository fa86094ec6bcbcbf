"""Leases: granted and renewed in the log, expired at one index, never by a clock."""

import pytest

from node.health.service import Endpoint
from node.state import snapshot
from node.state.command import (
    AddRdatas,
    ChangeZone,
    DeleteRRset,
    DeleteZone,
    ExpireLeases,
    Grant,
    LeaseWish,
    Prerequisite,
    PutRRset,
    PutService,
    RemoveRdatas,
)
from node.state.leases import LEASE_S_MAX, LEASES_MAX
from node.state.state import Accepted, Lease, Refused
from node.zone.lease import LeaseKey
from node.zone.name import Name, from_text
from node.zone.rrset import AAAA, NS, TXT, A, RRset, rdata_from_text
from tests.state.conftest import WWW, ZONE, Cluster, rrset, service

HOST = from_text("host.example.org")
KEY = LeaseKey(ZONE, HOST, A)
HOST_A = rrset("host", "A", "192.0.2.7")


def leased(ttl_s: int, *rrsets: RRset, key: LeaseKey = KEY) -> ChangeZone:
    """Put RRsets with a lease on one of them."""
    changes = tuple(PutRRset(each) for each in rrsets or (HOST_A,))
    return ChangeZone(ZONE, changes, leases=(LeaseWish(key, ttl_s),))


def directory(ttl_s: int | None, name: Name = HOST, *prerequisites: Prerequisite) -> ChangeZone:
    """Make a lease on everything at and below a name."""
    return ChangeZone(ZONE, (), prerequisites, leases=(LeaseWish(LeaseKey(ZONE, name), ttl_s),))


def expire(cluster: Cluster, *keys: LeaseKey) -> ExpireLeases:
    """Name the present grants of these leases."""
    return ExpireLeases(tuple(Grant(key, cluster.state.leases[key].index) for key in keys))


def test_expiry_takes_the_records_away_at_one_index(cluster: Cluster) -> None:
    """A leased RRset goes with the grant that ran out: one new serial, an event, a change that says why."""
    cluster.do(leased(30))
    serial = cluster.state.zones[ZONE].serial
    applied = cluster.do(expire(cluster, KEY))
    assert Accepted(3, True) == applied.result
    assert () == cluster.addresses(A, HOST)
    assert serial + 1 == cluster.state.zones[ZONE].serial
    assert (KEY,) == cluster.state.zones[ZONE].history[-1].expired
    assert ["lease.expired", "zone.changed"] == [event.kind for event in applied.changed.events]
    assert ((KEY,), ((ZONE, HOST), (ZONE, ZONE))) == (
        applied.changed.leases,
        tuple(sorted(applied.changed.names)),
    )
    assert 0 == len(cluster.state.leases)


def test_renewal_changes_no_serial_and_makes_the_expiry_void(cluster: Cluster) -> None:
    """A renewal is no change of the zone and no event, and an expiry of the grant before it does nothing."""
    cluster.do(leased(30))
    late = expire(cluster, KEY)
    zone, events = cluster.state.zones[ZONE], cluster.state.events_next
    renewed = cluster.do(leased(30))
    assert Accepted(3, True, zone.serial) == renewed.result
    assert Lease(30, 3, 2) == cluster.state.leases[KEY]
    assert (zone, events) == (cluster.state.zones[ZONE], cluster.state.events_next)
    assert Accepted(4, False) == cluster.do(late).result
    assert (b"\xc0\x00\x02\x07",) == cluster.addresses(A, HOST)


def test_what_expired_cannot_be_renewed(cluster: Cluster) -> None:
    """A renewal that comes after the expiry in the log is refused; nothing rises from the dead."""
    cluster.do(leased(30))
    cluster.do(expire(cluster, KEY))
    refused = cluster.do(ChangeZone(ZONE, (), leases=(LeaseWish(KEY, 30),))).result
    assert isinstance(refused, Refused)
    assert ("not-found", True) == (refused.code, "cannot be leased" in refused.detail)
    assert 0 == len(cluster.state.leases)


def test_ttl_fits_into_the_lease(cluster: Cluster) -> None:
    """Leased records have half the lease as ttl at most, and 1 at least; a longer lease leaves the ttl alone."""
    for lease_s, ttl in ((30, 15), (3, 1), (1, 1), (1_000, 60)):
        cluster.do(leased(lease_s))
        found = cluster.state.zones[ZONE].get(HOST, A)
        assert found is not None
        assert ttl == found.ttl


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [
        (PutRRset(HOST_A), False),
        (PutRRset(rrset("host", "A", "192.0.2.8")), False),
        (AddRdatas(rrset("host", "A", "192.0.2.8")), True),
        (RemoveRdatas(HOST_A), False),
        (DeleteRRset(HOST, A), False),
        (DeleteRRset(HOST, TXT), True),
        (PutRRset(rrset("other", "A", "192.0.2.8")), True),
    ],
)
def test_what_is_put_plainly_stays(cluster: Cluster, change: PutRRset, is_kept: bool) -> None:
    """A put without a lease, and the end of the RRset, end its lease; an addition joins what is leased."""
    cluster.do(leased(30))
    assert isinstance(cluster.do(ChangeZone(ZONE, (change,))).result, Accepted)
    assert is_kept == (KEY in cluster.state.leases)


def test_one_record_of_an_rrset(cluster: Cluster) -> None:
    """Each record can have a lease of its own; the RRset goes with the last, others are left alone."""
    keys = [LeaseKey(ZONE, HOST, A, rdata_from_text(A, f"192.0.2.{last}", ZONE)) for last in (7, 8)]
    cluster.do(leased(30, HOST_A, key=keys[0]))
    addition = ChangeZone(ZONE, (AddRdatas(rrset("host", "A", "192.0.2.8")),), leases=(LeaseWish(keys[1], 40),))
    cluster.do(addition)
    assert keys == sorted(cluster.state.leases)
    cluster.do(expire(cluster, keys[0]))
    assert (keys[1].rdata,) == cluster.addresses(A, HOST)
    assert [keys[1]] == sorted(cluster.state.leases)
    cluster.do(expire(cluster, keys[1]))
    assert () == cluster.addresses(A, HOST)


def test_writing_one_record_leaves_the_leases_of_others(cluster: Cluster) -> None:
    """With ``keep_leases`` a put ends only the leases of what is no longer there."""
    keys = [LeaseKey(ZONE, HOST, A, rdata_from_text(A, f"192.0.2.{last}", ZONE)) for last in (7, 8)]
    both = rrset("host", "A", "192.0.2.7", "192.0.2.8")
    cluster.do(ChangeZone(ZONE, (PutRRset(both),), leases=tuple(LeaseWish(key, 30) for key in keys)))
    cluster.do(ChangeZone(ZONE, (PutRRset(rrset("host", "A", "192.0.2.8")),), keep_leases=True))
    assert [keys[1]] == sorted(cluster.state.leases)


def test_directory_takes_everything_below_with_it(cluster: Cluster) -> None:
    """One lease holds a name with all below, what comes later too, also with a longer lease of its own."""
    top = LeaseKey(ZONE, HOST)
    cluster.do(directory(30))
    longer = LeaseKey(ZONE, from_text("a.host.example.org"), A)
    cluster.do(leased(300, rrset("a.host", "A", "192.0.2.9"), HOST_A, key=longer))
    cluster.do(ChangeZone(ZONE, (PutRRset(rrset("ghost", "A", "192.0.2.9")),)))
    assert {top, longer} == set(cluster.state.leases)
    applied = cluster.do(expire(cluster, top))
    zone = cluster.state.zones[ZONE]
    assert (None, None) == (zone.node(HOST), zone.node(from_text("a.host.example.org")))
    assert zone.node(from_text("ghost.example.org")) is not None
    assert {top, longer} == set(applied.changed.leases)
    assert 0 == len(cluster.state.leases)
    assert 1 == len([event for event in applied.changed.events if event.kind == "lease.expired"])


def test_many_expire_in_one_change_of_each_zone(cluster: Cluster) -> None:
    """What is due together goes with one serial."""
    other = LeaseKey(ZONE, HOST, AAAA)
    cluster.do(leased(30))
    cluster.do(leased(30, rrset("host", "AAAA", "2001:db8::1"), key=other))
    serial = cluster.state.zones[ZONE].serial
    cluster.do(expire(cluster, KEY, other))
    assert (serial + 1, None) == (cluster.state.zones[ZONE].serial, cluster.state.zones[ZONE].node(HOST))


def test_directories_that_were_made(cluster: Cluster) -> None:
    """A directory exists when it was made or something lies below; conditions on that are checked in the log."""
    exists, absent = Prerequisite("directory-exists", HOST), Prerequisite("directory-absent", HOST)
    assert isinstance(cluster.do(directory(30, HOST, exists)).result, Refused)
    assert isinstance(cluster.do(directory(0, HOST, absent)).result, Accepted)
    assert Lease(0, 3, 3) == cluster.state.leases[LeaseKey(ZONE, HOST)]
    assert isinstance(cluster.do(directory(0, HOST, absent)).result, Refused)
    assert isinstance(cluster.do(directory(30, HOST, exists)).result, Accepted)
    assert isinstance(cluster.do(directory(None, HOST)).result, Accepted)
    assert 0 == len(cluster.state.leases)
    cluster.do(ChangeZone(ZONE, (PutRRset(rrset("below.host", "A", "192.0.2.9")),)))
    assert isinstance(cluster.do(directory(30, HOST, exists)).result, Accepted)


def test_made_directory_never_expires(cluster: Cluster) -> None:
    """An expiry that names a directory without a lease is void."""
    cluster.do(directory(0))
    assert Accepted(3, False) == cluster.do(expire(cluster, LeaseKey(ZONE, HOST))).result


@pytest.mark.parametrize(
    ("command", "code", "fragment"),
    [
        (leased(LEASE_S_MAX + 1), "invalid", "between 1 and"),
        (leased(-1), "invalid", "between 1 and"),
        (directory(30, ZONE), "invalid", "belongs to the zone itself"),
        (directory(30, from_text("example.net")), "invalid", "not in the zone"),
        (ChangeZone(ZONE, (), leases=(LeaseWish(LeaseKey(ZONE, ZONE, NS), 30),)), "invalid", "zone itself"),
        (
            ChangeZone(ZONE, (), leases=(LeaseWish(LeaseKey(ZONE, WWW, A), 30),)),
            "conflict",
            "holds the service",
        ),
        (directory(30, WWW), "conflict", "holds the service www.example.org"),
        (ChangeZone(ZONE, (), leases=(LeaseWish(KEY, 30),)), "not-found", "does not exist"),
        (leased(30, key=LeaseKey(ZONE, HOST, A, b"\1\2\3\4")), "not-found", "1.2.3.4 does not exist"),
    ],
)
def test_what_cannot_be_leased(cluster: Cluster, command: ChangeZone, code: str, fragment: str) -> None:
    """A lease on what is not there, on the zone's own records or on a service's is refused, and nothing else happens."""
    before = cluster.state
    refused = cluster.do(command).result
    assert isinstance(refused, Refused)
    assert (code, True) == (refused.code, fragment in refused.detail)
    assert (before.zones, before.leases) == (cluster.state.zones, cluster.state.leases)


def test_no_service_under_a_lease(cluster: Cluster) -> None:
    """A service cannot be put where a lease would take its records away."""
    cluster.do(directory(30))
    fqdn = from_text("api.host.example.org")
    refused = cluster.do(PutService(service("192.0.2.9", fqdn=fqdn))).result
    assert isinstance(refused, Refused)
    assert "lies under a lease on everything at and below host.example.org" in refused.detail
    assert Endpoint("192.0.2.9").address == "192.0.2.9"


def test_limit(cluster: Cluster) -> None:
    """There are so many leases and no more; those that are there can be renewed."""
    names = [from_text(f"h{number}.example.org") for number in range(LEASES_MAX)]
    wishes = tuple(LeaseWish(LeaseKey(ZONE, name), 30) for name in names)
    cluster.do(ChangeZone(ZONE, (), leases=wishes))
    assert LEASES_MAX == len(cluster.state.leases)
    refused = cluster.do(leased(30)).result
    assert isinstance(refused, Refused)
    assert "which is the limit" in refused.detail
    assert isinstance(cluster.do(directory(40, names[0])).result, Accepted)


def test_leases_go_with_their_zone(cluster: Cluster) -> None:
    """Deleting a zone ends its leases."""
    other = from_text("example.net")
    host = from_text("host.example.net")
    key = LeaseKey(other, host)
    settings = cluster.state.zone_settings[ZONE]
    cluster.do(ChangeZone(other, (), create=settings, leases=(LeaseWish(key, 30),)))
    assert key in cluster.state.leases
    assert (key,) == cluster.do(DeleteZone(other)).changed.leases
    assert 0 == len(cluster.state.leases)


def test_snapshot_and_digest_hold_the_leases(cluster: Cluster) -> None:
    """A snapshot brings leases back as they were, and nodes that differ in a lease differ in their digests."""
    cluster.do(leased(30))
    before = snapshot.digest(cluster.state)
    restored = snapshot.load(snapshot.dump(cluster.state))
    assert cluster.state.leases == restored.leases
    cluster.do(leased(30))
    assert before != snapshot.digest(cluster.state)


def test_names_are_canonical(cluster: Cluster) -> None:
    """A lease on octets that are no name is refused before anything is done with them."""
    refused = cluster.do(ChangeZone(ZONE, (), leases=(LeaseWish(LeaseKey(ZONE, Name(b"\x05ab")), 5),))).result
    assert isinstance(refused, Refused)
    assert "not a name" in refused.detail
    grants = (Grant(LeaseKey(Name(b"\xff"), HOST), 1),)
    assert isinstance(cluster.do(ExpireLeases(grants)).result, Refused)
