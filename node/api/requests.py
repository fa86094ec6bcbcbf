"""What the API counts of itself."""

from collections import Counter

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestCounts:
    """Requests answered since the start. Every key comes from a fixed set, so that no client can make them many."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, int]] = Counter()
        """By method (``other`` for one that HTTP does not know) and status."""

    def count(self, method: str, status: int) -> None:
        """Count one request and how it was answered."""
        self.answered[method if method in _METHODS else "other", status] += 1
