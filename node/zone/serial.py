"""Serial number arithmetic of RFC 1982 on 32 bits, and nothing else."""

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
