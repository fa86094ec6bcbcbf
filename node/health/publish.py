"""Which endpoints of a service stand in DNS, and why; and the RRsets that follow.

Pure decisions over verdicts, judged once for the whole service: the order in which endpoints fail
or the number of log entries that told of it make no difference.
"""

import ipaddress
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from node.health.override import Override
from node.health.service import Endpoint, Service
from node.health.steadiness import Wait
from node.health.verdict import VerdictWord
from node.zone.rrset import AAAA, A, RRset, make

Reason = Literal[
    "up",
    "undecided",
    "down",
    "kept",
    "standby",
    "flapping",
    "waiting",
    "drained",
    "forced up",
    "forced down",
]

_WITHDRAWN: Final[dict[str, Reason]] = {"drain": "drained", "down": "forced down"}
_WAITING: Final[dict[str, Reason]] = {"flapping": "flapping", "failback": "waiting"}


class Selection(msgspec.Struct, frozen=True):
    """The addresses to publish, in the service's order, and the reason for every endpoint."""

    published: tuple[str, ...]
    fail_open: bool
    reasons: tuple[tuple[str, Reason], ...]


def select(
    service: Service,
    verdicts: Mapping[str, VerdictWord],
    overrides: Mapping[str, Override] = MappingProxyType({}),
    last: Collection[str] = (),
    waits: Mapping[str, Wait] = MappingProxyType({}),
) -> Selection:
    """Choose the endpoints to publish from the verdicts and what operators said, by address.

    An undecided endpoint counts as good: nothing is withdrawn before a majority has said down. What is drained or
    forced down is outside every count. When more than ``fail_open_percent`` of the rest are down, or fewer than
    ``min_up`` are up, all of the rest are kept. ``last`` are the addresses published before. What waits is left out
    while enough others are up. All of that for each family alone where the service separates them.
    """
    found = [_select(part, verdicts, overrides, last, waits) for part in parts(service)]
    published = {address for each in found for address in each.published}
    reasons = {address: word for each in found for address, word in each.reasons}
    addresses = (*(each.address for each in service.endpoints), *service.fallback)
    return Selection(
        tuple(dict.fromkeys(each for each in addresses if each in published)),
        any(each.fail_open for each in found),
        tuple((each.address, reasons[each.address]) for each in service.endpoints),
    )


def parts(service: Service) -> tuple[Service, ...]:
    """Return what of a service is judged alone: the whole, or its families if these are separate."""
    if not service.separate_families:
        return (service,)
    return tuple(_of_family(service, is_six=is_six) for is_six in (False, True))


def part_of(service: Service, address: str) -> Service:
    """Return the part of a service that one of its endpoints is judged in; the service itself where it is whole."""
    if not service.separate_families:
        return service
    return _of_family(service, is_six=":" in address)


def is_emptied(service: Service, before: Collection[str], after: Collection[str]) -> bool:
    """Say whether a service, or a family that is judged alone, would lose its last record."""
    families = [{False}, {True}] if service.separate_families else [{False, True}]
    return any(
        any((":" in each) in family for each in before) and not any((":" in each) in family for each in after)
        for family in families
    )


def _of_family(service: Service, *, is_six: bool) -> Service:
    return msgspec.structs.replace(
        service,
        endpoints=tuple(each for each in service.endpoints if (":" in each.address) == is_six),
        fallback=tuple(each for each in service.fallback if (":" in each) == is_six),
        separate_families=False,
    )


def is_settled(verdict: VerdictWord, votes: Collection[bool], wait: Wait | None) -> bool:
    """Say whether nothing about an endpoint hints that what stands in DNS may change soon."""
    return verdict == "up" and wait is None and all(votes)


