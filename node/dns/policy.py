"""What answerers are told beside the table: limits, cookies, whose questions go elsewhere. It travels as JSON.

Answerers import this, so it knows few modules and none that are large. Pure.
"""

import ipaddress
from dataclasses import asdict, dataclass, field
from typing import Any

from node.dns.cookie import RollingSecrets
from node.dns.limiter import LimiterSettings
from node.dns.networks import Network


@dataclass(frozen=True, slots=True)
class Policy:
    """How clients are treated."""

    limiter: LimiterSettings | None = None
    cookie_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    """As in ``respond``; for those that do not roll."""
    cookie_master: bytes | None = field(default=None, repr=False)
    """What rolling secrets are made from; they stand over the others."""
    require_cookies: bool = False
    forward_for: tuple[Network, ...] = ()
    """Whose questions outside our zones are forwarded; with any, such questions are not plain."""

    def secrets_at(self, now_s: int, rolling: RollingSecrets | None) -> tuple[bytes, ...]:
        """Return the secrets of cookies at a time; ``rolling`` was made by ``roll``."""
        return self.cookie_secrets if rolling is None else rolling.at(now_s)

    def roll(self) -> RollingSecrets | None:
        """Return the secrets that change by themselves, None where they stay."""
        return None if self.cookie_master is None else RollingSecrets(self.cookie_master)


def to_row(policy: Policy) -> dict[str, Any]:
    """Write a policy in plain values."""
    limiter = policy.limiter
    return {
        "limiter": None if limiter is None else asdict(limiter) | {"exempt": list(map(str, limiter.exempt))},
        "cookie_secrets": [each.hex() for each in policy.cookie_secrets],
        "cookie_master": None if policy.cookie_master is None else policy.cookie_master.hex(),
        "require_cookies": policy.require_cookies,
        "forward_for": list(map(str, policy.forward_for)),
    }


def from_row(row: dict[str, Any]) -> Policy:
    """Read what ``to_row`` wrote. Raises ``ValueError``, ``KeyError`` or ``TypeError`` for anything else."""
    limits, master = row["limiter"], row["cookie_master"]
    limiter = None if limits is None else LimiterSettings(**limits | {"exempt": _networks(limits["exempt"])})
    return Policy(
        limiter,
        tuple(map(bytes.fromhex, row["cookie_secrets"])),
        None if master is None else bytes.fromhex(master),
        bool(row["require_cookies"]),
        _networks(row["forward_for"]),
    )


def _networks(texts: list[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in texts)
