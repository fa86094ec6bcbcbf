"""Names and types that somebody may change, written as a pattern: a TSIG key by UPDATE, a token by HTTP. Pure."""

from dataclasses import dataclass

from node.zone.name import Name, from_text, iter_labels
from node.zone.rrset import type_from_text


@dataclass(frozen=True, slots=True)
class Grant:
    """Names and types that may be changed.

    A label ``*`` stands for any one label, one ``**`` for any number of them, none included.
    """

    pattern: tuple[bytes, ...]
    types: frozenset[int]
    """Empty for every type."""

    def covers(self, name: Name, type_: int) -> bool:
        """Say whether a change of this RRset is allowed; type 255 means all types at the name."""
        if self.types and type_ not in self.types:
            return False
        labels = tuple(iter_labels(name))
        if b"**" not in self.pattern:
            return _fits(labels, self.pattern)
        place = self.pattern.index(b"**")
        front, end = self.pattern[:place], self.pattern[place + 1 :]
        rest = labels[len(front) :]
        return (
            len(rest) >= len(end) and _fits(labels[:place], front) and _fits(rest[len(rest) - len(end) :], end)
        )


def _fits(labels: tuple[bytes, ...], pattern: tuple[bytes, ...]) -> bool:
    return len(labels) == len(pattern) and all(
        expected in (b"*", label) for label, expected in zip(labels, pattern, strict=True)
    )


def grant_from_text(text: str) -> Grant:
    """Read ``_acme-challenge.*.example.com TXT``: a name, then types, none for all. Raises ``ValueError``."""
    words = text.split()
    if not words:
        raise ValueError("a grant has a name, and types unless it is for all of them")
    pattern = tuple(iter_labels(from_text(words[0])))
    if pattern.count(b"**") > 1:
        raise ValueError(f"{words[0]} has more than one label **")
    return Grant(pattern, frozenset(type_from_text(word) for word in words[1:]))
