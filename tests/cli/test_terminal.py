"""What a terminal is shown: colour, symbols, widths, and nothing that could steer it."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli.output import Column, table_lines
from node.cli.terminal import Terminal, columns_of, detect, printable
from tests.cli.conftest import Serve

ROOT = Path(__file__).parents[2]


class Stream(io.StringIO):
    """A stream that says what it is told to say of itself."""

    def __init__(self, *, is_terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._is_terminal = is_terminal
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(
    ("expected", "is_terminal", "environ", "no_color"),
    [
        (True, True, {}, False),
        (False, False, {}, False),
        (False, True, {"NO_COLOR": ""}, False),
        (False, True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (True, False, {"FORCE_COLOR": "1"}, False),
        (False, False, {"FORCE_COLOR": "0"}, False),
        (False, True, {"TERM": "dumb"}, False),
        (False, True, {"FORCE_COLOR": "1"}, True),
    ],
)
def test_colour(expected: bool, is_terminal: bool, environ: dict[str, str], no_color: bool) -> None:
    """--no-color wins over NO_COLOR over FORCE_COLOR over TERM=dumb over what the stream is."""
    assert expected == detect(Stream(is_terminal=is_terminal), environ, no_color=no_color).colour


@pytest.mark.parametrize(
    ("expected", "encoding", "environ"),
    [(False, "utf-8", {}), (True, "ascii", {}), (True, "iso-8859-1", {}), (True, "utf-8", {"QDNS_ASCII": "1"})],
)
def test_symbols_become_ascii_where_they_must(expected: bool, encoding: str, environ: dict[str, str]) -> None:
    """With another encoding than UTF-8, or when asked to, states are told in ASCII."""
    stream = Stream(is_terminal=True, encoding=encoding)
    assert expected == detect(stream, environ).ascii_only


def test_a_state_has_a_symbol_of_its_own_also_in_ascii() -> None:
    """State is never colour alone."""
    shown = Terminal(ascii_only=True).symbols("● up  ✕ down  ◐ undecided  ◌ drained  ⚑ forced")
    assert "+ up  x down  ? undecided  - drained  ! forced" == shown


def test_colour_covers_a_symbol_with_its_words() -> None:
    """The words of one state have one colour, and plain text has none."""
    painted = Terminal(colour=True).paint("● 2 up  ✕ 1 down  plain! text")
    assert "\x1b[32m● 2 up\x1b[0m  \x1b[31m✕ 1 down\x1b[0m  plain! text" == painted


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("plain ● text", "plain ● text"),
        ("\\x1b[31mred\\x07", "\x1b[31mred\x07"),
        ("a\\x9bb", "a\x9bb"),
        ("\\u202eevil", "\u202eevil"),
    ],
)
def test_control_characters_are_shown_not_sent(expected: str, text: str) -> None:
    """What a probed server answers cannot steer the terminal of who reads about it."""
    assert expected == printable(text)


@pytest.mark.parametrize(("expected", "text"), [(3, "abc"), (2, "日"), (1, "e\u0301"), (3, "● x")])
def test_columns_of_a_text(expected: int, text: str) -> None:
    """Wide characters take two columns and combining ones none."""
    assert expected == columns_of(text)


COLUMNS = (
    Column("NAME", lambda row: row[0]),
    Column("TEXT", lambda row: row[1], flexible=True),
    Column("N", lambda row: row[2], right=True),
)
ROWS = [("first", "x" * 30, 1), ("2", "short", 1000)]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (None, ["NAME   TEXT" + " " * 31 + "N", f"first  {'x' * 30}     1", f"2      short{' ' * 25}  1000"]),
        (30, ["NAME   TEXT" + " " * 18 + "N", f"first  {'x' * 16}…     1", f"2      short{' ' * 12}  1000"]),
        (20, ["NAME   TEXT", "first  xxxxxxxxxxxx…", "2      short"]),
        (12, ["NAME", "first", "2"]),
    ],
)
def test_a_table_fits_the_terminal(width: int | None, expected: list[str]) -> None:
    """The flexible column is cut first, then columns drop from the right; piped, nothing is cut."""
    lines = table_lines(ROWS, COLUMNS, Terminal(width=width))
    assert expected == lines
    assert width is None or all(columns_of(line) <= width for line in lines)


def test_on_a_terminal_there_is_colour(serve: Serve) -> None:
    """A real terminal gets colour and no more columns than it has."""
    node = serve("degraded")
    parent, child = pty.openpty()
    os.set_inheritable(child, True)
    environ = {**os.environ, "QDNS_API": node.url, "TERM": "xterm", "COLUMNS": "70", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "node", "status"], check=True, stdout=child, env=environ, timeout=30)
    os.close(child)
    text = os.read(parent, 65_536).decode()
    os.close(parent)
    assert "\x1b[31m✕ unreachable\x1b[0m" in text
    assert "COMMIT" in text
    assert "VERSION" not in text
