"""Our names and RRsets as dnspython's objects, and back in canonical form."""

from collections.abc import Iterable

import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype

from node.zone.name import Name, from_wire
from node.zone.rrset import AAAA, TXT, A, RRset, make

_PLAIN = (A, AAAA, TXT)


def library_name(name: Name) -> dns.name.Name:
    """Return the name as dnspython has it."""
    return dns.name.from_wire(name, 0)[0]


def own_name(name: dns.name.Name) -> Name:
    """Return dnspython's name as ours."""
    return from_wire(name.to_wire() or b"")


def library_rdata(type_: int, rdata: bytes) -> dns.rdata.Rdata:
    """Return the rdata as dnspython has it."""
    rdtype = dns.rdatatype.RdataType.make(type_)
    return dns.rdata.from_wire(dns.rdataclass.IN, rdtype, rdata, 0, len(rdata))


def library_rdataset(rrset: RRset) -> dns.rdataset.Rdataset:
    """Return the RRset's ttl and rdatas as dnspython has them."""
    return dns.rdataset.from_rdata_list(rrset.ttl, [library_rdata(rrset.type, each) for each in rrset.rdatas])


def canonical_rdata(type_: int, rdata: bytes) -> bytes:
    """Return the rdata with its names in lower case (RFC 4034 section 6.2), as servers may change their case."""
    if type_ in _PLAIN:
        return rdata
    try:
        return library_rdata(type_, rdata).to_digestable()
    except (dns.exception.DNSException, ValueError, NotImplementedError):
        return rdata


def canonical_rdatas(type_: int, rdatas: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return rdatas in canonical form, each once, in octet order."""
    return tuple(sorted({canonical_rdata(type_, each) for each in rdatas}))


def answered(response: dns.message.Message, name: Name, type_: int) -> RRset | None:
    """Return the RRset of this very name and type in the answer section, canonical, or None."""
    found = response.get_rrset(
        response.answer,
        library_name(name),
        dns.rdataclass.IN,
        dns.rdatatype.RdataType.make(type_),
    )
    if found is None:
        return None
    return make(name, type_, found.ttl, [canonical_rdata(type_, each.to_wire() or b"") for each in found])
