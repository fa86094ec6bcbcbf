"""What this node alone knows about pushing: secrets and times."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TsigSecret:
    """A key that signs messages (RFC 8945)."""

    algorithm: str
    """``hmac-sha256`` and so on."""
    secret: str = field(repr=False)
    """Base64."""


@dataclass(frozen=True, slots=True)
class PusherSettings:
    """Secrets by the names that targets call them, and times in seconds."""

    tsig: Mapping[str, TsigSecret] = field(default_factory=dict, repr=False)
    """By key name in lower case without final dot."""
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    takeover_s: float = 3.0
    """So long a node lets each earlier one of the order be silent before it pushes itself."""
    retry_first_s: float = 0.5
    retry_max_s: float = 30.0
    serial_every_s: float = 10.0
    """How often the serials there are looked at, which tell that somebody changed something."""
    verify_every_s: float = 60.0
    """How often the target is read again to find what others changed there."""
    verify_api_every_s: float = 600.0
    """The same for services over HTTP, which count requests."""
    attempt_s: float = 60.0
    """Deadline for one attempt at a target, all messages together."""
    flights_max: int = 16
    """Attempts at different targets at the same time."""
