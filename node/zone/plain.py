"""The common plain forms of records, read and written fast; for everything else the answer is None.

Nearly all lines of large master files are ``owner ttl IN TYPE data`` of a few types, without escapes,
parentheses or time units. Those are read here, several times faster than by dnspython, and must come out
exactly as they do there; tests hold both against each other.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

from node.zone.name import NAME_OCTETS_MAX, ROOT, Name, is_within, iter_labels

A, NS, CNAME, PTR, MX, TXT, AAAA, SRV, DNAME, CAA = 1, 2, 5, 12, 15, 16, 28, 33, 39, 257

_LINE = re.compile(
    r"(?P<owner>@|[A-Za-z0-9_*-][A-Za-z0-9_*.-]*)?[ \t]++(?:(?P<ttl>[0-9]{1,9})[ \t]++)?(?:[Ii][Nn][ \t]++)?"
    r"(?P<type>[A-Za-z]{1,5})[ \t]++(?P<data>(?:[^;\"\\()\x00-\x08\x0a-\x1f\x7f-\U0010ffff]++|\"[^\"\\\x00-\x1f\x7f-\U0010ffff]*+\")++)"
    r"(?P<comment>;.*)?"
)
_NAME = re.compile(r"[A-Za-z0-9_*-]+(?:\.[A-Za-z0-9_*-]+)*\.?")
_LABEL = re.compile(rb"[A-Za-z0-9_*-]+")
_STRINGS = re.compile(r'(?:"[^"]*"|[^" \t]+)(?:[ \t]+(?:"[^"]*"|[^" \t]+))*')
_STRING = re.compile(r'"([^"]*)"|([^" \t]+)')
_CAA = re.compile(r'([0-9]{1,3})[ \t]+([A-Za-z0-9]{1,15})[ \t]+"([^"]*)"')
_OCTETS = {str(number): number for number in range(256)}
_LENGTHS = tuple(bytes((number,)) for number in range(256))
_ASCII = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')
_KEPT_MAX = 10_000


class PlainRecord(NamedTuple):
    """One record; ``owner`` is None when the line begins with a blank, ``ttl`` when it says none."""

    owner: Name | None
    ttl: int | None
    type: int
    rdata: bytes
    comment: str


class PlainReader:
    """Reads plain lines below one origin, given as wire octets with the case of its letters."""

    def __init__(self, origin: bytes) -> None:
        self._origin = origin
        self._names: dict[str, bytes | None] = {}
        self._of_type: dict[str, tuple[int, Callable[[str], bytes | None]]] = {
            "A": (A, _read_a),
            "AAAA": (AAAA, _read_aaaa),
            "NS": (NS, self._name),
            "CNAME": (CNAME, self._name),
            "PTR": (PTR, self._name),
            "DNAME": (DNAME, self._name),
            "MX": (MX, lambda text: self._numbers_and_name(text, 1)),
            "SRV": (SRV, lambda text: self._numbers_and_name(text, 3)),
            "TXT": (TXT, _read_strings),
            "CAA": (CAA, _read_caa),
        }

    def read(self, line: str) -> PlainRecord | None:
        """Read one line, or leave it to others."""
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        owner_text, ttl, type_text, data, comment = match.groups()
        known = self._of_type.get(type_text.upper())
        rdata = known[1](data.rstrip(" \t")) if known is not None else None
        if known is None or rdata is None:
            return None
        owner = None
        if owner_text is not None:
            wire = _name_wire(owner_text, self._origin)
            if wire is None:
                return None
            owner = Name(wire.lower())
        text = comment[1:].strip() if comment else ""
        return PlainRecord(owner, int(ttl) if ttl else None, known[0], rdata, text)

    def _name(self, text: str) -> bytes | None:
        if text not in self._names:
            if len(self._names) >= _KEPT_MAX:
                self._names.clear()
            self._names[text] = _name_wire(text, self._origin)
        return self._names[text]

    def _numbers_and_name(self, text: str, count: int) -> bytes | None:
        *numbers, name = text.split()
        target = self._name(name)
        if len(numbers) != count or target is None:
            return None
        if not all(number.isdigit() and len(number) <= 5 and int(number) < 65_536 for number in numbers):
            return None
        return b"".join(int(number).to_bytes(2, "big") for number in numbers) + target


def _name_wire(text: str, origin: bytes) -> bytes | None:
    """Return a name's wire octets with the case of its letters, None when it is not plain."""
    if text == "@":
        return origin
    if _NAME.fullmatch(text) is None:
        return None
    labels = text.encode().split(b".")
    tail = origin
    if not labels[-1]:
        labels.pop()
        tail = ROOT
    if any(len(label) > 63 for label in labels):
        return None
    wire = b"".join([_LENGTHS[len(label)] + label for label in labels]) + tail
    return wire if len(wire) <= NAME_OCTETS_MAX else None


