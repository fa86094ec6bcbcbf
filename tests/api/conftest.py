"""An API over a cluster of one thread: proposals are applied at once by the real state machine."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from node.api.app import ApiApp
from node.api.context import ApiContext, Listener, PushProgress
from node.api.settings import ApiSettings
from node.health.service import Check, Endpoint, Service
from node.state.command import (
    Ballot,
    CastVotes,
    Command,
    Entry,
    Member,
    PutZone,
    Seed,
    Ticket,
    ZoneSettings,
    encode,
)
from node.state.machine import apply
from node.state.pushes import Target
from node.state.snapshot import digest
from node.state.state import State
from node.zone.name import Name, from_text
from raft.proposal import Committed, Outcome

NOW_MS = 1_700_000_000_000
ZONE = from_text("example.org")
WWW = from_text("www.example.org")
SETTINGS = ZoneSettings(nameservers=(from_text("ns1.example.org"),), contact=from_text("host.example.org"))


@dataclass(frozen=True)
class Peer:
    """Another member as the log sees it."""

    name: str
    address: str = "127.0.0.2:7300"
    connected: bool = True
    last_contact_s: float | None = 0.01
    match_index: int | None = None


@dataclass(frozen=True)
class Replica:
    """What the log says of itself."""

    node: str = "ns1"
    role: str = "leader"
    leader: str | None = "ns1"
    term: int = 3
    commit_index: int = 0
    applied_index: int = 0
    has_quorum: bool = True
    ready: bool = True
    peers: tuple[Peer, ...] = (Peer("ns2"), Peer("ns3"))
    learners: tuple[Peer, ...] = ()
    stale_s: float | None = 0.0
    log_bytes: int = 4096
    elections: int = 1


@dataclass
class FakeCluster:
    """The State, the commands that were proposed, and what the next proposal comes to."""

    state: State = field(default_factory=State)
    replica: Replica = field(default_factory=Replica)
    entries: list[Entry] = field(default_factory=list)
    refusal: Outcome | None = None
    listeners: list[Listener] = field(default_factory=list)
    now_ms: int = NOW_MS
    before: Callable[[], None] | None = None
    """Done right before the next proposal is applied: another writer, faster."""

    def do(self, command: Command, actor: str = "", reason: str = "", ticket: Ticket | None = None) -> Any:
        """Apply a command as the next entry and return its result."""
        entry = Entry(command, self.now_ms, actor, reason, ticket)
        self.entries.append(entry)
        applied = apply(self.state, self.state.index + 1, encode(entry))
        self.state = applied.state
        self.replica = replace(self.replica, commit_index=self.state.index, applied_index=self.state.index)
        for listener in list(self.listeners):
            listener(self.state, applied.changed)
        return applied.result

    async def propose(
        self, command: Command, *, actor: str, reason: str, timeout_s: float, ticket: Ticket | None
    ) -> Outcome:
        """Apply at once, or fail as told."""
        if self.refusal is not None:
            return self.refusal
        if self.before is not None:
            first, self.before = self.before, None
            first()
        return Committed(self.state.index + 1, self.do(command, actor, reason, ticket))

    async def read_barrier(self, timeout_s: float) -> Outcome:
        """Everything is applied already."""
        return self.refusal or Committed(self.state.index, None)

    async def wait_applied(self, index: int, timeout_s: float) -> bool:
        """Nothing is ever on its way."""
        return self.state.index >= index

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call the listener after each change."""
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def vote(self, address: str, up: bool, *nodes: str, fqdn: Name = WWW, evidence: str = "") -> None:
        """Let nodes say what they think of an endpoint."""
        for node in nodes or ("ns1", "ns2", "ns3"):
            self.do(CastVotes(node, (Ballot(fqdn, address, up, 12, evidence),), self.state.drops.get(node, 0)))

    def context(self, **fields: Any) -> ApiContext:
        """Return the context of an API over this cluster."""
        usual = ApiContext(
            state=lambda: self.state,
            propose=self.propose,
            read_barrier=self.read_barrier,
            wait_applied=self.wait_applied,
            replica=lambda: self.replica,
            subscribe=self.subscribe,
            digest=lambda: (self.state.index, digest(self.state)),
            now_ms=lambda: self.now_ms,
            node="ns1",
            cluster="prod",
            version="1.0.0",
            started_at_ms=NOW_MS - 3_600_000,
            dns_addresses=lambda: ("127.0.0.1:9000",),
            pushes=lambda: [PushProgress("knot", self.state.index)],
        )
        return replace(usual, **fields)


class Api:
    """A client of the API; each call is one request over ASGI."""

    def __init__(self, cluster: FakeCluster, **fields: Any) -> None:
        self.cluster = cluster
        self.context = cluster.context(**fields)
        self.client_address = "127.0.0.1"
        self.settings = ApiSettings()

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request."""
        return self.run(lambda client: client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.call("GET", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        """Send a PUT."""
        return self.call("PUT", path, **options)

    def run(self, work: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        """Run several requests in one event loop."""

        async def go() -> Any:
            app = ApiApp(self.settings, self.context)
            transport = httpx.ASGITransport(app, client=(self.client_address, 40000))
            try:
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7380") as client:
                    return await work(client)
            finally:
                app.close()

        return asyncio.run(go())


def service(*addresses: str, fqdn: Name = WWW, **fields: Any) -> Service:
    """Build a service of example.org."""
    endpoints = tuple(Endpoint(address) for address in addresses)
    return Service(fqdn=fqdn, zone=ZONE, check=Check("http", 80), endpoints=endpoints, **fields)


SITES = (("ns1", "fra"), ("ns2", "ams"), ("ns3", "lhr"))
SEED = Seed(
    tuple(
        Member(name, f"127.0.0.{number}:7300", f"http://127.0.0.{number}:7380", site)
        for number, (name, site) in enumerate(SITES, 1)
    ),
    (PutZone(ZONE, SETTINGS),),
    (service("192.0.2.10", "192.0.2.11", "2001:db8::12"),),
    (Target("knot", "rfc2136", "127.0.0.1:5300", (ZONE,)),),
)
"""Three nodes, one zone, one service, one push target."""


@pytest.fixture(name="cluster")
def _cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.do(SEED)
    return cluster


@pytest.fixture(name="api")
def _api(cluster: FakeCluster) -> Api:
    return Api(cluster)
