"""Zone versions: what exists, what is visible, serial, digest and history, against a dumb twin."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from node.zone import zone as zones
from node.zone.builder import ZoneBuilder
from node.zone.name import Name, from_text, iter_ancestors
from node.zone.rrset import SOA, TXT, A, RRset, make
from node.zone.zone import Delta, Replacement, Zone, new_zone, with_changes

APEX = from_text("z")
SOA_RRSET = make(APEX, SOA, 5, [b"\x00\x00" + bytes(20)])
NAMES = [from_text(text) for text in ("z", "a.z", "b.z", "a.b.z", "x.a.b.z", "q.r.s.z", "r.s.z", "*.a.z")]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from([A, TXT]), st.sampled_from(["put", "other", "hide", "delete"])
    ),
    max_size=30,
)


def rrset_for(name: Name, type_: int, how: str) -> RRset | None:
    """Build what a change makes of an RRset."""
    if how == "delete":
        return None
    return msgspec.structs.replace(
        make(name, type_, 5, [b"\x01\x02\x03\x04" if how != "other" else b"\x01\x02\x03\x05"]),
        disabled=how == "hide",
    )


def empty() -> Zone:
    """Build a zone with an SOA only."""
    return new_zone(APEX, [SOA_RRSET], 1)


def existing(rrsets: dict[tuple[Name, int], RRset], *, seen: bool) -> set[Name]:
    """Say by brute force which names exist: those with RRsets and everything between them and the apex."""
    names = set()
    for (name, _), rrset in rrsets.items():
        if not (seen and rrset.disabled):
            ancestors = list(iter_ancestors(name))
            names |= set(ancestors[: ancestors.index(APEX) + 1])
    return names


@given(CHANGES)
@settings(max_examples=200)
def test_names_exist_as_long_as_something_lies_at_or_below_them(changes: list[tuple[Name, int, str]]) -> None:
    """The counts of children agree with a look at all RRsets (RFC 4592 section 2.2.2)."""
    zone = empty()
    twin: dict[tuple[Name, int], RRset] = {(APEX, SOA): SOA_RRSET}
    for name, type_, how in changes:
        rrset = rrset_for(name, type_, how)
        zone = with_changes(zone, [Replacement(name, type_, rrset)], 2)
        twin.pop((name, type_), None)
        if rrset is not None:
            twin[name, type_] = rrset
    assert existing(twin, seen=False) == set(zone.nodes)
    assert existing(twin, seen=True) == {name for name, node in zone.nodes.items() if node.is_visible}
    assert {rrset for rrset in twin.values() if rrset.type != SOA} == {
        rrset for rrset in zone.iter_rrsets() if rrset.type != SOA
    }
    assert len(twin) == zone.rrset_count


@given(CHANGES)
def test_the_digest_does_not_depend_on_the_way(changes: list[tuple[Name, int, str]]) -> None:
    """The same contents have the same digest, built one by one, at once, or restored."""
    zone = empty()
    for name, type_, how in changes:
        zone = with_changes(zone, [Replacement(name, type_, rrset_for(name, type_, how))], 2)
    rrsets = list(zone.iter_rrsets())
    at_once = new_zone(APEX, reversed(rrsets), 3, serial=zone.serial)
    rows = [(zone.nodes[rrset.name].index, rrset) for rrset in rrsets]
    builder = ZoneBuilder(APEX, zone.serial, zone.history)
    builder.take(rows)
    restored = builder.finish()
    assert zone == restored
    assert zone.digest == at_once.digest == restored.digest
    assert (zone.serial, zone.rrset_count, zone.history_rrsets) == (
        restored.serial,
        restored.rrset_count,
        restored.history_rrsets,
    )
    assert {name: node.is_visible for name, node in zone.nodes.items()} == {
        name: node.is_visible for name, node in restored.nodes.items()
    }


def test_a_change_that_changes_nothing_returns_the_same_zone() -> None:
    """No new serial without a difference."""
    zone = with_changes(empty(), [Replacement(NAMES[1], A, rrset_for(NAMES[1], A, "put"))], 2)
    assert zone is with_changes(zone, [Replacement(NAMES[1], A, rrset_for(NAMES[1], A, "put"))], 3)
    assert zone is with_changes(zone, [Replacement(NAMES[2], A, None)], 3)


def test_a_change_advances_the_serial_in_the_soa_too() -> None:
    """The SOA's rdata holds the zone's serial, also over the end of 32 bits (RFC 1982)."""
    zone = new_zone(APEX, [SOA_RRSET], 1, serial=2**32 - 1)
    zone = with_changes(zone, [Replacement(NAMES[1], A, rrset_for(NAMES[1], A, "put"))], 2)
    soa = zone.get(APEX, SOA)
    assert soa is not None
    assert (0, bytes(4)) == (zone.serial, soa.rdatas[0][2:6])


@given(CHANGES)
def test_the_history_leads_from_any_version_to_the_next(changes: list[tuple[Name, int, str]]) -> None:
    """Taking away and adding what a delta says is the change itself (RFC 1995 section 4)."""
    zone = empty()
    versions = {zone.serial: set(zone.iter_rrsets())}
    for name, type_, how in changes:
        zone = with_changes(zone, [Replacement(name, type_, rrset_for(name, type_, how))], 2)
        versions[zone.serial] = set(zone.iter_rrsets())
    for delta in zone.history:
        before, after = versions[delta.serial_from], versions[delta.serial_to]
        assert set(delta.removed) <= before
        assert after == before - set(delta.removed) | set(delta.added)


def test_the_history_is_bounded() -> None:
    """By changes, and by RRsets over all of them; a change that is too large leaves none."""
    zone = empty()
    for number in range(zones.HISTORY_DELTAS_MAX + 10):
        rrset = make(NAMES[1], A, 5, [number.to_bytes(4, "big")])
        zone = with_changes(zone, [Replacement(NAMES[1], A, rrset)], number)
    assert zones.HISTORY_DELTAS_MAX == len(zone.history)
    assert zone.serial == zone.history[-1].serial_to
    many = [from_text(f"n{number}.z") for number in range(zones.HISTORY_RRSETS_MAX)]
    zone = with_changes(zone, [Replacement(name, A, make(name, A, 5, [bytes(4)])) for name in many[:-4]], 9)
    assert sum(len(delta.removed) + len(delta.added) for delta in zone.history) == zone.history_rrsets
    assert zones.HISTORY_RRSETS_MAX >= zone.history_rrsets
    assert isinstance(zone.history[-1], Delta)
    zone = with_changes(zone, [Replacement(name, TXT, make(name, TXT, 5, [b"\x00"])) for name in many], 10)
    assert ((), 0) == (zone.history, zone.history_rrsets)


def test_records_come_in_canonical_order_behind_the_soa() -> None:
    """The SOA first, then names in the order of RFC 4034 section 6.1."""
    rrsets = [SOA_RRSET, *(make(name, A, 5, [bytes(4)]) for name in NAMES)]
    names = [rrset.name for rrset in new_zone(APEX, rrsets, 1).iter_rrsets()]
    expected = ["z", "z", "a.z", "*.a.z", "b.z", "a.b.z", "x.a.b.z", "r.s.z", "q.r.s.z"]
    assert [from_text(text) for text in expected] == names