def _read_a(text: str) -> bytes | None:
    try:
        rdata = bytes([_OCTETS[part] for part in text.split(".")])
    except KeyError:
        return None
    return rdata if len(rdata) == 4 else None


def _read_aaaa(text: str) -> bytes | None:
    if "." in text or "%" in text:
        return None
    try:
        return IPv6Address(text).packed
    except AddressValueError:
        return None


def _read_strings(text: str) -> bytes | None:
    if _STRINGS.fullmatch(text) is None:
        return None
    strings = [quoted or bare for quoted, bare in _STRING.findall(text)]
    if any(len(string) > 255 for string in strings):
        return None
    return b"".join([_LENGTHS[len(string)] + string.encode() for string in strings])


def _read_caa(text: str) -> bytes | None:
    match = _CAA.fullmatch(text)
    if match is None or int(match[1]) > 255:
        return None
    return _LENGTHS[int(match[1])] + _LENGTHS[len(match[2])] + match[2].encode() + match[3].encode()


# --- writing ----------------------------------------------------------------------------------------


def plain_address(type_: int, text: str) -> bytes | None:
    """Read the rdata of an A or AAAA record from the text of its address alone; None when not plain."""
    if type_ == A:
        return _read_a(text)
    return _read_aaaa(text) if type_ == AAAA else None


def plain_text(type_: int, rdata: bytes, origin: Name | None) -> str | None:
    """Write an rdata in master-file syntax, names relative to ``origin`` where it is given; None when not plain."""
    if type_ == A:
        return ".".join(map(str, rdata)) if len(rdata) == 4 else None
    if type_ == AAAA:
        return str(IPv6Address(rdata)) if len(rdata) == 16 and any(rdata[:10]) else None
    if type_ in (NS, CNAME, PTR, DNAME):
        return _name_text(rdata, origin)
    if type_ == MX:
        return _numbers_and_name_text(rdata, 2, origin)
    if type_ == SRV:
        return _numbers_and_name_text(rdata, 6, origin)
    return _strings_text(rdata) if type_ == TXT else None


def _numbers_and_name_text(rdata: bytes, length: int, origin: Name | None) -> str | None:
    name = _name_text(rdata[length:], origin)
    if name is None:
        return None
    numbers = (int.from_bytes(rdata[at : at + 2], "big") for at in range(0, length, 2))
    return " ".join((*map(str, numbers), name))


def _name_text(wire: bytes, origin: Name | None) -> str | None:
    labels = []
    position = 0
    while position < len(wire) and (length := wire[position]):
        label = wire[position + 1 : position + 1 + length]
        if length > 63 or _LABEL.fullmatch(label) is None:
            return None
        labels.append(label.decode())
        position += 1 + length
    if position + 1 != len(wire) or position + 1 > NAME_OCTETS_MAX:
        return None
    if origin is None or not is_within(Name(wire.lower()), origin):
        return ".".join(labels) + "."
    return ".".join(labels[: len(labels) - _label_count(origin)]) or "@"


@lru_cache(maxsize=64)
def _label_count(name: Name) -> int:
    return len(list(iter_labels(name)))


def _strings_text(rdata: bytes) -> str | None:
    texts = []
    position = 0
    while position < len(rdata):
        length = rdata[position]
        string = rdata[position + 1 : position + 1 + length]
        position += 1 + length
        if len(string) != length or not _ASCII.issuperset(string):
            return None
        texts.append(f'"{string.decode()}"')
    return " ".join(texts) if texts else None
