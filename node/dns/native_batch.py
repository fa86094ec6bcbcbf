"""Batches of datagrams that the compiled reader answers, and the choice between all ways to serve a socket."""

import contextlib
import ctypes
import socket

from node.dns.answerer_batch import BATCH, Batch, HandUp, PlainBatch, SystemBatch
from node.dns.answerer_desk import Desk
from node.dns.native import BATCHES, NativeReader
from node.dns.native import Batch as Told


class NativeBatch(SystemBatch):
    """Serves a socket by the compiled reader, and what that leaves as ``SystemBatch`` does."""

    turn = BATCH * BATCHES

    def __init__(
        self, number: int, bound: socket.socket, desk: Desk, hand_up: HandUp, native: NativeReader | None = None
    ) -> None:
        super().__init__(number, bound, desk, hand_up)
        self._native = native or NativeReader()
        self._native.use(desk)
        self._told = Told(self._received_at, self._replies_at, 0, self._fd, self._zeroes_interface)
        self._told_at = ctypes.addressof(self._told)

    def use(self, desk: Desk) -> None:
        """Answer from another table, or by other rules."""
        super().use(desk)
        self._native.use(desk)

    def serve(self) -> int:
        """Answer what has arrived, up to a turn; return how many datagrams were read."""
        count = self._native.serve(self._told_at)
        if self._told.left_count:
            self._answer_left()
            self._note_time(self._told.began_ns, count % BATCH or BATCH)
        return count

    def _answer_left(self) -> None:
        """Answer what the compiled reader left; numbers that follow each other are sent by one call."""
        first = last = 0
        left, idle = self._told.left[: self._told.left_count], self._desk.clients.is_idle
        clients = None if idle else self._desk.clients.of_batch([self._key(number) for number in left])
        for place, number in enumerate(left):
            if not self._answer_one(number, None if clients is None else clients[place]):
                continue
            if number != last:
                self._send_some(first, last)
                first = number
            last = number + 1
        self._send_some(first, last)

    def _send_some(self, first: int, end: int) -> None:
        if end > first:
            self._send(first, end)


def open_batch(
    number: int, bound: socket.socket, desk: Desk, hand_up: HandUp, native: NativeReader | None = None
) -> Batch:
    """Choose the fastest way that this machine has."""
    with contextlib.suppress(OSError):
        if native is not None:
            return NativeBatch(number, bound, desk, hand_up, native)
        return SystemBatch(number, bound, desk, hand_up)
    return PlainBatch(number, bound, desk, hand_up)
