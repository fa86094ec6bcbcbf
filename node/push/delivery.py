"""One delivery: read what stands on the server, replace what differs, read again.

The same walk for every kind of server. Each replacement says which RRset it replaces, so that a server
that can check this (RFC 2136 section 2.4) refuses it when somebody else was faster; then all is read
again. What was sent counts only when it is seen: servers may ignore an addition without an error.
"""

import itertools
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from node.push.errors import PushError
from node.push.orders import (
    Key,
    Order,
    Own,
    Replacement,
    ZonePlan,
    are_same_records,
    plan_of,
    replacement,
    sentinel,
    sentinel_name,
)
from node.push.wire import canonical_rdatas
from node.zone.name import Name, to_text
from node.zone.rrset import CNAME, TXT, RRset, type_to_text

BATCH_CHANGES_MAX = 50
READINGS_MAX = 4

Guard = Callable[[], Awaitable[None]]
"""Raises ``PushError`` of kind ``cut-off`` when this node may no longer push."""


class Carrier(Protocol):
    """What can read and change RRsets on one server. Every method raises ``PushError``."""

    fences: bool
    """Whether ``replace`` refuses when what it replaces is no longer what was read."""

    def close(self) -> None:
        """Let connections go."""

    async def least_ttl(self, zone: Name) -> int:
        """Return the lowest ttl that the server takes, in seconds."""

    async def serial(self, zone: Name) -> int | None:
        """Return the serial of the server's SOA, or None where there is no such thing."""

    async def read(self, zone: Name, keys: Collection[Key]) -> dict[Key, RRset]:
        """Return the RRsets that stand there, canonical; also a CNAME that stands in the way."""

    async def confirm(self, zone: Name, present: Mapping[Key, RRset]) -> dict[Key, RRset]:
        """Return those that stand at their names themselves, not by a wildcard's help."""

    async def replace(self, zone: Name, replacements: Sequence[Replacement]) -> None:
        """Make the replacements, at most ``BATCH_CHANGES_MAX``; ``conflict`` when ``before`` no longer holds."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to deliver a plan to a target."""

    plan: int
    own: Own = "addresses"
    fence: bool = False
    raise_fence: bool = True
    """Write the sentinel also when nothing else changes: the plan is new."""


async def deliver(carrier: Carrier, zone_plan: ZonePlan, terms: Terms, guard: Guard) -> tuple[Replacement, ...]:
    """Make the server's zone fulfil the plan; return what was replaced. Raises ``PushError``."""
    if terms.fence and not carrier.fences:
        raise PushError("permanent", "fence", "this kind of target cannot be fenced; set fence = false")
    orders = await _orders(carrier, zone_plan)
    done: list[Replacement] = []
    phantoms: frozenset[Key] = frozenset()
    for _ in range(READINGS_MAX):
        present = await _read(carrier, zone_plan.zone, orders, terms, phantoms)
        due = _due(zone_plan.zone, orders, present, terms)
        if not due:
            return tuple(done)
        try:
            for batch in _batches(due, zone_plan.zone, present, terms):
                await guard()
                await carrier.replace(zone_plan.zone, batch)
                present.update({each.key: each.after for each in batch if each.after is not None})
                done += batch
        except PushError as error:
            if error.kind != "conflict":
                raise
            phantoms |= await _phantoms(carrier, zone_plan.zone, due)
            continue
        await _check(carrier, zone_plan.zone, due)
        return tuple(done)
    raise PushError(
        "retryable",
        "contended",
        f"another writer keeps changing {to_text(zone_plan.zone)} there; find it, or make its names others",
    )


async def differences(carrier: Carrier, zone_plan: ZonePlan, own: Own) -> tuple[Replacement, ...]:
    """Return what a delivery would replace, without replacing it. Raises ``PushError``."""
    orders = await _orders(carrier, zone_plan)
    terms = Terms(0, own)
    present = await _read(carrier, zone_plan.zone, orders, terms, frozenset())
    return _due(zone_plan.zone, orders, present, terms)


async def _read(
    carrier: Carrier, zone: Name, orders: tuple[Order, ...], terms: Terms, phantoms: frozenset[Key]
) -> dict[Key, RRset]:
    keys = [order.key for order in orders]
    fence = sentinel_name(zone) if terms.fence else None
    present = await carrier.read(zone, [*keys, (fence, TXT)] if fence is not None else keys)
    aliases = {key: rrset for key, rrset in present.items() if key[1] == CNAME and key not in keys}
    real = await carrier.confirm(zone, aliases) if aliases else {}
    hidden = phantoms | (aliases.keys() - real.keys())
    return {key: rrset for key, rrset in present.items() if key not in hidden}


