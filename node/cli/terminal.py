"""What the terminal can show, and making text fit for it: colour, symbols, width, no control characters."""

import re
import shutil
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

_ASCII = str.maketrans(
    {"●": "+", "✕": "x", "◐": "?", "◌": "-", "⚑": "!", "▲": "+", "▼": "x", "·": ".", "…": "~"}
)
_COLOURS = {"●": "32", "▲": "32", "✕": "31", "▼": "31", "◐": "33", "⚑": "35", "◌": "2", "!": "33"}
_MARKED = re.compile(r"(?:(?<=\s)|^)([●▲✕▼◐⚑◌!])( [^●▲✕▼◐⚑◌]*?)?(?=  |$)")
_DIM = "2"
_BOLD = "1"


@dataclass(frozen=True, slots=True)
class Terminal:
    """How to write to one stream."""

    is_terminal: bool = False
    colour: bool = False
    ascii_only: bool = False
    width: int | None = None
    """Columns, when lines must fit; None when they may be as long as they like."""

    def paint(self, text: str) -> str:
        """Colour the state symbols of a text together with their words."""
        if not self.colour:
            return text
        return _MARKED.sub(lambda match: _coloured(match[0], _COLOURS[match[1]]), text)

    def head(self, text: str) -> str:
        """Write a heading."""
        return _coloured(text, _BOLD) if self.colour else text

    def dim(self, text: str) -> str:
        """Write what is less important."""
        return _coloured(text, _DIM) if self.colour else text

    def symbols(self, text: str) -> str:
        """Replace the symbols where only ASCII can be shown."""
        return text.translate(_ASCII) if self.ascii_only else text


def detect(stream: TextIO, environ: Mapping[str, str], *, no_color: bool = False) -> Terminal:
    """Find out how to write to a stream: NO_COLOR, FORCE_COLOR, TERM, QDNS_ASCII, its encoding."""
    is_terminal = stream.isatty()
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return Terminal(
        is_terminal=is_terminal,
        colour=_wants_colour(environ, is_terminal=is_terminal, no_color=no_color),
        ascii_only=bool(environ.get("QDNS_ASCII")) or not encoding.startswith("utf"),
        width=shutil.get_terminal_size().columns if is_terminal else None,
    )


def _wants_colour(environ: Mapping[str, str], *, is_terminal: bool, no_color: bool) -> bool:
    if no_color or "NO_COLOR" in environ:
        return False
    if environ.get("FORCE_COLOR", "0") != "0":
        return True
    return is_terminal and environ.get("TERM") != "dumb"


def _coloured(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m"


def printable(text: str) -> str:
    """Make control characters visible, so that no text of a server or a probe steers the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def columns_of(text: str) -> int:
    """Return how many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns_of_char(char) for char in text)


def _columns_of_char(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def make_robust(stream: TextIO) -> None:
    """Let a stream show characters that its encoding lacks as escapes, instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def standard_streams() -> tuple[TextIO, TextIO]:
    """Return standard output and standard error as they are now."""
    return sys.stdout, sys.stderr
