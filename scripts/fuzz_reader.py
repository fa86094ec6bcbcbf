"""Fuzzing the compiled reader: hostile packets to both readers, over tables that change meanwhile.

A library that checks itself (``build_native.py --sanitize``) needs the sanitizer's own library in the process
from its start, so ``run`` starts Python again with it.
"""

import ctypes
import mmap
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from node.dns import answerer_stats as stats
from node.dns.answerer_clients import Clients
from node.dns.answerer_desk import Desk
from node.dns.limiter import LimiterSettings
from node.dns.native import NativeReader, load
from node.dns.policy import Policy
from node.dns.shared_limiter import OCTETS, SharedLimiter
from node.zone.name import from_text
from node.zone.rrset import make
from node.zone.zone import Replacement, with_changes
from tests.dns.tables import Twin, is_left_to_python, packet
from tests.dns.zones import zones

_MARK = "QDNS_FUZZ_SANITIZED"
_TURNS_MAX = 12
_CHANGE_EVERY, _ANEW_EVERY = 50, 2_000
_ZONES = {
    ".": "out A 192.0.2.99\n",
    "example.": "www A 192.0.2.1\nwww A 192.0.2.2\nwww AAAA 2001:db8::1\nal CNAME www\nmx MX 1 www\nsub NS ns.sub\n"
    "ns.sub A 192.0.2.9\n*.wild A 192.0.2.7\n*.wild TXT hello\n*.alias CNAME www\nent.a.b A 192.0.2.8\n"
    "dn DNAME other.\nbig TXT " + " ".join(f'"{"x" * 200}{number}"' for number in range(6)) + "\n",
    "in.example.": "www A 192.0.2.3\n",
}


def run(library: Path, words: list[str]) -> int:
    """Start this program again so that the library can check itself; return its exit code."""
    compiler = next(filter(None, map(shutil.which, ("gcc", "cc"))))
    found = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    environ = {
        **os.environ,
        _MARK: "1",
        "LD_PRELOAD": ":".join(found),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }
    return subprocess.run(
        [sys.executable, *words, "--reader", str(library)], check=False, env=environ
    ).returncode


def is_sanitized() -> bool:
    """Say whether this process was started by ``run``."""
    return _MARK in os.environ


def fuzz_readers(
    library: Path, seeds: list[bytes], count: int, chance: random.Random, mutated: Callable[..., bytes]
) -> int:
    """Give packets to both readers; return how often they differed."""
    found = load(library)
    if found is None:
        raise SystemExit(f"{library} is no compiled reader of this version")
    names = (
        "www",
        "WwW",
        "al",
        "no",
        "nO",
        "on",
        "x.wild",
        "wild",
        "x.alias",
        "ns.sub",
        "a.b",
        "x.dn",
        "big",
        "in",
        "www.in",
    )
    for name in names:
        for type_ in (1, 28, 16, 43, 255):
            seeds = [
                *seeds,
                packet(from_text(f"{name}.example."), type_, edns=chance.choice((None, 512, 1232))),
            ]
    broken, both = 0, _Both(found)
    for number in range(count):
        if number % _ANEW_EVERY == _ANEW_EVERY - 1:
            both = _Both(found)
        elif number % _CHANGE_EVERY == 0:
            both.change(chance)
        query = mutated(seeds, chance)[:4095]
        address = bytes(chance.choices((192, 0, 2, 7), k=chance.choice((4, 16))))
        for said in (both.native_says(query, address), both.ready_says(query)):
            if not both.allows(query, said):
                broken += 1
                print(f"{query.hex()}: {said!r} is not what the Python reader says")
    return broken


class _Both:
    """The two readers over one table, limited by accounts of their own."""

    def __init__(self, library: ctypes.PyDLL) -> None:
        self.twin = Twin(zones(_ZONES))
        limits = LimiterSettings(responses_per_s=10**9)
        self.policy = Policy(limits)
        self.memory = mmap.mmap(-1, OCTETS), mmap.mmap(-1, OCTETS)
        self.desks = [self._desk(memory, limits) for memory in self.memory]
        self.native = NativeReader(library)
        self.native.use(self.desks[0])

    def _desk(self, memory: mmap.mmap, limits: LimiterSettings) -> Desk:
        line = memoryview(bytearray(stats.LINE_WORDS * 8)).cast("Q")
        cache = type(self.twin.cache)(self.twin.cache.reader, line)
        limiter = SharedLimiter(memory, 2, 1, limits, b"0123456789abcdef")
        return Desk(cache, Clients(self.policy, limiter), self.policy)

    def change(self, chance: random.Random) -> None:
        """Change a record, so that blocks move and notices are told."""
        apex, name = (
            from_text("example."),
            from_text(chance.choice(("www.example.", "new.example.", "*.wild.example."))),
        )
        rdatas = [chance.randbytes(4) for _ in range(chance.randrange(1, 5))]
        rrset = None if chance.random() < 0.2 else make(name, 1, 60, rdatas)
        zone = with_changes(self.twin.zones[apex], [Replacement(name, 1, rrset)], 2)
        self.twin.zones[apex] = zone
        self.twin.writer.publish(self.twin.zones, None)
        for desk in self.desks:
            desk.cache.catch_up()

    def native_says(self, query: bytes, address: bytes) -> bytes | None:
        """Return what the compiled reader says."""
        said = self.native.answer(query, address)
        return self.python_says(query) if said is None and is_left_to_python(query) else said

    def ready_says(self, query: bytes) -> bytes | None:
        """Return what the Python reader says of a packet like one that it knows, else what it says of any."""
        said = self.desks[1].cache.ready(query[2:])
        return self.python_says(query) if said is None else query[:2] + said

    def python_says(self, query: bytes) -> bytes | None:
        """Return what the Python reader says of any packet."""
        answer = self.desks[1].cache.answer(query)
        return query[:2] + answer if answer else answer

    def allows(self, query: bytes, said: bytes | None) -> bool:
        """Say whether the Python reader says the same, in some turn of addresses."""
        return any(said == self.python_says(query) for _ in range(_TURNS_MAX))
