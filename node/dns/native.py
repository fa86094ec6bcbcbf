"""The compiled reader of the table as Python sees it: ``native.c``, where it was built with the package.

It answers what is plain and hands the rest to the Python reader beside it, so nothing depends on it but speed. All that
it needs to know is laid out here, when rules or zones change.
"""

import ctypes
import hashlib
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from node.dns import answerer_stats as stats
from node.dns import table_layout as layout
from node.dns.answerer_batch import BATCH, PACKET_OCTETS_MAX
from node.dns.answerer_cache import AnswerCache
from node.dns.answerer_desk import Desk
from node.dns.networks import Network
from node.dns.table_reader import Reader

SOURCE = Path(__file__).with_name("native.c")
LIBRARY = SOURCE.with_name("libnative.so")
BATCHES = 4
"""So many batches are answered at most before others are looked at."""
_NAME_OCTETS_MAX = 255
_TYPES = 258
_ELF_64, _ELF_HEADER_OCTETS = b"\x7fELF\x02", 64


class _Network(ctypes.Structure):
    _fields_ = (("octets", ctypes.c_uint8 * 16), ("length", ctypes.c_uint8), ("bits", ctypes.c_uint8))


class _Reader(ctypes.Structure):
    """``struct reader``."""

    _fields_ = (
        ("table", ctypes.c_void_p),
        ("line", ctypes.c_void_p),
        ("zones", ctypes.POINTER(ctypes.c_uint32)),
        ("zones_word", ctypes.c_uint64),
        ("accounts", ctypes.c_void_p),
        ("exempt", ctypes.POINTER(_Network)),
        ("forward", ctypes.POINTER(_Network)),
        ("modulus", ctypes.c_uint64),
        ("multiplier", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
        ("zones_mask", ctypes.c_uint32),
        ("rows", ctypes.c_uint32),
        ("row", ctypes.c_uint32),
        ("slip", ctypes.c_uint32),
        ("exempt_count", ctypes.c_uint32),
        ("forward_count", ctypes.c_uint32),
        ("payload_octets", ctypes.c_uint16),
        ("refusal_flags", ctypes.c_uint16),
        ("ipv4_prefix", ctypes.c_uint8),
        ("ipv6_prefix", ctypes.c_uint8),
        ("is_ready", ctypes.c_uint8),
        ("opt_octets", ctypes.c_uint8),
        ("refusal_opt_octets", ctypes.c_uint8),
        ("opt", ctypes.c_uint8 * 255),
        ("refusal_opt", ctypes.c_uint8 * 255),
        ("is_apex_length", ctypes.c_uint8 * (_NAME_OCTETS_MAX + 1)),
        ("type_places", ctypes.c_uint8 * _TYPES),
        ("turns", ctypes.c_uint16 * 4096),
        ("crc_table", ctypes.c_uint32 * 256 * 4),
    )


class Batch(ctypes.Structure):
    """``struct batch``: what ``serve`` needs of one socket."""

    _fields_ = (
        ("received", ctypes.c_void_p),
        ("replies", ctypes.c_void_p),
        ("began_ns", ctypes.c_uint64),
        ("fd", ctypes.c_int32),
        ("forgets_interface", ctypes.c_int32),
        ("left_count", ctypes.c_int32),
        ("left", ctypes.c_uint8 * BATCH),
    )


class Unusable(Exception):
    """There is no library that this program can use; the message says why."""


@cache
def checksum(source: Path = SOURCE) -> str:
    """Return the checksum by which a library names the source that it was built from. Raises ``OSError``.

    It stays that of the source as it was at first, which is the one that this program fits.
    """
    return hashlib.sha256(source.read_bytes()).hexdigest()


def load(path: Path = LIBRARY) -> ctypes.PyDLL | None:
    """Return the library, None where there is none that this program can use."""
    try:
        return opened(path)
    except Unusable:
        return None


def why_refused(path: Path = LIBRARY) -> str:
    """Say why a library that is there is not used; nothing where it is used, or not there."""
    try:
        opened(path)
    except Unusable as error:
        return str(error) if path.exists() else ""
    return ""


def _is_whole(octets: bytes) -> bool:
    """Say whether a file is as long as its ELF header says: the list of sections, which it ends with, is in it."""
    if octets[:5] != _ELF_64:
        return True  # the linker refuses what it does not know, and says why
    if len(octets) < _ELF_HEADER_OCTETS:
        return False
    start, size, count = struct.unpack_from("<40xQ10xHH", octets)
    return bool(start + size * count <= len(octets))


@cache
def opened(path: Path) -> ctypes.PyDLL:
    """Open a library; one that is opened stays, whatever takes its place. Raises ``Unusable``."""
    if not path.exists():
        raise Unusable(f"there is no compiled reader at {path}")
    try:
        source, octets = checksum().encode(), path.read_bytes()
        # Before it is opened: the linker gives what it has opened by a name for whatever has that name later, and
        # ends the process where a file is cut off.
        if not _is_whole(octets):
            raise Unusable(f"{path} is cut off: install the package anew")
        is_ours = source in octets
        if is_ours:
            library = ctypes.PyDLL(str(path))
            library.native_source.restype = ctypes.c_char_p
            is_ours = (library.native_source(), library.native_format(), library.native_octets()) == (
                source,
                layout.FORMAT,
                ctypes.sizeof(_Reader),
            )
    except (OSError, AttributeError) as error:
        raise Unusable(f"{path} is no compiled reader of this version: {error}") from None
    if not is_ours:
        raise Unusable(f"{path} was built from another source than {SOURCE}")
    at, number = ctypes.c_void_p, ctypes.c_int
    library.native_answer.argtypes = [at, ctypes.c_char_p, number, ctypes.c_char_p, number, at]
    library.native_serve.argtypes = [at, at, number, ctypes.c_uint64]
    return library


class NativeReader:
    """Answers from one table at a time. Raises ``OSError`` where there is no library."""

    def __init__(self, library: ctypes.PyDLL | None = None) -> None:
        found = library or load()
        if found is None:
            raise OSError(f"there is no compiled reader at {LIBRARY}")
        self._answer_by, self._serve_by = found.native_answer, found.native_serve
        self._reader = _Reader()
        self._at = ctypes.addressof(self._reader)
        self._reader.crc_table = _crc_table()
        self._reader.type_places[:] = _type_places()
        self._cache: AnswerCache | None = None
        self._refreshed = -1
        self._answer = ctypes.create_string_buffer(PACKET_OCTETS_MAX)
        self._answer_at = ctypes.addressof(self._answer)

    def use(self, desk: Desk) -> None:
        """Answer from the table of a desk's cache, by its rules, and count where it counts."""
        self._cache, self._refreshed = desk.cache, -1
        reader = self._reader
        reader.table, reader.line = _address_of(desk.cache.reader.buffer), _address_of(desk.cache.line)
        limiter, forward = desk.clients.limiter, desk.policy.forward_for
        exempt: Sequence[Network] = ()
        reader.accounts = None
        if limiter is not None:
            settings = limiter.settings
            reader.accounts = _address_of(limiter.words)
            reader.modulus, reader.multiplier = limiter.modulus, limiter.multiplier
            reader.limit, reader.slip = limiter.limit, settings.slip
            reader.rows, reader.row = limiter.rows, limiter.row
            reader.ipv4_prefix, reader.ipv6_prefix = settings.ipv4_prefix, settings.ipv6_prefix
            exempt = settings.exempt
        reader.exempt, reader.exempt_count = _networks(exempt), len(exempt)
        reader.forward, reader.forward_count = _networks(forward), len(forward)
        self.follow()

    def follow(self) -> None:
        """Look at zones again when the cache has; to be called when notices were looked at, before answers."""
        assert self._cache is not None
        if self._cache.refreshes == self._refreshed:
            return
        self._refreshed = self._cache.refreshes
        table, reader = self._cache.reader, self._reader
        reader.is_ready = False
        if not self._cache.is_ready or not table.zones_word or table.payload_octets > PACKET_OCTETS_MAX:
            return
        reader.payload_octets, reader.refusal_flags = table.payload_octets, table.refusal_flags
        reader.opt_octets, reader.refusal_opt_octets = len(table.opt), len(table.refusal_opt)
        reader.opt[: len(table.opt)], reader.refusal_opt[: len(table.refusal_opt)] = (
            table.opt,
            table.refusal_opt,
        )
        reader.is_apex_length[:] = bytes(_NAME_OCTETS_MAX + 1)
        for apex in table.zones:
            reader.is_apex_length[len(apex)] = 1
        index = _index(table)
        reader.zones, reader.zones_mask, reader.zones_word = index, len(index) - 1, table.zones_word
        reader.is_ready = True

    def answer(self, packet: bytes, address: bytes) -> bytes | None:
        """Return the answer to a packet, None to hand it up, nothing to drop it."""
        self.follow()
        octets: int = self._answer_by(self._at, packet, len(packet), address, len(address), self._answer_at)
        return None if octets < 0 else self._answer.raw[:octets]

    def serve(self, batch: int) -> int:
        """Answer up to ``BATCHES`` batches by the headers at an address; return how many datagrams were read.

        Those of the last batch that are ``left`` are to be answered otherwise.
        """
        self.follow()
        assert self._cache is not None
        count: int = self._serve_by(self._at, batch, BATCHES, self._cache.noticed)
        return count


def _address_of(buffer: object) -> int:
    """Return where a writable buffer stands; whoever owns it keeps it there."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))  # type: ignore[arg-type]


def _networks(networks: Sequence[Network]) -> "ctypes.Array[_Network]":
    rows = (_Network * len(networks))()
    for row, network in zip(rows, networks, strict=True):
        octets = network.network_address.packed
        row.octets[: len(octets)] = list(octets)
        row.length, row.bits = len(octets), network.prefixlen
    return rows


def _index(table: Reader) -> "ctypes.Array[ctypes.c_uint32]":
    """Lay zones out by the hash of their apex."""
    size = 1
    while size < 2 * len(table.zones) + 1:
        size *= 2
    index = (ctypes.c_uint32 * size)()
    for apex, zone in table.zones.items():
        place = zlib.crc32(apex) & size - 1
        while index[place]:
            place = place + 1 & size - 1
        index[place] = zone.offset
    return index


def _type_places() -> list[int]:
    """Return in which row of rcodes the answers of each type are counted, first those of all types without one."""
    return [stats.answer_place(number, 0) // len(stats.RCODES) for number in range(_TYPES)]


def _crc_table() -> "ctypes.Array[ctypes.Array[ctypes.c_uint32]]":
    """Return what an octet adds to a CRC-32 when 0, 1, 2 or 3 others follow it."""
    rows = (ctypes.c_uint32 * 256 * 4)()
    for octet in range(256):
        crc = octet
        for bit in range(32):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
            if bit % 8 == 7:
                rows[bit // 8][octet] = crc
    return rows
