"""DNS over UDP on one socket: many messages a wake-up, nothing kept for later."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

_BATCH = 64
"""Messages read before others get their turn."""
_DATAGRAM_OCTETS_MAX = 65_535
_ANCILLARY_OCTETS = socket.CMSG_SPACE(20)
_IP_PKTINFO = 8

Answer = Callable[[bytes, str], bytes | Awaitable[bytes | None] | None]
"""From a message and the sender's IP address to the answer, perhaps a later one, or None for none."""
Ancillary = list[tuple[int, int, bytes]]


class DatagramListener:
    """Reads a bound socket in the running loop and answers at once."""

    def __init__(self, bound: socket.socket, answer: Answer, on_unsent: Callable[[], None]) -> None:
        self.bound = bound
        self.answer = answer
        self.on_unsent = on_unsent
        self.later: set[asyncio.Future[None]] = set()
        """Answers that are waited for; whoever makes them bounds their number."""

    def start(self) -> None:
        """Begin to answer."""
        asyncio.get_running_loop().add_reader(self.bound, self._read)

    def stop(self) -> None:
        """Stop answering and close the socket."""
        asyncio.get_running_loop().remove_reader(self.bound)
        self.bound.close()

    def _read(self) -> None:
        for _ in range(_BATCH):
            try:
                packet, ancillary, _, sender = self.bound.recvmsg(_DATAGRAM_OCTETS_MAX, _ANCILLARY_OCTETS)
            except OSError:  # nothing more to read, or an error of an earlier send
                return
            answer = self.answer(packet, sender[0])
            if isinstance(answer, bytes):
                self._send(answer, sender, _reply_from(ancillary))
            elif answer is not None:
                task = asyncio.ensure_future(self._send_later(answer, sender, _reply_from(ancillary)))
                self.later.add(task)
                task.add_done_callback(self.later.discard)

    async def _send_later(
        self, answer: Awaitable[bytes | None], receiver: tuple[str, int], ancillary: Ancillary
    ) -> None:
        packet = await answer
        if packet is not None and self.bound.fileno() >= 0:
            self._send(packet, receiver, ancillary)

    def _send(self, packet: bytes, receiver: tuple[str, int], ancillary: Ancillary) -> None:
        """Send one message; it is lost when the kernel has no room, as datagrams may be."""
        try:
            self.bound.sendmsg([packet], ancillary, 0, receiver)
        except OSError:
            self.on_unsent()


def _reply_from(ancillary: Ancillary) -> Ancillary:
    """Turn what the kernel said of the address that was asked into the order to answer from it."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            _, local, _ = struct.unpack("=I4s4s", data)
            return [(level, kind, struct.pack("=I4s4s", 0, local, bytes(4)))]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return [(level, kind, data)]
    return []
