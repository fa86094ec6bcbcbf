"""Durations and shares as people write them, and nothing else."""

import re

_DURATION_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NUMBER_AND_UNIT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))? ?([A-Za-z%]*)")

DURATION_MS_MAX = 366 * 86_400_000


def parse_duration_ms(text: str) -> int:
    """Read ``250ms``, ``1.5s``, ``2m``, ``1h`` or ``7d`` as milliseconds. Raises ``ValueError``."""
    amount = _scaled(text, _DURATION_MS)
    if amount is None:
        raise ValueError(f'{text!r} is not a duration; write "250ms", "5s", "2m", "1h" or "7d"')
    if amount > DURATION_MS_MAX:
        raise ValueError(f"{text!r} is longer than a year")
    return amount


def parse_percent(text: str) -> int:
    """Read ``50%`` as 50, between 0 and 100. Raises ``ValueError``."""
    amount = _scaled(text, {"%": 1})
    if amount is None or amount > 100:
        raise ValueError(f'{text!r} is not a share; write a whole number from "0%" to "100%"')
    return amount


def _scaled(text: str, scales: dict[str, int]) -> int | None:
    """Return number times unit when both are known and the product is whole, else None."""
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None or match[3] not in scales:
        return None
    decimals = match[2] or ""
    scaled = int(match[1] + decimals) * scales[match[3]]
    whole, rest = divmod(scaled, 10 ** len(decimals))
    return None if rest else whole
