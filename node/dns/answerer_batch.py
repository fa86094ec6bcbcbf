"""Many datagrams with one system call: ``recvmmsg`` and ``sendmmsg`` of the C library through ctypes.

An answer is written over the query it answers, behind the id, so the id need not be copied. The words of the
kernel's structures are those of 64-bit Linux; elsewhere ``PlainBatch`` takes one datagram at a time.
"""

import ctypes
import errno
import mmap
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from node.dns import answerer_stats as stats
from node.dns.answerer_clients import Client, Key, octets_of
from node.dns.answerer_desk import Desk
from node.dns.answerer_entry import HEAD_OCTETS, is_meant
from node.dns.answerer_shelf import TURNS

BATCH = 64
PACKET_OCTETS_MAX = 4096
"""A longer datagram is no plain query, and its sender knows TCP."""
_BEHIND_ID = [slice(2, octets) for octets in range(PACKET_OCTETS_MAX + 1)]
"""By the octets of a message. Made once: to make one costs as much as to copy a message."""
_HEAD = slice(2, 2 + HEAD_OCTETS)
_NAME_OCTETS, _CONTROL_OCTETS = 32, 64
_HEADER_WORDS = 8
_LENGTH_WORD = 7
_IP_PKTINFO = 8
_PKTINFO_OCTETS = {socket.AF_INET: socket.CMSG_SPACE(12), socket.AF_INET6: socket.CMSG_SPACE(20)}
_CMSG = struct.Struct("=Qii")
_SEND_TRIES = 3


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a datagram and how to answer from the address that was asked; opaque to all but sockets."""

    name: bytes
    """The sender's socket address as the kernel writes it."""
    control: bytes
    """Ancillary data that names our address, or nothing."""

    def octets(self) -> bytes:
        """Return the octets of the IP address."""
        family = int.from_bytes(self.name[:2], sys.byteorder)
        return self.name[4:8] if family == socket.AF_INET else self.name[8:24]

    def address(self) -> "tuple[str, int] | tuple[str, int, int, int]":
        """Return the address as the socket module writes it."""
        family = int.from_bytes(self.name[:2], sys.byteorder)
        port = int.from_bytes(self.name[2:4], "big")
        if family == socket.AF_INET:
            return socket.inet_ntop(socket.AF_INET, self.name[4:8]), port
        host = socket.inet_ntop(socket.AF_INET6, self.name[8:24])
        return host, port, 0, int.from_bytes(self.name[24:28], sys.byteorder)


HandUp = Callable[[int, bytes, Sender], None]
"""Called with the socket's number, the packet and its sender."""


class Batch(Protocol):
    """Serves one socket."""

    number: int
    turn: int
    """Datagrams that are read at once at most: after so many, more may wait."""

    def use(self, desk: Desk) -> None:
        """Answer from another table, or by other rules."""

    def serve(self) -> int:
        """Answer what has arrived, up to a turn; return how many datagrams were read."""


def send_one(bound: socket.socket, packet: bytes, sender: Sender) -> bool:
    """Send a single answer; say whether the kernel took it."""
    ancillary = []
    if sender.control:
        _, level, kind = _CMSG.unpack_from(sender.control)
        ancillary.append((level, kind, sender.control[_CMSG.size :]))
    try:
        bound.sendmsg([packet], ancillary, socket.MSG_DONTWAIT, sender.address())
    except OSError:
        return False
    return True


