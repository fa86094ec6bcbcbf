"""Collecting what is wrong, by path, before anything is known about lines and columns."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from node.config.messages import Fault, path_text
from node.config.positions import Index, Path, Span


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault at a path of the data. ``text_line`` counts lines inside a multi-line text, from 1."""

    path: Path
    message: str
    code: str = "invalid"
    suggestion: str = ""
    at: Literal["key", "value"] = "value"
    level: Literal["error", "warning"] = "error"
    text_line: int = 0


class Findings:
    """Everything that was found so far."""

    def __init__(self) -> None:
        self.items: list[Finding] = []
        self.elsewhere: list[Fault] = []
        """Faults in other files than the configuration's own."""
        self.sources: dict[str, str] = {}
        """The texts of those files, by name."""

    def error(self, path: Path, message: str, *, code: str = "invalid", suggestion: str = "") -> None:
        """Note an error at the value of a path."""
        self.items.append(Finding(path, message, code, suggestion))

    def warning(self, path: Path, message: str, *, code: str, suggestion: str = "") -> None:
        """Note a warning at the value of a path."""
        self.items.append(Finding(path, message, code, suggestion, level="warning"))

    def twice(self, values: Iterable[tuple[object, Path]], message: str) -> None:
        """Note an error at every value that was there before; None is no value."""
        seen: set[object] = set()
        for value, path in values:
            if value is not None and value in seen:
                self.error(path, message, code="duplicate")
            seen.add(value)

    @property
    def has_errors(self) -> bool:
        """Say whether anything stops the node."""
        levels = [*(item.level for item in self.items), *(fault.level for fault in self.elsewhere)]
        return "error" in levels


def locate(items: Iterable[Finding], index: Index, file: str) -> list[Fault]:
    """Give findings their places, in the order in which they stand in the file."""
    faults = [_located(item, index, file) for item in dict.fromkeys(items)]
    return sorted(faults, key=lambda fault: (fault.level, fault.line, fault.column))


def _located(item: Finding, index: Index, file: str) -> Fault:
    span = index.key_span(item.path) if item.at == "key" else index.value_span(item.path)
    if span is not None and item.text_line:
        span = _line_within(index, span, item.text_line)
    span = span or Span(0, 1)
    line, column = index.place(span.start)
    line_end = index.text.find("\n", span.start)
    end = min(span.end, len(index.text) if line_end < 0 else line_end)
    return Fault(
        message=item.message,
        code=item.code,
        file=file,
        line=line,
        column=column,
        length=max(1, end - span.start),
        path=path_text(item.path),
        suggestion=item.suggestion,
        level=item.level,
    )


def _line_within(index: Index, span: Span, number: int) -> Span:
    """Return the span of one line of a multi-line text; the text itself where that cannot be told."""
    text = index.text
    if text[span.start : span.start + 3] not in ('"""', "'''"):
        return span
    start = span.start + 3
    if text.startswith("\n", start):
        start += 1  # TOML trims a newline right behind the opening delimiter
    for _ in range(number - 1):
        newline = text.find("\n", start, span.end)
        if newline < 0:
            return span
        start = newline + 1
    while start < span.end and text[start] in " \t":
        start += 1
    end = text.find("\n", start)
    end = span.end if end < 0 else min(end, span.end)
    return Span(start, start + len(text[start:end].rstrip()))
