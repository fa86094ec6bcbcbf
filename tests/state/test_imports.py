"""Large changes in parts: seen by nobody until they are committed, at one index."""

import msgspec
import pytest

from node.state import snapshot
from node.state.command import (
    AddRdatas,
    Ballot,
    CastVotes,
    Change,
    ChangeZone,
    CommitImport,
    DeleteRRset,
    DeleteService,
    DropImports,
    LeaseWish,
    PutRRset,
    PutService,
    PutZone,
    StageImport,
)
from node.state.imports import IMPORTS_MAX
from node.state.state import Accepted, Refused, State
from node.zone.lease import LeaseKey
from node.zone.name import Name, from_text
from node.zone.rrset import NS, SOA, A, RRset
from node.zone.zone import Zone
from tests.state.conftest import SETTINGS, WWW, ZONE, Cluster, rrset, service

OTHER = from_text("example.net")


def stage(
    part: int, *changes: Change | RRset, id_: str = "i", zone: Name = ZONE, **fields: object
) -> StageImport:
    laid = tuple(PutRRset(each) if isinstance(each, RRset) else each for each in changes)
    return StageImport(id_, zone, part, laid, **fields)  # type: ignore[arg-type]


def refusal(result: object) -> tuple[str, str]:
    assert isinstance(result, Refused)
    return result.code, result.detail


def contents(zone: Zone) -> set[RRset]:
    return {each for each in zone.iter_rrsets() if each.type != SOA}


def test_nothing_is_seen_before_the_commit_and_all_of_it_after(cluster: Cluster) -> None:
    """Parts leave the zone alone; the commit shows them at one index, with one serial, to those who ask for changes as a whole."""
    before = cluster.state.zones[ZONE]
    cluster.do(ChangeZone(ZONE, (PutRRset(rrset("old", "A", "192.0.2.9")),)))
    zone = cluster.state.zones[ZONE]
    for part in range(3):
        result = cluster.do(stage(part, *(rrset(f"h{part}-{n}", "A", f"192.0.2.{n}") for n in range(5)))).result
        assert isinstance(result, Accepted)
    cluster.do(stage(3, DeleteRRset(from_text("old.example.org"), A)))
    assert zone is cluster.state.zones[ZONE]
    applied = cluster.do(CommitImport("i", ZONE, 4))
    after = cluster.state.zones[ZONE]
    assert Accepted(cluster.state.index, True, zone.serial + 1) == applied.result
    assert (zone.serial + 1, before.rrset_count + 15) == (after.serial, after.rrset_count)
    assert (after.serial, after.serial) == (after.history[0].serial_from, after.history[0].serial_to)
    assert (ZONE,) == applied.changed.zones
    assert 0 == len(cluster.state.imports)
    soa = after.get(ZONE, SOA)
    assert soa is not None
    assert after.serial.to_bytes(4, "big") == soa.rdatas[0][-20:-16]
    assert zone.nodes[WWW].index == after.nodes[WWW].index


def test_the_result_is_that_of_one_change(cluster: Cluster) -> None:
    """Staged or in one entry, the zone is the same, its digest too."""
    changes = (PutRRset(rrset("a", "A", "192.0.2.1")), PutRRset(rrset("@", "MX", "10 a")))
    twin = Cluster()
    twin.state = cluster.state
    twin.do(ChangeZone(ZONE, changes))
    cluster.do(stage(0, changes[0]))
    cluster.do(stage(1, changes[1]))
    cluster.do(CommitImport("i", ZONE, 2))
    one, other = cluster.state.zones[ZONE], twin.state.zones[ZONE]
    assert (one.digest, one.rrset_count, contents(one)) == (other.digest, other.rrset_count, contents(other))


def test_parts_follow_each_other_and_may_be_repeated_once(cluster: Cluster) -> None:
    """The last part again is no harm; a gap, an unknown import and a commit of too few are refused."""
    part = stage(0, rrset("a", "A", "192.0.2.1"))
    cluster.do(part)
    state = cluster.state
    assert isinstance(cluster.do(part).result, Accepted)
    assert state.imports == cluster.state.imports
    assert "part 2 does not follow" in refusal(cluster.do(stage(2, rrset("b", "A", "192.0.2.1"))).result)[1]
    assert "no import j" in refusal(cluster.do(stage(1, rrset("b", "A", "192.0.2.1"), id_="j")).result)[1]
    assert "1 of 2 parts" in refusal(cluster.do(CommitImport("i", ZONE, 2)).result)[1]
    assert "no import j" in refusal(cluster.do(CommitImport("j", ZONE, 1)).result)[1]
    assert "precondition" == refusal(cluster.do(CommitImport("i", OTHER, 1)).result)[0]


