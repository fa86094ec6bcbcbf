"""The DNS of a node: the server with all that it answers from, and the notifier, the forwarder and the certificate.

``node.dns`` knows neither the cluster nor the configuration; they meet here.
"""

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from node.certificate import BadCertificate, Certificate
from node.dns import answerer_stats as stats
from node.dns import proofs
from node.dns.answer_counts import answer_row
from node.dns.choice import Choice, choices_of
from node.dns.cookie import RollingSecrets
from node.dns.fast import FastDns
from node.dns.forwarder import Forwarder
from node.dns.listen import ListenFailed
from node.dns.notify import Notifier, Zones
from node.dns.respond import RespondSettings, View
from node.dns.server import DnsServer, DnsSettings, Proposer
from node.dns.supervisor import SupervisorSettings
from node.dns.table_writer import Leases
from node.dns_plan import DnsPlan
from node.state.state import Changed, State
from node.zone.name import Name
from node.zone.zone import Zone

logger = structlog.get_logger()

_LOOK_AGAIN_S = 0.2
_GLANCE_S = 0.02
_READINESS_S = 10.0


class DnsRoom:
    """Answers, notifies and forwards as a plan says; another plan can take its place while it runs.

    ``zones`` are those that are answered, ``state`` has those that are transferred.
    """

    def __init__(
        self,
        plan: DnsPlan,
        zones: Callable[[], Zones],
        state: Callable[[], State],
        is_ready: Callable[[], bool],
        is_leader: Callable[[], bool],
        has_quorum: Callable[[], bool],
        propose: Proposer,
        leases: Leases | None = None,
    ) -> None:
        self.plan = plan
        self._zones = zones
        self._state = state
        self._is_ready = is_ready
        self._is_leader = is_leader
        self._has_quorum = has_quorum
        self._quorum_at_s = time.monotonic()
        self._cookies = _Cookies(plan)
        self._choices = _Choices(plan.node)
        self._forwarder = None if plan.forward is None else Forwarder(plan.forward)
        self._notifier = Notifier(plan.notify, lambda: state().zones, is_leader)
        self._propose = propose
        self._leases = leases
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self.is_leaving = False
        """At the end answerers are left to a successor."""
        self.fast: FastDns | None = None
        """The processes that answer UDP; None where this one does."""
        self._certificate: Certificate | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._preparing: dict[Name, asyncio.Task[None]] = {}
        self.server = DnsServer(DnsSettings(plan.listen), self.view, propose)

    def view(self) -> View:
        """Return what is answered from now."""
        settings = self._cookies.settings(int(time.time()))
        limit_s = self.plan.serve_stale_for_s
        is_stale = limit_s is not None and time.monotonic() - self._quorum_at_s > limit_s
        state = self._state()
        return View(
            self._zones(),
            self._is_ready(),
            self.plan.identity,
            settings,
            state.zones,
            is_stale,
            self._choices.of(state),
        )

    async def start(self) -> None:
        """Listen, answer and notify. Raises ``ListenFailed``, also for a certificate that cannot be used."""
        plan = self.plan
        try:
            self._certificate = None if plan.tls is None else Certificate(plan.tls)
        except BadCertificate as bad:
            raise ListenFailed(str(bad)) from None
        context = None if self._certificate is None else self._certificate.context
        settings = DnsSettings(
            plan.listen, plan.tls_listen, context, datagrams=not plan.answerers, limiter=plan.limiter
        )
        self.server = DnsServer(settings, self.view, self._propose, self._ask)
        if plan.inherited:
            await self._await_readiness()
        for_answerers = {
            key: each for key, each in plan.inherited.items() if plan.answerers and key[0] == "udp"
        }
        ours = {key: each for key, each in plan.inherited.items() if key not in for_answerers}
        await self.server.start(ours)
        if plan.answerers:
            try:
                await self._start_answerers(plan, {place: each for (_, place), each in for_answerers.items()})
            except BaseException:
                await self.server.stop()
                raise
        self.state_changed(None)
        self._tasks.append(asyncio.create_task(self._follow_cluster()))
        if self._certificate is not None:
            self._tasks.append(asyncio.create_task(self._certificate.watch()))

    async def _await_readiness(self) -> None:
        """Let connections wait in inherited sockets for a while, rather than say that we know nothing yet."""
        deadline = time.monotonic() + _READINESS_S
        while not self._is_ready() and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_GLANCE_S)

    async def _start_answerers(self, plan: DnsPlan, given: Mapping[str, socket.socket]) -> None:
        """Let processes of their own answer UDP. Raises ``ListenFailed``."""
        folder = plan.directory
        if folder is None:
            self._home = tempfile.TemporaryDirectory(prefix="quorumdns-")
            folder = Path(self._home.name)
        settings = SupervisorSettings(folder, plan.answerers, plan.orphan_life_s, plan.compiled)
        self.fast = FastDns(settings, self.view, self.server.answer_datagram, plan.policy, self._leases)
        await self.fast.start(self.server.addresses, given)
        self.server.use_limiter(self.fast.take_policy(plan.policy))

    def publish(self, zones: Zones, changed: Changed | None) -> None:
        """Show what is answered now to the processes that answer."""
        if self.fast is not None:
            self.fast.publish(zones, changed)

    def answer_counts(self) -> dict[str, Any]:
        """Return what was answered since the start."""
        fast = self.fast
        sums = [0] * stats.LINE_WORDS if fast is None else fast.counts()
        return answer_row(
            self.server.counters, sums, 0 if fast is None else sum(seat.link is not None for seat in fast.seats)
        )

    def hold_leases(self, calm_s: float) -> None:
        """Let what is leased be answered for a while longer."""
        if self.fast is not None:
            self.fast.hold_leases(calm_s)

    async def stop(self) -> None:
        """Close every socket and give up what is on its way."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._notifier.stop()
        if self.fast is not None:
            await (self.fast.leave() if self.is_leaving else self.fast.stop())
        if self._home is not None:
            self._home.cleanup()
        await self.server.stop()

    def state_changed(self, changed: Changed | None) -> None:
        """Tell the secondaries of changed zones, and prepare proofs; None: any may have changed."""
        zones = self._state().zones
        for name in zones if changed is None else changed.zones:
            zone = zones.get(name)
            if zone is not None and name not in self._preparing and proofs.needs_preparing(zone):
                self._prepare(zone)
        if changed is None:
            self._notifier.became_leader()
        elif changed.zones:
            self._notifier.zones_changed(changed.zones)

    def _prepare(self, zone: Zone) -> None:
        """Make the chain of a large signed zone in a thread; questions that need it are told to come back."""
        proofs.announce(zone)
        task = asyncio.create_task(asyncio.to_thread(proofs.prepare, zone))
        self._preparing[zone.name] = task
        task.add_done_callback(lambda _: self._preparing.pop(zone.name))

    def reload(self, plan: DnsPlan) -> None:
        """Answer by another plan from now on; where it listens stays as it was."""
        if plan.limiter != self.plan.limiter:
            self.server.limit(plan.limiter)
        if plan.forward != self.plan.forward:
            self._forwarder = None if plan.forward is None else Forwarder(plan.forward)
        if self._certificate is not None:
            self._certificate.reload(plan.tls)
        self._notifier.settings = plan.notify
        self._cookies = _Cookies(plan)
        self.plan = plan
        if self.fast is not None:
            self.server.use_limiter(self.fast.take_policy(plan.policy))
            self.fast.settings_changed()

    async def _ask(self, packet: bytes, /, *, is_stream: bool) -> bytes | None:
        return None if self._forwarder is None else await self._forwarder.ask(packet, is_stream=is_stream)

    async def _follow_cluster(self) -> None:
        """Note when there was a majority, and tell of every zone when this node comes to lead.

        Its predecessor may have died before it could.
        """
        was_leader = False
        while True:
            try:
                was_leader = self._look(was_leader=was_leader)
            except Exception:
                logger.exception("dns.failed")
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _look(self, *, was_leader: bool) -> bool:
        """Look once; say whether this node leads."""
        if self._has_quorum():
            self._quorum_at_s = time.monotonic()
        is_leader = self._is_leader()
        if is_leader and not was_leader:
            self._notifier.became_leader()
        return is_leader


class _Cookies:
    """The settings of answers with the cookie secrets of the day."""

    def __init__(self, plan: DnsPlan) -> None:
        self._settings = plan.respond
        self._rolling = None if plan.cookie_master is None else RollingSecrets(plan.cookie_master)

    def settings(self, now_s: int) -> RespondSettings:
        """Return them for a time; the same object for a day."""
        if self._rolling is not None:
            current = self._rolling.at(now_s)
            if current is not self._settings.cookie_secrets:
                self._settings = replace(self._settings, cookie_secrets=current)
        return self._settings


class _Choices:
    """The names whose answers are chosen, as of the services of the newest State; the same object while they stay."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._state = State()
        self._choices: dict[Name, Choice] = {}

    def of(self, state: State) -> dict[Name, Choice]:
        """Return them for a State."""
        before, self._state = self._state, state
        if before.services is not state.services or before.members is not state.members:
            made = choices_of(state, self._node)
            self._choices = self._choices if made == self._choices else made
        return self._choices
