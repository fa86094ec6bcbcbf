"""The past as the State tells it: what really stood at that index, or a word that it is not known."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.health.rule import Rule
from node.health.service import Check, Endpoint, Service
from node.health.steadiness import Failback, FlapLimit
from node.state import past
from node.state.command import (
    Ballot,
    CastVotes,
    ChangeZone,
    Command,
    DeleteRRset,
    DeleteService,
    DeleteZone,
    DropVotes,
    Entry,
    PutRRset,
    PutService,
    Together,
    encode,
)
from node.state.explaining import explain_service
from node.state.machine import apply
from node.state.members import MemberNote, Seat, change_members, encode_note
from node.state.operations import (
    Place,
    SetOverrides,
)
from node.state.past import NotHeld, oldest_index, state_at
from node.state.snapshot import dump, load
from node.state.state import ServiceState, State
from node.zone.name import from_text
from node.zone.rrset import A, make
from node.zone.zone import Zone
from tests.state.conftest import rrset
from tests.state.play import EMPTY, MIXED, NODES, SEED, WWW, ZONE, as_of, interventions, votes

SERVICES = st.builds(
    lambda endpoints, **fields: PutService(Service(WWW, ZONE, endpoints=tuple(endpoints), **fields)),
    st.lists(
        st.builds(Endpoint, st.sampled_from(MIXED), priority=st.integers(1, 2)),
        min_size=1,
        unique_by=lambda each: each.address,
    ),
    check=st.sampled_from([Check("tcp", 80), Check("tcp", 80), Check("push", 0)]),
    flap_limit=st.sampled_from([None, FlapLimit(2, 60_000, 30_000)]),
    failback=st.sampled_from([Failback(), Failback("manual")]),
    fail_open_percent=st.sampled_from([0, 50, 100]),
    ttl=st.just(60),
    ttl_min=st.sampled_from([0, 5]),
    rule=st.sampled_from([Rule(), Rule("any")]),
    mode=st.sampled_from(["active-active", "active-standby"]),
)
RRSETS = st.builds(
    lambda name, number: PutRRset(make(from_text(f"{name}.example.org"), A, 60, [bytes([192, 0, 2, number])])),
    st.sampled_from("ab"),
    st.integers(1, 3),
)
SEATS = st.sets(st.sampled_from(NODES), min_size=1).map(
    lambda names: tuple(Seat(name, "", "voter") for name in sorted(names))
)
STEPS = st.one_of(
    SERVICES,
    *[votes(MIXED)] * 4,
    *[interventions(MIXED, st.integers(0, 200_000))] * 4,
    SEATS,
    st.just(DeleteService(WWW)),
    st.builds(lambda change: ChangeZone(ZONE, (change,)), RRSETS),
    st.builds(lambda one, two: Together((one, two)), SERVICES, SERVICES),
)


def after(state: State, step: Any, number: int) -> State:
    """Return the State after one more entry, an acceptable one where it is votes."""
    if isinstance(step, tuple):
        note = encode_note(MemberNote("alice", "work"))
        return change_members(state, state.index + 1, step, note, number * 1000).state
    command: Command = step
    entry = encode(Entry(as_of(state, command), number * 1000, "alice", f"work {number}"))
    return apply(state, state.index + 1, entry).state


def told(known: ServiceState | None) -> object:
    """Return what of a service can be found again: all but when a wait ends, how often a verdict changed, and orders."""
    if known is None:
        return None
    waits = {address: each.wait for address, each in known.endpoints if each.wait is not None}
    overrides = [msgspec.structs.replace(each, automated=False) for _, each in known.overrides]
    return (
        known.service,
        [(address, each.verdict, each.index, each.at_ms, each.votes) for address, each in known.endpoints],
        [(address, each.kind, each.index, each.at_ms) for address, each in waits.items()],
        sorted(known.published),
        (known.fail_open, known.is_down, known.ttl, known.index),
        (overrides, known.maintenance),
    )


def silences(state: State, known: ServiceState | None) -> list[str]:
    """Return why nodes say nothing of endpoints."""
    stories = explain_service(state, known) if known is not None else ()
    return sorted(line.text for story in stories for line in story.lines if "no vote" in line.text)


def contents(zone: Zone | None) -> object:
    return None if zone is None else (zone.serial, zone.digest, list(zone.iter_rrsets()), sorted(zone.nodes))


@settings(max_examples=100, deadline=None)
@given(SERVICES, st.lists(STEPS, max_size=25))
def test_the_past_is_what_it_was(first: PutService, steps: list[Any]) -> None:
    """At every index, for services and zones, on a node that read a snapshot as well."""
    states = [EMPTY]
    for number, step in enumerate([SEED, first, *steps], 1):
        states.append(after(states[-1], step, number))
    now = load(dump(states[-1]))
    for then in states[1:]:
        found = state_at(now, then.index)
        known, known_again = then.services.get(WWW), found.state.services.get(WWW)
        assert told(known) == told(known_again), then.index
        assert silences(then, known) == silences(found.state, known_again)
        assert contents(then.zones.get(ZONE)) == contents(found.state.zones.get(ZONE))
        assert {each.name for each in then.members} == {each.name for each in found.state.members}
        assert {} == found.notes


def histories(count: int) -> Iterator[State]:
    """Yield a State with ever more votes of one service."""
    state = after(
        after(State(), SEED, 1), PutService(Service(WWW, ZONE, Check("tcp", 80), (Endpoint(MIXED[0]),))), 2
    )
    for number in range(count):
        ballot = Ballot(WWW, MIXED[0], number % 2 == 0)
        state = after(state, CastVotes("n1", (ballot,)), 3 + number)
        yield state


def test_what_is_to_come_or_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name of the index from which on the past is held; what lies before that is told as that."""
    monkeypatch.setattr("node.state.draft.EVENTS_MAX", 5)
    *_, state = histories(20)
    oldest = oldest_index(state)
    assert oldest > 2
    with pytest.raises(NotHeld, match=f"index {oldest - 1} is too old: events are held from index {oldest} on"):
        state_at(state, oldest - 1)
    with pytest.raises(NotHeld, match="index 99 is to come: the newest here is 22"):
        state_at(state, 99)
    found = state_at(state, oldest).state.services[WWW]
    assert [("n1", oldest)] == [(name, vote.index) for name, vote in found.endpoints[0][1].votes]


