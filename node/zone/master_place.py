"""What a reading of a master file comes to: RRsets with their places, or problems with theirs."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from node.zone.name import Name
from node.zone.rrset import RRset

Key = tuple[Name, int]


class Place(msgspec.Struct, frozen=True, gc=False):
    """A line, counted from 1, of a named text; the main text's name is what the caller said."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}" if self.file else f"line {self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one entry, and where it begins."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class BadMasterFile(ValueError):
    """The text is not a master file of the zone; ``problems`` holds every bad entry in order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Contents:
    """The RRsets of a master file in the order of their first records, and where those stand."""

    rrsets: tuple[RRset, ...]
    places: dict[Key, Place]
