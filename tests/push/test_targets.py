"""What should stand on a target follows from the State alone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.health.service import Endpoint
from node.push.orders import Order, plan_of, replacement, sentinel, sentinel_name
from node.push.targets import TooMany, desired, wanted
from node.push.turns import has_failed, order, rank, waits_for
from node.state.command import (
    Ballot,
    CastVotes,
    ChangeZone,
    Command,
    DeleteEndpoint,
    DeleteRRset,
    DeleteService,
    PutEndpoint,
    PutRRset,
    PutService,
)
from node.state.pushes import PutTarget, ReportPush
from node.state.state import Delivery, Try
from node.zone.name import from_text
from node.zone.rrset import NS, SOA, RRset, make
from tests.push.lab import AAAA, NODES, WWW, ZONE, A, Log, addresses, rrset, service, target, with_target


def orders_of(log: Log, since: int = 0, name: str = "far") -> dict[Any, Order]:
    plans = desired(log.state, log.state.targets[name], since)
    return {order.key: order for plan in plans for order in plan.orders}


def test_published_addresses_and_what_is_ours() -> None:
    """An order holds the published addresses and knows every address the service has or had."""
    log = with_target("192.0.2.1", "192.0.2.2", "192.0.2.3")
    log.vote("192.0.2.2", up=False)
    log.do(DeleteEndpoint(WWW, "192.0.2.3"))
    found = orders_of(log)[(WWW, A)]
    assert addresses("192.0.2.1") == found.rdatas
    assert addresses("192.0.2.1", "192.0.2.2", "192.0.2.3") == found.known
    assert (WWW, AAAA) not in orders_of(log)


def test_a_family_without_addresses_is_to_be_empty() -> None:
    """An IPv6 endpoint that went leaves an order for no AAAA at all; own = "name" always orders both."""
    log = with_target("192.0.2.1", "2001:db8::1")
    log.do(DeleteEndpoint(WWW, "2001:db8::1"))
    assert () == orders_of(log)[(WWW, AAAA)].rdatas
    assert () != orders_of(log)[(WWW, AAAA)].known
    other = with_target("192.0.2.1", own="name")
    assert () == orders_of(other)[(WWW, AAAA)].rdatas


def test_a_service_that_went_is_cleaned_until_it_is_confirmed() -> None:
    """A deleted service leaves its addresses as leftovers of every target, until a plan as new stands there."""
    log = with_target("192.0.2.1")
    log.do(ReportPush("far", "ns1", wanted(log.state, log.state.targets["far"]), True))
    log.do(DeleteService(WWW))
    goal = wanted(log.state, log.state.targets["far"])
    assert log.state.index == goal
    assert addresses("192.0.2.1") == orders_of(log)[(WWW, A)].known
    assert () == orders_of(log)[(WWW, A)].rdatas
    log.do(ReportPush("far", "ns1", goal, True))
    assert {} == orders_of(log)
    assert goal == wanted(log.state, log.state.targets["far"])


def test_a_service_that_comes_back_keeps_the_leftovers_in_mind() -> None:
    """Old addresses of a name that is a service again are ours to take away."""
    log = with_target("192.0.2.1")
    log.do(DeleteService(WWW), PutService(service("192.0.2.9")))
    found = orders_of(log)[(WWW, A)]
    assert addresses("192.0.2.9") == found.rdatas
    assert addresses("192.0.2.1", "192.0.2.9") == found.known


def test_zones_limit_a_target() -> None:
    """Only services of the target's zones go there; no zones means all."""
    elsewhere = (from_text("example.net"),)
    assert {} == orders_of(with_target("192.0.2.1", zones=elsewhere))
    assert {} != orders_of(with_target("192.0.2.1", zones=()))


def test_unrelated_entries_do_not_make_a_target_behind() -> None:
    """The plan's number is the index of the latest change that concerns the target."""
    log = with_target("192.0.2.1")
    goal = wanted(log.state, log.state.targets["far"])
    log.do(PutTarget(target("another")), ReportPush("far", "ns2", 1, False, "silent"))
    assert goal == wanted(log.state, log.state.targets["far"])
    log.do(PutEndpoint(WWW, Endpoint("192.0.2.7")))
    assert log.state.index == wanted(log.state, log.state.targets["far"])


def test_all_of_a_zone_but_soa_and_apex_ns() -> None:
    """what = "all" orders every RRset except those that are the other server's own."""
    log = Log(PutTarget(target(what="all")), zones=True)
    log.do(ChangeZone(ZONE, (PutRRset(rrset("mail", "MX", "10 mx.example.net.")),)))
    log.do(ChangeZone(ZONE, (PutRRset(rrset("sub", "NS", "ns.example.net.")),)))
    keys = orders_of(log).keys()
    assert {(from_text("mail", ZONE), 15), (from_text("sub", ZONE), NS)} == keys
    assert (ZONE, SOA) not in keys
    assert log.state.index == wanted(log.state, log.state.targets["far"])
    log.do(ReportPush("far", "ns1", wanted(log.state, log.state.targets["far"]), True))
    log.do(ChangeZone(ZONE, (DeleteRRset(from_text("mail", ZONE), 15),)))
    assert log.state.index == wanted(log.state, log.state.targets["far"])
    gone = orders_of(log)[(from_text("mail", ZONE), 15)]
    assert ((), 1) == (gone.rdatas, len(gone.known))
    assert [gone] == [each for each in orders_of(log, log.state.index - 1).values() if not each.rdatas]


