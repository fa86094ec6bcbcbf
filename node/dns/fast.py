"""Answers over UDP at the kernel's pace: the serving table kept up to date, and the answerers that read it.

``publish`` is called with every new State. Small changes are shown at once in the caller's thread; large ones in
a thread of their own, in small steps, while the answers go on from what stands in the table.
"""

import asyncio
import contextlib
import platform
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from node.dns import table_layout as layout
from node.dns.answerer_process import Seat, can_tell
from node.dns.answerer_replies import Answer
from node.dns.policy import Policy
from node.dns.query import Query
from node.dns.respond import Client, Send, View, respond
from node.dns.shared_limiter import SharedLimiter
from node.dns.supervisor import Supervisor, SupervisorSettings
from node.dns.table_writer import Leases, TableWriter
from node.state.state import Changed
from node.zone.name import Name
from node.zone.zone import Zone

logger = structlog.get_logger()

_AT_ONCE_MAX = 32
"""Names made anew in the caller's thread."""
_READY_INTERVAL_S, _STALE_INTERVAL_S = 0.05, 0.5
_PAUSE_EVERY = 16
_WASTE_OCTETS_MIN = 64 * 2**20
_CALM_S_MIN, _CALM_S_MAX = 1.0, 10.0
"""Leased answers outlive this process by so much: one step of its watch at least."""

Zones = Mapping[Name, Zone]


def is_supported() -> bool:
    """Say whether this machine can share the table without locks: stores must be seen in order (x86-64, Linux).

    And whether it tells processes apart; where not, as without ``/proc``, the node answers by itself.
    """
    return sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64") and can_tell()


