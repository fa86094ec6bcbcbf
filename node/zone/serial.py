"""Serial number arithmetic of RFC 1982 on 32 bits, and what serials are made from."""

from datetime import UTC, datetime
from typing import Literal

Policy = Literal["increment", "unixtime", "date", "keep"]
"""How a zone's next serial is chosen; ``keep`` takes the one that came with the change."""

MODULUS = 2**32
_HALF = 2**31


def add(serial: int, increment: int) -> int:
    """Return the serial ``increment`` steps later (section 3.1). Raises ``ValueError`` above 2^31 - 1."""
    if not 0 <= increment < _HALF:
        raise ValueError(f"a serial can advance by 0 to {_HALF - 1}, not {increment}")
    return (serial + increment) % MODULUS


def is_newer(serial: int, other: int) -> bool:
    """Say whether ``serial`` is greater than ``other`` (section 3.2); False where that is undefined."""
    return serial != other and 0 < (serial - other) % MODULUS < _HALF


def after(serial: int, policy: Policy, at_ms: int, given: int | None = None) -> int:
    """Return the serial that follows: what the policy wants when that is newer, else the next number.

    ``at_ms`` is when the change was proposed, milliseconds since 1970 UTC, as it stands in the log. ``given`` is the
    serial that came with the change, for ``keep``.
    """
    wanted: int | None = None
    if policy == "unixtime":
        wanted = at_ms // 1000 % MODULUS
    elif policy == "date" and 0 <= at_ms < 253_402_300_800_000:
        wanted = int(f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y%m%d}00") % MODULUS
    elif policy == "keep" and given is not None and 0 <= given < MODULUS:
        wanted = given
    return wanted if wanted is not None and is_newer(wanted, serial) else add(serial, 1)
