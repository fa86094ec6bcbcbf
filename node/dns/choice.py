"""Which of a service's published addresses one answer holds, and in which order: by weight, by client, or by site. Pure.

The zone holds them all, as do transfers and pushes. An answer that depends on more than its name cannot be prepared, so
these names are handed up by the processes that answer UDP, and answered in one place for UDP, TCP and TLS alike.
"""

import hashlib
import ipaddress
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from node.health.service import Selection, Service
from node.state.state import State
from node.zone.name import Name
from node.zone.rrset import AAAA, A, RRset

_GOLDEN = 0x9E3779B97F4A7C15
"""2 ** 64 divided by the golden ratio: multiples of it fall evenly over the numbers of 64 bits, however many there are."""
_WHOLE = 2**64
_IPV4_PREFIX, _IPV6_PREFIX = 24, 56
"""What counts as one client: the networks that the rate limit knows, too."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How the answers of one service are chosen."""

    zone: Name
    selection: Selection
    weights: Mapping[bytes, int]
    """By rdata; what is not in it, such as a fallback address, has the weight 1."""
    near: frozenset[bytes] = frozenset()
    """The rdatas of endpoints at this node's site."""


def choices_of(state: State, node: str) -> dict[Name, Choice]:
    """Return the choices that this node has to make, by the name of the service."""
    site = next((each.site for each in state.members if each.name == node), "")
    services = (known.service for known in state.services.values())
    return {each.fqdn: _choice(each, site) for each in services if each.selection != "all"}


def _choice(service: Service, site: str) -> Choice:
    packed = {each.address: ipaddress.ip_address(each.address).packed for each in service.endpoints}
    return Choice(
        service.zone,
        service.selection,
        {packed[each.address]: each.weight for each in service.endpoints},
        frozenset(packed[each.address] for each in service.endpoints if site and each.site == site),
    )


def is_chosen(choices: Mapping[Name, Choice], rrsets: Iterable[RRset]) -> bool:
    """Say whether an answer with these RRsets depends on more than its name."""
    return bool(choices) and any(rrset.type in (A, AAAA) and rrset.name in choices for rrset in rrsets)


def chosen(choice: Choice, rrset: RRset, client: str, turn: int) -> tuple[bytes, ...]:
    """Return the rdatas of an answer in their order; ``turn`` counts answers, ``client`` is an IP address."""
    rdatas = rrset.rdatas
    if len(rdatas) < 2:
        return rdatas
    match choice.selection:
        case "weighted":
            return _by_weight(choice, rdatas, turn)
        case "weighted-one":
            return _by_weight(choice, rdatas, turn)[:1]
        case "sticky":
            return (_sticky(choice, rdatas, client),)
        case "site":
            near = tuple(each for each in rdatas if each in choice.near)
            return _turned(near or rdatas, turn)
        case _:
            return _turned(rdatas, turn)


def _turned(rdatas: tuple[bytes, ...], turn: int) -> tuple[bytes, ...]:
    start = turn % len(rdatas)
    return rdatas[start:] + rdatas[:start]


def _by_weight(choice: Choice, rdatas: tuple[bytes, ...], turn: int) -> tuple[bytes, ...]:
    """Draw one after the other: the first as evenly as can be over any run of turns, the others by a mixture of it."""
    left = [(each, choice.weights.get(each, 1)) for each in rdatas]
    drawn: list[bytes] = []
    point = turn * _GOLDEN % _WHOLE
    while left:
        total = sum(weight for _, weight in left)
        if not total:
            return (*drawn, *_turned(tuple(each for each, _ in left), turn))
        rest = point * total // _WHOLE
        number = 0
        while rest >= left[number][1]:
            rest -= left[number][1]
            number += 1
        drawn.append(left.pop(number)[0])
        point = int.from_bytes(hashlib.blake2b(point.to_bytes(8, "big"), digest_size=8).digest(), "big")
    return tuple(drawn)


def _sticky(choice: Choice, rdatas: tuple[bytes, ...], client: str) -> bytes:
    """Choose by weighted rendezvous hashing: what goes moves its own clients alone, what comes takes its share."""
    network = _network(client)

    def score(rdata: bytes) -> float:
        weight = choice.weights.get(rdata, 1)
        digest = hashlib.blake2b(network + b"\0" + rdata, digest_size=8).digest()
        share = ((int.from_bytes(digest, "big") >> 12) + 0.5) / 2**52  # above 0 and below 1, as a float is
        return weight / -math.log(share) if weight else share - 1

    return max(rdatas, key=lambda rdata: (score(rdata), rdata))


def _network(client: str) -> bytes:
    """Return the octets that all clients of a network have in common; any text is some client."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client.encode()
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    prefix = _IPV4_PREFIX if address.version == 4 else _IPV6_PREFIX
    return ipaddress.ip_network((address, prefix), strict=False).network_address.packed
