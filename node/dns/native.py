"""The compiled reader of the table as Python sees it: ``native.c``, where it was built with the package.

It answers what is plain and hands the rest to the Python reader beside it, so nothing depends on it but speed.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from node.dns import table_layout as layout
from node.dns.answerer_batch import BATCH, PACKET_OCTETS_MAX
from node.dns.answerer_cache import AnswerCache
from node.dns.answerer_desk import Desk
from node.dns.networks import Network

LIBRARY = Path(__file__).with_name("libnative.so")
INTERFACE = 4
"""Raised with every change of what is called here."""
BATCHES = 4
"""So many batches are answered at most before others are looked at."""


class _Network(ctypes.Structure):
    _fields_ = (("octets", ctypes.c_uint8 * 16), ("length", ctypes.c_uint8), ("bits", ctypes.c_uint8))


class _Policy(ctypes.Structure):
    _fields_ = (
        ("accounts", ctypes.c_void_p),
        ("exempt", ctypes.POINTER(_Network)),
        ("forward", ctypes.POINTER(_Network)),
        ("modulus", ctypes.c_uint64),
        ("multiplier", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
        ("rows", ctypes.c_uint32),
        ("row", ctypes.c_uint32),
        ("slip", ctypes.c_uint32),
        ("exempt_count", ctypes.c_uint32),
        ("forward_count", ctypes.c_uint32),
        ("ipv4_prefix", ctypes.c_uint8),
        ("ipv6_prefix", ctypes.c_uint8),
    )


class Batch(ctypes.Structure):
    """What ``serve`` needs of one socket."""

    _fields_ = (
        ("received", ctypes.c_void_p),
        ("replies", ctypes.c_void_p),
        ("began_ns", ctypes.c_uint64),
        ("fd", ctypes.c_int32),
        ("forgets_interface", ctypes.c_int32),
        ("left_count", ctypes.c_int32),
        ("left", ctypes.c_uint8 * BATCH),
    )


@cache
def load(path: Path = LIBRARY) -> ctypes.PyDLL | None:
    """Return the library, None where there is none that this program can use."""
    try:
        library = ctypes.PyDLL(str(path))
        is_ours = library.native_format() == INTERFACE << 8 | layout.FORMAT
    except (OSError, AttributeError):
        return None
    if not is_ours:
        return None
    at, number = ctypes.c_void_p, ctypes.c_int
    library.native_open.restype = at
    library.native_close.argtypes = [at]
    library.native_use.argtypes = [at, at, at]
    library.native_judge_by.argtypes = [at, ctypes.POINTER(_Policy)]
    library.native_refresh.argtypes = [at]
    library.native_answer.argtypes = [at, ctypes.c_char_p, number, ctypes.c_char_p, number, at]
    library.native_serve.argtypes = [at, at, number, ctypes.c_uint64]
    return library


class NativeReader:
    """Answers from one table at a time. Raises ``OSError`` where there is no library."""

    def __init__(self, library: ctypes.PyDLL | None = None) -> None:
        found = library or load()
        if found is None:
            raise OSError(f"there is no compiled reader at {LIBRARY}")
        self._library = found
        self._reader = found.native_open()
        if not self._reader:
            raise MemoryError
        self._cache: AnswerCache | None = None
        self._refreshed = -1
        self._answer = ctypes.create_string_buffer(PACKET_OCTETS_MAX)
        self._answer_at = ctypes.addressof(self._answer)
        self._serve = found.native_serve
        self._policy = _Policy()

    def __del__(self) -> None:
        if getattr(self, "_reader", None):
            self._library.native_close(self._reader)

    def use(self, desk: Desk) -> None:
        """Answer from the table of a desk's cache, by its rules, and count where it counts."""
        self._cache, self._refreshed = desk.cache, -1
        self._library.native_use(
            self._reader, _address_of(desk.cache.reader.buffer), _address_of(desk.cache.line)
        )
        exempt: Sequence[Network] = ()
        limiter = desk.clients.limiter
        policy = self._policy = _Policy()
        if limiter is not None:
            settings = limiter.settings
            policy.accounts = _address_of(limiter.words)
            policy.modulus, policy.multiplier = limiter.modulus, limiter.multiplier
            policy.limit, policy.slip = limiter.limit, settings.slip
            policy.rows, policy.row = limiter.rows, limiter.row
            policy.ipv4_prefix, policy.ipv6_prefix = settings.ipv4_prefix, settings.ipv6_prefix
            exempt = settings.exempt
        policy.exempt, policy.exempt_count = _networks(exempt), len(exempt)
        forward = desk.policy.forward_for
        policy.forward, policy.forward_count = _networks(forward), len(forward)
        self._library.native_judge_by(self._reader, ctypes.byref(policy))
        self.follow()

    def follow(self) -> None:
        """Read zones again when the cache has; to be called when notices were looked at, before answers."""
        assert self._cache is not None
        if self._cache.refreshes != self._refreshed:
            self._refreshed = self._cache.refreshes
            self._library.native_refresh(self._reader)

    def answer(self, packet: bytes, address: bytes) -> bytes | None:
        """Return the answer to a packet, None to hand it up, nothing to drop it."""
        self.follow()
        octets: int = self._library.native_answer(
            self._reader, packet, len(packet), address, len(address), self._answer_at
        )
        return None if octets < 0 else self._answer.raw[:octets]

    def serve(self, batch: int) -> int:
        """Answer up to ``BATCHES`` batches by the headers at an address; return how many datagrams were read.

        Those of the last batch that are ``left`` are to be answered otherwise.
        """
        self.follow()
        assert self._cache is not None
        count: int = self._serve(self._reader, batch, BATCHES, self._cache.noticed)
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
