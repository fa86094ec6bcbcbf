"""Pages of lists: a key to go on after instead of an offset, so that pages stay right while data changes."""

from bisect import bisect_right
from collections.abc import Iterable

from node.api.message import Request
from node.api.names import plain, read_name
from node.api.problem import Problem
from node.zone.name import Name, sort_key

LIMIT_MAX = 1_000


def read_limit(request: Request, usual: int = 100) -> int:
    """Read ``?limit=``. Raises ``Problem``."""
    return read_count(request, "limit", usual, 1, LIMIT_MAX)


def read_count(request: Request, key: str, usual: int, low: int = 0, high: int = 2**63 - 1) -> int:
    """Read a whole number of the query. Raises ``Problem``."""
    text = request.query.get(key)
    if text is None:
        return usual
    if text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high:
        return int(text)
    raise Problem("bad_request", f"{key}={text} is not a whole number from {low} to {high}")


def page(names: Iterable[Name], request: Request, limit: int) -> tuple[list[Name], str | None]:
    """Cut a page out of names in canonical order; also return what to go on after, None at the end."""
    ordered = sorted(names, key=sort_key)
    after = request.query.get("after")
    start = 0 if after is None else bisect_right(ordered, sort_key(read_name(after)), key=sort_key)
    cut = ordered[start : start + limit]
    return cut, plain(cut[-1]) if start + limit < len(ordered) else None
