"""One process that answers DNS over UDP from the serving table, and nothing else.

It inherits nothing: it connects to the control process, which gives it sockets and table as file descriptors. When
the control process goes away it answers on from the table as it is, and presents itself to the next one.
Imports are few on purpose: it starts fast and stays small.
"""

import contextlib
import gc
import mmap
import os
import select
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from node.dns import answerer_link as links
from node.dns import answerer_stats as stats
from node.dns import table_layout as layout
from node.dns.answerer_batch import BATCH, Batch, Sender, send_one
from node.dns.answerer_cache import AnswerCache
from node.dns.answerer_clients import Clients
from node.dns.answerer_desk import Desk
from node.dns.native import NativeReader, checksum, load, why_refused
from node.dns.native_batch import open_batch
from node.dns.policy import Policy, from_row
from node.dns.shared_limiter import OCTETS as ACCOUNTS_OCTETS
from node.dns.shared_limiter import SharedLimiter
from node.dns.table_reader import BadTable, Reader

_CONNECT_INTERVAL_S = 0.05
_LOOK_UP_MS = 1000
_MISSING_S = 1.0
"""An answerer whose directory is gone for so long ends."""
_ROUNDS = 4
"""Turns of one socket before the others get theirs."""
_QUEUE_OCTETS = 512 * 1024
_PRIORITY = -10
_SERVFAIL = 2
_TEXT_OCTETS_MAX = 4000


