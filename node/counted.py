"""How many there are of something, in words. Pure."""


def counted(count: int, one: str, many: str = "") -> str:
    """Write ``1 node`` and ``2 nodes``."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
