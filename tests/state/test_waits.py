"""Waits, and all that decides what is published: total, alike on every node, and never against themselves."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from node.health.service import Check, Endpoint, Service
from node.health.steadiness import Failback, FlapLimit, Wait, changes_within, span_ms
from node.state.command import (
    Ballot,
    CastVotes,
    Entry,
    Member,
    PutService,
    Seed,
    encode,
)
from node.state.machine import apply
from node.state.operations import (
    KeepSchedule,
)
from node.state.overrides import next_due_ms
from node.state.snapshot import digest, dump, load
from node.state.state import State
from tests.state.play import EMPTY, FAILBACKS, FLAP_LIMITS, MIXED, SEED, WWW, ZONE, as_of, interventions, votes

TIMES = st.integers(-5, 200).map(lambda seconds: seconds * 1000)
SERVICES = st.builds(
    lambda **fields: PutService(Service(WWW, ZONE, endpoints=tuple(map(Endpoint, MIXED)), ttl=60, **fields)),
    check=st.sampled_from([Check("tcp", 80), Check("push", 0)]),
    flap_limit=FLAP_LIMITS,
    failback=FAILBACKS,
    min_up=st.integers(0, 3),
    fail_open_percent=st.sampled_from([0, 50, 100]),
    separate_families=st.booleans(),
    ttl_min=st.sampled_from([0, 5]),
    mode=st.sampled_from(["active-active", "active-standby"]),
)
COMMANDS = st.one_of(SERVICES, votes(MIXED), interventions(MIXED, TIMES))


@settings(max_examples=150, deadline=None)
@given(SERVICES, st.lists(st.tuples(COMMANDS, TIMES), max_size=40), st.integers(0, 40))
def test_whatever_comes_all_nodes_agree(first: PutService, commands: list[Any], restarted_at: int) -> None:
    """Also with one that read a snapshot on the way, and with clocks that go back."""
    one = two = EMPTY
    for number, (command, at_ms) in enumerate([(SEED, 0), (first, 0), *commands]):
        data = encode(Entry(as_of(one, command), at_ms))
        one, two = (apply(each, each.index + 1, data).state for each in (one, two))
        if number == restarted_at:
            two = load(dump(two))
        require_sense(one)
    assert digest(one) == digest(two)
    assert one == load(dump(one))


def require_sense(state: State) -> None:
    """Published are endpoints alone, waits are of kinds that the service knows, and the zone has what is published."""
    known = state.services.get(WWW)
    if known is None:
        return
    assert set(known.published) <= set(MIXED)
    for address, each in known.endpoints:
        if each.wait is None:
            continue
        assert each.wait.kind == "flapping" or (known.service.failback.kind != "auto" and each.verdict == "up")
        assert each.wait.kind == "failback" or known.service.flap_limit is not None
        if each.wait.kind == "failback" and known.maintenance is None:
            assert address not in known.published
    node = state.zones[ZONE].node(WWW)
    assert bool(known.published) == (node is not None and bool(node.rrsets))


def test_the_leader_has_something_to_do_as_long_as_a_wait_has_an_end() -> None:
    """At once when it has just begun, at its end then, never for one that ends when somebody says so."""
    state = State()
    endpoints = tuple(map(Endpoint, MIXED))
    service = Service(WWW, ZONE, Check("tcp", 80), endpoints, failback=Failback("after", 20_000))
    votes = [CastVotes("n1", (Ballot(WWW, MIXED[0], up),)) for up in (True, False, True)]
    for command in (Seed((Member("n1"),)), PutService(service), *votes):
        state = apply(state, state.index + 1, encode(Entry(command, 1_000))).state
    assert 0 == next_due_ms(state.services[WWW])
    state = apply(state, state.index + 1, encode(Entry(KeepSchedule(5_000), 0))).state
    assert 25_000 == next_due_ms(state.services[WWW])
    manual = msgspec.structs.replace(service, failback=Failback("manual"))
    state = apply(state, state.index + 1, encode(Entry(PutService(manual), 0))).state
    assert next_due_ms(state.services[WWW]) is None
    assert MIXED[0] not in state.services[WWW].published


@given(st.lists(st.integers(0, 10**6), max_size=30), st.integers(2, 8), st.integers(1_000, 10**6))
def test_changes_are_counted_as_by_hand(times: list[int], count: int, per_ms: int) -> None:
    """With clocks that never go back, the changes of a window are those of the window, the newest of them."""
    limit, known = FlapLimit(count, per_ms), ()
    seen: list[int] = []
    for at_ms in sorted(times):
        known = changes_within(limit, known, at_ms)
        seen.append(at_ms)
        assert tuple([each for each in seen if at_ms - each < per_ms][-count:]) == known


def test_how_long_waits_last() -> None:
    """Flapping by its limit, failback by its time, manual until somebody says so."""
    limit = FlapLimit(hold_ms=7_000)
    flapping, failback = Wait("flapping", 1, 1), Wait("failback", 1, 1)
    assert 7_000 == span_ms(flapping, limit, Failback())
    assert 9_000 == span_ms(failback, None, Failback("after", 9_000))
    assert 0 == span_ms(failback, limit, Failback("manual"))
