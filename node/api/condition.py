"""``If-Match`` and ``If-None-Match`` (RFC 9110 section 13.1) as the log's ``if_index``.

An object's ETag is the log index of its last change in double quotes. The condition is checked when
the command is applied; here it is only read.
"""

from node.api.message import Request
from node.api.problem import Problem


def etag(index: int) -> str:
    """Return the ETag of an object that last changed at this log index."""
    return f'"{index}"'


def if_index(request: Request, present: int) -> int | None:
    """Return the condition of a write: an index, 0 for "must not exist", None for no condition.

    ``present`` is the index of the object's last change as this node sees it, 0 when it does not exist.
    Raises ``Problem``.
    """
    if "if-none-match" in request.headers:
        if request.headers["if-none-match"].strip() != "*":
            raise Problem("bad_request", "on a write If-None-Match can only be *", 'or use If-Match: "INDEX"')
        return 0
    text = request.headers.get("if-match")
    if text is None:
        return None
    if text.strip() == "*":
        if not present:
            raise Problem("precondition", "the condition was that it exists, but it does not")
        return present
    digits = text.strip().strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise Problem("bad_request", f"If-Match: {text} is not an ETag of ours, which is an index in quotes")
    return int(digits)


def is_unchanged(request: Request, index: int) -> bool:
    """Say whether a read can be answered with 304 Not Modified."""
    known = request.headers.get("if-none-match", "")
    return etag(index) in (each.strip() for each in known.split(","))
