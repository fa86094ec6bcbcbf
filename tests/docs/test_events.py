"""The page on events names every kind that the state machine tells of, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from node.state import overrides, steering
from tests.docs.test_readme import ROOT

PAGE = (ROOT / "docs" / "events.md").read_text()
KIND = re.compile(r"[a-z]+\.[a-z_]+")
MADE = {
    "endpoint.": {word.replace(" ", "_") for word in overrides._WORDS.values()},
    "maintenance.": {"planned", "begun", "ended"},
    "push.": set(steering._TOLD),
}
"""The kinds that are made of a beginning and a word."""


def told(path: Path) -> Iterator[str]:
    """Yield the kinds of events in a module: every constant that looks like one, and beginnings such as ``push.``."""
    tree = ast.parse(path.read_text())
    if "tell" not in path.read_text():
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            first = node.values[0]
            if isinstance(first, ast.Constant) and first.value in MADE:
                yield str(first.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and KIND.fullmatch(node.value):
            yield node.value


def known() -> set[str]:
    """Return every kind that the state machine can tell of."""
    found = {kind for path in sorted((ROOT / "node" / "state").glob("*.py")) for kind in told(path)}
    assert set(MADE) <= found
    plain = {kind for kind in found if not kind.endswith(".")}
    return plain | {beginning + word for beginning, words in MADE.items() for word in words}


def test_every_event_is_described() -> None:
    """Each kind has one row that says when it comes and what to do; no row is of a kind that never comes."""
    rows = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    kinds = [kind for kind, *_ in rows]
    assert sorted(known()) == sorted(kinds)
