"""Patterns with ``*`` for any characters and ``?`` for any one, as whoever asks the API writes them.

Not regular expressions: these go back over a text in time that grows with text times pattern, hold the interpreter's
lock all the while, and are kept in a cache that whoever asks can fill.
"""

PATTERN_CHARACTERS_MAX = 255
"""What the API's doors take; a name has no more."""


class Glob:
    """One pattern. All its characters but ``*`` and ``?`` stand for themselves; upper and lower case differ."""

    __slots__ = ("_any", "_ends", "_masks", "_pieces", "_stars")

    def __init__(self, pattern: str) -> None:
        self._pieces = None if "?" in pattern else pattern.split("*")
        self._ends = 1 << len(pattern.replace("*", ""))
        self._stars = self._any = position = 0
        self._masks: dict[str, int] = {}
        for char in pattern:
            if char == "*":
                self._stars |= 1 << position
                continue
            if char == "?":
                self._any |= 1 << position
            else:
                self._masks[char] = self._masks.get(char, 0) | 1 << position
            position += 1

    def fits(self, text: str) -> bool:
        """Say whether the pattern is true of the whole text, in time that grows with the text alone."""
        return self._fits_step_by_step(text) if self._pieces is None else _has_in_order(self._pieces, text)

    def _fits_step_by_step(self, text: str) -> bool:
        """Follow all ways to read the pattern at once: bit N says that the text so far fits its first N characters."""
        reached, masks, any_, stars = 1, self._masks, self._any, self._stars
        for char in text:
            reached = (reached & (masks.get(char, 0) | any_)) << 1 | reached & stars
            if not reached:
                return False
        return bool(reached & self._ends)


def _has_in_order(pieces: list[str], text: str) -> bool:
    """Say whether a text begins with the first piece, ends with the last and has the others between, one after another."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, *middle, last = pieces
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    end = len(text) - len(last)
    place = len(first)
    for piece in middle:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True
