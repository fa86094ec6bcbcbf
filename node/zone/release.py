"""Letting go of a million things in small steps: at once it would stop every thread of the process."""

from collections.abc import Callable
from typing import Any

STEP = 1_000


def release(things: "dict[Any, Any] | list[Any]", pause: Callable[[], None]) -> None:
    """Empty a dict or a list that nobody needs any more, with a pause after each step."""
    while things:
        if isinstance(things, list):
            del things[-STEP:]
        else:
            for _ in range(min(STEP, len(things))):
                things.popitem()
        pause()
