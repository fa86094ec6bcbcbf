"""Response rate limiting: so that we are no amplifier for those who forge addresses. Pure; the caller brings the time.

Equal answers to one network are counted together: by the name they come from, denials by their zone, errors
as one. What exceeds the rate is not sent, but for every n-th, which is cut down to a TC bit that
leads an honest client to TCP.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

from node.dns.networks import Network, prefix_of, read_plain


@dataclass(frozen=True, slots=True)
class LimiterSettings:
    """Rates over UDP; clients with a valid cookie and on TCP are never limited."""

    responses_per_s: int
    burst_s: int = 1
    """How many seconds' worth of answers may come at once."""
    slip: int = 2
    """Every n-th answer too many is cut instead of dropped; 0 drops all."""
    ipv4_prefix: int = 24
    ipv6_prefix: int = 56
    table_max: int = 100_000
    """Accounts kept; the one not used for longest makes room."""
    exempt: tuple[Network, ...] = ()
    """Networks whose addresses nobody can forge, or who are trusted."""


class Verdict(Enum):
    """What is to be done with an answer."""

    SEND = "send"
    CUT = "cut"
    DROP = "drop"


@dataclass(slots=True)
class _Account:
    tokens: float
    at_s: float
    refused: int = 0


Key = tuple[bytes, int, bytes]
_KNOWN_MAX = 4096


class Limiter:
    """Token buckets by network, kind of answer and name."""

    def __init__(self, settings: LimiterSettings) -> None:
        self.settings = settings
        self.accounts: OrderedDict[Key, _Account] = OrderedDict()
        self._known: dict[str, bytes | None] = {}
        """The networks of addresses, as they take longer to find than the rest takes."""

    def judge(self, address: str, rcode: int, source: bytes, now_s: float) -> Verdict:
        """Count one answer; ``now_s`` is any clock that never goes back."""
        settings = self.settings
        network = self._network(address)
        if network is None:
            return Verdict.SEND
        burst = settings.responses_per_s * settings.burst_s
        key = (network, rcode, source)
        account = self.accounts.pop(key, None) or _Account(burst, now_s)
        self.accounts[key] = account
        if len(self.accounts) > settings.table_max:
            self.accounts.popitem(last=False)
        earned = (now_s - account.at_s) * settings.responses_per_s
        account.tokens = min(burst, account.tokens + earned)
        account.at_s = now_s
        if account.tokens >= 1:
            account.tokens -= 1
            return Verdict.SEND
        account.refused += 1
        return Verdict.CUT if settings.slip and account.refused % settings.slip == 0 else Verdict.DROP

    def _network(self, address: str) -> bytes | None:
        """Cut an address to its network, as forged addresses are chosen freely within it; None for the exempt."""
        if address in self._known:
            return self._known[address]
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[address] = network = network_of(address, self.settings)
        return network


def network_of(address: str | bytes, settings: LimiterSettings) -> bytes | None:
    """Cut an address to its network, as forged addresses are chosen freely within it; None for the exempt."""
    parsed = read_plain(address)
    if any(parsed in each for each in settings.exempt):
        return None
    return prefix_of(parsed, settings.ipv4_prefix, settings.ipv6_prefix)


class LineLimit:
    """Admits so many lines a second, and drops the rest."""

    def __init__(self, per_s: int) -> None:
        self.per_s = per_s
        self._second = -1
        self._count = 0

    def admits(self, now_s: float) -> bool:
        """Count one line."""
        if int(now_s) != self._second:
            self._second, self._count = int(now_s), 0
        self._count += 1
        return self._count <= self.per_s