def _select(
    service: Service,
    verdicts: Mapping[str, VerdictWord],
    overrides: Mapping[str, Override],
    last: Collection[str],
    waits: Mapping[str, Wait],
) -> Selection:
    withdrawn = {address: _WITHDRAWN[each.kind] for address, each in overrides.items() if each.kind != "up"}
    forced_up = {address for address, each in overrides.items() if each.kind == "up"}
    eligible = tuple(each for each in service.endpoints if each.address not in withdrawn)
    down = frozenset(
        each.address
        for each in eligible
        if verdicts.get(each.address) == "down" and each.address not in forced_up
    )
    fail_open = _is_fail_open(service, len(eligible), len(down))
    outside = forced_up | withdrawn.keys() | down
    waiting = {address: _WAITING[each.kind] for address, each in waits.items() if address not in outside}
    candidates = eligible if fail_open else _rested(service, eligible, down, waiting)
    chosen = _best_priority(candidates, down) if service.mode == "active-standby" else candidates
    published = tuple(each.address for each in _limited(service, chosen))
    if not published:
        published = _when_down(service, eligible, last)
    left_out = withdrawn | {key: word for key, word in waiting.items() if key not in published}
    reasons = tuple(
        (each.address, _reason(each.address, verdicts, frozenset(published), left_out, forced_up, fail_open))
        for each in service.endpoints
    )
    return Selection(published, fail_open, reasons)


def _rested(
    service: Service, eligible: tuple[Endpoint, ...], down: Collection[str], waiting: Collection[str]
) -> tuple[Endpoint, ...]:
    """Leave out what is down, and what waits unless it is needed."""
    up = tuple(each for each in eligible if each.address not in down)
    rested = tuple(each for each in up if each.address not in waiting)
    return rested if len(rested) >= max(1, service.min_up) else up


def _is_fail_open(service: Service, eligible: int, down: int) -> bool:
    if not down:
        return False
    return down * 100 > service.fail_open_percent * eligible or eligible - down < service.min_up


def _best_priority(candidates: tuple[Endpoint, ...], down: Collection[str]) -> tuple[Endpoint, ...]:
    """Keep the lowest priority number that has an endpoint not down; the lowest of all otherwise."""
    able = [each for each in candidates if each.address not in down] or list(candidates)
    best = min((each.priority for each in able), default=0)
    return tuple(each for each in candidates if each.priority == best)


def _limited(service: Service, chosen: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Keep the best ones by priority, then weight, in the service's order."""
    if not service.max_answers or len(chosen) <= service.max_answers:
        return chosen
    best = sorted(chosen, key=lambda each: (each.priority, -each.weight))[: service.max_answers]
    return tuple(each for each in chosen if each in best)


def _when_down(service: Service, eligible: tuple[Endpoint, ...], last: Collection[str]) -> tuple[str, ...]:
    """Return what stands in DNS when nothing can be recommended; nothing where operators took everything out."""
    if service.when_down == "fallback":
        return service.fallback
    if service.when_down == "nodata" or not eligible:
        return ()
    addresses = tuple(each.address for each in eligible)
    if service.when_down == "last_good":
        return tuple(address for address in addresses if address in last) or addresses
    return addresses


def _reason(
    address: str,
    verdicts: Mapping[str, VerdictWord],
    published: Collection[str],
    left_out: Mapping[str, Reason],
    forced_up: Collection[str],
    fail_open: bool,
) -> Reason:
    if address in left_out:
        return left_out[address]
    verdict = verdicts.get(address, "undecided")
    if address not in published:
        return "down" if verdict == "down" and address not in forced_up and not fail_open else "standby"
    if address in forced_up:
        return "forced up"
    return "kept" if verdict == "down" else verdict


def rrsets(service: Service, published: tuple[str, ...], ttl: int) -> tuple[RRset, ...]:
    """Return the A and AAAA RRsets of the published addresses; a family without any has no RRset."""
    families: dict[int, list[bytes]] = {A: [], AAAA: []}
    for text in published:
        address = ipaddress.ip_address(text)
        families[A if address.version == 4 else AAAA].append(address.packed)
    return tuple(make(service.fqdn, type_, ttl, rdatas) for type_, rdatas in families.items() if rdatas)
