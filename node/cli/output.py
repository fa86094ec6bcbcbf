"""The answer on standard output: tables by an own column writer, JSON, JSON lines, CSV, bare names.

Piped, columns are never cut and there is neither colour nor box. On a terminal a table that is too
wide gives up characters of its flexible column first and then whole columns from the right.
"""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from node.cli.terminal import Terminal, columns_of, printable

FORMATS = ("table", "wide", "json", "jsonl", "csv", "name")
GAP = 2
FLEXIBLE_COLUMNS_MIN = 10


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, and how a row fills it."""

    title: str
    cell: Callable[[Any], object]
    right: bool = False
    wide: bool = False
    """Shown by ``-o wide`` and ``-o csv`` only."""
    raw: Callable[[Any], object] | None = None
    """What programs get in CSV, where people get symbols or ages."""
    flexible: bool = False
    """Cut on a terminal before others are dropped."""


def table_lines(
    rows: Sequence[Any], columns: Sequence[Column], terminal: Terminal, *, headers: bool = True
) -> list[str]:
    """Lay rows out in columns; the last one is not padded."""
    texts = [[printable(terminal.symbols(str(column.cell(row)))) for column in columns] for row in rows]
    titles = [column.title if headers else "" for column in columns]
    widths = [max(columns_of(each) for each in cells) for cells in zip(titles, *texts, strict=True)]
    widths = _fitted(widths, columns, terminal.width)
    head = [terminal.head(_line(titles, widths, columns, Terminal()))] if headers else []
    return head + [_line(cells, widths, columns, terminal) for cells in texts]


def _fitted(widths: list[int], columns: Sequence[Column], limit: int | None) -> list[int]:
    """Return the widths of the columns that fit."""
    if limit is None:
        return widths
    flexible = next((place for place, column in enumerate(columns) if column.flexible), None)
    while len(widths) > 1 and _total(widths) > limit:
        if flexible is not None and flexible < len(widths):
            spare = widths[flexible] - (_total(widths) - limit)
            if spare >= min(FLEXIBLE_COLUMNS_MIN, widths[flexible]):
                return [*widths[:flexible], spare, *widths[flexible + 1 :]]
        widths = widths[:-1]
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column], terminal: Terminal) -> str:
    parts = []
    for text, width, column in zip(cells, widths, columns, strict=False):
        cut = _cut(text, width, terminal)
        padding = " " * (width - columns_of(cut))
        painted = terminal.paint(cut)
        parts.append(padding + painted if column.right else painted + padding)
    return (" " * GAP).join(parts).rstrip()


def _cut(text: str, width: int, terminal: Terminal) -> str:
    if columns_of(text) <= width:
        return text
    while text and columns_of(text) >= width:
        text = text[:-1]
    return text + terminal.symbols("…")


def write_line(text: str) -> None:
    """Write a line to standard output; when its reader has gone there is nothing left to do."""
    try:
        print(text)
    except BrokenPipeError:
        let_pipe_go()
        raise click.exceptions.Exit(0) from None


def let_pipe_go() -> None:
    """Send what else is written nowhere, so that the interpreter has nothing to complain of at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@dataclass(frozen=True, slots=True)
class Printer:
    """Writes answers in the format that was asked for."""

    terminal: Terminal
    format: str = "table"
    headers: bool = True
    write: Callable[[str], None] = write_line

    @property
    def is_for_people(self) -> bool:
        """Say whether the answer is laid out for reading."""
        return self.format in ("table", "wide")

    def line(self, text: str = "") -> None:
        """Write one line for people: control characters shown, symbols painted."""
        self.write(self.terminal.paint(printable(self.terminal.symbols(text))))

    def heading(self, text: str) -> None:
        """Write a heading for people."""
        self.write(self.terminal.head(printable(self.terminal.symbols(text))))

    def flush(self) -> None:
        """Let what was written so far be seen, also through a pipe."""
        sys.stdout.flush()

    def document(self, value: object) -> None:
        """Write a value as one JSON document, or on one line for ``jsonl``."""
        indent = None if self.format == "jsonl" else 2
        self.write(json.dumps(value, indent=indent, ensure_ascii=False))

    def table(self, rows: Sequence[Any], columns: Sequence[Column]) -> None:
        """Write a table for people."""
        chosen = [each for each in columns if self.format == "wide" or not each.wide]
        for line in table_lines(rows, chosen, self.terminal, headers=self.headers):
            self.write(line)

    def fields(self, pairs: Sequence[tuple[str, object]]) -> None:
        """Write names and values for people, one a line; what is None is left out."""
        shown = [(name, str(value)) for name, value in pairs if value is not None]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.line(f"{name.ljust(width)}  {value}")

    def rows(self, rows: Sequence[Any], columns: Sequence[Column], name: Callable[[Any], str]) -> None:
        """Write rows in whatever format was asked for; ``name`` is what ``-o name`` shows."""
        if self.format == "json":
            self.document(list(rows))
        elif self.format == "jsonl":
            for row in rows:
                self.document(row)
        elif self.format == "csv":
            self.write(_csv(rows, columns, headers=self.headers).rstrip("\n"))
        elif self.format == "name":
            for row in rows:
                self.write(printable(name(row)))
        else:
            self.table(rows, columns)


def _csv(rows: Iterable[Any], columns: Sequence[Column], *, headers: bool) -> str:
    """Write rows as RFC 4180 describes, with newlines alone as on every Unix."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if headers:
        writer.writerow([column.title.lower().replace(" ", "_") for column in columns])
    cells = [column.raw or column.cell for column in columns]
    for row in rows:
        values = [cell(row) for cell in cells]
        writer.writerow(["" if value is None else str(value) for value in values])
    return text.getvalue()