def test_what_health_did_meanwhile_is_taken_along(cluster: Cluster) -> None:
    """A verdict between the parts stands after the commit, whatever the copy was made from."""
    for node in ("ns1", "ns2", "ns3"):
        cluster.do(CastVotes(node, tuple(Ballot(WWW, f"192.0.2.{n}", True) for n in (1, 2, 3))))
    cluster.do(stage(0, rrset("a", "A", "192.0.2.1")))
    for node in ("ns1", "ns2"):
        cluster.do(CastVotes(node, (Ballot(WWW, "192.0.2.1", False),)))
    published = cluster.addresses()
    assert 2 == len(published)
    assert isinstance(cluster.do(CommitImport("i", ZONE, 1)).result, Accepted)
    assert published == cluster.addresses()
    assert cluster.addresses(A, from_text("a.example.org"))


def test_any_other_change_meanwhile_makes_the_commit_void(cluster: Cluster) -> None:
    """A record that somebody changed in between is not lost: the import is refused and nothing changes."""
    cluster.do(stage(0, rrset("a", "A", "192.0.2.1")))
    cluster.do(ChangeZone(ZONE, (AddRdatas(rrset("b", "A", "192.0.2.1")),)))
    zone = cluster.state.zones[ZONE]
    assert "it changed meanwhile" in refusal(cluster.do(CommitImport("i", ZONE, 1)).result)[1]
    assert zone is cluster.state.zones[ZONE]


def test_a_service_that_came_meanwhile_is_not_hidden(cluster: Cluster) -> None:
    """The commit holds the copy against the services as they are then."""
    cluster.do(stage(0, rrset("sub", "NS", "ns.example.com.")))
    cluster.do(PutService(service("192.0.2.9", fqdn=from_text("api.sub.example.org"))))
    assert "would hide the service" in refusal(cluster.do(CommitImport("i", ZONE, 1)).result)[1]
    assert isinstance(cluster.do(DeleteService(from_text("api.sub.example.org"))).result, Accepted)


def test_a_service_that_came_meanwhile_has_its_name_for_itself(cluster: Cluster) -> None:
    """The copy cannot bring a CNAME to where health has put addresses by then."""
    cluster.do(stage(0, rrset("x", "CNAME", "y")))
    cluster.do(PutService(service("192.0.2.9", fqdn=from_text("x.example.org"))))
    for node in ("ns1", "ns2", "ns3"):
        cluster.do(CastVotes(node, (Ballot(from_text("x.example.org"), "192.0.2.9", True),)))
    assert "CNAME beside A" in refusal(cluster.do(CommitImport("i", ZONE, 1)).result)[1]


def test_each_part_is_checked_as_a_change_is(cluster: Cluster) -> None:
    """What no change may do, no part may: a service's addresses, names outside, a zone without NS."""
    for change, fragment in (
        (PutRRset(rrset("www", "A", "192.0.2.99")), "belongs to the service"),
        (PutRRset(rrset("a.example.com.", "A", "192.0.2.99")), "not inside the zone"),
        (DeleteRRset(ZONE, NS), "cannot be without"),
    ):
        assert fragment in refusal(cluster.do(stage(0, change)).result)[1]
        assert 0 == len(cluster.state.imports)


def test_a_new_zone_appears_whole(cluster: Cluster) -> None:
    """A zone that did not exist is there with the commit, with its serial, its settings and its services."""
    first = stage(0, rrset("a.example.net.", "A", "192.0.2.1"), zone=OTHER, create=SETTINGS)
    cluster.do(first)
    assert OTHER not in cluster.state.zones
    assert Accepted(3, True, 2026) == cluster.do(CommitImport("i", OTHER, 1, serial=2026)).result
    assert (2026, 3) == (cluster.state.zones[OTHER].serial, cluster.state.zones[OTHER].rrset_count)
    assert SETTINGS == cluster.state.zone_settings[OTHER]
    assert 3 == cluster.state.zone_indexes[OTHER]


def test_zone_that_came_or_went_meanwhile(cluster: Cluster) -> None:
    """A commit of a new zone that exists by now, or of one that is gone, is refused."""
    cluster.do(stage(0, rrset("a.example.net.", "A", "192.0.2.1"), zone=OTHER, create=SETTINGS))
    cluster.do(PutZone(OTHER, SETTINGS))
    assert "came or went" in refusal(cluster.do(CommitImport("i", OTHER, 1)).result)[1]
    assert "not-found" == refusal(cluster.do(stage(0, id_="k", zone=from_text("example.com"))).result)[0]
    assert "precondition" == refusal(cluster.do(stage(0, id_="k", zone=OTHER, if_serial=77)).result)[0]


