"""How many octets of requests' bodies are held at one time, by all clients together."""

import contextlib
from collections.abc import Callable, Iterator

from node.api.problem import Problem

SHORT_OCTETS = 64 * 1024
"""So much of each body has its place in any case: connections are few enough for that."""


class Bodies:
    """The octets that are held, of how many there may be."""

    def __init__(self, octets_max: int) -> None:
        self._octets_max = octets_max
        self._octets = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[Callable[[int], None]]:
        """Yield what takes the length of a body as it is read; gives all back at the end. Raises ``Problem``."""
        mine = 0

        def grow(octets: int) -> None:
            nonlocal mine
            more = max(0, octets - SHORT_OCTETS) - mine
            if more > self._octets_max - self._octets:
                raise Problem("busy", "too many long bodies are being read; nothing was changed", "try again")
            self._octets += more
            mine += more

        try:
            yield grow
        finally:
            self._octets -= mine
