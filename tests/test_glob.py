"""Patterns: what they mean, and that no pattern makes them slow or is kept."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.glob import Glob

WORDS = st.text("ab.", max_size=12)


@given(st.text("ab.*?", max_size=10), WORDS)
def test_as_the_shell_does(pattern: str, text: str) -> None:
    """Asterisks and question marks mean what they mean elsewhere."""
    assert fnmatch.fnmatchcase(text, pattern) is Glob(pattern).fits(text)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("?", "", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*ab*ba*", "aba", False),
        ("*ab*ba*", "abba", True),
        ("a?c*", "abcd", True),
        ("A*", "a", False),
        ("[ab]*", "a", False),
        ("[ab]*?", "[ab]c", True),
        ("a\\*", "a\\b", True),
        ("a.c", "abc", False),
    ],
)
def test_meaning(pattern: str, text: str, fits: bool) -> None:
    """All else stands for itself, in its case."""
    assert fits is Glob(pattern).fits(text)


class Counted(str):
    """A text that counts how often a character of it is looked at."""

    __slots__ = ()
    looks = 0

    def __iter__(self):  # type: ignore[no-untyped-def]
        for char in str(self):
            Counted.looks += 1
            yield char


@pytest.mark.parametrize("pattern", ["*" + "?" * 200 + "b*", "*a?" * 80 + "b", "?*" * 120 + "b"])
def test_each_character_is_looked_at_once(pattern: str) -> None:
    """However a pattern could go back over the text, it does not."""
    Counted.looks = 0
    assert not Glob(pattern).fits(Counted("a" * 2_000))
    assert 2_000 >= Counted.looks > 0
