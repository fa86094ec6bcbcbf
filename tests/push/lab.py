"""A replicated State to push from, name servers in memory, and a clock that costs no time."""

import asyncio
import selectors
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from node.health.service import Check, Endpoint, Service
from node.push.errors import PushError
from node.push.orders import Key, Replacement
from node.state.command import Ballot, CastVotes, Command, Entry, Member, PutZone, Seed, ZoneSettings, encode
from node.state.machine import apply
from node.state.pushes import PutTarget, Target
from node.state.state import Applied, State
from node.zone.name import Name, from_text
from node.zone.rrset import RRset, make, rdata_from_text, type_from_text

ZONE = from_text("example.org")
WWW = from_text("www.example.org")
A, AAAA, TXT = 1, 28, 16
SETTINGS = ZoneSettings(nameservers=(from_text("ns1.example.org"),), contact=from_text("host.example.org"))
NODES = ("ns1", "ns2", "ns3")

T = TypeVar("T")


def rrset(name: str, type_: str, *texts: str, ttl: int = 60) -> RRset:
    """Build an RRset of example.org from text."""
    number = type_from_text(type_)
    return make(from_text(name, ZONE), number, ttl, [rdata_from_text(number, text, ZONE) for text in texts])


def addresses(*texts: str) -> tuple[bytes, ...]:
    """Return A rdatas."""
    return tuple(sorted(rdata_from_text(A, text, ZONE) for text in texts))


def service(*texts: str, fqdn: Name = WWW, **fields: Any) -> Service:
    """Build a service of example.org with these endpoints."""
    endpoints = tuple(Endpoint(text) for text in texts)
    return Service(fqdn=fqdn, zone=ZONE, check=Check("http", 80), endpoints=endpoints, **fields)


def target(name: str = "far", **fields: Any) -> Target:
    """Build a target for the services of example.org."""
    return Target(name=name, kind="rfc2136", **{"server": "192.0.2.53:53", "zones": (ZONE,), **fields})


class Log:
    """The log of a cluster and the State that follows, shared by all nodes at once."""

    def __init__(self, *commands: Command, zones: bool = False, nodes: Sequence[str] = NODES) -> None:
        self.state = State()
        self.entries: list[Command] = []
        self.listeners: list[Any] = []
        own = (PutZone(ZONE, SETTINGS),) if zones else ()
        self.do(Seed(tuple(Member(name) for name in nodes), own), *commands)

    def do(self, *commands: Command) -> Applied:
        """Apply commands as the next entries."""
        for command in commands:
            data = encode(Entry(command, 1_000 + self.state.index, actor="test"))
            applied = apply(self.state, self.state.index + 1, data)
            self.entries.append(command)
            self.state = applied.state
            for listener in self.listeners:
                listener()
        return applied

    def vote(self, address: str, up: bool, fqdn: Name = WWW) -> None:
        """Let a majority say that an endpoint is up or down."""
        for node in NODES[:2]:
            self.do(CastVotes(node, (Ballot(fqdn, address, up),)))

    def delivered(self, name: str = "far") -> int:
        """Return the plan that is known to stand on the target."""
        found = self.state.deliveries.get(name)
        return found.plan if found is not None else 0


def with_target(*texts: str, **fields: Any) -> Log:
    """Return a log with one service and one target."""
    from node.state.command import PutService

    return Log(PutService(service(*texts)), PutTarget(target(**fields)))


class MemoryServer:
    """A name server in memory that can be unreachable for some nodes, and counts what it is asked."""

    fences = True

    def __init__(self) -> None:
        self.rrsets: dict[Key, RRset] = {}
        self.number = 1
        self.unreachable_for: set[str] = set()
        self.updates: list[tuple[str, int]] = []
        self.readings = 0
        self.history: list[dict[Key, RRset]] = []

    def put(self, given: RRset) -> None:
        """Let somebody else write an RRset."""
        self.rrsets[(given.name, given.type)] = given
        self.number += 1

    def rdatas(self, name: Name = WWW, type_: int = A) -> tuple[bytes, ...]:
        """Return the rdatas that stand."""
        found = self.rrsets.get((name, type_))
        return found.rdatas if found is not None else ()

    def seen_from(self, node: str) -> "MemoryCarrier":
        """Return the carrier of one node."""
        return MemoryCarrier(self, node)


class MemoryCarrier:
    """One node's way to a server in memory."""

    fences = True

    def __init__(self, server: MemoryServer, node: str) -> None:
        self.server = server
        self.node = node

    async def _travel(self) -> None:
        await asyncio.sleep(0.001)
        if self.node in self.server.unreachable_for:
            await asyncio.sleep(4.0)
            raise PushError("retryable", "silent", "the server does not answer")

    def close(self) -> None:
        pass

    async def least_ttl(self, zone: Name) -> int:
        return 0

    async def serial(self, zone: Name) -> int | None:
        await self._travel()
        return self.server.number

    async def read(self, zone: Name, keys: Collection[Key]) -> dict[Key, RRset]:
        await self._travel()
        self.server.readings += len(keys)
        return {key: self.server.rrsets[key] for key in keys if key in self.server.rrsets}

    async def confirm(self, zone: Name, present: Mapping[Key, RRset]) -> dict[Key, RRset]:
        return dict(present)

    async def replace(self, zone: Name, replacements: Sequence[Replacement]) -> None:
        await self._travel()
        for each in replacements:
            before = self.server.rrsets.get(each.key)
            if (before.rdatas if before else ()) != (each.before.rdatas if each.before else ()):
                raise PushError("conflict", "conflict", "somebody was faster")
        for each in replacements:
            self.server.rrsets.pop(each.key, None)
            if each.after is not None:
                self.server.rrsets[each.key] = each.after
        self.server.number += 1
        self.server.updates.append((self.node, len(replacements)))
        self.server.history.append(dict(self.server.rrsets))


# --- time that costs nothing ----------------------------------------------------------------------


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """A selector that moves its loop's clock instead of waiting."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never comes"
            self.loop.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a virtual clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


async def until(true: Any, what: str, limit_s: float = 60.0, every_s: float = 0.01) -> float:
    """Wait until the condition holds; return how long it took by the loop's clock."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    while not true():
        if loop.time() - start > limit_s:
            raise AssertionError(f"after {limit_s} s still not: {what}")
        await asyncio.sleep(every_s)
    return loop.time() - start
