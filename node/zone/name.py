"""Domain names: one canonical form, and the questions a zone asks of it.

A ``Name`` is the uncompressed wire form of RFC 1035 section 3.1 in lower case (RFC 4343), so two
names are the same name exactly when their bytes are equal. Text enters and leaves here only.
"""

import re
from collections.abc import Iterator
from typing import NewType

import idna

Name = NewType("Name", bytes)

LABEL_OCTETS_MAX = 63
NAME_OCTETS_MAX = 255
ROOT = Name(b"\x00")

_PLAIN = re.compile(rb"[A-Za-z0-9_*-]+")
_SPECIAL = frozenset(b'."\\();@$')


class BadName(ValueError):
    """The text or the octets are not a domain name; the message says why."""


def from_text(text: str, origin: Name | None = None) -> Name:
    """Read a name in master-file syntax (RFC 1035 section 5.1).

    ``origin`` completes a name that has no final dot, and is what ``@`` stands for; without it every
    name is absolute. Labels outside ASCII become A-labels (RFC 5891). Raises ``BadName``.
    """
    if text == "@" and origin is not None:
        return origin
    if text == "":
        raise BadName("a name cannot be empty")
    if text == ".":
        return ROOT
    labels, absolute = _split(text)
    tail = ROOT if absolute or origin is None else origin
    return from_labels([*labels, *iter_labels(tail)])


def from_labels(labels: list[bytes]) -> Name:
    """Build a name from its labels, leftmost first, root label left out. Raises ``BadName``."""
    parts = bytearray()
    for label in labels:
        if not label:
            raise BadName("a name cannot hold an empty label (two dots in a row?)")
        if len(label) > LABEL_OCTETS_MAX:
            raise BadName(f"label {_label_text(label[:20])}... has {len(label)} octets, 63 are allowed")
        parts.append(len(label))
        parts += label.lower()
    parts.append(0)
    if len(parts) > NAME_OCTETS_MAX:
        raise BadName(f"the name has {len(parts)} octets, 255 are allowed")
    return Name(bytes(parts))


def from_wire(octets: bytes) -> Name:
    """Check and lower-case an uncompressed wire name that fills ``octets``. Raises ``BadName``."""
    labels: list[bytes] = []
    position = 0
    while position < len(octets):
        length = octets[position]
        if length == 0:
            if position + 1 != len(octets):
                raise BadName("octets follow the end of the name")
            return from_labels(labels)
        if length > LABEL_OCTETS_MAX:
            raise BadName("a stored name cannot hold a compression pointer")
        if position + 1 + length > len(octets):
            raise BadName("the name ends in the middle of a label")
        labels.append(octets[position + 1 : position + 1 + length])
        position += 1 + length
    raise BadName("the name does not end with the root label")


def is_canonical(octets: bytes) -> bool:
    """Say whether the octets are a name in the one form that names have here."""
    end = len(octets)
    if end > NAME_OCTETS_MAX or octets != octets.lower():
        return False
    position = 0
    while position < end:
        length = octets[position]
        if not 0 < length <= LABEL_OCTETS_MAX:
            return length == 0 and position + 1 == end
        position += 1 + length
    return False


def to_text(name: Name) -> str:
    """Write a name with its final dot; octets that master files give a meaning are escaped."""
    if name == ROOT:
        return "."
    return "".join(f"{_label_text(label)}." for label in iter_labels(name))


def relative_text(name: Name, origin: Name) -> str:
    """Write a name as a master file of ``origin`` would: ``@``, a relative name, or an absolute one."""
    if name == origin:
        return "@"
    if origin == ROOT or not is_within(name, origin):
        return to_text(name)
    return to_text(Name(name[: -len(origin)] + b"\x00"))[:-1]


def iter_labels(name: Name) -> Iterator[bytes]:
    """Yield the labels of a name, leftmost first, without the root label."""
    position = 0
    while length := name[position]:
        yield name[position + 1 : position + 1 + length]
        position += 1 + length


def parent(name: Name) -> Name:
    """Return the name without its leftmost label; the root is its own parent."""
    return name if name == ROOT else Name(name[1 + name[0] :])


def iter_ancestors(name: Name) -> Iterator[Name]:
    """Yield the name itself, its parent, and so on up to and including the root."""
    while name != ROOT:
        yield name
        name = Name(name[1 + name[0] :])
    yield ROOT


def is_within(name: Name, ancestor: Name) -> bool:
    """Say whether ``name`` is ``ancestor`` or lies below it."""
    if not name.endswith(ancestor):
        return False
    position, start = 0, len(name) - len(ancestor)
    while position < start:
        position += 1 + name[position]
    return position == start


def wildcard_of(name: Name) -> Name:
    """Return ``*.name`` (RFC 4592 section 2.1.1). Raises ``BadName`` when that is too long."""
    if len(name) + 2 > NAME_OCTETS_MAX:
        raise BadName("the wildcard below this name would be too long")
    return Name(b"\x01*" + name)


def is_wildcard(name: Name) -> bool:
    """Say whether the leftmost label is the asterisk label."""
    return name[:2] == b"\x01*"


def sort_key(name: Name) -> tuple[bytes, ...]:
    """Return a key that sorts names in canonical DNS order (RFC 4034 section 6.1)."""
    return tuple(reversed(list(iter_labels(name))))


def _split(text: str) -> tuple[list[bytes], bool]:
    """Split presentation text into labels; say whether it ended with a dot."""
    if not text.isascii():
        return _split_international(text)
    labels: list[bytes] = []
    label = bytearray()
    position = 0
    absolute = False
    while position < len(text):
        char = text[position]
        position += 1
        absolute = char == "."
        if absolute:
            labels.append(_finish(label, text))
            label = bytearray()
        elif char == "\\":
            octet, position = _unescape(text, position)
            label.append(octet)
        else:
            label.append(ord(char))
    if not absolute:
        labels.append(_finish(label, text))
    return labels, absolute


def _split_international(text: str) -> tuple[list[bytes], bool]:
    """Split a name that holds characters outside ASCII, as U-labels (RFC 5891)."""
    absolute = text.endswith(".")
    try:
        return [idna.encode(label, uts46=True) for label in text.removesuffix(".").split(".")], absolute
    except (idna.IDNAError, UnicodeError) as error:
        raise BadName(f"{text!r} cannot be written with internationalised labels: {error}") from None


def _finish(label: bytearray, text: str) -> bytes:
    if not label:
        raise BadName(f"{text!r} holds an empty label (two dots in a row?)")
    return bytes(label)


def _unescape(text: str, position: int) -> tuple[int, int]:
    """Read what follows a backslash: three digits or one character (RFC 1035 section 5.1)."""
    digits = text[position : position + 3]
    if digits[:1].isdigit():
        if len(digits) < 3 or not digits.isascii() or not digits.isdigit() or int(digits) > 255:
            raise BadName(f"{text!r}: after a backslash come three digits up to 255, or one character")
        return int(digits), position + 3
    if not digits:
        raise BadName(f"{text!r} ends with a backslash")
    if ord(digits[0]) > 127:
        raise BadName(f"{text!r}: a character outside ASCII cannot be escaped")
    return ord(digits[0]), position + 1


def _label_text(label: bytes) -> str:
    if _PLAIN.fullmatch(label):
        return label.decode()
    return "".join(
        f"\\{chr(octet)}" if octet in _SPECIAL else chr(octet) if 33 <= octet <= 126 else f"\\{octet:03d}"
        for octet in label
    )
