"""A zone read back is the zone, whatever stood there before."""

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from node.zone.builder import Row, ZoneBuilder
from node.zone.name import Name
from node.zone.rrset import A
from node.zone.zone import Replacement, Zone, with_changes
from tests.zone.test_zone import APEX, CHANGES, NAMES, empty, rrset_for


def changed(zone: Zone, changes: list[tuple[Name, int, str]], index: int) -> Zone:
    for name, type_, how in changes:
        zone = with_changes(zone, [Replacement(name, type_, rrset_for(name, type_, how))], index)
    return zone


def rows_of(zone: Zone) -> list[Row]:
    return [(zone.nodes[rrset.name].index, rrset) for rrset in zone.iter_rrsets()]


@given(CHANGES, CHANGES, CHANGES, st.randoms(), st.integers(1, 5))
def test_a_zone_is_read_back_over_any_other(
    common: list[tuple[Name, int, str]],
    of_one: list[tuple[Name, int, str]],
    of_other: list[tuple[Name, int, str]],
    rng: random.Random,
    step: int,
) -> None:
    """In any order and in batches of any size, over a version that shares much or little with it."""
    start = changed(empty(), common, 2)
    zone, former = changed(start, of_one, 3), changed(start, of_other, 4)
    rows = rows_of(zone)
    rng.shuffle(rows)
    builder = ZoneBuilder(APEX, zone.serial, zone.history, former.nodes)
    for begin in range(0, len(rows), step):
        builder.take(rows[begin : begin + step])
    assert zone == builder.finish()


def test_what_stood_there_before_is_shared() -> None:
    """A snapshot of what a node holds already costs neither memory nor a million objects to let go."""
    zone = changed(empty(), [(name, A, "put") for name in NAMES[1:]], 2)
    builder = ZoneBuilder(APEX, zone.serial, zone.history, zone.nodes)
    builder.take([(index, msgspec.structs.replace(rrset)) for index, rrset in rows_of(zone)])
    again = builder.finish()
    assert zone == again
    assert all(zone.nodes[name] is again.nodes[name] for name in zone.nodes)
