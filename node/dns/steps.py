"""The steps that answer questions, each for its one reason; their order is ``respond``'s. Pure."""

from node.dns import cookie as cookies
from node.dns import message
from node.dns.choice import chosen, is_chosen
from node.dns.exchange import INVALID_DATA, NOT_READY, NOT_SUPPORTED, Exchange, View
from node.dns.forward import Elsewhere, outside
from node.dns.lookup import RRSIG, Kind, lookup
from node.dns.message import ExtendedError, Response
from node.dns.proofs import NotPrepared
from node.dns.query import CHAOS, IN, QUERY, UPDATE
from node.zone.name import Name, from_text
from node.zone.rrset import ANY, TXT, RRset


def refuse_opcode(exchange: Exchange) -> Response | None:
    """Know queries and updates alone (RFC 1035 section 4.1.1); we are nobody's secondary, so NOTIFY is not for us."""
    return None if exchange.query.opcode in (QUERY, UPDATE) else Response(message.NOTIMP)


def refuse_malformed(exchange: Exchange) -> Response | None:
    """Tell the sender that its message cannot be read."""
    return None if exchange.query.fault is None else Response(message.FORMERR)


def check_cookie(exchange: Exchange) -> Response | None:
    """Check the form of a cookie, answer a request for one, and insist on ours where that is wanted (RFC 7873 section 5.2)."""
    query, settings = exchange.query, exchange.view.settings
    if exchange.cookie is None:
        is_broken = (
            settings.cookie_secrets and query.edns is not None and query.edns.option(cookies.COOKIE) is not None
        )
        return Response(message.FORMERR) if is_broken or query.question is None else None
    if settings.require_cookies and exchange.client.transport == "udp" and not exchange.is_trusted:
        return Response(message.BADCOOKIE)
    return Response(message.NOERROR) if query.question is None else None


def refuse_version(exchange: Exchange) -> Response | None:
    """Know EDNS version 0 alone (RFC 6891 section 6.1.3)."""
    edns = exchange.query.edns
    return None if edns is None or edns.version == 0 else Response(message.BADVERS)


def answer_chaos(exchange: Exchange) -> Response | None:
    """Tell who answers (RFC 4892); class CH holds nothing else."""
    question = exchange.query.question
    if question is None or question.class_ != CHAOS or exchange.query.opcode != QUERY:
        return None
    text = _chaos_text(exchange.view, question.name)
    if not text:
        return Response(message.REFUSED, class_=CHAOS)
    rdata = bytes((len(text),)) + text
    answer = (RRset(question.name, TXT, 0, (rdata,)),) if question.type in (TXT, ANY) else ()
    return Response(message.NOERROR, answer=answer, class_=CHAOS)


def refuse_class(exchange: Exchange) -> Response | None:
    """Serve class IN alone; nobody can be authoritative for every class at once (RFC 1035 section 6.2)."""
    question = exchange.query.question
    if question is not None and question.class_ == IN:
        return None
    return Response(message.REFUSED, error=ExtendedError(NOT_SUPPORTED, "only class IN is served"))


def wait_until_ready(exchange: Exchange) -> Response | None:
    """Say nothing of the zones before they are known, as an empty node would deny what exists, or when they are too old."""
    if exchange.view.is_stale:
        sentence = "this node has been without a majority for longer than serve_stale_for"
        return Response(message.SERVFAIL, error=ExtendedError(NOT_READY, sentence))
    if exchange.view.ready:
        return None
    return Response(message.SERVFAIL, error=ExtendedError(NOT_READY, "this node is still loading"))


def answer_from_zones(exchange: Exchange) -> Response | Elsewhere:
    """Look the question up; what is outside our zones may be somebody else's to answer."""
    question = exchange.query.question
    assert question is not None
    try:
        found = lookup(exchange.view.zones, question.name, question.type, dnssec=exchange.query.dnssec_ok)
    except NotPrepared:
        return Response(
            message.SERVFAIL, error=ExtendedError(NOT_READY, "the zone's proofs are being prepared")
        )
    if found.kind is Kind.OUTSIDE:
        return outside(exchange)
    if found.kind is Kind.BROKEN:
        return Response(message.SERVFAIL, error=ExtendedError(INVALID_DATA, "the zone has no SOA"))
    is_ordered = is_chosen(exchange.view.choices, found.answer)
    return Response(
        found.kind.rcode,
        found.authoritative,
        _chosen(exchange, found.answer) if is_ordered else found.answer,
        found.authority,
        found.glue,
        found.additional,
        found.source,
        is_ordered=is_ordered,
    )


def _chosen(exchange: Exchange, rrsets: tuple[RRset, ...]) -> tuple[RRset, ...]:
    """Leave in an answer what is chosen for this client at this turn; a signed RRset stays whole (RFC 4035 section 2.2)."""
    choices = exchange.view.choices
    signed = {(each.name, int.from_bytes(each.rdatas[0][:2], "big")) for each in rrsets if each.type == RRSIG}
    return tuple(
        RRset(
            each.name,
            each.type,
            each.ttl,
            chosen(choices[each.name], each, exchange.client.address, exchange.turn),
        )
        if is_chosen(choices, (each,)) and (each.name, each.type) not in signed
        else each
        for each in rrsets
    )


_VERSION_NAMES = tuple(from_text(text) for text in ("version.bind.", "version.server."))
_NODE_NAMES = tuple(from_text(text) for text in ("id.server.", "hostname.bind."))


def _chaos_text(view: View, name: Name) -> bytes:
    settings = view.settings
    if name in _VERSION_NAMES:
        return settings.version.encode()[:255]
    if name in _NODE_NAMES and settings.show_node:
        return view.node.encode()[:255]
    return b""