def _due(
    zone: Name, orders: tuple[Order, ...], present: Mapping[Key, RRset], terms: Terms
) -> tuple[Replacement, ...]:
    """Return the replacements that are due, a CNAME in the way first (RFC 2136 section 3.4.2.2)."""
    due: dict[Key, Replacement] = {}
    for order in orders:
        found = replacement(order, present.get(order.key), terms.own)
        alias = present.get((order.name, CNAME))
        if alias is not None and order.rdatas and order.type != CNAME:
            due.setdefault(alias_key(order), _without_alias(order, alias, terms))
        if found is not None:
            due[order.key] = found
    if terms.fence:
        _check_sentinel(zone, present, terms)
        if not due and terms.raise_fence:
            fence = _sentinel_replacement(zone, present, terms)
            due.update({} if fence.after == fence.before else {fence.key: fence})
    return tuple(due.values())


def alias_key(order: Order) -> Key:
    """Return the key of a CNAME at the order's name."""
    return order.name, CNAME


def _without_alias(order: Order, alias: RRset, terms: Terms) -> Replacement:
    if terms.own == "name":
        return Replacement(order.name, CNAME, alias, None)
    raise PushError(
        "permanent",
        "cname",
        f"{to_text(order.name)} is a CNAME on the server, and a server ignores records beside one; "
        'remove it there or set own = "name"',
    )


def _batches(
    due: Sequence[Replacement], zone: Name, present: Mapping[Key, RRset], terms: Terms
) -> Iterator[list[Replacement]]:
    """Cut replacements into messages, never through a name; each carries the sentinel."""
    rows = [each for each in due if not (terms.fence and each.name == sentinel_name(zone))]
    limit = BATCH_CHANGES_MAX - (1 if terms.fence else 0)
    batch: list[Replacement] = []
    for _, group in itertools.groupby(rows, key=lambda each: each.name):
        changes = list(group)
        if batch and len(batch) + len(changes) > limit:
            yield [*batch, *_fence_of(zone, present, terms)]
            batch = []
        batch += changes
    if batch or not rows:
        yield [*batch, *_fence_of(zone, present, terms)]


async def _phantoms(carrier: Carrier, zone: Name, due: Sequence[Replacement]) -> frozenset[Key]:
    """Return what was read though it is not there: a wildcard answered for the name (RFC 4592)."""
    read = {each.key: each.before for each in due if each.before is not None}
    return frozenset(read.keys() - (await carrier.confirm(zone, read)).keys())


async def _check(carrier: Carrier, zone: Name, due: Sequence[Replacement]) -> None:
    """Read back what was replaced. Raises ``PushError`` when the server accepted it and does not show it."""
    seen = await carrier.read(zone, [each.key for each in due])
    wrong = [each for each in due if not are_same_records(seen.get(each.key), each.after)]
    if any(each.after is None for each in wrong):
        real = await carrier.confirm(zone, {each.key: seen[each.key] for each in wrong if each.key in seen})
        wrong = [each for each in wrong if each.after is not None or each.key in real]
    if wrong:
        what = f"{to_text(wrong[0].name)} {type_to_text(wrong[0].type)}"
        raise PushError("retryable", "not-applied", f"the server accepted {what} but does not show it")


# --- the fence ------------------------------------------------------------------------------------


def _check_sentinel(zone: Name, present: Mapping[Key, RRset], terms: Terms) -> None:
    name = _fence_name(zone)
    standing = plan_of(present.get((name, TXT)))
    if standing > terms.plan:
        raise PushError(
            "stale",
            "stale",
            f"plan {standing} stands there, newer than {terms.plan}: another cluster pushes to it, or this one was "
            f"made anew; in the second case delete {to_text(name)} TXT there",
        )


def _fence_of(zone: Name, present: Mapping[Key, RRset], terms: Terms) -> list[Replacement]:
    return [_sentinel_replacement(zone, present, terms)] if terms.fence else []


def _sentinel_replacement(zone: Name, present: Mapping[Key, RRset], terms: Terms) -> Replacement:
    name = _fence_name(zone)
    return Replacement(name, TXT, present.get((name, TXT)), sentinel(name, terms.plan))


def _fence_name(zone: Name) -> Name:
    name = sentinel_name(zone)
    if name is None:
        raise PushError("permanent", "fence", f"the name {to_text(zone)} is too long for a fence below it")
    return name


async def _orders(carrier: Carrier, zone_plan: ZonePlan) -> tuple[Order, ...]:
    """Return the orders in the form in which the server would show them fulfilled."""
    ttl_min = await carrier.least_ttl(zone_plan.zone)
    return tuple(
        msgspec.structs.replace(
            order,
            ttl=max(order.ttl, ttl_min),
            rdatas=canonical_rdatas(order.type, order.rdatas),
            known=canonical_rdatas(order.type, order.known),
        )
        for order in zone_plan.orders
    )
