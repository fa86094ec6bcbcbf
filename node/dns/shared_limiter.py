"""Response rate limiting by several processes at once: counts in memory they share, one writer for each word.

A client's packets may come to any of the processes, so each adds its count of an account to those of the others. Accounts
share places by a keyed hash: a network that asks too much can take a stranger's answers with it, at
odds of one in ``PLACES``, and is never let through for it. Who meets that gets every n-th answer cut, and comes by TCP.
"""

import mmap

from node.dns.limiter import LimiterSettings, Verdict, network_of

PLACES = 65_536
ROWS_MAX = 128
"""Processes that count."""
KEY_OCTETS = 16
_MODULUS_OCTETS = 7
_WORD = 2**64 - 1
OCTETS = PLACES * ROWS_MAX * 8
"""Of the shared memory; only what is counted in takes any."""
_KNOWN_MAX = 16_384


class SharedLimiter:
    """One process's part: ``row`` is the one it counts in, of ``rows``; ``key`` is a secret that all have in common."""

    def __init__(self, memory: mmap.mmap, rows: int, row: int, settings: LimiterSettings, key: bytes) -> None:
        if not 0 <= row < rows <= ROWS_MAX:
            raise ValueError(f"row {row} of {rows} is not among {ROWS_MAX}")
        self.settings = settings
        self.words = memoryview(memory).cast("Q")
        self.rows = rows
        self.row = row
        self.modulus = int.from_bytes(key[:_MODULUS_OCTETS]) | 1 << 8 * _MODULUS_OCTETS - 1 | 1
        self.multiplier = int.from_bytes(key[_MODULUS_OCTETS:][:8]) | 1
        """Secret numbers; what an account's octets leave over when divided by one, times the other, is its place."""
        self.limit = settings.responses_per_s * settings.burst_s
        self._places: dict[tuple[bytes, bytes], int] = {}
        self._networks: dict[str, bytes | None] = {}

    def close(self) -> None:
        """Let go of the memory."""
        self.words.release()

    def judge(self, address: str, rcode: int, source: bytes, now_s: float) -> Verdict:
        """Count one answer, as ``Limiter.judge`` does; ``now_s`` is the monotonic clock, which all processes share."""
        if address not in self._networks:
            if len(self._networks) >= _KNOWN_MAX:
                self._networks.clear()
            self._networks[address] = network_of(address, self.settings)
        network = self._networks[address]
        return Verdict.SEND if network is None else self.count(network, bytes((rcode,)) + source, int(now_s))

    def count(self, network: bytes, account: bytes, second: int) -> Verdict:
        """Count one answer to a network from an account, which is its rcode and the name it comes from."""
        place = self._places.get((network, account))
        if place is None:
            place = self._place(network, account)
        words, own = self.words, place + self.row
        word = words[own]
        count = (word & 0xFFFF_FFFF) + 1 if word >> 32 == second else 1
        words[own] = second << 32 | min(count, 0xFFFF_FFFF)
        window = words[place : place + self.rows].tolist()
        total = sum(each & 0xFFFF_FFFF for each in window if each >> 32 == second)
        excess = total - self.limit
        if excess <= 0:
            return Verdict.SEND
        slip = self.settings.slip
        return Verdict.CUT if slip and count % slip == 0 else Verdict.DROP

    def _place(self, network: bytes, account: bytes) -> int:
        if len(self._places) >= _KNOWN_MAX:
            self._places.clear()
        rest = int.from_bytes(network + account) % self.modulus
        place = (rest * self.multiplier & _WORD) // (2**64 // PLACES) * self.rows
        self._places[network, account] = place
        return place
