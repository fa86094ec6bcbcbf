"""The steps that change and copy zones: signatures, UPDATE, transfers. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from node.dns import message
from node.dns.exchange import NOT_AUTHORITATIVE, PROHIBITED, Exchange
from node.dns.message import ExtendedError, Response
from node.dns.place import visible
from node.dns.query import UPDATE, Question
from node.dns.records import AUTHORITY, BadRecord, iter_records
from node.dns.transfer import axfr, ixfr, only_soa
from node.dns.tsig import BADKEY, BADSIG, BADTIME, name_text
from node.dns.update import Asked, BadUpdate, read_update
from node.zone.name import to_text
from node.zone.rrset import SOA, RRset
from node.zone.zone import Zone

IXFR, AXFR = 251, 252


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that is asked for, and by whom."""

    asked: Asked
    actor: str


_SIGNATURE_SENTENCES = {
    BADSIG: "BADSIG: the signature was not made with the key {key} as it is known here",
    BADKEY: "BADKEY: there is no key {key} of this algorithm here",
    BADTIME: "BADTIME: the message was signed too long ago or too far ahead; compare the clocks",
}


def check_signature(exchange: Exchange) -> Response | None:
    """Refuse what is signed with an unknown key, a wrong MAC or at another time (RFC 8945 section 5.2)."""
    signature = exchange.signature
    if signature is None or signature.error == 0:
        return None
    sentence = _SIGNATURE_SENTENCES[signature.error].format(key=name_text(signature.key_name))
    return Response(message.NOTAUTH, error=ExtendedError(PROHIBITED, sentence))


def update(exchange: Exchange) -> Response | Wish | None:
    """Turn a signed UPDATE of one of our zones into a change for the log (RFC 2136 section 3)."""
    query = exchange.query
    if query.opcode != UPDATE:
        return None
    assert query.question is not None
    if query.question.type != SOA:
        return Response(message.FORMERR)
    zone = exchange.view.log_zones.get(query.question.name)
    if zone is None:
        sentence = f"{to_text(query.question.name)} is not a zone of this server"
        return Response(message.NOTAUTH, error=ExtendedError(NOT_AUTHORITATIVE, sentence))
    key = None if exchange.signature is None else exchange.signature.key
    if key is None:
        return Response(message.REFUSED, error=ExtendedError(PROHIBITED, "an update must be signed (TSIG)"))
    problem = exchange.view.settings.access.updater_problem(key.name, exchange.client.address)
    if problem:
        return Response(message.REFUSED, error=ExtendedError(PROHIBITED, problem))
    try:
        asked = read_update(exchange.packet, zone, exchange.view.settings.access, key.name)
    except BadUpdate as bad:
        return bad.response()
    return Wish(asked, f"tsig:{name_text(key.name)}")


def transfer(exchange: Exchange) -> Response | Iterator[bytes] | None:
    """Send a zone, or what has changed of it, to those who may have it (RFC 5936, RFC 1995)."""
    question = exchange.query.question
    if question is None or question.type not in (AXFR, IXFR):
        return None
    zone = exchange.view.log_zones.get(question.name)
    key = None if exchange.signature is None or exchange.signature.key is None else exchange.signature.key.name
    problem = exchange.view.settings.access.transfer_problem(key, exchange.client.address)
    if problem:
        return Response(message.REFUSED, error=ExtendedError(PROHIBITED, problem))
    soa = None if zone is None else visible(zone.node(zone.name), SOA)
    if zone is None or soa is None:
        return Response(message.NOTAUTH, error=ExtendedError(NOT_AUTHORITATIVE, "this is no zone of ours"))
    return _transferred(exchange, question, zone, soa)


def _transferred(exchange: Exchange, question: Question, zone: Zone, soa: RRset) -> Response | Iterator[bytes]:
    is_datagram = exchange.client.transport == "udp"
    if question.type == AXFR:
        if is_datagram:  # RFC 5936 section 4.2 leaves it undefined
            return Response(message.REFUSED, error=ExtendedError(PROHIBITED, "a transfer needs TCP"))
        return axfr(exchange.query, zone, soa)
    serial = _known_serial(exchange)
    if serial is None:
        return Response(message.FORMERR)
    return only_soa(soa) if is_datagram else ixfr(exchange.query, zone, soa, serial)


def _known_serial(exchange: Exchange) -> int | None:
    """Return the serial that the client has, from the SOA in the authority section (RFC 1995 section 3)."""
    try:
        for record in iter_records(exchange.packet):
            if record.section == AUTHORITY and record.type == SOA and len(record.rdata) > 20:
                return int.from_bytes(record.rdata[-20:-16], "big")
    except BadRecord:
        pass
    return None