def test_import_without_a_difference_changes_nothing(cluster: Cluster) -> None:
    """A copy that ends as it began leaves serial, zone and history alone."""
    zone = cluster.state.zones[ZONE]
    cluster.do(stage(0, rrset("a", "A", "192.0.2.1")))
    cluster.do(stage(1, DeleteRRset(from_text("a.example.org"), A)))
    cluster.do(CommitImport("i", ZONE, 2))
    assert zone is cluster.state.zones[ZONE]


def test_leases_of_what_is_gone_end(cluster: Cluster) -> None:
    """A lease on an RRset that the import took away ends with it."""
    host = rrset("host", "A", "192.0.2.7")
    key = LeaseKey(ZONE, host.name, A)
    cluster.do(ChangeZone(ZONE, (PutRRset(host),), leases=(LeaseWish(key, 30),)))
    cluster.do(stage(0, DeleteRRset(host.name, A)))
    assert (key,) == cluster.do(CommitImport("i", ZONE, 1)).changed.leases
    assert 0 == len(cluster.state.leases)


def test_limits(cluster: Cluster) -> None:
    """So many imports at one time, and ids of a bounded length."""
    for number in range(IMPORTS_MAX):
        cluster.do(stage(0, id_=str(number)))
    assert "which is the limit" in refusal(cluster.do(stage(0, id_="more")).result)[1]
    cluster.do(DropImports((("0", cluster.state.imports["0"].index), ("1", 99))))
    assert ["1", "2", "3"] == sorted(cluster.state.imports)
    assert "1 to 64 characters" in refusal(cluster.do(stage(0, id_="x" * 65)).result)[1]


def test_snapshot_holds_what_is_staged(cluster: Cluster) -> None:
    """A node that comes by a snapshot in the middle of an import goes on with it, to the same end."""
    cluster.do(PutZone(ZONE, SETTINGS, serial_policy="date"))
    cluster.do(stage(0, rrset("a", "A", "192.0.2.1")))
    restored = snapshot.load(snapshot.dump(cluster.state))
    assert snapshot.digest(cluster.state) == snapshot.digest(restored)
    assert (
        msgspec.structs.replace(restored, zones=cluster.state.zones, imports=cluster.state.imports)
        == cluster.state
    )
    twin = Cluster()
    twin.state = restored
    for command in (stage(1, rrset("b", "A", "192.0.2.1")), CommitImport("i", ZONE, 2)):
        assert cluster.do(command).result == twin.do(command).result
    assert snapshot.digest(cluster.state) == snapshot.digest(twin.state)


@pytest.mark.parametrize(
    ("policy", "given", "expected"),
    [
        ("increment", 5000, 2),
        ("unixtime", None, 1_700_000_000),
        ("date", None, 2023111400),
        ("keep", 5000, 5000),
        ("keep", 1, 2),
        ("keep", None, 2),
    ],
)
def test_serial_policies(policy: str, given: int | None, expected: int) -> None:
    """A zone's serials count, follow the time of the entry, or are what comes with a change; they always rise."""
    cluster = Cluster()
    cluster.do(PutZone(ZONE, SETTINGS, serial_policy=policy))  # type: ignore[arg-type]
    change = ChangeZone(ZONE, (PutRRset(rrset("b", "A", "192.0.2.1")),), serial=given)
    before = cluster.state.zones[ZONE].serial
    cluster.do(change, at_ms=1_700_000_000_000)
    assert (1, expected) == (before, cluster.state.zones[ZONE].serial)
    again = cluster.do(ChangeZone(ZONE, (PutRRset(rrset("c", "A", "192.0.2.1")),)), at_ms=1_700_000_000_000)
    assert Accepted(3, True, expected + 1) == again.result


def test_a_policy_stays_until_it_is_changed() -> None:
    """Settings that say nothing of serials leave the policy; the plain one is kept nowhere."""
    cluster = Cluster()
    cluster.do(PutZone(ZONE, SETTINGS, serial_policy="date"))
    cluster.do(PutZone(ZONE, msgspec.structs.replace(SETTINGS, default_ttl=9)))
    assert "date" == cluster.state.serial_policies[ZONE]
    cluster.do(PutZone(ZONE, SETTINGS, serial_policy="increment"))
    assert State().serial_policies == cluster.state.serial_policies


def test_condition_on_the_serial(cluster: Cluster) -> None:
    """A change can demand that the zone has not moved since it was looked at."""
    serial = cluster.state.zones[ZONE].serial
    change = ChangeZone(ZONE, (PutRRset(rrset("a", "A", "192.0.2.1")),), if_serial=serial)
    assert isinstance(cluster.do(change).result, Accepted)
    change = ChangeZone(ZONE, (PutRRset(rrset("a", "A", "192.0.2.2")),), if_serial=serial)
    assert ("precondition", True) == (
        refusal(cluster.do(change).result)[0],
        "it changed meanwhile" in refusal(cluster.do(change).result)[1],
    )
