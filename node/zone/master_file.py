"""Master files (RFC 1035 section 5): zone data as people keep it in files, read and written.

The reading of a record is dnspython's; this file cuts the text into entries, so that every bad one is
reported with its line, and judges what the library would let pass or drop without a word: names
outside the zone, unequal ttls in one RRset (RFC 2181 section 5.2), a CNAME beside other data.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import dns.exception
import dns.grange
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile
import msgspec

from node.zone.master_place import BadMasterFile, Contents, Key, Place, Problem
from node.zone.master_write import DISABLED, write
from node.zone.name import BadName, Name, from_text, from_wire, is_within, to_text
from node.zone.plain import PlainReader, PlainRecord
from node.zone.release import release
from node.zone.rrset import (
    CNAME,
    SOA,
    BadRdata,
    RRset,
    make,
    problem,
    rdata_from_text,
    type_from_text,
    type_to_text,
)

__all__ = ["BadMasterFile", "Contents", "Place", "Problem", "parse", "write"]

RECORDS_MAX = 5_000_000
COMMENT_CHARACTERS_MAX = 255
PAUSE_LINES = 1_000
PROBLEMS_MAX = 100
INCLUDE_DEPTH_MAX = 8
GENERATED_MAX = 1_000_000
"""Records of one $GENERATE: a line of few octets must not become the work of a whole day."""
_RRSIG = 46
_BESIDE_CNAME = frozenset({CNAME, 46, 47, 50, 25})
_DIRECTIVE = re.compile(r"\s*(\$[A-Za-z]+)\b")
_COMMENT = re.compile(r'(?:\\.|"(?:[^"\\]|\\.)*"|[^;"\\\n])*(?:;([^\n]*))?')
_LIBRARY_PREFIX = re.compile(r"^<string>:\d+: (?:caught exception <class '[^']*'>: )?")

Include = Callable[[str], str]
Pause = Callable[[], None]


def parse(
    text: str,
    origin: Name,
    default_ttl: int,
    *,
    file: str = "",
    include: Include | None = None,
    pause: Pause = lambda: None,
) -> Contents:
    """Read a master file of the zone ``origin``: records, $ORIGIN, $TTL, $GENERATE, $INCLUDE.

    ``default_ttl`` (seconds) holds where neither the record nor $TTL says one. ``include`` returns the text
    that a $INCLUDE names, or raises ``OSError``; without it $INCLUDE is refused. ``pause`` is called every
    thousand lines, so that others get their turn. Raises ``BadMasterFile``.
    """
    reading = _Reading(origin, default_ttl, include, pause)
    reading.read(text, file, depth=0)
    contents = reading.contents()
    if reading.problems:
        raise BadMasterFile(
            sorted(reading.problems, key=lambda each: (each.place.file != file, each.place.line))
        )
    return contents


class _Group(msgspec.Struct, gc=False):
    """The records of one name and type met so far; without a list for the one that most have."""

    ttl: int
    place: Place
    comment: str
    disabled: bool
    first: bytes
    more: list[bytes] | None = None

    def add(self, rdata: bytes) -> None:
        """Take another record."""
        if self.more is None:
            self.more = []
        self.more.append(rdata)

    @property
    def rdatas(self) -> list[bytes]:
        """All of them."""
        return [self.first, *(self.more or ())]


class _Refused(Exception):
    """A record that the library can read cannot be taken."""


class _Reading:
    """The state of one reading: what is known, where we are, what was wrong."""

    def __init__(self, origin: Name, default_ttl: int, include: Include | None, pause: Pause) -> None:
        self.origin = origin
        self.include = include
        self.pause = pause
        self.problems: list[Problem] = []
        self.groups: dict[Key, _Group] = {}
        self.records = 0
        self.place = Place("", 0)
        self.comment = ""
        self.disabled = False
        # The library drops names outside its zone in silence, so its zone is the root and ours is
        # judged in ``add``.
        self.reader = dns.zonefile.Reader(
            dns.tokenizer.Tokenizer(""),
            dns.rdataclass.IN,
            cast(Any, _Records(self.add_library_record)),
            allow_directives=["$ORIGIN", "$TTL", "$GENERATE"],
            default_ttl=default_ttl,
        )
        self.reader.current_origin = self.reader.last_name = _library_name(origin)
        self.plain_origin: dns.name.Name | None = None
        self.plain = PlainReader(origin)
        self.last_plain: Name | None = None
        """The owner of the last record, where that was read by ``plain``."""

    def read(self, text: str, file: str, depth: int) -> None:
        """Read one text, entry by entry; a bad entry is noted and the next one read."""
        for line, entry in _entries(text):
            if len(self.problems) >= PROBLEMS_MAX:
                return
            if line % PAUSE_LINES == 0:
                self.pause()
            self.place = Place(file, line)
            self.disabled = entry.startswith(DISABLED)
            record = entry[len(DISABLED) :] if self.disabled else entry
            try:
                self._read_entry(record, depth)
            except _Refused as refusal:
                self._note(str(refusal))
            except (dns.exception.DNSException, ValueError, AssertionError) as error:
                origin = _own_name(self.reader.current_origin) or self.origin
                self._note(_explain(record, origin, error))

    def _read_entry(self, entry: str, depth: int) -> None:
        if self.reader.current_origin is not self.plain_origin:
            self.plain_origin = self.reader.current_origin
            self.plain = PlainReader((self.plain_origin or dns.name.root).to_wire() or b"\0")
        plain = self.plain.read(entry)
        if plain is not None:
            self._add_plain(plain)
            return
        match = _DIRECTIVE.match(entry)
        if match and match[1].upper() == "$INCLUDE":
            self._read_included(entry, depth)
            return
        if match and match[1].upper() == "$GENERATE":
            _check_range(entry)
        self._hand_last_name_over()
        found = _COMMENT.fullmatch(entry)
        self.comment = found[1].strip() if found and found[1] else ""
        self.reader.tok = dns.tokenizer.Tokenizer(entry)
        self.reader.read()

    def _add_plain(self, record: PlainRecord) -> None:
        if record.owner is not None:
            self.last_plain = record.owner
        elif self.last_plain is None:
            self.last_plain = _own_name(self.reader.last_name) or self.origin
        ttl = self.reader.default_ttl if record.ttl is None else record.ttl
        self.comment = record.comment
        self.add(self.last_plain, record.type, ttl, record.rdata)

    def _hand_last_name_over(self) -> None:
        if self.last_plain is not None:
            self.reader.last_name = _library_name(self.last_plain)
            self.last_plain = None

    def add_library_record(self, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        """Take one record from the library, which makes many of one line."""
        if self.records % PAUSE_LINES == 0:
            self.pause()
        self.add(from_wire(name.to_wire() or b""), int(rdata.rdtype), ttl, rdata.to_wire() or b"")

    def add(self, name: Name, type_: int, ttl: int, rdata: bytes) -> None:
        """Take one record."""
        self.records += 1
        if self.records > RECORDS_MAX:
            raise _Refused(f"there are more than {RECORDS_MAX} records")
        if not is_within(name, self.origin):
            raise _Refused(f"{to_text(name)} is not inside the zone {to_text(self.origin)}")
        group = self.groups.get((name, type_))
        if group is None:
            self.groups[(name, type_)] = _Group(ttl, self.place, self.comment, self.disabled, rdata)
            return
        if group.ttl != ttl and type_ != _RRSIG:
            raise _Refused(
                f"the ttl {ttl} differs from {group.ttl} at {group.place} in the same RRset (RFC 2181 section 5.2)"
            )
        if group.disabled != self.disabled:
            raise _Refused(f"it is {'' if self.disabled else 'not '}disabled here, unlike at {group.place}")
        group.ttl = min(group.ttl, ttl)
        group.comment = group.comment or self.comment
        group.add(rdata)

    def contents(self) -> Contents:
        """Close the reading: build the RRsets and judge them."""
        rrsets = []
        for number, ((name, type_), group) in enumerate(self.groups.items()):
            if number % PAUSE_LINES == 0:
                self.pause()
            rrset = make(name, type_, group.ttl, group.rdatas)
            if group.comment or group.disabled:
                comment = group.comment[:COMMENT_CHARACTERS_MAX]
                rrset = RRset(name, type_, rrset.ttl, rrset.rdatas, comment, group.disabled)
            wrong = problem(rrset) or (type_ == SOA and name != self.origin and "an SOA stands only at the top")
            if wrong:
                self._note(f"{to_text(name)} {type_to_text(type_)}: {wrong}", group.place)
            rrsets.append(rrset)
        self._judge_aliases()
        places = {key: group.place for key, group in self.groups.items()}
        if len(places) > PAUSE_LINES:
            release(self.groups, self.pause)
        return Contents(tuple(rrsets), places)

    def _judge_aliases(self) -> None:
        beside: dict[Name, list[str]] = {name: [] for name, type_ in self.groups if type_ == CNAME}
        for name, type_ in self.groups if beside else ():
            if name in beside and type_ not in _BESIDE_CNAME:
                beside[name].append(type_to_text(type_))
        for name, others in beside.items():
            if others:
                text = (
                    f"{to_text(name)} cannot have a CNAME beside {', '.join(others)} (RFC 1034 section 3.6.2)"
                )
                self._note(text, self.groups[(name, CNAME)].place)

    def _read_included(self, entry: str, depth: int) -> None:
        """Read the text that a $INCLUDE names; names and origin are as before behind it (RFC 1035 section 5.1)."""
        words = entry.split(";", maxsplit=1)[0].split()[1:]
        self._hand_last_name_over()
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
        self.last_plain = None

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
    for number, line in enumerate(_lines(text), start=1):
        joins = "(" in line or ")" in line
        if not pending and not joins:
            stripped = line.lstrip()
            if stripped and (stripped[0] != ";" or line.startswith(DISABLED)):
                yield number, line
            continue
        if not pending:
            first = number
        if joins:
            depth = max(0, depth + _parentheses(line))
        pending.append(line)
        if depth:
            continue
        if len(pending) > 1 or not line.lstrip().startswith(";") or line.startswith(DISABLED):
            yield first, "\n".join(pending)
        pending = []
    if pending:
        yield first, "\n".join(pending)


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a text without their ends and without a second copy of all of it."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end].rstrip("\r")
        start = end + 1
    yield text[start:].rstrip("\r")


def _parentheses(line: str) -> int:
    """Return how many parentheses a line opens more than it closes, outside of quotes and comments."""
    bare = re.sub(r'\\.|"(?:[^"\\]|\\.)*"?|;.*', "", line)
    return bare.count("(") - bare.count(")")


def _check_range(entry: str) -> None:
    """Refuse a $GENERATE of too many records; one that cannot be read is left to the library. Raises ``_Refused``."""
    try:
        start, stop, step = dns.grange.from_text(entry.split(maxsplit=2)[1])
    except (dns.exception.DNSException, ValueError, AssertionError, IndexError):
        return
    if (stop - start) // step >= GENERATED_MAX:
        raise _Refused(f"$GENERATE makes more than {GENERATED_MAX} records: split its range")


def _explain(entry: str, origin: Name, error: Exception) -> str:
    """Turn a library's complaint about an entry into a sentence, by reading its parts once more."""
    words = entry.split(";", maxsplit=1)[0].split()
    said = _LIBRARY_PREFIX.sub("", str(error)).rstrip(".")
    if not words or words[0].startswith("$"):
        return f"{_shortened(' '.join(words) or entry.strip())}: {said[:1].lower()}{said[1:]}"
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