class SystemBatch:
    """Serves a socket by batches. Raises ``OSError`` when the C library lacks the calls."""

    turn = BATCH

    def __init__(self, number: int, bound: socket.socket, desk: Desk, hand_up: HandUp) -> None:
        if sys.byteorder != "little" or struct.calcsize("P") != 8:
            raise OSError(errno.ENOSYS, "the layout of messages is known for 64-bit little-endian Linux only")
        try:
            library = ctypes.PyDLL(None, use_errno=True)
            self._recvmmsg, self._sendmmsg = library.recvmmsg, library.sendmmsg
        except AttributeError:
            raise OSError(errno.ENOSYS, "the C library has no recvmmsg") from None
        self._recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
        self._sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
        self.number = number
        self._fd = bound.fileno()
        self._desk = desk
        self._hand_up = hand_up
        self._line = desk.cache.line
        self._tallies = [0] * stats.LINE_WORDS
        """Counts of answers of a batch; a list is faster than shared memory."""
        self._buffers = [mmap.mmap(-1, PACKET_OCTETS_MAX) for _ in range(BATCH)]
        self._has_control = _tells_destination(bound)
        self._is_ipv6 = bound.family == socket.AF_INET6
        self._zeroes_interface = self._has_control and bound.family == socket.AF_INET
        self._lay_out(bound.family)

    def use(self, desk: Desk) -> None:
        """Answer from another table, or by other rules."""
        self._desk = desk

    def serve(self) -> int:
        """Answer what has arrived, up to a batch; return how many datagrams were read."""
        self._head[: len(self._fresh)] = self._fresh
        count: int = self._recvmmsg(self._fd, self._received_at, BATCH, socket.MSG_DONTWAIT, None)
        if count <= 0:
            return 0
        began = time.monotonic_ns()
        clients = None if self._desk.clients.is_idle else self._desk.clients.of_batch(self._keys(count))
        if clients is None:
            self._answer(count)
        else:
            self._answer_judged(count, clients)
        self._note_time(began, count)
        return count

    def _answer(self, count: int) -> None:
        """Answer the messages that were read. Answers are written around the question that stands there."""
        lengths, behind_id, tallies, miss = self._reply_lengths, _BEHIND_ID, self._tallies, self._miss
        shelf = self._desk.cache.shelf
        get, get_tail, get_known, plans = shelf.whole.get, shelf.tails.get, shelf.known.get, shelf.plans
        find, ready_for = self._desk.cache.beside.find, self._desk.cache.ready
        unsent = 0
        is_lower = True
        """Those who spell names at random ask many times in a row: then it is no use to look for what is not so first."""
        received = self._words[_LENGTH_WORD : 8 * count : 8].tolist()
        for number, buffer, octets in zip(range(count), self._buffers, received, strict=False):
            packet = buffer[behind_id[octets]]
            if is_lower:
                ready = get(packet)
                if ready is None:
                    lowered = packet.lower()
                    is_lower = lowered == packet
            else:
                lowered = packet.lower()
                is_lower = lowered == packet
                ready = get(packet) if is_lower else None
            if ready is None:
                tail = get_tail(lowered)
                if tail is not None:
                    head, place, behind = plans[tail[-1]]
                    tallies[place] += 1
                    end = octets - behind
                    size = end + len(tail)
                    lengths[number] = size - 1
                    buffer[_HEAD] = head
                    buffer[end:size] = tail
                    continue
                known = get_known(lowered) or find(lowered)
            else:
                place = ready[-1]
                if place != TURNS:
                    tallies[place] += 1
                    lengths[number] = size = len(ready) + 1
                    buffer[behind_id[size + 1]] = ready
                    continue
                known = get_known(packet)
            if known is not None and (known[6] is None or is_meant(known, packet)):
                head, end, tail, turns, place, _, _ = known
                tallies[place] += 1
                tail = tail or next(turns)
                end += 2
                lengths[number] = size = end + len(tail)
                buffer[_HEAD] = head
                buffer[end:size] = tail
                continue
            # A packet that differs in lower case though its name does not was perhaps not looked for as it is.
            answer = None if is_lower else ready_for(packet)
            if answer is None:
                answer = miss(number, octets)
            if answer:
                lengths[number] = size = len(answer) + 2
                buffer[behind_id[size]] = answer
                continue
            if number > unsent:
                self._send(unsent, number)
            unsent = number + 1
        if count > unsent:
            self._send(unsent, count)

    def _answer_judged(self, count: int, clients: list[Client]) -> None:
        """Answer the messages that were read, as far as their senders may have answers."""
        unsent = 0
        for number in range(count):
            if not self._answer_one(number, clients[number]):
                if number > unsent:
                    self._send(unsent, number)
                unsent = number + 1
        if count > unsent:
            self._send(unsent, count)

    def _note_time(self, began_ns: int, count: int) -> None:
        """Note how long a batch took, from being read to being sent, and what was counted meanwhile."""
        line, tallies = self._line, self._tallies
        for place in self._desk.cache.shelf.places:
            if tallies[place]:
                line[place] += tallies[place]
                tallies[place] = 0
        line[stats.BATCHES] += 1
        microseconds = (time.monotonic_ns() - began_ns) // 1000
        line[stats.TIMES + min(microseconds.bit_length(), stats.TIME_BUCKETS - 1)] += count

    def _answer_one(self, number: int, client: Client | None) -> bool:
        """Prepare the answer to one message of the batch that was read; say whether there is one to be sent."""
        octets, buffer = self._words[_HEADER_WORDS * number + _LENGTH_WORD], self._buffers[number]
        desk = self._desk
        answer = desk.cache.ready(buffer[_BEHIND_ID[octets]])
        if answer is None:
            answer = self._miss(number, octets)
        if client is not None and answer:
            answer = desk.judged(client, desk.cache.source, answer, buffer[:octets])
        if answer:
            self._reply_lengths[number] = size = len(answer) + 2
            buffer[_BEHIND_ID[size]] = answer
        return bool(answer)

    def _miss(self, number: int, octets: int) -> bytes | None:
        """Answer what is not known octet by octet, or hand it up."""
        if octets >= PACKET_OCTETS_MAX:
            self._line[stats.OVERSIZED] += 1
            return None
        packet = self._buffers[number][:octets]
        answer = self._desk.answer(packet, octets_of(self._key(number)))
        if answer is None:
            self._hand_up(self.number, packet, self._sender(number))
        return answer

    def _keys(self, count: int) -> list[Key]:
        """Return the addresses of a batch's senders."""
        if self._is_ipv6:
            return [self._key(number) for number in range(count)]
        first = self._names_start // 8
        words = self._words[first : first + 4 * count : _NAME_OCTETS // 8].tolist()
        return [word >> 32 for word in words]

    def _key(self, number: int) -> Key:
        start = self._names_start + _NAME_OCTETS * number
        if self._is_ipv6:
            return bytes(self._head[start + 8 : start + 24])
        key: int = self._words[start // 8] >> 32
        return key

    def _sender(self, number: int) -> Sender:
        word = _HEADER_WORDS * number
        octets = self._words[word + 1] & 0xFFFF_FFFF
        start = self._names_start + _NAME_OCTETS * number
        name = bytes(self._head[start : start + octets])
        control = self._controls_start + _CONTROL_OCTETS * number
        size = int.from_bytes(self._head[control : control + 8], "little") if self._has_control else 0
        if self._zeroes_interface:
            self._forget_interface(number)
        return Sender(name, bytes(self._head[control : control + size]))

    def _forget_interface(self, number: int) -> None:
        """Let the kernel route the answer instead of sending it where the query came in."""
        self._words[(self._controls_start + _CONTROL_OCTETS * number) // 8 + 2] &= 0xFFFF_FFFF_0000_0000

    def _send(self, first: int, last: int) -> None:
        """Send the answers of a run of messages; one that the kernel refuses is given up."""
        if self._zeroes_interface:
            for number in range(first, last):
                self._forget_interface(number)
        while first < last:
            sent = self._sendmmsg(self._fd, self._replies_at + 64 * first, last - first, socket.MSG_DONTWAIT)
            if sent <= 0:
                if ctypes.get_errno() == errno.EINTR:
                    continue
                self._line[stats.UNSENT] += 1
                sent = 1
            first += sent

    def _lay_out(self, family: int) -> None:
        """Write the headers that the kernel reads; only lengths change later."""
        sizes = (64, 64, 16, 16, _NAME_OCTETS, _CONTROL_OCTETS)
        places = [BATCH * sum(sizes[:number]) for number in range(len(sizes))]
        head = mmap.mmap(-1, BATCH * sum(sizes))
        base = ctypes.addressof(ctypes.c_char.from_buffer(head))
        received, replies, reads, writes, names, controls = places
        words = memoryview(head).cast("Q")
        name_octets = 16 if family == socket.AF_INET else 28
        control_octets = _PKTINFO_OCTETS[socket.AddressFamily(family)] if self._has_control else 0
        for number in range(BATCH):
            name, control = base + names + _NAME_OCTETS * number, base + controls + _CONTROL_OCTETS * number
            shared = (control if self._has_control else 0, control_octets, 0, 0)
            for start, vectors in ((received, reads), (replies, writes)):
                vector = vectors + 16 * number
                header = (name, name_octets, base + vector, 1, *shared)
                words[start // 8 + 8 * number : start // 8 + 8 * number + 8] = _row(header)
                words[vector // 8] = ctypes.addressof(ctypes.c_char.from_buffer(self._buffers[number]))
                words[vector // 8 + 1] = PACKET_OCTETS_MAX
        self._head = memoryview(head)
        self._words = words
        self._fresh = bytes(self._head[: BATCH * 64])
        self._received_at, self._replies_at = base + received, base + replies
        self._reply_lengths = words[writes // 8 + 1 : (writes + 16 * BATCH) // 8 : 2]
        self._names_start, self._controls_start = names, controls


class PlainBatch:
    """Serves a socket one datagram at a time, where there is no better way."""

    turn = BATCH

    def __init__(self, number: int, bound: socket.socket, desk: Desk, hand_up: HandUp) -> None:
        self.number = number
        self._bound = bound
        self._desk = desk
        self._hand_up = hand_up
        self._control_octets = _CONTROL_OCTETS if _tells_destination(bound) else 0

    def use(self, desk: Desk) -> None:
        """Answer from another table, or by other rules."""
        self._desk = desk

    def serve(self) -> int:
        """Answer what has arrived, up to a batch; return how many datagrams were read."""
        for number in range(BATCH):
            try:
                packet, ancillary, flags, address = self._bound.recvmsg(
                    PACKET_OCTETS_MAX, self._control_octets, socket.MSG_DONTWAIT
                )
            except OSError:
                return number
            self._answer(packet, flags, _sender_of(self._bound.family, address, ancillary))
        return BATCH

    def _answer(self, packet: bytes, flags: int, sender: Sender) -> None:
        desk = self._desk
        line = desk.cache.line
        if flags & socket.MSG_TRUNC:
            line[stats.OVERSIZED] += 1
            return
        key = sender.octets()
        answer = desk.cache.ready(packet[2:])
        if answer is None:
            answer = desk.answer(packet, key)
        clients = None if desk.clients.is_idle else desk.clients.of_batch((key,))
        if clients is not None and answer:
            answer = desk.judged(clients[0], desk.cache.source, answer, packet)
        if answer is None:
            self._hand_up(self.number, packet, sender)
        elif answer and not send_one(self._bound, packet[:2] + answer, sender):
            line[stats.UNSENT] += 1


def _row(values: tuple[int, ...]) -> memoryview:
    return memoryview(struct.pack("8Q", *values)).cast("Q")


def _tells_destination(bound: socket.socket) -> bool:
    if bound.family == socket.AF_INET6:
        return bool(bound.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO))
    return bool(bound.getsockopt(socket.IPPROTO_IP, _IP_PKTINFO))


def _sender_of(family: int, address: tuple[Any, ...], ancillary: list[tuple[int, int, bytes]]) -> Sender:
    """Write a sender as the kernel would."""
    port = address[1].to_bytes(2, "big")
    head = family.to_bytes(2, sys.byteorder) + port
    if family == socket.AF_INET:
        name = head + socket.inet_pton(socket.AF_INET, address[0]) + bytes(8)
    else:
        host = socket.inet_pton(socket.AF_INET6, address[0].partition("%")[0])
        name = head + bytes(4) + host + address[3].to_bytes(4, sys.byteorder)
    control = b""
    for level, kind, data in ancillary:
        told = bytes(4) + data[4:] if level == socket.IPPROTO_IP else data
        control = _CMSG.pack(_CMSG.size + len(told), level, kind) + told
    return Sender(name, control)
