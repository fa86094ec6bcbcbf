"""A world for the prober in virtual time: a loop that never waits, a state machine, endpoints as functions."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable

from node.health.service import Check, Endpoint, Service
from node.probe import checks
from node.probe.prober import Prober, ProberSettings
from node.probe.result import ProbeResult
from node.state.command import Command, Entry, Member, PutService, Seed, encode
from node.state.machine import apply
from node.state.state import State
from node.zone.name import Name, from_text
from raft.proposal import Committed, NotCommitted, Outcome

ZONE = from_text("example.test")
UP = ProbeResult(True, 3, "HTTP 200", True)
REFUSED = ProbeResult(False, 0, "connection refused", True)
UNTRIED = ProbeResult(False, 0, "this node may not ping", tried=False)
SILENT = ProbeResult(False, 1000, "no connection within 1000 ms", False)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self):
        self._now_s = 1_000.0
        super().__init__(_JumpingSelector(self))

    def time(self):
        return self._now_s


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        if timeout:
            self._loop._now_s += timeout
        return super().select(0)


def run_virtually(main: Callable[[], Awaitable[object]]):
    """Run a coroutine in virtual time and return what it returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def service(name: str, *addresses: str, probe_from: tuple[str, ...] = (), **fields) -> Service:
    endpoints = tuple(Endpoint(address, probe_from=probe_from) for address in addresses)
    check = fields.pop("check", Check("http", 80))
    return Service(from_text(f"{name}.example.test"), ZONE, check, endpoints, **fields)


class World:
    """A State with its log, and what each endpoint answers to each node."""

    def __init__(self, *services: Service, nodes: tuple[str, ...] = ("ns1", "ns2", "ns3")):
        self.state = State()
        self.log: list[Command] = []
        self.proposed: list[Command] = []
        self.answers: dict[object, ProbeResult] = {}
        """By (node, fqdn, address), (node, address), address or node; the first found counts."""
        self.probed: list[tuple[float, str, Name, str]] = []
        self.resumed: list[tuple[Name, str, bool]] = []
        """Which probes were allowed to take up a session."""
        self.in_air: dict[tuple[str, Name, str], int] = {}
        self.in_air_now = self.in_air_most = 0
        self.delay_s: dict[str, float] = {}
        self.outcomes: list[Outcome | Exception] = []
        """What the next proposals come to instead of being applied."""
        self.probers: dict[str, Prober] = {}
        self.do(Seed(tuple(Member(node) for node in nodes), services=services))

    def do(self, command: Command):
        applied = apply(self.state, self.state.index + 1, encode(Entry(command, 1_000, "test")))
        self.state = applied.state
        self.log.append(command)
        if applied.changed.services:
            for prober in self.probers.values():
                prober.services_changed(applied.changed.services)
        return applied.result

    def put(self, definition: Service):
        return self.do(PutService(definition))

    async def propose(self, command: Command) -> Outcome:
        self.proposed.append(command)
        await asyncio.sleep(0.01)
        if self.outcomes:
            outcome = self.outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        return Committed(self.state.index + 1, self.do(command))

    def prober(self, node: str = "ns1", **options) -> Prober:
        async def run(check, fqdn, address, timeout_s, toolbox, resumes):
            self.resumed.append((fqdn, address, resumes))
            if check.kind == "push":
                return await checks.run(check, fqdn, address, timeout_s, toolbox)
            return await self._probe(node, fqdn, address, timeout_s)

        loop = asyncio.get_running_loop()
        options.setdefault("is_local", lambda _: False)
        settings = options.pop("settings", ProberSettings())
        prober = Prober(
            node,
            lambda: self.state,
            self.propose,
            settings,
            run=run,
            clock_s=loop.time,
            wall_s=loop.time,
            random=lambda: 0.5,
            **options,
        )
        self.probers[node] = prober
        return prober

    async def _probe(self, node: str, fqdn: Name, address: str, timeout_s: float) -> ProbeResult:
        loop = asyncio.get_running_loop()
        key = (node, fqdn, address)
        self.probed.append((loop.time(), node, fqdn, address))
        self.in_air[key] = self.in_air.get(key, 0) + 1
        self.in_air_now += 1
        self.in_air_most = max(self.in_air_most, self.in_air_now)
        assert self.in_air[key] == 1, "two flights for one endpoint"
        try:
            before = self.answer(node, fqdn, address)
            await asyncio.sleep(timeout_s if before is SILENT else self.delay_s.get(address, 0))
            return before
        finally:
            self.in_air[key] -= 1
            self.in_air_now -= 1

    def answer(self, node: str, fqdn: Name, address: str) -> ProbeResult:
        for key in ((node, fqdn, address), (node, address), address, node):
            if key in self.answers:
                return self.answers[key]
        return UP

    def slots(self, node: str = "ns1"):
        """Return what a node's prober knows of each endpoint."""
        return list(self.probers[node]._roster.endpoints())

    def votes(self, name: str, node: str = "ns1") -> dict[str, bool]:
        """Return the node's standing votes on a service, by address."""
        known = self.state.services[from_text(f"{name}.example.test")]
        return {
            address: vote.up
            for address, endpoint in known.endpoints
            for voter, vote in endpoint.votes
            if voter == node
        }


def not_committed() -> NotCommitted:
    return NotCommitted("no-leader", "there is no leader")


async def until(condition: Callable[[], bool], limit_s: float = 600.0) -> None:
    """Let virtual time pass until the condition holds; fail when it does not within the limit."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + limit_s
    while not condition():
        assert loop.time() < end_s, "it did not happen in time"
        await asyncio.sleep(0.01)
