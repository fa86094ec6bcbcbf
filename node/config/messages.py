"""What is wrong with a configuration: faults with a place, a sentence and a suggestion.

``render`` writes them the way rustc does, ``to_json`` for editors and CI annotations.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

CLOSEST_RATIO = 0.6
EXCERPT_CHARS_MAX = 160
FAULTS_SHOWN_MAX = 200
_SECRET = re.compile(
    r"""((?:secret|token|password|credentials)["']?\s*[=:][\s\["']*)(?!["']|(?:env|file|credential):)([^"',}\s]+)"""
)

_TEXT = re.compile(r"""(["'])(?!(?:env|file|credential):)([^"']+)""")
_SECRET_TABLES = ("api.tokens[", "cluster.", "notify[", "push[", "tsig[")
"""Where a key that is misspelt may have a secret behind it."""
_USER = re.compile(r"""(://)([^/@\s"']+)@""")
"""Name and password in a URL."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where it stands. ``line`` and ``column`` count from 1; 0 is unknown."""

    message: str
    code: str = "invalid"
    file: str = ""
    line: int = 0
    column: int = 0
    length: int = 1
    """How many characters the carets mark."""
    path: str = ""
    """The key's place in the data, as ``services[0].endpoints[1].address``."""
    suggestion: str = ""
    level: Literal["error", "warning"] = "error"


class ConfigError(Exception):
    """The configuration cannot be used. Holds every fault that was found, errors and warnings."""

    def __init__(self, faults: Iterable[Fault], sources: Mapping[str, str] | None = None) -> None:
        self.faults = tuple(faults)
        self.sources = dict(sources or {})
        """The text of the files that the faults stand in, by name."""
        super().__init__("\n".join(f"{place_of(fault)}{fault.message}" for fault in self.faults))

    def render(self) -> str:
        """Return all faults as text for a terminal, source excerpts included."""
        return render(self.faults, self.sources)


def render(faults: Iterable[Fault], sources: Mapping[str, str]) -> str:
    """Write faults one below the other in the way of rustc, at most ``FAULTS_SHOWN_MAX``."""
    every = list(faults)
    lines_of = {name: text.split("\n") for name, text in sources.items()}
    blocks = [_render_one(fault, lines_of.get(fault.file, [])) for fault in every[:FAULTS_SHOWN_MAX]]
    if len(every) > FAULTS_SHOWN_MAX:
        blocks.append(f"and {len(every) - FAULTS_SHOWN_MAX} more")
    return "\n\n".join(blocks)


def to_json(faults: Iterable[Fault]) -> str:
    """Write faults as a JSON array of objects with stable keys."""
    keys = ("file", "line", "column", "path", "code", "level", "message", "suggestion")
    return json.dumps([{key: getattr(fault, key) for key in keys} for fault in faults], ensure_ascii=False)


def place_of(fault: Fault) -> str:
    """Return ``file:line:column: `` as far as it is known."""
    if not fault.file:
        return ""
    return f"{fault.file}:{fault.line}:{fault.column}: " if fault.line else f"{fault.file}: "


def path_text(path: Iterable[str | int]) -> str:
    """Write a path of keys and positions as ``services[0].ttl``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a help text that names the closest known word, and all of them when they are few."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=CLOSEST_RATIO)
    listed = f"one of: {', '.join(words)}" if words and len(words) <= 24 else ""
    if not close:
        return listed
    return f'did you mean "{close[0]}"?' + (f" {listed}" if listed else "")


def _render_one(fault: Fault, lines: list[str]) -> str:
    head = f"{fault.level}: {fault.message}"
    if not fault.file:
        return head + (f"\n  = help: {fault.suggestion}" if fault.suggestion else "")
    width = len(str(fault.line)) if fault.line else 1
    block = [head, f"{' ' * width}--> {place_of(fault)[:-2]}"]
    if 1 <= fault.line <= len(lines):
        excerpt, carets = _excerpt(_masked(lines[fault.line - 1], fault), fault)
        block += [f"{' ' * width} |", f"{fault.line} | {excerpt}", f"{' ' * width} | {carets}"]
    if fault.suggestion:
        block.append(f"{' ' * width} = help: {fault.suggestion}")
    return "\n".join(block)


def _masked(line: str, fault: Fault) -> str:
    """Hide what looks like a secret that was written into the file; references stay readable."""
    is_misspelt = fault.code == "unknown-key" and fault.path.startswith(_SECRET_TABLES)
    if is_misspelt or (fault.path.startswith("notify[") and fault.path.endswith("].url")):
        return _TEXT.sub(lambda match: match[1] + "*" * len(match[2]), line)
    line = _USER.sub(lambda match: match[1] + "*" * len(match[2]) + "@", line)
    return _SECRET.sub(lambda match: match[1] + "*" * len(match[2]), line)


def _excerpt(line: str, fault: Fault) -> tuple[str, str]:
    """Return the visible part of a line and the carets below it; control characters become spaces."""
    start = max(0, fault.column - 1)
    left = max(0, start - EXCERPT_CHARS_MAX // 2) if start > EXCERPT_CHARS_MAX - 20 else 0
    shown = "".join(char if char.isprintable() else " " for char in line[left : left + EXCERPT_CHARS_MAX])
    marked = max(1, min(fault.length, len(shown) - (start - left)))
    return shown.rstrip(), " " * (start - left) + "^" * marked
