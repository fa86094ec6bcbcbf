"""RRsets, and the two faces of an rdata: text for people, wire octets for the state.

An rdata is kept as uncompressed wire octets, the neutral form of every DNS library (RFC 3597). This
is the only file of the ground floor that imports dnspython, for text and wire; what ``problem``
judges is written out here, since its verdict enters the replicated state and must not change with a
library's version.
"""

import functools

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import msgspec

from node.zone.name import BadName, Name, from_wire
from node.zone.plain import plain_address, plain_text

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, DNAME = 1, 2, 5, 6, 12, 15, 16, 28, 33, 39
CAA, ANY = 257, 255

TTL_MAX = 2**31 - 1
RDATA_OCTETS_MAX = 65_535
RDATAS_MAX = 1_000


class BadRdata(ValueError):
    """The text or octets are not an rdata of the type; the message says why."""


class RRset(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All records of one name and type (RFC 2181 section 5): one ttl, each rdata once, sorted."""

    name: Name
    type: int
    ttl: int
    rdatas: tuple[bytes, ...]
    comment: str = ""
    disabled: bool = False


def make(name: Name, type_: int, ttl: int, rdatas: "tuple[bytes, ...] | list[bytes]") -> RRset:
    """Build an RRset in its canonical form: each rdata once, in octet order."""
    return RRset(name, type_, ttl, tuple(sorted(set(rdatas))))


def problem(rrset: RRset) -> str | None:
    """Return a sentence that says why the RRset cannot be stored, or None when it can.

    Decided by this file alone: replicas with other library versions must agree.
    """
    if len(rrset.rdatas) == 1 and len(rrset.rdatas[0]) == _FIXED_OCTETS.get(rrset.type):
        return _ttl_problem(rrset.ttl)  # an address, as most of the thousands are that come at once
    if not 1 <= rrset.type <= 65_535 or rrset.type == 41 or 128 <= rrset.type <= 255:
        return f"{type_to_text(rrset.type)} is not a type that a zone can hold"
    wrong = _ttl_problem(rrset.ttl)
    if wrong is not None:
        return wrong
    if not rrset.rdatas:
        return "an RRset cannot be empty"
    if len(rrset.rdatas) > RDATAS_MAX:
        return f"an RRset can hold at most {RDATAS_MAX} records"
    if rrset.type in (CNAME, DNAME, SOA) and len(rrset.rdatas) > 1:
        return f"there can be only one {type_to_text(rrset.type)} at a name"
    for rdata in rrset.rdatas:
        found = rdata_problem(rrset.type, rdata)
        if found is not None:
            return found
    return None


def _ttl_problem(ttl: int) -> str | None:
    if 0 <= ttl <= TTL_MAX:
        return None
    return f"the ttl {ttl} is not between 0 and {TTL_MAX} (RFC 2181 section 8)"


def rdata_problem(type_: int, rdata: bytes) -> str | None:
    """Return a sentence that says why the octets are no rdata of the type, or None."""
    if len(rdata) > RDATA_OCTETS_MAX:
        return f"a record has {len(rdata)} octets, {RDATA_OCTETS_MAX} are allowed"
    length = _FIXED_OCTETS.get(type_)
    if length is not None and len(rdata) != length:
        return f"a record of type {type_to_text(type_)} has {length} octets, not {len(rdata)}"
    prefix = _NAME_AFTER_OCTETS.get(type_)
    if prefix is None:
        return None
    try:
        from_wire(rdata[prefix:])
    except BadName as error:
        return f"a record of type {type_to_text(type_)} ends with a name, but {error}"
    return None


_FIXED_OCTETS = {A: 4, AAAA: 16}
_NAME_AFTER_OCTETS = {NS: 0, CNAME: 0, PTR: 0, DNAME: 0, MX: 2, SRV: 6}


def type_from_text(text: str) -> int:
    """Read a type's mnemonic or ``TYPEnnn`` (RFC 3597 section 5). Raises ``BadRdata``."""
    try:
        return int(dns.rdatatype.from_text(text))
    except (dns.rdatatype.UnknownRdatatype, ValueError):
        raise BadRdata(f"{text!r} is not a record type") from None


@functools.lru_cache(maxsize=1024)
def type_to_text(type_: int) -> str:
    """Write a type as its mnemonic, or ``TYPEnnn`` when it has none."""
    try:
        return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(type_))
    except ValueError:
        return f"TYPE{type_}"


def rdata_from_text(type_: int, text: str, origin: Name) -> bytes:
    """Read one rdata in master-file syntax; relative names end with ``origin``. Raises ``BadRdata``."""
    plain = plain_address(type_, text)
    if plain is not None:
        return plain
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN,
            dns.rdatatype.RdataType.make(type_),
            text,
            origin=_library_name(origin),
            relativize=False,
        )
        return rdata.to_wire() or b""
    except (dns.exception.DNSException, ValueError) as error:
        raise BadRdata(_explain(type_, text, error)) from None


def rdata_to_text(type_: int, rdata: bytes, origin: Name | None = None) -> str:
    """Write one rdata in master-file syntax, names relative to ``origin`` where it is given."""
    plain = plain_text(type_, rdata, origin)
    if plain is not None:
        return plain
    library_origin = None if origin is None else _library_name(origin)
    try:
        parsed = dns.rdata.from_wire(
            dns.rdataclass.IN, dns.rdatatype.RdataType.make(type_), rdata, 0, len(rdata)
        )
        return parsed.to_text(origin=library_origin, relativize=library_origin is not None)
    except (dns.exception.DNSException, ValueError):
        return f"\\# {len(rdata)} {rdata.hex()}".rstrip()


def rdata_from_wire(type_: int, octets: bytes) -> bytes:
    """Check octets that came from outside and return them without compression. Raises ``BadRdata``."""
    try:
        parsed = dns.rdata.from_wire(
            dns.rdataclass.IN, dns.rdatatype.RdataType.make(type_), octets, 0, len(octets)
        )
        return parsed.to_wire() or b""
    except (dns.exception.DNSException, ValueError) as error:
        raise BadRdata(_explain(type_, octets.hex(), error)) from None


def _library_name(name: Name) -> dns.name.Name:
    return dns.name.from_wire(name, 0)[0]


def _explain(type_: int, text: str, error: Exception) -> str:
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    if type_ == A:
        return f"{shown} is not an IPv4 address"
    if type_ == AAAA:
        return f"{shown} is not an IPv6 address"
    return f"{shown!r} is not a record of type {type_to_text(type_)}: {str(error).rstrip('.').lower()}"