def test_a_zone_too_large_to_push_is_refused() -> None:
    """Beyond the limit a zone belongs into a zone transfer, and the message says so."""
    import msgspec

    log = Log(PutTarget(target(what="all")), zones=True)
    large = msgspec.structs.replace(log.state.zones[ZONE], rrset_count=100_001)
    state = msgspec.structs.replace(log.state, zones=log.state.zones.set(ZONE, large))
    with pytest.raises(TooMany, match="zone transfer"):
        desired(state, state.targets["far"])


steps = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "vote", "delete", "static", "unstatic"]), st.integers(1, 4)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(before=steps, after=steps, what=st.sampled_from(["services", "all"]))
def test_what_changed_since_a_plan_is_enough(before: Any, after: Any, what: str) -> None:
    """Fulfilling the orders since a plan leads to the same as fulfilling all of them anew."""
    log = Log(PutService(service("192.0.2.1")), PutTarget(target(what=what)), zones=True)
    play(log, before)
    plan = wanted(log.state, log.state.targets["far"])
    there = fulfil({}, orders_of(log))
    play(log, after)
    assert fulfil({}, orders_of(log)) == fulfil(there, orders_of(log, plan))


def play(log: Log, given: Any) -> None:
    """Apply a few changes to services and records."""
    for action, number in given:
        log.do(*step(action, number))


def step(action: str, number: int) -> tuple[Command, ...]:
    """Return the commands of one change."""
    address = f"192.0.2.{number}"
    static = rrset(f"static{number}", "A", address)
    ballots = (Ballot(WWW, address, number % 2 == 0),)
    return {
        "add": (PutEndpoint(WWW, Endpoint(address)),),
        "remove": (DeleteEndpoint(WWW, address),),
        "vote": tuple(CastVotes(node, ballots) for node in NODES[:2]),
        "delete": (DeleteService(WWW), PutService(service(address))),
        "static": (ChangeZone(ZONE, (PutRRset(static),)),),
        "unstatic": (ChangeZone(ZONE, (DeleteRRset(static.name, A),)),),
    }[action]


def fulfil(there: dict[Any, RRset], orders: dict[Any, Order]) -> dict[Any, RRset]:
    """Return what stands on a server after orders are fulfilled."""
    result = dict(there)
    for key, each in orders.items():
        change = replacement(each, result.get(key), "addresses")
        if change is not None and change.after is not None:
            result[key] = change.after
        elif change is not None:
            result.pop(key, None)
    return result


@given(
    ours=st.sets(st.integers(1, 6)),
    once=st.sets(st.integers(1, 6)),
    there=st.sets(st.integers(1, 9)),
    ttl=st.sampled_from([5, 60]),
)
def test_foreign_records_survive_and_ours_are_exact(
    ours: set[int], once: set[int], there: set[int], ttl: int
) -> None:
    """After a replacement stands what is ordered, plus what was there and never was ours."""
    rdatas = {number: bytes((192, 0, 2, number)) for number in range(10)}
    known = tuple(rdatas[number] for number in sorted(ours | once))
    each = Order(WWW, A, 5, tuple(rdatas[number] for number in sorted(ours)), known)
    present = make(WWW, A, ttl, [rdatas[number] for number in there]) if there else None
    change = replacement(each, present, "addresses")
    result = present if change is None else change.after
    expected = {rdatas[number] for number in ours | (there - ours - once)}
    assert expected == set(result.rdatas if result is not None else ())
    if ours and result is not None:
        assert 5 == result.ttl
    if change is not None:
        assert change.before != change.after


def test_the_sentinel_is_read_back() -> None:
    """A sentinel says its plan; anything else there says nothing."""
    name = sentinel_name(ZONE)
    assert name is not None
    assert 48_240 == plan_of(sentinel(name, 48_240))
    assert 0 == plan_of(None)
    assert 0 == plan_of(rrset("_quorumdns", "TXT", '"plan=x"', '"something"', '"plan="'))


def test_the_order_of_turns() -> None:
    """Every node ranks alike; who carried the newest plan goes first; the failing are not waited for."""
    ranked = rank(NODES, "far")
    assert sorted(NODES) == sorted(ranked)
    assert ranked == rank(tuple(reversed(NODES)), "far")
    assert 1 < len({rank(NODES, f"target{number}")[0] for number in range(20)})
    last = ranked[2]
    delivery = Delivery(plan=7, tries=((last, Try(7, True, 0)), (ranked[0], Try(7, False, 0))))
    ordered = order(NODES, "far", delivery)
    assert (last, ranked[0], ranked[1]) == ordered
    assert has_failed(delivery, ranked[0])
    assert (last,) == waits_for(ranked[1], ordered, delivery, None)
    assert () == waits_for(ranked[1], ordered, delivery, {ranked[0], ranked[1]})
