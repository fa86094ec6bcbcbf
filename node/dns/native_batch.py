"""Batches of datagrams that the compiled reader answers, and the choice between all ways to serve a socket."""

import contextlib
import ctypes
import socket

from node.dns.answerer_batch import Batch, HandUp, PlainBatch, SystemBatch
from node.dns.answerer_desk import Desk
from node.dns.native import Batch as Told
from node.dns.native import NativeReader


class NativeBatch(SystemBatch):
    """Serves a socket by the compiled reader, and what that leaves as ``SystemBatch`` does."""

    def __init__(
        self, number: int, bound: socket.socket, desk: Desk, hand_up: HandUp, native: NativeReader | None = None
    ) -> None:
        super().__init__(number, bound, desk, hand_up)
        self._native = native or NativeReader()
        self._native.use(desk)
        self._told = Told(self._received_at, self._replies_at, self._fd, self._zeroes_interface)
        self._told_at = ctypes.addressof(self._told)

    def use(self, desk: Desk) -> None:
        """Answer from another table, or by other rules."""
        super().use(desk)
        self._native.use(desk)

    def serve(self) -> int:
        """Answer what has arrived, up to a batch; return how many datagrams were read."""
        count = self._native.serve(self._told_at)
        left = self._told.left_count
        for number in self._told.left[:left] if left else ():
            self._answer_one(number)
        return count


def open_batch(
    number: int, bound: socket.socket, desk: Desk, hand_up: HandUp, native: NativeReader | None = None
) -> Batch:
    """Choose the fastest way that this machine has."""
    with contextlib.suppress(OSError):
        if native is not None:
            return NativeBatch(number, bound, desk, hand_up, native)
        return SystemBatch(number, bound, desk, hand_up)
    return PlainBatch(number, bound, desk, hand_up)
