"""Master files (RFC 1035 section 5): zone data as people keep it in files, read and written.

The reading of a record is dnspython's; this file cuts the text into entries, so that every bad one is
reported with its line, and judges what the library would let pass or drop without a word: names
outside the zone, unequal ttls in one RRset (RFC 2181 section 5.2), a CNAME beside other data.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile

from node.zone.name import BadName, Name, from_text, from_wire, is_within, relative_text, to_text
from node.zone.rrset import (
    CNAME,
    SOA,
    BadRdata,
    RRset,
    make,
    problem,
    rdata_from_text,
    rdata_to_text,
    type_from_text,
    type_to_text,
)

RECORDS_MAX = 5_000_000
PROBLEMS_MAX = 100
INCLUDE_DEPTH_MAX = 8
_RRSIG = 46
_BESIDE_CNAME = frozenset({CNAME, 46, 47, 50, 25})
_DIRECTIVE = re.compile(r"\s*(\$[A-Za-z]+)\b")
_LIBRARY_PREFIX = re.compile(r"^<string>:\d+: (?:caught exception <class '[^']*'>: )?")

Key = tuple[Name, int]
Include = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Place:
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


def parse(
    text: str, origin: Name, default_ttl: int, *, file: str = "", include: Include | None = None
) -> Contents:
    """Read a master file of the zone ``origin``: records, $ORIGIN, $TTL, $GENERATE, $INCLUDE.

    ``default_ttl`` (seconds) holds where neither the record nor $TTL says one. ``include`` returns the text
    that a $INCLUDE names, or raises ``OSError``; without it $INCLUDE is refused. Raises ``BadMasterFile``.
    """
    reading = _Reading(origin, default_ttl, include)
    reading.read(text, file, depth=0)
    contents = reading.contents()
    if reading.problems:
        raise BadMasterFile(
            sorted(reading.problems, key=lambda each: (each.place.file != file, each.place.line))
        )
    return contents


def write(rrsets: Iterable[RRset], origin: Name) -> str:
    """Write RRsets as a master file that ``parse`` reads back; disabled ones become comments."""
    lines = [f"$ORIGIN {to_text(origin)}"]
    for rrset in rrsets:
        owner = relative_text(rrset.name, origin)
        note = f" ; {_one_line(rrset.comment)}" if rrset.comment else ""
        mark = "; disabled: " if rrset.disabled else ""
        lines += [
            f"{mark}{owner} {rrset.ttl} IN {type_to_text(rrset.type)} {rdata_to_text(rrset.type, rdata, origin)}{note}"
            for rdata in rrset.rdatas
        ]
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class _Group:
    """The records of one name and type met so far."""

    ttl: int
    place: Place
    rdatas: list[bytes] = field(default_factory=list)


class _Refused(Exception):
    """A record that the library can read cannot be taken."""


class _Reading:
    """The state of one reading: what is known, where we are, what was wrong."""

    def __init__(self, origin: Name, default_ttl: int, include: Include | None) -> None:
        self.origin = origin
        self.include = include
        self.problems: list[Problem] = []
        self.groups: dict[Key, _Group] = {}
        self.records = 0
        self.place = Place("", 0)
        # The library drops names outside its zone in silence, so its zone is the root and ours is
        # judged in ``add``.
        self.reader = dns.zonefile.Reader(
            dns.tokenizer.Tokenizer(""),
            dns.rdataclass.IN,
            cast(Any, _Records(self.add)),
            allow_directives=["$ORIGIN", "$TTL", "$GENERATE"],
            default_ttl=default_ttl,
        )
        self.reader.current_origin = self.reader.last_name = _library_name(origin)

    def read(self, text: str, file: str, depth: int) -> None:
        """Read one text, entry by entry; a bad entry is noted and the next one read."""
        for line, entry in _entries(text):
            if len(self.problems) >= PROBLEMS_MAX:
                return
            self.place = Place(file, line)
            match = _DIRECTIVE.match(entry)
            if match and match[1].upper() == "$INCLUDE":
                self._read_included(entry, depth)
                continue
            try:
                self.reader.tok = dns.tokenizer.Tokenizer(entry)
                self.reader.read()
            except _Refused as refusal:
                self._note(str(refusal))
            except (dns.exception.DNSException, ValueError, AssertionError) as error:
                origin = _own_name(self.reader.current_origin) or self.origin
                self._note(_explain(entry, origin, error))

    def add(self, library_name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        """Take one record from the library."""
        name = from_wire(library_name.to_wire() or b"")
        key = (name, int(rdata.rdtype))
        self.records += 1
        if self.records > RECORDS_MAX:
            raise _Refused(f"there are more than {RECORDS_MAX} records")
        if not is_within(name, self.origin):
            raise _Refused(f"{to_text(name)} is not inside the zone {to_text(self.origin)}")
        group = self.groups.setdefault(key, _Group(ttl, self.place))
        if group.ttl != ttl and key[1] != _RRSIG:
            raise _Refused(
                f"the ttl {ttl} differs from {group.ttl} at {group.place} in the same RRset (RFC 2181 section 5.2)"
            )
        group.ttl = min(group.ttl, ttl)
        group.rdatas.append(rdata.to_wire() or b"")

    def contents(self) -> Contents:
        """Close the reading: build the RRsets and judge them."""
        rrsets = []
        types: dict[Name, list[int]] = {}
        for (name, type_), group in self.groups.items():
            rrset = make(name, type_, group.ttl, group.rdatas)
            wrong = problem(rrset) or (type_ == SOA and name != self.origin and "an SOA stands only at the top")
            if wrong:
                self._note(f"{to_text(name)} {type_to_text(type_)}: {wrong}", group.place)
            types.setdefault(name, []).append(type_)
            rrsets.append(rrset)
        for name, present in types.items():
            others = [type_to_text(type_) for type_ in present if type_ not in _BESIDE_CNAME]
            if CNAME in present and others:
                text = (
                    f"{to_text(name)} cannot have a CNAME beside {', '.join(others)} (RFC 1034 section 3.6.2)"
                )
                self._note(text, self.groups[(name, CNAME)].place)
        return Contents(tuple(rrsets), {key: group.place for key, group in self.groups.items()})

    def _read_included(self, entry: str, depth: int) -> None:
        """Read the text that a $INCLUDE names; names and origin are as before behind it (RFC 1035 section 5.1)."""
        words = entry.split(";", maxsplit=1)[0].split()[1:]
        before = (self.reader.current_origin, self.reader.last_name, self.place)
        if len(words) not in (1, 2) or self.include is None or depth >= INCLUDE_DEPTH_MAX:
            self._note(
                "$INCLUDE needs a file, and perhaps an origin"
                if len(words) not in (1, 2)
                else "$INCLUDE is not allowed here"
                if self.include is None
                else f"$INCLUDE goes deeper than {INCLUDE_DEPTH_MAX} files"
            )
            return
        try:
            if words[1:]:
                origin = from_text(words[1], _own_name(before[0]))
                self.reader.current_origin = _library_name(origin)
            text = self.include(words[0].strip('"'))
        except (BadName, OSError, UnicodeError) as error:
            self._note(f"cannot include {words[0]}: {getattr(error, 'strerror', None) or error}")
        else:
            self.read(text, words[0].strip('"'), depth + 1)
        self.reader.current_origin, self.reader.last_name, self.place = before

    def _note(self, text: str, place: Place | None = None) -> None:
        self.problems.append(Problem(place or self.place, text))


class _Records:
    """What the library's reader asks of a transaction: a place to put records, and nothing else."""

    def __init__(self, add: Callable[[dns.name.Name, int, dns.rdata.Rdata], None]) -> None:
        self.manager = self
        self.add = add

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        """Say that the library's zone is the root and that names stay absolute."""
        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, check: object) -> None:
        """Leave the library's check of CNAMEs out, ours names both lines."""

    def _set_origin(self, origin: object) -> None:
        pass


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Cut a master file into entries, each with its first line; parentheses join lines."""
    pending: list[str] = []
    first, depth = 1, 0
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")  # noqa: PLW2901 - a line end is no part of the line
        if not pending:
            first = number
        if depth or "(" in line or ")" in line:
            depth = max(0, depth + _parentheses(line))
        pending.append(line)
        if depth:
            continue
        if len(pending) > 1 or (line and not line.isspace() and not line.lstrip().startswith(";")):
            yield first, "\n".join(pending)
        pending = []
    if pending:
        yield first, "\n".join(pending)


def _parentheses(line: str) -> int:
    """Return how many parentheses a line opens more than it closes, outside of quotes and comments."""
    bare = re.sub(r'\\.|"(?:[^"\\]|\\.)*"?|;.*', "", line)
    return bare.count("(") - bare.count(")")


def _explain(entry: str, origin: Name, error: Exception) -> str:
    """Turn a library's complaint about an entry into a sentence, by reading its parts once more."""
    words = entry.split(";", maxsplit=1)[0].split()
    said = _LIBRARY_PREFIX.sub("", str(error)).rstrip(".")
    if words[0].startswith("$"):
        return f"{_shortened(' '.join(words))}: {said[:1].lower()}{said[1:]}"
    rest = words if entry[:1].isspace() else words[1:]
    while rest and (rest[0][0].isdigit() or rest[0].upper() == "IN"):
        rest = rest[1:]
    if not rest:
        return f"{_shortened(' '.join(words))}: a record has a name, perhaps a ttl, a type and data"
    try:
        type_ = type_from_text(rest[0])
        rdata_from_text(type_, " ".join(rest[1:]), origin)
    except BadRdata as wrong:
        return str(wrong)
    return f"{_shortened(' '.join(words))}: {said[:1].lower()}{said[1:]}"


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _library_name(name: Name) -> dns.name.Name:
    return dns.name.from_wire(name, 0)[0]


def _own_name(name: dns.name.Name | None) -> Name | None:
    return None if name is None else from_wire(name.to_wire() or b"")


def _one_line(text: str) -> str:
    return " ".join(text.split())