class Answerer:
    """State of the process. ``number`` is its line among the readers of the table."""

    def __init__(self, directory: Path, number: int, identity: str, orphan_life_s: float | None) -> None:
        self._directory = links.Directory(directory)
        self._number = number
        self._identity = identity
        self._orphan_life_s = orphan_life_s
        self._link: socket.socket | None = None
        self._alone_since = time.monotonic()
        self._missing_since: float | None = None
        self._next_try = 0.0
        # Not epoll, which would have the kernel look for a sleeper with every datagram that comes or leaves.
        self._poll = select.poll()
        wake, self._alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(wake, select.POLLIN)
        signal.set_wakeup_fd(self._alarm)
        self._is_ending = False
        self._fds: list[int] = []
        """Counters, table, and the sockets: what the next control process needs."""
        self._sockets: dict[int, tuple[socket.socket, Batch]] = {}
        self._cache: AnswerCache | None = None
        self._policy = Policy()
        self._accounts: mmap.mmap | None = None
        self._clients = Clients(self._policy, None)
        self._native: NativeReader | None = None
        self._is_compiled = False
        """The compiled reader is to answer where there is one that fits."""
        self._refusal = ""
        """Why it does not, as the control process was told."""
        self._line = memoryview(bytearray(stats.LINE_WORDS * 8)).cast("Q")

    def end(self) -> None:
        """End after the present batch."""
        self._is_ending = True

    def run(self) -> None:
        """Answer until told to end."""
        while not self._is_ending:
            if self._link is None:
                self._look_for_control()
            self._set_epoch(layout.IDLE)
            ready = self._poll.poll(_LOOK_UP_MS if self._link is not None else _CONNECT_INTERVAL_S * 1000)
            if self._cache is not None:
                self._set_epoch(self._cache.reader.words[layout.WORD_EPOCH])
                self._cache.catch_up()
            for fd, _ in ready:
                served = self._sockets.get(fd)
                if served is None:
                    self._listen_to_control()
                    continue
                for _ in range(_ROUNDS):
                    if served[1].serve() < served[1].turn:
                        break
                    self._renew()
        self._set_epoch(0)

    def fail(self, text: str) -> None:
        """Tell the control process why this one ends."""
        self._send(links.FAILED + text.encode()[-_TEXT_OCTETS_MAX:])

    # --- epochs ----------------------------------------------------------------------------------

    def _set_epoch(self, epoch: int) -> None:
        if self._cache is not None:
            self._cache.reader.words[layout.READER_WORD + self._number * layout.READER_WORDS] = epoch

    def _renew(self) -> None:
        """Pass between two batches: nothing of the table is held."""
        assert self._cache is not None
        self._set_epoch(self._cache.reader.words[layout.WORD_EPOCH])
        self._cache.catch_up()

    # --- the control process ---------------------------------------------------------------------

    def _look_for_control(self) -> None:
        now = time.monotonic()
        if now < self._next_try:
            return
        self._next_try = now + _CONNECT_INTERVAL_S
        if self._is_forsaken(now):
            self.end()
            return
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _QUEUE_OCTETS)
        try:
            link.connect(self._directory.socket_path)
            link.setblocking(False)
            hello = {
                "version": links.version(),
                "number": self._number,
                "identity": self._identity,
                "ready": self._cache is not None,
            }
            links.send_json(link, links.HELLO, hello, self._fds)
        except OSError:
            link.close()
            return
        self._link = link
        self._poll.register(link.fileno(), select.POLLIN)

    def _is_forsaken(self, now: float) -> bool:
        """Say whether nobody will come any more."""
        if self._directory.is_there():
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since > _MISSING_S:
            return True
        return self._orphan_life_s is not None and now - self._alone_since > self._orphan_life_s

    def _listen_to_control(self) -> None:
        for _ in range(BATCH):
            if self._link is None:
                return
            received = links.receive(self._link)
            if received is None:
                return
            message, fds = received
            if not message:
                self._poll.unregister(self._link.fileno())
                self._link.close()
                self._link = None
                self._alone_since = time.monotonic()
                return
            self._obey(message, fds)

    def _obey(self, message: bytes, fds: list[int]) -> None:
        match message[:1]:
            case links.ANSWER:
                number, sender, packet = links.unwrapped(message)
                bound = self._bound(number)
                if bound is not None and not send_one(bound, packet, sender):
                    self._line[stats.UNSENT] += 1
            case links.SETUP:
                self._set_up(fds, links.fields(message))
            case links.TABLE:
                self._switch(fds[0])
            case links.POLICY:
                self._take_policy(links.fields(message))
            case links.STOP:
                self.end()
            case links.PING:
                self._send(links.PONG)
                self._choose_reader()

    def _bound(self, number: int) -> socket.socket | None:
        return next((bound for bound, batch in self._sockets.values() if batch.number == number), None)

    def _set_up(self, fds: list[int], rules: dict[str, Any]) -> None:
        """Take counters, table and sockets over and begin to answer."""
        counters, table, *sockets = fds
        self._fds = fds
        self._line = stats.Stats(mmap.mmap(counters, stats.OCTETS)).line(self._number)
        self._accounts = mmap.mmap(counters, ACCOUNTS_OCTETS, offset=stats.OCTETS)
        self._cache = AnswerCache(self._opened(table), self._line)
        self._take_policy(rules)
        for number, fd in enumerate(sockets):
            bound = socket.socket(fileno=os.dup(fd))
            self._sockets[bound.fileno()] = bound, self._batch(number, bound)
            self._poll.register(bound.fileno(), select.POLLIN)
        gc.collect()
        gc.freeze()
        gc.disable()

    def _take_policy(self, rules: dict[str, Any]) -> None:
        """Treat clients by other rules from now on; what was known of answers is forgotten."""
        self._clients.close()
        self._policy = from_row(rules["policy"])
        limits, limiter = self._policy.limiter, None
        if limits is not None and self._accounts is not None:
            key = bytes.fromhex(rules["key"])
            limiter = SharedLimiter(self._accounts, rules["rows"], self._number, limits, key)
        self._clients = Clients(self._policy, limiter)
        if self._cache is not None:
            self._cache.forget_all()
            self._use_desk()
        self._is_compiled, self._refusal = rules["compiled"], ""
        self._choose_reader()

    def _choose_reader(self) -> None:
        """Let the compiled reader answer, or the Python one alone: as long as a library is there that does not fit.

        While an upgrade writes one file after the other, that passes.
        """
        library = load() if self._is_compiled else None
        self._tell_refusal(why_refused() if self._is_compiled and library is None else "")
        if (library is None) == (self._native is None):
            return
        self._native = None if library is None else NativeReader(library)
        for fd, (bound, batch) in self._sockets.items():
            self._sockets[fd] = bound, self._batch(batch.number, bound)

    def _tell_refusal(self, refusal: str) -> None:
        """Tell the control process, which has a log, once."""
        if refusal != self._refusal:
            self._refusal = refusal
            self._send(links.READER + refusal.encode()[-_TEXT_OCTETS_MAX:])

    def _send(self, message: bytes) -> None:
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.send(message, socket.MSG_DONTWAIT)

    def _batch(self, number: int, bound: socket.socket) -> Batch:
        return open_batch(number, bound, self._desk(), self._hand_up, self._native)

    def _desk(self) -> Desk:
        assert self._cache is not None
        return Desk(self._cache, self._clients, self._policy)

    def _use_desk(self) -> None:
        desk = self._desk()
        for _, batch in self._sockets.values():
            batch.use(desk)

    def _switch(self, table: int) -> None:
        """Answer from another table; what was known of the old one is forgotten."""
        old, self._cache = self._cache, AnswerCache(self._opened(table), self._line)
        self._use_desk()
        os.close(self._fds[1])
        self._fds[1] = table
        if old is not None:
            old.forget_all()
            old.reader.close()

    def _opened(self, table: int) -> Reader:
        """Map a table, and be seen in it before anything of it is read: the writer reuses what nobody can see."""
        reader = Reader(mmap.mmap(table, layout.MAPPED_OCTETS))
        line = layout.READER_WORD + self._number * layout.READER_WORDS
        reader.words[line] = reader.words[layout.WORD_EPOCH]
        return reader

    def _hand_up(self, number: int, packet: bytes, sender: Sender) -> None:
        """Let the control process answer; it has a queue of limited length."""
        if self._link is None:
            self._line[stats.AWAY] += 1
            bound = self._bound(number)
            if bound is not None and len(packet) >= 12:
                send_one(bound, _failure(packet), sender)
            return
        try:
            self._link.send(links.wrapped(links.QUESTION, number, sender, packet), socket.MSG_DONTWAIT)
            self._line[stats.HANDED_UP] += 1
        except OSError:
            self._line[stats.SHED] += 1


def _failure(packet: bytes) -> bytes:
    """Answer SERVFAIL with nothing but a header; opcode and RD are the query's."""
    return packet[:2] + bytes((0x80 | packet[2] & 0x79, packet[3] & 0x10 | _SERVFAIL)) + bytes(8)


def main(arguments: list[str]) -> int:
    """Run an answerer: directory, number, identity, life without a control process in seconds or ``-``."""
    directory, number, identity, life = arguments
    links.version()  # of the files as they are now, should others take their place
    with contextlib.suppress(OSError):
        checksum()
    answerer = Answerer(Path(directory), int(number), identity, None if life == "-" else float(life))
    signal.signal(signal.SIGTERM, lambda *_: answerer.end())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    try:
        answerer.run()
    except BadTable as error:
        answerer.fail(str(error))
        return 3
    except Exception:
        answerer.fail(traceback.format_exc())
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
