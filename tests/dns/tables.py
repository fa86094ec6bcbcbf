"""A table beside ``respond``: what both answer must be the same octets."""

import mmap
import struct
from collections.abc import Mapping

from node.dns import answerer_stats as stats
from node.dns.answerer_cache import AnswerCache
from node.dns.answerer_desk import Desk
from node.dns.native import NativeReader
from node.dns.query import Query
from node.dns.respond import Send, View, respond
from node.dns.table_reader import Reader
from node.dns.table_writer import TableWriter
from node.state.state import Changed
from node.zone.name import Name
from node.zone.zone import Zone
from tests.dns.zones import UDP, view

LOOPBACK = b"\x7f\x00\x00\x01"
_readers = ["python"]


def use_reader(name: str) -> None:
    """Let tables be read by the Python reader (``python``) or the compiled one (``native``) from now on."""
    _readers[:] = [name]


def is_native() -> bool:
    """Say whether tables are read by the compiled reader."""
    return _readers == ["native"]


class Twin:
    """A writer and a reader's cache over one table, and the zones they should show."""

    def __init__(self, zones: Mapping[Name, Zone]) -> None:
        self.zones = dict(zones)
        self.writer = TableWriter(1232, refusal)
        self.writer.publish(self.zones, None)
        self.words = memoryview(mmap.mmap(-1, stats.OCTETS)).cast("Q")
        self.cache = AnswerCache(Reader(self.writer.heap.buffer), self.words[: stats.LINE_WORDS])
        self.native = NativeReader() if is_native() else None
        self._native_cache: AnswerCache | None = None

    def change(self, zones: Mapping[Name, Zone], changed: Changed | None) -> None:
        """Publish other zones."""
        self.zones = dict(zones)
        self.writer.publish(self.zones, changed)
        self.cache.catch_up()

    def answer(self, packet: bytes) -> bytes | None:
        """Answer from the table, as the answerer does: the whole packet first."""
        if self.native is not None:
            if self._native_cache is not self.cache:
                self._native_cache = self.cache
                self.native.use(Desk(self.cache))
            answer = self.native.answer(packet, LOOPBACK)
            if answer is not None:
                return answer
        behind_id = self.cache.ready(packet[2:])
        if behind_id is None:
            behind_id = self.cache.answer(packet)
        return behind_id and packet[:2] + behind_id

    def allows(self, packet: bytes, answer: bytes) -> bool:
        """Say whether ``respond`` may give the answer, at some rotation."""
        return any(answer in self.expected(packet, turns) for turns in (1, 12))

    def expected(self, packet: bytes, turns: int = 12) -> list[bytes]:
        """Return what ``respond`` may answer, by rotation."""
        seen: View = view(self.zones)
        outcomes = [respond(packet, UDP, seen, rotation) for rotation in range(turns)]
        return [outcome.packet for outcome in outcomes if isinstance(outcome, Send)]


def is_left_to_python(query: bytes) -> bool:
    """Say whether the compiled reader leaves a plain question: one for DS."""
    position = 12
    while position < len(query) and query[position]:
        position += 1 + query[position]
    return query[position + 1 : position + 3] == b"\x00\x2b"


def refusal(query: Query) -> bytes:
    """Refuse a question outside all zones as ``respond`` does."""
    seen = view({})
    has_opt = query.edns is not None
    opt = b"\x00\x00\x29\x04\xd0" + bytes(6) if has_opt else b""
    packet = struct.pack("!6H", 0, 0, 1, 0, 0, int(has_opt)) + b"\x00" + struct.pack("!HH", 1, 1) + opt
    outcome = respond(packet, UDP, seen)
    assert isinstance(outcome, Send)
    return outcome.packet


def packet(name: bytes, type_: int, *, edns: int | None = None, dnssec: bool = False, flags: int = 0) -> bytes:
    """Write a query by hand: any octets may be in the name."""
    opt = b"" if edns is None else b"\x00\x00\x29" + struct.pack("!HBBHH", edns, 0, 0, 0x8000 * dnssec, 0)
    head = struct.pack("!6H", 4711, flags, 1, 0, 0, int(edns is not None))
    return head + name + struct.pack("!HH", type_, 1) + opt
