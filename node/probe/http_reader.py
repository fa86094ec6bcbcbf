"""Reading one HTTP/1.x answer from octets as they come: status, and the start of the body if wanted.

RFC 9112, as far as a probe needs it: interim answers are skipped, the body's framing is honoured, and
everything has a limit. No I/O here.
"""

import re

HEAD_OCTETS_MAX = 16 * 1024
"""Interim answers and the final header together."""
BODY_OCTETS_MAX = 64 * 1024
_CHUNK_LINE_OCTETS_MAX = 1024

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?(?:\n|\Z)")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")


class BadAnswer(Exception):
    """The octets are not an answer to work with; the message is the evidence."""


class HttpReader:
    """One answer; ``status`` is 0 until its final header is complete."""

    def __init__(self, *, wants_body: bool, method: str = "GET") -> None:
        self.status = 0
        self.body = bytearray()
        """At most ``BODY_OCTETS_MAX`` octets, transfer encoding undone; empty unless wanted."""
        self._wants_body = wants_body
        self._method = method
        self._buffer = bytearray()
        self._searched = 0
        self._skipped = 0
        self._length: int | None = None
        self._chunks: _Chunks | None = None

    def feed(self, octets: bytes) -> bool:
        """Take more octets; say whether enough has been read. Raises ``BadAnswer``."""
        if self.status:
            return self._feed_body(octets)
        self._buffer += octets
        while (end := self._find_head_end()) is not None:
            head, rest = bytes(self._buffer[:end]), bytes(self._buffer[end:])
            status = _read_status(head)
            if 100 <= status < 200 and status != 101:
                self._skip(end)
                continue
            self._buffer.clear()
            return self._begin_body(status, head, rest)
        return False

    def finish(self) -> None:
        """Take note that nothing more comes. Raises ``BadAnswer`` when that is too early."""
        if not self.status:
            raise BadAnswer(
                "answer ended within its header" if self._buffer else "connection closed unanswered"
            )
        if self._chunks is not None or self._length is not None:
            raise BadAnswer("answer ended within its body")

    def _find_head_end(self) -> int | None:
        found = _HEAD_END.search(self._buffer, max(0, self._searched - 3))
        end = found.end() if found else len(self._buffer)
        if self._skipped + end > HEAD_OCTETS_MAX:
            raise BadAnswer(f"header is longer than {HEAD_OCTETS_MAX // 1024} KiB")
        if found is None:
            if len(self._buffer) >= 5 and not self._buffer.startswith(b"HTTP/"):
                raise BadAnswer("not an HTTP answer")
            self._searched = len(self._buffer)
            return None
        return end

    def _skip(self, octets: int) -> None:
        """Forget an interim answer (RFC 9110 section 15.2)."""
        del self._buffer[:octets]
        self._skipped += octets
        self._searched = 0

    def _begin_body(self, status: int, head: bytes, rest: bytes) -> bool:
        self.status = status
        if not self._wants_body or self._method == "HEAD" or status in (204, 304):
            return True
        fields = _read_fields(head)
        encoding = fields.get(b"content-encoding", b"identity").lower()
        if encoding not in (b"", b"identity"):
            raise BadAnswer(f"body came as {encoding.decode('latin-1')[:20]} though plain text was asked for")
        if b"transfer-encoding" in fields:
            if fields[b"transfer-encoding"].lower() != b"chunked":
                raise BadAnswer("body has an unknown transfer encoding")
            self._chunks = _Chunks()
        elif b"content-length" in fields:
            self._length = _read_length(fields[b"content-length"])
        return self._feed_body(rest)

    def _feed_body(self, octets: bytes) -> bool:
        room = BODY_OCTETS_MAX - len(self.body)
        if self._chunks is not None:
            ended = self._chunks.feed(octets, self.body, BODY_OCTETS_MAX)
        elif self._length is not None:
            self.body += octets[: min(room, self._length - len(self.body))]
            ended = len(self.body) >= self._length
        else:
            self.body += octets[:room]
            ended = False
        return ended or len(self.body) >= BODY_OCTETS_MAX


class _Chunks:
    """The chunked transfer encoding (RFC 9112 section 7.1), undone as it comes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = 0
        """Octets that the present chunk still has, its final line break included."""

    def feed(self, octets: bytes, body: bytearray, octets_max: int) -> bool:
        """Append what the chunks hold to ``body``; say whether the last chunk has come."""
        self._buffer += octets
        while self._buffer and len(body) < octets_max:
            if self._left == 0 and not self._begin_chunk():
                return self._left < 0
            self._take(body, octets_max)
        return False

    def _begin_chunk(self) -> bool:
        """Read a chunk's size; say whether octets of it are to follow. The last one sets ``_left`` to -1."""
        end = self._buffer.find(b"\n", 0, _CHUNK_LINE_OCTETS_MAX)
        if end < 0:
            if len(self._buffer) >= _CHUNK_LINE_OCTETS_MAX:
                raise BadAnswer("body has a bad chunk")
            return False
        size = _CHUNK_SIZE.fullmatch(bytes(self._buffer[:end]).rstrip(b"\r"))
        if size is None:
            raise BadAnswer("body has a bad chunk")
        del self._buffer[: end + 1]
        count = int(size[1], 16)
        self._left = count + 2 if count else -1
        return count > 0

    def _take(self, body: bytearray, octets_max: int) -> None:
        piece = self._buffer[: self._left]
        data = max(0, min(len(piece), self._left - 2))
        body += piece[: min(data, octets_max - len(body))]
        if any(octet not in b"\r\n" for octet in piece[data:]):
            raise BadAnswer("body has a bad chunk")
        del self._buffer[: len(piece)]
        self._left -= len(piece)


def _read_status(head: bytes) -> int:
    found = _STATUS_LINE.match(head)
    if found is None:
        raise BadAnswer("not an HTTP/1 answer" if head.startswith(b"HTTP/") else "not an HTTP answer")
    return int(found[1])


def _read_fields(head: bytes) -> dict[bytes, bytes]:
    """Return the header's fields by lower-case name; repeated ones are joined (RFC 9110 section 5.2)."""
    fields: dict[bytes, bytes] = {}
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            key = name.strip().lower()
            text = value.strip()
            fields[key] = fields[key] + b", " + text if key in fields else text
    return fields


def _read_length(text: bytes) -> int:
    """Read Content-Length; a list of equal numbers counts as one (RFC 9110 section 8.6)."""
    numbers = {part.strip() for part in text.split(b",")}
    if len(numbers) != 1:
        raise BadAnswer("answer has two different content lengths")
    number = numbers.pop()
    if not number.isdigit() or len(number) > 18:
        raise BadAnswer("answer has a bad content length")
    return int(number)
