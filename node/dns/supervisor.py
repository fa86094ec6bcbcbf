"""Keeps the answerers running: starts them, replaces those that end or hang, adopts those of a predecessor.

The sockets belong to the control process as well, so what waits in one survives the answerer that read it. A
file in the runtime directory names the processes, so that the next control process knows whom to expect.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from node.dns import answerer_link as links
from node.dns.answerer_batch import BATCH
from node.dns.answerer_meeting import Meeting
from node.dns.answerer_process import (
    Seat,
    forget_state,
    is_running,
    kill,
    living,
    read_state,
    send_signal,
    start,
    write_state,
)
from node.dns.answerer_replies import Answer, Replies
from node.dns.answerer_share import Share
from node.dns.listen import ListenAddress, read_address, shared_datagram
from node.dns.policy import Policy
from node.dns.shared_limiter import SharedLimiter

logger = structlog.get_logger()

_ADOPT_S = 2.0
_TEND_INTERVAL_S = 0.1
_PING_INTERVAL_S, _HUNG_S = 2.0, 15.0
_SILENT_S = 10.0
"""A process without a connection is given up after this time; a busy machine is slow to start one."""
_PAUSED_S = 1.0
_BACK_OFF_S = 0.5
_GLANCE_S = 0.01
_STOP_S = 2.0


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """How many answerers, where they meet this process, and how long they live without one."""

    directory: Path
    """Belongs to one node alone; on a file system that knows sockets and locks."""
    answerers: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    orphan_life_s: float | None = None
    """None: until a control process comes, or the directory goes."""
    compiled: bool = True
    """The compiled reader answers where it was built."""


class Supervisor:
    """Runs answerers for the addresses; ``answer`` gives the answers that they cannot."""

    def __init__(self, settings: SupervisorSettings, node: str, answer: Answer, policy: Policy) -> None:
        self.settings = settings
        self.node = node
        self._replies = Replies(answer)
        self.seats: list[Seat] = []
        self.share = Share(policy, settings.answerers, compiled=settings.compiled)
        self.on_gone: Callable[[int], None] = lambda _: None
        """Called with the number of an answerer that has ended."""
        self._identity = ""
        self._meeting: Meeting | None = None
        self._expected: dict[int, str] = {}
        self._tending: asyncio.Task[None] | None = None
        self._pinged_at = 0.0
        self._tended_at = 0.0
        self._is_stopping = False

    async def start(
        self, addresses: tuple[str, ...], table: int, given: Mapping[str, socket.socket] | None = None
    ) -> bool:
        """Adopt or start answerers; say whether adopted ones brought a table. Raises ``ListenFailed``.

        ``given`` are bound sockets of some addresses, in the place of those that are opened; closed here.
        """
        try:
            self._meeting = Meeting(self.settings.directory, self._met)
            self._identity = f"{self.node}|{'|'.join(addresses)}"
            self._expected = living(read_state(self.settings.directory))
            self._meeting.open()
            wanted = [read_address(each) for each in addresses]
            await self._wait_for_orphans()
            adopted = self.share.fill(table)
            self._fill_seats(wanted, given or {})
        except BaseException:
            self._abandon()
            raise
        finally:
            for bound in (given or {}).values():
                bound.close()
        self._tending = asyncio.create_task(self._tend())
        return adopted

    async def leave(self) -> None:
        """Let answerers go on by themselves, for a successor to adopt."""
        await self._stop_tending()
        for seat in self.seats:
            self._dismiss(seat)
            self._unlink(seat)
            for bound in seat.sockets:
                bound.close()
        self._close()

    async def _stop_tending(self) -> None:
        self._is_stopping = True
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)

    def _close(self) -> None:
        self.share.close()
        if self._meeting is not None:
            self._meeting.close()

    async def stop(self) -> None:
        """End all answerers and close everything."""
        await self._stop_tending()
        for seat in self.seats:
            self._dismiss(seat)
            self._send(seat, links.STOP)
            send_signal(seat.pid, seat.born, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while any(map(is_running, self.seats)) and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_GLANCE_S)
        for seat in self.seats:
            kill(seat)
            self._unlink(seat)
            for bound in seat.sockets:
                bound.close()
        forget_state(self.settings.directory)
        self._close()

    def _abandon(self) -> None:
        """Give up without harm: a predecessor's answerers go on, what was started here ends."""
        for seat in self.seats:
            self._unlink(seat)
            if seat.process is not None:
                kill(seat)
            for bound in seat.sockets:
                bound.close()
        self._close()

    def show_table(self, table: int) -> None:
        """Give all answerers another table."""
        self.share.show_table(table)
        for seat in self.seats:
            self._tell(seat, lambda link: socket.send_fds(link, [links.TABLE], [table]))

    def _tell(self, seat: Seat, send: Callable[[socket.socket], object]) -> None:
        """Send what an answerer must not miss; one that has no room for it is to connect and be told again."""
        if seat.link is None or seat.is_veteran:
            return
        try:
            send(seat.link)
        except OSError:
            self._unlink(seat)

    # --- meeting ---------------------------------------------------------------------------------

    def _met(self, link: socket.socket, message: bytes, fds: list[int]) -> bool:
        """Give who presents himself his place; say no when there is none for him."""
        try:
            hello = links.fields(message) if message[:1] == links.HELLO else {}
            seat = self._seat_for(link, hello, fds)
        except (ValueError, KeyError, TypeError, OSError):
            seat = None
        if seat is None:
            return False
        seat.link = link
        seat.heard_at = time.monotonic()
        asyncio.get_running_loop().add_reader(link, self._read, seat, link)
        return True

    def _seat_for(self, link: socket.socket, hello: dict[str, object], fds: list[int]) -> Seat | None:
        """Find the place of whoever presents himself, None when there is none for him."""
        pid = links.peer(link)[0]
        if hello.get("identity") != self._identity:
            return None
        version, own = str(hello.get("version")), links.version()
        is_current = version == own
        has_our_formats = version.rpartition(".")[0] == own.rpartition(".")[0]
        number = int(str(hello["number"]))
        seat = next((each for each in self.seats if each.number == number), None)
        if seat is not None and seat.pid == pid and seat.link is None and has_our_formats:
            # Files that changed since this process began are no reason to leave its sockets to nobody.
            self._dismiss(seat)
            seat.is_understood = True
            if not hello["ready"]:
                fds = [*self.share.fds, *(each.fileno() for each in seat.sockets)]
                links.send_json(link, links.SETUP, self.share.rules(), fds)
            else:
                socket.send_fds(link, [links.TABLE], [self.share.fds[1]])
                links.send_json(link, links.POLICY, self.share.rules(), [])
                for fd in fds:
                    os.close(fd)
            return seat
        if seat is None and hello["ready"] and self._expected.get(pid) and number < self.settings.answerers:
            if not is_current:
                seat = self._take_sockets(number, pid, fds)
                seat.is_understood = str(hello["version"]).partition(".")[0] == str(links.FORMAT)
                return seat
            links.send_json(link, links.POLICY, self.share.rules(), [])
            return self._adopt(number, pid, fds)
        return None

    def _take_sockets(self, number: int, pid: int, fds: list[int]) -> Seat:
        """Let an answerer of another version go on until one of ours can take its sockets over."""
        counters, table, *sockets = fds
        os.close(counters)
        os.close(table)
        seat = Seat(number, [socket.socket(fileno=fd) for fd in sockets], pid, self._expected[pid])
        seat.started_at = time.monotonic()
        seat.is_veteran = True
        self.seats.append(seat)
        logger.info("answerer.taken_over", number=number, pid=pid)
        return seat

    def relieve(self) -> None:
        """Start successors of answerers of another version: there is a table now that they can answer from."""
        for seat in self.seats:
            if seat.is_veteran:
                seat.is_veteran = False
                seat.predecessor = seat.pid, seat.born
                seat.link = None  # its reader stays until it ends
                start(seat, self._arguments(seat))
        write_state(self.settings.directory, self.seats)

    def _dismiss(self, seat: Seat) -> None:
        """End the answerer of another version whose successor is here; what waits in its sockets is both's."""
        if seat.predecessor is not None:
            send_signal(*seat.predecessor, signal.SIGTERM)
            seat.predecessor = None

    def take_policy(self, policy: Policy) -> SharedLimiter | None:
        """Treat clients by other rules; return the limiter for what is answered here."""
        self.share.policy = policy
        for seat in self.seats:
            self._tell(seat, lambda link: links.send_json(link, links.POLICY, self.share.rules(), []))
        return self.share.limiter()

    def _adopt(self, number: int, pid: int, fds: list[int]) -> Seat:
        counters, table, *sockets = fds
        self.share.take(counters, table)
        seat = Seat(number, [socket.socket(fileno=fd) for fd in sockets], pid, self._expected[pid])
        seat.started_at = time.monotonic()
        self.seats.append(seat)
        logger.info("answerer.adopted", number=number, pid=pid)
        return seat

    async def _wait_for_orphans(self) -> None:
        """Give a predecessor's answerers time to present themselves."""
        deadline = time.monotonic() + _ADOPT_S
        while time.monotonic() < deadline:
            missing = set(living(self._expected)) - {seat.pid for seat in self.seats}
            if not missing:
                return
            await asyncio.sleep(_GLANCE_S)
        for pid, born in living(self._expected).items():
            if pid not in {seat.pid for seat in self.seats}:
                logger.warning("answerer.ended", pid=pid, reason="of a predecessor, and not ours to adopt")
                send_signal(pid, born, signal.SIGKILL)

    # --- tending ---------------------------------------------------------------------------------

    def _fill_seats(self, wanted: list[ListenAddress], given: Mapping[str, socket.socket]) -> None:
        taken = {seat.number for seat in self.seats}
        for number in range(self.settings.answerers):
            if number not in taken:
                seat = Seat(number, [])
                self.seats.append(seat)
                for (
                    each
                ) in wanted:  # one by one: should the next one fail, those before it are closed with the seat
                    seat.sockets.append(shared_datagram(each, given.get(str(each))))
                start(seat, self._arguments(seat))
        write_state(self.settings.directory, self.seats)

    def _arguments(self, seat: Seat) -> list[str]:
        life = self.settings.orphan_life_s
        return [
            str(self.settings.directory),
            str(seat.number),
            self._identity,
            "-" if life is None else str(life),
        ]

    async def _tend(self) -> None:
        while True:
            try:
                self._tend_once(time.monotonic())
            except Exception:
                logger.exception("answerer.tending_failed")
            await asyncio.sleep(_TEND_INTERVAL_S)

    def _tend_once(self, now: float) -> None:
        """Replace who has ended, end who hangs."""
        if now - self._tended_at > _PAUSED_S:  # this process was held up itself and has heard nobody
            for seat in self.seats:
                seat.heard_at = now
        self._tended_at = now
        is_ping = now - self._pinged_at > _PING_INTERVAL_S
        if is_ping:
            self._pinged_at = now
        for seat in self.seats:
            if is_ping:
                self._send(seat, links.PING)
            if is_running(seat):
                silent_s = now - seat.heard_at
                if silent_s > (_SILENT_S if seat.link is None else _HUNG_S):
                    logger.error("answerer.hung", number=seat.number, pid=seat.pid)
                    kill(seat)
                continue
            if not seat.is_veteran and now - seat.started_at > _BACK_OFF_S * min(seat.failures, 20):
                self._replace(seat, now)

    def _replace(self, seat: Seat, now: float) -> None:
        seat.failures = seat.failures + 1 if now - seat.started_at < 10 * _BACK_OFF_S else 0
        logger.warning("answerer.replaced", number=seat.number, pid=seat.pid)
        self._unlink(seat)
        self.on_gone(seat.number)
        start(seat, self._arguments(seat))
        write_state(self.settings.directory, self.seats)

    def _send(self, seat: Seat, message: bytes) -> None:
        if seat.link is not None:
            with contextlib.suppress(OSError):
                seat.link.send(message)

    def _unlink(self, seat: Seat) -> None:
        if seat.link is not None:
            asyncio.get_running_loop().remove_reader(seat.link)
            seat.link.close()
            seat.link = None

    # --- questions -------------------------------------------------------------------------------

    def _read(self, seat: Seat, link: socket.socket) -> None:
        for _ in range(BATCH):
            received = links.receive(link)
            if received is None:
                return
            message, fds = received
            for fd in fds:
                os.close(fd)
            if not message and link is not seat.link:  # of one whose successor is here
                asyncio.get_running_loop().remove_reader(link)
                link.close()
                return
            if not message:
                self._unlink(seat)
                if not self._is_stopping:
                    self._tend_once(time.monotonic())
                return
            seat.heard_at = time.monotonic()
            if not seat.is_understood:
                continue
            if message[:1] == links.QUESTION:
                self._replies.ask(link, *links.unwrapped(message))
            else:
                _log(seat.number, message[:1], message[1:].decode("utf-8", "replace"))


def _log(number: int, kind: bytes, text: str) -> None:
    """Write what an answerer tells of itself."""
    match kind, text:
        case links.FAILED, _:
            logger.error("answerer.failed", number=number, detail=text)
        case links.READER, "":
            logger.info("answerer.reader_taken", number=number, reader="native")
        case links.READER, _:
            logger.warning("answerer.reader_refused", number=number, reason=text, instead="Python")
