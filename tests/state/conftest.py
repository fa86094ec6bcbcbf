"""A small cluster of three nodes with one zone and one service, and short ways to change it."""

from collections.abc import Callable

import pytest

from node.health.service import Check, Endpoint, Service
from node.state.command import Command, Entry, Member, PutZone, Seed, ZoneSettings, encode
from node.state.machine import apply
from node.state.state import Applied, State
from node.zone.name import Name, from_text
from node.zone.rrset import RRset, make, rdata_from_text, type_from_text

ZONE = from_text("example.org")
WWW = from_text("www.example.org")
SETTINGS = ZoneSettings(nameservers=(from_text("ns1.example.org"),), contact=from_text("host.example.org"))


def rrset(name: str, type_: str, *texts: str, ttl: int = 60) -> RRset:
    """Build an RRset of example.org from text."""
    number = type_from_text(type_)
    owner = from_text(name, ZONE)
    return make(owner, number, ttl, [rdata_from_text(number, text, ZONE) for text in texts])


def service(*addresses: str, fqdn: Name = WWW, **fields: object) -> Service:
    """Build a service of example.org with these endpoints."""
    endpoints = tuple(Endpoint(address) for address in addresses)
    return Service(fqdn=fqdn, zone=ZONE, check=Check("http", 80), endpoints=endpoints, **fields)  # type: ignore[arg-type]


class Cluster:
    """A State and the entries applied to it, as one replica would see them."""

    def __init__(self) -> None:
        self.state = State()
        self.log: list[bytes] = []

    def do(self, command: Command, at_ms: int = 1_000) -> Applied:
        """Apply a command as the next entry."""
        data = encode(Entry(command, at_ms, actor="test"))
        self.log.append(data)
        applied = apply(self.state, self.state.index + 1, data)
        self.state = applied.state
        return applied

    def addresses(self, type_: int = 1, name: Name = WWW) -> tuple[bytes, ...]:
        """Return the rdatas that stand in the zone."""
        found = self.state.zones[ZONE].get(name, type_)
        return found.rdatas if found is not None else ()


@pytest.fixture(name="cluster")
def _cluster() -> Cluster:
    cluster = Cluster()
    members = tuple(Member(name) for name in ("ns1", "ns2", "ns3"))
    seed = Seed(members, (PutZone(ZONE, SETTINGS),), (service("192.0.2.1", "192.0.2.2", "192.0.2.3"),))
    cluster.do(seed)
    return cluster


@pytest.fixture(name="new_cluster")
def _new_cluster() -> Callable[[], Cluster]:
    return Cluster
