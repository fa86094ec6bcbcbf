"""What an answerer knows of those who ask: whose answers are limited, and who may have questions forwarded.

Most clients need nothing done. They are told apart by one look at a set for a whole batch.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from node.dns.limiter import Verdict, network_of
from node.dns.networks import read_plain
from node.dns.policy import Policy
from node.dns.shared_limiter import SharedLimiter

Key = int | bytes
"""The octets of an address, those of an IPv4 address perhaps as a little-endian number."""

_KNOWN_MAX = 8_192
_RA = 0x80


@dataclass(frozen=True, slots=True)
class Client:
    """What is to be done for a client's network."""

    network: bytes | None
    """What its answers are counted under, None when they are not."""
    has_recursion: bool


_FREE = Client(None, has_recursion=False)


class Clients:
    """Everyone who asks, under one policy."""

    def __init__(self, policy: Policy, limiter: SharedLimiter | None) -> None:
        self._policy = policy
        self.limiter = limiter
        self.is_idle = limiter is None and not policy.forward_for
        """Nothing is to be done for anybody."""
        self._second = 0
        self._free: set[Key] = set()
        self._known: dict[Key, Client] = {}

    def close(self) -> None:
        """Let go of the shared counts."""
        if self.limiter is not None:
            self.limiter.close()

    def of_batch(self, keys: Sequence[Key]) -> list[Client] | None:
        """Return who sent each packet of a batch, None when nothing is to be done for any of them."""
        if self._free.issuperset(keys):
            return None
        self._second = int(time.monotonic())
        return [self.of(key) for key in keys]

    def of(self, key: Key) -> Client:
        """Return what is known of an address."""
        client = self._known.get(key)
        if client is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
                self._free.clear()
            client = self._known[key] = self._learn(key)
            if client is _FREE:
                self._free.add(key)
        return client

    def judge(self, client: Client, account: bytes) -> Verdict:
        """Count an answer and say what becomes of it."""
        if client.network is None or self.limiter is None:
            return Verdict.SEND
        return self.limiter.count(client.network, account, self._second)

    def _learn(self, key: Key) -> Client:
        address = octets_of(key)
        limits = self._policy.limiter
        network = None if limits is None else network_of(address, limits)
        parsed = read_plain(address)
        has_recursion = any(parsed in each for each in self._policy.forward_for)
        return _FREE if network is None and not has_recursion else Client(network, has_recursion)


def octets_of(key: Key) -> bytes:
    """Return the octets of an address."""
    return key if isinstance(key, bytes) else key.to_bytes(4, "little")


def with_recursion(answer: bytes) -> bytes:
    """Set RA in an answer without its id."""
    return answer[:1] + bytes((answer[1] | _RA,)) + answer[2:]
