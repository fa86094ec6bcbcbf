"""Where keys and values stand in a file that a parser has already accepted.

TOML and JSON parsers give values without places. When there is a fault to show, and only then, this
index reads the text once more and notes the span of every key and value by its path. It trusts the
text to be well formed; on one that is not it stops early, and what it knows by then stays useful.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

Path = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^\s,\]}#]+(?: \d[^\s,\]}#]*)?")
_BLANK = re.compile(r"(?:[ \t\n\r,]|#[^\n]*)*")
_SPACES = re.compile(r"[ \t\n\r]*")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\", "/": "/"}
_STRING_ENDS = {
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL),
    "'''": re.compile(r"(?:[^']|'(?!''))*'{3,5}", re.DOTALL),
    '"': re.compile(r'(?:[^"\\\n]|\\.)*"'),
    "'": re.compile(r"[^'\n]*'"),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the text: offsets from its beginning, the end excluded."""

    start: int
    end: int


class Index:
    """Spans of keys and values by path, and lines and columns of offsets."""

    def __init__(self, text: str, *, is_json: bool = False) -> None:
        self.text = text
        self.keys: dict[Path, Span] = {}
        self.values: dict[Path, Span] = {}
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._separator = ":" if is_json else "="
        self._array_lengths: dict[Path, int] = {}
        try:
            if is_json:
                self._value(_skip(_SPACES, text, 0), ())
            else:
                self._document()
        except (_Malformed, RecursionError):
            pass

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column, both from 1, of an offset."""
        line = bisect.bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def key_span(self, path: Path) -> Span | None:
        """Return the span of a key, or of the nearest table around it that is known."""
        return _nearest(path, self.keys, self.values)

    def value_span(self, path: Path) -> Span | None:
        """Return the span of a value, or of the nearest thing around it that is known."""
        return _nearest(path, self.values, self.keys)

    # --- the walk over the text ---

    def _document(self) -> None:
        table: Path = ()
        position = _skip(_BLANK, self.text, 0)
        while position < len(self.text):
            if self.text[position] == "[":
                table, position = self._header(position)
            else:
                position = self._pair(position, table)
            position = _skip(_BLANK, self.text, position)

    def _header(self, start: int) -> tuple[Path, int]:
        """Read ``[a.b]`` or ``[[a.b]]`` and return the path of the table that it opens."""
        brackets = 2 if self.text.startswith("[[", start) else 1
        path: Path = ()
        position = start + brackets
        for key, _, end in self._dotted_key(position):
            path = (*self._innermost(path), key)
            position = _skip(_SPACES, self.text, end)
        if not self.text.startswith("]" * brackets, position):
            raise _Malformed
        end = position + brackets
        if brackets == 2:
            number = self._array_lengths.get(path, 0)
            self._array_lengths[path] = number + 1
            self.keys.setdefault(path, Span(start, end))
            path = (*path, number)
        else:
            path = self._innermost(path)
        self.keys[path] = Span(start, end)
        return path, end

    def _innermost(self, path: Path) -> Path:
        """Follow an array of tables to its latest element, as TOML's headers do."""
        length = self._array_lengths.get(path)
        return path if length is None else (*path, length - 1)

    def _dotted_key(self, position: int) -> Iterator[tuple[str, int, int]]:
        """Yield each part of a dotted key with the offsets where it starts and ends."""
        while True:
            position = _skip(_SPACES, self.text, position)
            key, end = self._key(position)
            yield key, position, end
            position = _skip(_SPACES, self.text, end)
            if not self.text.startswith(".", position):
                return
            position += 1

    def _key(self, position: int) -> tuple[str, int]:
        quote = self.text[position : position + 1]
        if quote in ('"', "'") and quote:
            end = _skip(_STRING_ENDS[quote], self.text, position + 1)
            raw = self.text[position + 1 : end - 1]
            return (_unescape(raw) if quote == '"' else raw), end
        end = _skip(_BARE_KEY, self.text, position)
        return self.text[position:end], end

    def _pair(self, position: int, table: Path) -> int:
        """Read ``key = value`` (JSON: ``"key": value``) and return the offset behind it."""
        path = table
        for key, start, end in self._dotted_key(position):
            path = (*path, key)
            self.keys.setdefault(path, Span(start, end))
            position = end
        position = _skip(_SPACES, self.text, position)
        if not self.text.startswith(self._separator, position):
            raise _Malformed
        return self._value(_skip(_SPACES, self.text, position + 1), path)

    def _value(self, start: int, path: Path) -> int:
        char = self.text[start : start + 1]
        if char == "[":
            end = self._array(start, path)
        elif char == "{":
            end = self._inline_table(start, path)
        elif char in ('"', "'") and char:
            quote = char * 3 if self.text.startswith(char * 3, start) else char
            end = _skip(_STRING_ENDS[quote], self.text, start + len(quote))
        else:
            end = _skip(_SCALAR, self.text, start)
        self.values[path] = Span(start, end)
        return end

    def _array(self, position: int, path: Path) -> int:
        number = 0
        position = _skip(_BLANK, self.text, position + 1)
        while not self.text.startswith("]", position):
            position = _skip(_BLANK, self.text, self._value(position, (*path, number)))
            number += 1
        return position + 1

    def _inline_table(self, position: int, path: Path) -> int:
        position = _skip(_BLANK, self.text, position + 1)
        while not self.text.startswith("}", position):
            position = _skip(_BLANK, self.text, self._pair(position, path))
        return position + 1


class _Malformed(Exception):
    """The text is not what a parser would have accepted."""


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    if match is None:
        raise _Malformed
    return match.end()


def _nearest(path: Path, first: dict[Path, Span], second: dict[Path, Span]) -> Span | None:
    while True:
        span = first.get(path) or second.get(path)
        if span is not None or not path:
            return span
        path = path[:-1]


def _unescape(raw: str) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if code[0] in "uUx" else _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|.)", replace, raw)
