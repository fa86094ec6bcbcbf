"""Commands on zones and RRsets: what they change, what they refuse, what they leave alone."""

import sys
from types import FrameType

import msgspec
import pytest

from node.health.service import Endpoint
from node.state.command import (
    AddRdatas,
    ChangeZone,
    DeleteRRset,
    DeleteService,
    DeleteZone,
    Member,
    Prerequisite,
    PutEndpoint,
    PutRRset,
    PutService,
    PutZone,
    RemoveRdatas,
    Seed,
)
from node.state.state import Accepted, Refused
from node.zone.name import from_text
from node.zone.rrset import ANY, CNAME, NS, SOA, A, RRset, make
from tests.state.conftest import SETTINGS, WWW, ZONE, Cluster, rrset, service


def put(*rrsets: object) -> ChangeZone:
    return ChangeZone(ZONE, tuple(PutRRset(each) for each in rrsets))  # type: ignore[arg-type]


def test_put_advances_the_serial_by_one(cluster: Cluster) -> None:
    """A change of records advances the zone's serial by one and tells so."""
    before = cluster.state.zones[ZONE].serial
    applied = cluster.do(put(rrset("mail", "A", "192.0.2.25")))
    assert Accepted(2, True, before + 1) == applied.result
    assert before + 1 == cluster.state.zones[ZONE].serial
    soa = cluster.state.zones[ZONE].get(ZONE, SOA)
    assert soa is not None
    assert (before + 1).to_bytes(4, "big") == soa.rdatas[0][-20:-16]


def test_a_command_that_changes_nothing_changes_nothing(cluster: Cluster) -> None:
    """The same put again leaves serial, events and zone object alone."""
    cluster.do(put(rrset("mail", "A", "192.0.2.25")))
    before = cluster.state
    applied = cluster.do(put(rrset("mail", "A", "192.0.2.25")))
    assert Accepted(3, False, before.zones[ZONE].serial) == applied.result
    assert before.zones[ZONE] is cluster.state.zones[ZONE]
    assert before.events_next == cluster.state.events_next


TWICE_WRONG = (
    rrset("a", "A", "192.0.2.1"),
    rrset("b", "CNAME", "c"),
    rrset("b", "A", "192.0.2.1"),
    rrset("a", "CNAME", "c"),
)
"""What is told of it stands in the State, and so must be the same on every version: the first name in the entry."""


@pytest.mark.parametrize(
    ("command", "code", "fragment"),
    [
        (put(make(from_text("x.example.org"), A, 5, [b"\x01\x02"])), "invalid", "has 4 octets, not 2"),
        (put(make(from_text("x.example.net"), A, 5, [b"\x01\x02\x03\x04"])), "invalid", "not inside the zone"),
        (put(make(from_text("x.example.org"), 255, 5, [b"x"])), "invalid", "not a type that a zone can hold"),
        (put(make(from_text("x.example.org"), A, -1, [b"\x01\x02\x03\x04"])), "invalid", "ttl"),
        (put(make(from_text("x.example.org"), CNAME, 5, [b"\x09nodot"])), "invalid", "ends in the middle"),
        (put(rrset("@", "CNAME", "other")), "conflict", "CNAME beside"),
        (put(rrset("a", "A", "192.0.2.1"), rrset("a", "CNAME", "b")), "conflict", "CNAME beside A"),
        (put(*TWICE_WRONG), "conflict", "a.example.org. cannot have a CNAME beside A"),
        (put(rrset("www", "A", "192.0.2.9")), "conflict", "belongs to the service"),
        (put(rrset("www", "CNAME", "elsewhere")), "conflict", "belongs to the service"),
        (put(rrset("sub", "SOA", "ns1 host 1 2 3 4 5")), "invalid", "only at the top"),
        (ChangeZone(ZONE, (DeleteRRset(ZONE, SOA),)), "conflict", "without its SOA"),
        (ChangeZone(ZONE, (DeleteRRset(ZONE, NS),)), "conflict", "without its NS"),
        (ChangeZone(from_text("example.net"), ()), "not-found", "there is no zone example.net."),
        (DeleteZone(ZONE), "conflict", "the service www.example.org. lives in the zone"),
        (PutZone(ZONE, SETTINGS, if_index=0), "precondition", "last changed at index 1"),
    ],
)
def test_refusals_say_why_and_change_nothing(
    cluster: Cluster, command: object, code: str, fragment: str
) -> None:
    """A refused command is a result with a sentence; the state is the same but for its index."""
    before = cluster.state
    result = cluster.do(command).result  # type: ignore[arg-type]
    assert isinstance(result, Refused)
    assert code == result.code
    assert fragment in result.detail
    assert "nothing was changed" in result.detail
    assert before.zones is cluster.state.zones
    assert before.events is cluster.state.events


