"""A file on its way to a node: its octets, counted as they go."""

from collections.abc import Callable


class Upload:
    """Octets that tell how many of them were sent."""

    def __init__(self, octets: bytes, sent: Callable[[int], object]) -> None:
        self._octets = octets
        self._sent = sent
        self._position = 0

    def __len__(self) -> int:
        return len(self._octets)

    def read(self, size: int = -1) -> bytes:
        """Return the next octets."""
        end = len(self._octets) if size < 0 else self._position + size
        piece = self._octets[self._position : end]
        self._position += len(piece)
        self._sent(len(piece))
        return piece
