"""Whether work in a thread is still wanted: asked between its rows, told by those who gave it away.

Python ends no thread from outside. What looks at very many rows asks here after some of them.
"""

import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class GivenUp(Exception):
    """Nobody waits any more for what this thread is working on."""


class _Mine(threading.local):
    unwanted: threading.Event | None = None


_mine = _Mine()


def begin(unwanted: threading.Event | None) -> None:
    """Let this thread's work from now on be given up once the event is set; None for never."""
    _mine.unwanted = unwanted


def go_on() -> None:
    """Return when the work at hand is wanted, as everything is that is not done for one request. Raises ``GivenUp``."""
    if _mine.unwanted is not None and _mine.unwanted.is_set():
        raise GivenUp


def while_wanted(rows: Iterable[T]) -> Iterator[T]:
    """Yield the rows for as long as the work on them is wanted. Raises ``GivenUp``."""
    for row in rows:
        go_on()
        yield row