def test_all_changes_of_an_entry_or_none(cluster: Cluster) -> None:
    """One bad change takes the good ones of its entry with it."""
    cluster.do(put(rrset("good", "A", "192.0.2.1"), rrset("www", "A", "192.0.2.9")))
    assert cluster.state.zones[ZONE].get(from_text("good.example.org"), A) is None


def test_add_and_remove_rdatas(cluster: Cluster) -> None:
    """Adding joins the RRset and sets its ttl; removing the last rdata removes the RRset (RFC 2136 2.5)."""
    name = from_text("m.example.org")
    cluster.do(put(rrset("m", "A", "192.0.2.1", ttl=5)))
    cluster.do(ChangeZone(ZONE, (AddRdatas(rrset("m", "A", "192.0.2.2", ttl=77)),)))
    found = cluster.state.zones[ZONE].get(name, A)
    assert found is not None
    assert (77, (b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02")) == (found.ttl, found.rdatas)
    cluster.do(ChangeZone(ZONE, (RemoveRdatas(rrset("m", "A", "192.0.2.1", "192.0.2.2")),)))
    assert cluster.state.zones[ZONE].node(name) is None


def test_deleting_all_types_at_the_apex_keeps_soa_and_ns(cluster: Cluster) -> None:
    """Deleting every RRset of the apex keeps the zone alive (RFC 2136 section 3.4.2.3)."""
    cluster.do(put(rrset("@", "TXT", "hello")))
    cluster.do(ChangeZone(ZONE, (DeleteRRset(ZONE, ANY),)))
    node = cluster.state.zones[ZONE].node(ZONE)
    assert node is not None
    assert [NS, SOA] == [each.type for each in node.rrsets]


def test_deleting_all_types_at_a_service_is_refused(cluster: Cluster) -> None:
    """What verdicts publish cannot be deleted by hand."""
    result = cluster.do(ChangeZone(ZONE, (DeleteRRset(WWW, ANY),))).result
    assert isinstance(result, Refused)
    assert "belongs to the service" in result.detail


@pytest.mark.parametrize(
    ("prerequisite", "met"),
    [
        (Prerequisite("name-exists", WWW), True),
        (Prerequisite("name-absent", WWW), False),
        (Prerequisite("name-absent", from_text("nothing.example.org")), True),
        (Prerequisite("rrset-exists", WWW, A), True),
        (Prerequisite("rrset-absent", WWW, A), False),
        (Prerequisite("rrset-absent", WWW, 16), True),
        (
            Prerequisite(
                "rrset-equals", WWW, A, (b"\xc0\x00\x02\x03", b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02")
            ),
            True,
        ),
        (Prerequisite("rrset-equals", WWW, A, (b"\xc0\x00\x02\x01",)), False),
    ],
)
def test_prerequisites(cluster: Cluster, prerequisite: Prerequisite, met: bool) -> None:
    """Prerequisites are judged when the entry is applied (RFC 2136 section 2.4)."""
    change = PutRRset(rrset("new", "A", "192.0.2.7"))
    result = cluster.do(ChangeZone(ZONE, (change,), (prerequisite,))).result
    assert met == isinstance(result, Accepted)
    if isinstance(result, Refused):
        assert "precondition" == result.code


def test_if_index_makes_two_writers_notice_each_other(cluster: Cluster) -> None:
    """Of two writers who both read index N only the first succeeds."""
    cluster.do(put(rrset("x", "A", "192.0.2.1")))
    index = cluster.state.index
    first = ChangeZone(ZONE, (PutRRset(rrset("x", "A", "192.0.2.2")),), if_index=index)
    second = ChangeZone(ZONE, (PutRRset(rrset("x", "A", "192.0.2.3")),), if_index=index)
    assert isinstance(cluster.do(first).result, Accepted)
    assert isinstance(cluster.do(second).result, Refused)


def test_a_zone_can_be_created_by_its_first_record(cluster: Cluster) -> None:
    """A change that carries settings creates its zone, all or nothing."""
    zone = from_text("example.com")
    record = make(from_text("foo.example.com"), A, 5, [b"\x7b\x7b\x7b\x7b"])
    assert isinstance(cluster.do(ChangeZone(zone, (PutRRset(record),), create=SETTINGS)).result, Accepted)
    assert record == cluster.state.zones[zone].get(record.name, A)
    bad = make(from_text("foo.example.info"), A, 5, [b""])
    cluster.do(ChangeZone(from_text("example.info"), (PutRRset(bad),), create=SETTINGS))
    assert from_text("example.info") not in cluster.state.zones


def test_changed_settings_show_in_soa_and_ns(cluster: Cluster) -> None:
    """Putting a zone again with other name servers changes its apex and nothing else."""
    other = from_text("ns9.example.org")
    settings = type(SETTINGS)(nameservers=(other,), contact=SETTINGS.contact)
    cluster.do(PutZone(ZONE, settings))
    ns = cluster.state.zones[ZONE].get(ZONE, NS)
    assert ns is not None
    assert (bytes(other),) == ns.rdatas
    assert 3 == len(cluster.addresses())


def test_a_zone_takes_over_the_serial_of_its_soa(cluster: Cluster) -> None:
    """A zone that moves here goes on from its old serial, so that its secondaries follow."""
    zone = from_text("moved.test")
    soa = make(zone, SOA, 300, [b"\x02ns\x00" + b"\x04host\x00" + (2026112501).to_bytes(4, "big") + bytes(16)])
    cluster.do(PutZone(zone, SETTINGS, (soa,)))
    assert 2026112501 == cluster.state.zones[zone].serial


def test_a_change_elsewhere_does_not_touch_the_apex(cluster: Cluster) -> None:
    """The serial follows every change, yet a condition on an apex RRset fails only for changes of the apex."""
    cluster.do(put(rrset("@", "MX", "10 mail")))
    index = cluster.state.index
    cluster.do(put(rrset("mail", "A", "192.0.2.25")))
    change = ChangeZone(ZONE, (PutRRset(rrset("@", "MX", "20 mail")),), if_index=index)
    assert isinstance(cluster.do(change).result, Accepted)


def test_a_zone_keeps_visible_what_holds_it_up(cluster: Cluster) -> None:
    """The SOA and the apex NS cannot be switched off: the zone would answer nothing but SERVFAIL."""
    for type_ in (SOA, NS):
        present = cluster.state.zones[ZONE].get(ZONE, type_)
        assert present is not None
        result = cluster.do(put(msgspec.structs.replace(present, disabled=True))).result
        assert isinstance(result, Refused)
        assert "conflict" == result.code


def test_an_addition_is_judged_with_what_is_there(cluster: Cluster) -> None:
    """Adding cannot make two CNAMEs of one (RFC 2181 section 10.1), nor grow an RRset beyond its limit."""
    cluster.do(put(rrset("a", "CNAME", "b")))
    assert isinstance(cluster.do(ChangeZone(ZONE, (AddRdatas(rrset("a", "CNAME", "c")),))).result, Refused)
    many = [bytes((10, 0, each >> 8, each & 255)) for each in range(1_200)]
    name = from_text("many.example.org")
    assert isinstance(cluster.do(put(make(name, A, 5, many[:1_000]))).result, Accepted)
    more = cluster.do(ChangeZone(ZONE, (AddRdatas(make(name, A, 5, many[1_000:])),))).result
    assert isinstance(more, Refused)
    assert "at most 1000" in more.detail


def test_another_serial_alone_changes_nothing(cluster: Cluster) -> None:
    """A tool that writes the SOA it read before makes no new version of the zone."""
    old = rrset("@", "SOA", "ns1 host 1 3600 600 604800 60", ttl=SETTINGS.default_ttl)
    before = cluster.state.zones[ZONE]
    cluster.do(put(old))
    assert before is cluster.state.zones[ZONE]


def test_a_zone_created_by_its_first_record_holds_its_services(new_cluster: type[Cluster]) -> None:
    """A service that waited for its zone appears however the zone comes to be, and the serial told is the last."""
    cluster = new_cluster()
    cluster.do(Seed((Member("ns1"),), (), (service("192.0.2.1"),)))
    put_x = PutRRset(rrset("x", "A", "192.0.2.9"))
    result = cluster.do(ChangeZone(ZONE, (put_x,), create=SETTINGS)).result
    assert (b"\xc0\x00\x02\x01",) == cluster.addresses()
    assert isinstance(result, Accepted)
    assert cluster.state.zones[ZONE].serial == result.serial


@pytest.mark.parametrize(
    "hider",
    [rrset("www", "NS", "ns.elsewhere."), rrset("@", "DNAME", "elsewhere.")],
    ids=["delegation", "DNAME"],
)
def test_nothing_may_hide_a_service(cluster: Cluster, hider: RRset) -> None:
    """A delegation or a DNAME over a service would take it from the answers, and is refused; so is the reverse."""
    result = cluster.do(put(hider)).result
    assert isinstance(result, Refused)
    assert "hide the service www.example.org." in result.detail
    cluster.do(DeleteService(WWW))
    assert isinstance(cluster.do(put(hider)).result, Accepted)
    again = cluster.do(PutService(service("192.0.2.1"))).result
    assert isinstance(again, Refused)
    assert "hide the service" in again.detail


def test_a_service_below_a_delegation_is_pushed_elsewhere(cluster: Cluster) -> None:
    """Where our zone delegates, a service of the zone below is accepted and only pushed."""
    fqdn, below = from_text("www.sub.example.org"), from_text("sub.example.org")
    elsewhere = msgspec.structs.replace(service("192.0.2.1", fqdn=fqdn), zone=below)
    assert isinstance(cluster.do(PutService(elsewhere)).result, Refused)
    cluster.do(put(rrset("sub", "NS", "ns.elsewhere.")))
    assert isinstance(cluster.do(PutService(elsewhere)).result, Accepted)
    assert cluster.state.zones[ZONE].get(fqdn, A) is None


def test_a_zone_above_leaves_a_service_alone(new_cluster: type[Cluster]) -> None:
    """A service whose zone others serve can be changed after a zone above it has come here."""
    fqdn, below = from_text("www.sub.example.org"), from_text("sub.example.org")
    elsewhere = msgspec.structs.replace(service("192.0.2.1", fqdn=fqdn), zone=below)
    cluster = new_cluster()
    cluster.do(Seed((Member("ns1"),), (), (elsewhere,)))
    cluster.do(PutZone(ZONE, SETTINGS))
    assert isinstance(cluster.do(PutEndpoint(fqdn, Endpoint("192.0.2.2"))).result, Accepted)


def test_many_delegations_beside_many_services(cluster: Cluster) -> None:
    """Delegations are held against the services once an entry, not once each: the log's thread applies them."""
    for each in range(400):
        cluster.do(PutService(service("192.0.2.1", fqdn=from_text(f"s{each}.example.org"))))
    names = [from_text(f"d{each}.example.org") for each in range(1_000)]
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        result = cluster.do(put(*(make(name, NS, 5, [b"\x01a\x00"]) for name in names))).result
    finally:
        sys.setprofile(None)
    assert isinstance(result, Accepted)
    assert calls < 100 * len(names)


def test_the_largest_change_is_taken(cluster: Cluster) -> None:
    """A change as large as an entry may hold is carried out and told, though no history can hold it."""
    names = [from_text(f"h{number}", ZONE) for number in range(10_000)]
    applied = cluster.do(put(*(make(name, A, 60, [b"\xc0\x00\x02\x01"]) for name in names)))
    assert isinstance(applied.result, Accepted)
    assert set(names) == {name for _, name in applied.changed.names} - {ZONE}
    assert () == cluster.state.zones[ZONE].history
