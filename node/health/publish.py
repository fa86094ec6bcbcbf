"""Which endpoints of a service stand in DNS, and why; and the RRsets that follow.

Pure decisions over verdicts, judged once for the whole service: the order in which endpoints fail
or the number of log entries that told of it make no difference.
"""

import ipaddress
from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from node.health.service import Endpoint, Service
from node.health.verdict import VerdictWord
from node.zone.rrset import AAAA, A, RRset, make

Reason = Literal["up", "undecided", "down", "kept", "standby"]


class Selection(msgspec.Struct, frozen=True):
    """The addresses to publish, in the service's order, and the reason for every endpoint."""

    published: tuple[str, ...]
    fail_open: bool
    reasons: tuple[tuple[str, Reason], ...]


def select(service: Service, verdicts: Mapping[str, VerdictWord]) -> Selection:
    """Choose the endpoints to publish from the verdicts by address.

    An undecided endpoint counts as good: nothing is withdrawn before a majority has said down. When
    more than ``fail_open_percent`` of the endpoints are down, all of them are kept.
    """
    down = frozenset(each.address for each in service.endpoints if verdicts.get(each.address) == "down")
    fail_open = len(down) * 100 > service.fail_open_percent * len(service.endpoints)
    candidates = (
        service.endpoints
        if fail_open
        else tuple(each for each in service.endpoints if each.address not in down)
    )
    chosen = _best_priority(candidates, down) if service.mode == "active-standby" else candidates
    published = tuple(each.address for each in chosen)
    chosen_ones = frozenset(published)
    reasons = tuple(
        (each.address, _reason(each.address, verdicts, chosen_ones, fail_open)) for each in service.endpoints
    )
    return Selection(published, fail_open, reasons)


def _best_priority(candidates: tuple[Endpoint, ...], down: Collection[str]) -> tuple[Endpoint, ...]:
    """Keep the lowest priority number that has an endpoint not down; the lowest of all otherwise."""
    able = [each for each in candidates if each.address not in down] or list(candidates)
    best = min((each.priority for each in able), default=0)
    return tuple(each for each in candidates if each.priority == best)


def _reason(
    address: str, verdicts: Mapping[str, VerdictWord], published: Collection[str], fail_open: bool
) -> Reason:
    verdict = verdicts.get(address, "undecided")
    if address not in published:
        return "down" if verdict == "down" and not fail_open else "standby"
    return "kept" if verdict == "down" else verdict


def rrsets(service: Service, published: tuple[str, ...]) -> tuple[RRset, ...]:
    """Return the A and AAAA RRsets of the published addresses; a family without any has no RRset."""
    families: dict[int, list[bytes]] = {A: [], AAAA: []}
    for text in published:
        address = ipaddress.ip_address(text)
        families[A if address.version == 4 else AAAA].append(address.packed)
    return tuple(make(service.fqdn, type_, service.ttl, rdatas) for type_, rdatas in families.items() if rdatas)