class FastDns:
    """The fast path. ``answer`` answers what is no plain question; ``view`` is what all answers come from."""

    def __init__(
        self,
        settings: SupervisorSettings,
        view: Callable[[], View],
        answer: Answer,
        policy: Policy | None = None,
        leases: Leases | None = None,
    ) -> None:
        self._view = view
        self._seen = view()
        """What the table is to show; taken in the event loop, read in both threads."""
        self._leases = leases
        self._supervisor = Supervisor(settings, self._seen.node, answer, policy or Policy())
        self._supervisor.on_gone = self._forget_reader
        self._writer = self._new_writer()
        self._shown: TableWriter | None = None
        """The table that answerers have been given; at first that of a predecessor, if there is one."""
        self._replaced: list[TableWriter] = []
        self._is_broken = self._is_written = self._is_outdated = False
        self._is_following = self._is_begun = False
        self._is_withdrawn = False
        """The view is too old to be answered from."""
        self._lock = threading.Lock()
        """Held by whoever writes the table."""
        self._waiting = threading.Condition()
        self._queued: list[Changed | None] = []
        self._is_stopping = False
        self._thread = threading.Thread(target=self._work, name="serving-table", daemon=True)
        self._starter: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.failures = 0
        """Changes that could not be written; questions were handed up meanwhile."""

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The answerers."""
        return tuple(self._supervisor.seats)

    @property
    def is_shown(self) -> bool:
        """Say whether the answerers answer from a table that this process has written."""
        return self._shown is self._writer and self._is_written

    async def start(self, addresses: tuple[str, ...], given: Mapping[str, socket.socket] | None = None) -> None:
        """Answer at these addresses (``ip:port``); adopt answerers that are there. Raises ``ListenFailed``.

        ``given`` are bound sockets of some of the addresses, which are closed here.
        """
        self._loop = asyncio.get_running_loop()
        try:
            if not await self._supervisor.start(addresses, self._writer.heap.fd, given):
                self._shown = self._writer
        except BaseException:
            self._writer.close()
            raise
        self._thread.start()
        self._starter = asyncio.create_task(self._follow_view())

    async def stop(self) -> None:
        """End the answerers."""
        await self._stop_writing()
        await self._supervisor.stop()
        self._writer.close()

    async def leave(self) -> None:
        """Leave the answerers running, for a successor to adopt."""
        await self._stop_writing()
        await self._supervisor.leave()
        self._writer.close()

    async def _stop_writing(self) -> None:
        self._is_following = False
        if self._starter is not None:
            self._starter.cancel()
        with self._waiting:
            self._is_stopping = True
            self._waiting.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def publish(self, zones: Zones, changed: Changed | None) -> None:
        """Show what changed; None: anything may have. Called in the event loop; never raises."""
        if not self._is_following:
            return
        self._seen = replace(self._view(), zones=zones)
        if not self._queued and self._lock.acquire(blocking=False):
            try:
                if (
                    not self._queued
                    and not self._is_broken
                    and not (self._is_outdated or self._is_withdrawn)
                    and self._writer.cost(zones, changed) <= _AT_ONCE_MAX
                ):
                    self._write(zones, changed, lambda: None)
                    if not self._is_broken:
                        return
            finally:
                self._lock.release()
        self._queue(changed)

    def hold_leases(self, calm_s: float) -> None:
        """Say that leases are looked after; answers that hang on them hold on for ``calm_s``, within limits."""
        until_ms = int((time.monotonic() + min(max(calm_s, _CALM_S_MIN), _CALM_S_MAX)) * 1000)
        for writer in filter(None, (self._writer, self._shown)):
            writer.heap.publish(layout.WORD_LEASES, until_ms)

    def take_policy(self, policy: Policy) -> SharedLimiter | None:
        """Treat clients by other rules from now on; return the limiter for what is answered here."""
        return self._supervisor.take_policy(policy)

    def settings_changed(self) -> None:
        """Make the table anew where answers look otherwise under the view's settings of now."""
        view = self._view()
        if view.settings.udp_payload_octets != self._seen.settings.udp_payload_octets:
            self._seen = view
            self._is_outdated = True
            self._queue(None)

    def counts(self) -> list[int]:
        """Return the sums of all answerers' counters; ``answerer_stats`` names them."""
        return self._supervisor.share.sums()

    # --- writing ---------------------------------------------------------------------------------

    def _queue(self, changed: Changed | None) -> None:
        with self._waiting:
            self._queued.append(changed)
            self._waiting.notify()

    async def _follow_view(self) -> None:
        """Show nothing before the node knows what it may deny, nor while its answers are too old."""
        while not self._view().ready:  # noqa: ASYNC110 - the log tells nobody when it is ready
            await asyncio.sleep(_READY_INTERVAL_S)
        self._is_following = True
        while True:
            view = self._view()
            if view.is_stale != self._is_withdrawn or not self._is_begun:
                self._is_begun = True
                self._seen, self._is_withdrawn = view, view.is_stale
                self._queue(None)
            await asyncio.sleep(_STALE_INTERVAL_S)

    def _work(self) -> None:
        """Write large changes, in the thread."""
        pauses = 0

        def pause() -> None:
            nonlocal pauses
            pauses += 1
            if pauses % _PAUSE_EVERY == 0:
                time.sleep(0)

        while True:
            with self._waiting:
                while not self._queued and not self._is_stopping:
                    self._waiting.wait()
                if self._is_stopping:
                    return
                changes, self._queued = self._queued, []
            with self._lock:
                must_rebuild = self._is_broken or self._is_outdated
                if not must_rebuild:
                    self._write(self._seen.zones, _merged(changes), pause)
                if must_rebuild or self._is_broken or self._writer.is_wasteful(_WASTE_OCTETS_MIN):
                    self._rebuild(pause)
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._show)

    def _write(self, zones: Zones, changed: Changed | None, pause: Callable[[], None]) -> None:
        """Write a change; after a defect of ours ``respond`` answers until the table is made anew."""
        try:
            if self._is_withdrawn:
                self._writer.withdraw()
            else:
                self._writer.restore()
            self._writer.publish(zones, changed, pause, self._seen.choices)
        except Exception:
            self.failures += 1
            self._is_broken = True
            logger.exception("table.failed")
            self._writer.withdraw()

    def _rebuild(self, pause: Callable[[], None]) -> None:
        """Write all into a larger or tidier table, beside the one that is answered from."""
        try:
            seen, self._is_outdated = self._seen, False
            fresh = self._new_writer()
            if self._is_withdrawn:
                fresh.withdraw()
            fresh.publish(seen.zones, None, pause, seen.choices)
        except Exception:
            logger.exception("table.failed")
            return
        self._is_broken = False
        self._replaced.append(self._writer)
        self._writer = fresh

    def _show(self) -> None:
        """Let the answerers use the table that is written now."""
        self._is_written = True
        if self._writer is not self._shown:
            self._shown = self._writer
            self._supervisor.show_table(self._writer.heap.fd)
        self._supervisor.relieve()
        while self._replaced:
            self._replaced.pop().close()

    def _new_writer(self) -> TableWriter:
        view = self._seen
        payload = view.settings.udp_payload_octets
        return TableWriter(payload, lambda query: _refusal(query, view), self._leases)

    def _forget_reader(self, number: int) -> None:
        self._writer.heap.clear_reader(number)


def _refusal(query: Query, view: View) -> bytes:
    """Refuse a question outside all zones."""
    has_opt = query.edns is not None
    payload = view.settings.udp_payload_octets
    opt = struct.pack("!BHHIH", 0, 41, payload, 0, 0) if has_opt else b""
    settings = replace(view.settings, forward_for=())
    packet = struct.pack("!6H", 0, 0, 1, 0, 0, int(has_opt)) + b"\x00" + struct.pack("!HH", 1, 1) + opt
    outcome = respond(packet, Client("", "udp"), replace(view, zones={}, ready=True, settings=settings))
    assert isinstance(outcome, Send)
    return outcome.packet


def _merged(changes: list[Changed | None]) -> Changed | None:
    """Join changes; with one that knows no names, all is looked at."""
    known = [changed for changed in changes if changed is not None]
    if len(known) < len(changes):
        return None
    return Changed(
        names=tuple(dict.fromkeys(name for changed in known for name in changed.names)),
        leases=tuple(dict.fromkeys(key for changed in known for key in changed.leases)),
        zones=tuple(dict.fromkeys(zone for changed in known for zone in changed.zones)),
    )