def test_votes_older_than_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stand where they still do, or where the next vote says what it replaced; what ended since is not known."""
    monkeypatch.setattr("node.state.draft.EVENTS_MAX", 8)
    *_, state = histories(1)
    for name in ("n2", "n3"):
        state = after(state, CastVotes(name, (Ballot(WWW, MIXED[0], True, 7),)), 10)
    for number in range(10):
        state = after(state, SetOverrides((Place(WWW, MIXED[0]),), "up", number), 20)
    asked = state.index
    votes = [(name, vote.up) for name, vote in state.services[WWW].endpoints[0][1].votes]
    state = after(state, CastVotes("n2", (Ballot(WWW, MIXED[0], False),)), 40)
    found = state_at(state, asked)
    assert votes == [(name, vote.up) for name, vote in found.state.services[WWW].endpoints[0][1].votes]
    assert ({}, 0) == (found.notes, found.state.services[WWW].endpoints[0][1].votes[1][1].index)
    state = after(state, DropVotes("n3"), 41)
    found = state_at(state, asked)
    assert votes[:2] == [(name, vote.up) for name, vote in found.state.services[WWW].endpoints[0][1].votes]
    assert "that ended since are not held" in found.notes[WWW][0]


def test_what_is_lost_is_said() -> None:
    """A definition too long to be kept, a zone that was deleted or replaced as a whole."""
    state = after(State(), SEED, 1)
    many = tuple(Endpoint(f"2001:db8::{number:x}", name="n" * 60) for number in range(1, 201))
    state = after(state, PutService(Service(WWW, ZONE, Check("tcp", 80), many)), 2)
    kept = state.index
    state = after(state, PutService(Service(WWW, ZONE, Check("tcp", 81), many[:1])), 3)
    found = state_at(state, kept)
    assert "its definition changed at index 3" in found.notes[WWW][0]
    assert 1 == len(found.state.services[WWW].service.endpoints)
    state = after(after(state, DeleteService(WWW), 4), DeleteZone(ZONE), 5)
    found = state_at(state, kept)
    assert ("the zone was deleted at index 5, what stood in it is not held",) == found.notes[ZONE]
    assert found.state.services[WWW].published


def test_the_history_of_a_zone_is_shorter_than_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood before it begins is told as it is now, and that is said."""
    monkeypatch.setattr("node.zone.zone.HISTORY_DELTAS_MAX", 3)
    state = after(State(), SEED, 1)
    for number in range(2, 8):
        change = PutRRset(rrset("www", "A", f"192.0.2.{number}"))
        state = after(state, ChangeZone(ZONE, (change,)), number)
    assert {} == state_at(state, 4).notes
    assert "before index 5 is not held" in state_at(state, 3).notes[ZONE][0]
    state = after(state, ChangeZone(ZONE, (DeleteRRset(WWW, A),)), 8)
    assert state_at(state, 7).state.zones[ZONE].get(WWW, A) is not None


def test_an_older_log_is_told_of_from_where_it_says_enough() -> None:
    """A verdict without its rule is of software that did not tell what was before."""
    *_, state = histories(3)
    event = state.events[min(state.events)]
    older = msgspec.structs.replace(event, kind="verdict.changed", index=4)
    state = msgspec.structs.replace(state, events=state.events.set(min(state.events), older))
    assert 4 == past.oldest_index(state)
