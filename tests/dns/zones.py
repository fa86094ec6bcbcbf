"""Zones as text, and questions and answers as a few words, for the tests of this room."""

from collections.abc import Iterable, Mapping

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from node.dns.lookup import Answer, lookup
from node.dns.respond import Client, RespondSettings, Send, View, respond
from node.zone.master_file import parse
from node.zone.name import Name, from_text, to_text
from node.zone.rrset import RRset, rdata_to_text, type_from_text, type_to_text
from node.zone.zone import Zone, new_zone

SOA_LINE = "@ 300 IN SOA ns1 hostmaster 1 7200 900 1209600 60\n@ NS ns1\nns1 A 192.0.2.1\n"


def zone(origin: str, text: str, *, with_apex: bool = True) -> Zone:
    """Build a zone from master-file lines; SOA, NS and the server's address stand before them."""
    name = from_text(origin)
    return new_zone(name, parse((SOA_LINE if with_apex else "") + text, name, 300).rrsets, 1)


def zones(texts: Mapping[str, str]) -> dict[Name, Zone]:
    """Build several zones from their lines by origin."""
    return {from_text(origin): zone(origin, text) for origin, text in texts.items()}


def ask(where: Mapping[Name, Zone], question: str, **options: bool) -> Answer:
    """Look up ``"name type"``."""
    name, type_ = question.split()
    return lookup(where, from_text(name), type_from_text(type_), **options)


def lines(rrsets: Iterable[RRset]) -> list[str]:
    """Write RRsets as ``"name type rdata"``, sorted."""
    return sorted(
        f"{to_text(rrset.name)} {type_to_text(rrset.type)} {rdata_to_text(rrset.type, rdata)}"
        for rrset in rrsets
        for rdata in rrset.rdatas
    )


def view(where: Mapping[Name, Zone], settings: RespondSettings | None = None, *, ready: bool = True) -> View:
    """Build the view of a node called ``ns1``."""
    return View(where, ready, "ns1", settings or RespondSettings())


UDP = Client("192.0.2.99", "udp")
TCP = Client("192.0.2.99", "tcp")


def exchange(packet: bytes, seen: View, client: Client = UDP, rotation: int = 0) -> dns.message.Message:
    """Send octets through the steps and read the answer with another library."""
    outcome = respond(packet, client, seen, rotation)
    assert isinstance(outcome, Send), outcome
    return dns.message.from_wire(outcome.packet)


def query(question: str, **options: object) -> bytes:
    """Write a query with another library."""
    name, type_ = question.split()
    return dns.message.make_query(name, type_, **options).to_wire()  # type: ignore[arg-type]


def flags(answer: dns.message.Message) -> str:
    """Return the flags of a message as dig writes them."""
    return dns.flags.to_text(answer.flags)


def texts(section: Iterable[object]) -> list[str]:
    """Write a section as ``"name ttl class type rdata"`` lines, sorted."""
    return sorted(line for rrset in section for line in str(rrset).split("\n"))
