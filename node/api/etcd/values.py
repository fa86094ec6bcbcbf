"""Records as the values HelixDNS keeps: plain text, and JSON for SRV and SOA."""

import json
from collections.abc import Mapping
from typing import Any

from node.api.etcd.errors import INVALID_FIELD, EtcdProblem
from node.zone.name import ROOT
from node.zone.rrset import SOA, SRV, TXT, BadRdata, RRset, rdata_from_text, rdata_to_text

_STRING_OCTETS_MAX = 255
_SRV_FIELDS = ("Priority", "Weight", "Port", "Target")
_SOA_FIELDS = ("Ns", "Mbox", "Serial", "Refresh", "Retry", "Expire", "Minttl")


def read_value(type_: int, text: str) -> list[bytes]:
    """Read a value; several records only of a JSON list of SRV. Raises ``EtcdProblem``."""
    if not text:
        raise EtcdProblem(INVALID_FIELD, "value is empty; nothing was changed")
    try:
        return [rdata_from_text(type_, each, ROOT) for each in _texts(type_, text)]
    except BadRdata as error:
        raise EtcdProblem(INVALID_FIELD, f"{error}; nothing was changed") from None


def is_one_value(rrset: RRset) -> bool:
    """Say whether a whole RRset is one value."""
    return len(rrset.rdatas) == 1 or rrset.type == SRV


def write_value(rrset: RRset) -> str:
    """Write an RRset that is one value."""
    return write_records(rrset.type, rrset.rdatas)


def write_records(type_: int, rdatas: tuple[bytes, ...]) -> str:
    """Write records that are one value: any number of SRV, one of every other type."""
    texts = [rdata_to_text(type_, rdata) for rdata in rdatas]
    if type_ == SRV:
        return json.dumps([_object(_SRV_FIELDS, text) for text in texts])
    return json.dumps(_object(_SOA_FIELDS, texts[0])) if type_ == SOA else texts[0]


def _texts(type_: int, text: str) -> list[str]:
    """Turn a value into master-file texts. Raises ``EtcdProblem``."""
    if type_ == SRV and text.lstrip()[:1] in ("[", "{"):
        rows = _json(text)
        rows = rows if isinstance(rows, list) else [rows]
        if not rows:
            raise EtcdProblem(INVALID_FIELD, "value is an empty list; nothing was changed")
        return [_text(_SRV_FIELDS, row) for row in rows]
    if type_ == SOA and text.lstrip()[:1] == "{":
        return [_text(_SOA_FIELDS, _json(text))]
    if type_ == TXT and not text.lstrip().startswith('"'):
        return [_quoted(text)]
    return [text]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EtcdProblem(INVALID_FIELD, f"value is not JSON: {error}; nothing was changed") from None


def _text(fields: tuple[str, ...], row: object) -> str:
    """Write a JSON object's fields in the order of the record; the case of keys does not matter."""
    given = {str(key).lower(): value for key, value in row.items()} if isinstance(row, Mapping) else {}
    missing = [field for field in fields if not isinstance(given.get(field.lower()), int | str)]
    if missing:
        raise EtcdProblem(INVALID_FIELD, f"value lacks {', '.join(missing)}; nothing was changed")
    return " ".join(str(given[field.lower()]) for field in fields)


def _object(fields: tuple[str, ...], text: str) -> dict[str, Any]:
    parts = text.split()
    return {field: int(part) if part.isdigit() else part for field, part in zip(fields, parts, strict=False)}


def _quoted(text: str) -> str:
    """Write plain text as quoted strings of at most 255 octets (RFC 1035 section 3.3.14)."""
    octets = text.encode()
    strings = [octets[at : at + _STRING_OCTETS_MAX] for at in range(0, len(octets), _STRING_OCTETS_MAX)]
    return " ".join(f'"{"".join(_escaped(octet) for octet in string)}"' for string in strings)


def _escaped(octet: int) -> str:
    if octet in b'"\\':
        return f"\\{chr(octet)}"
    return chr(octet) if 32 <= octet <= 126 else f"\\{octet:03d}"
