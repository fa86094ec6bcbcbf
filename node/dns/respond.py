"""The path of one message: an ordered tuple of steps, of which the first that knows an answer gives it. Pure.

Whatever the octets are, ``respond`` returns what is to be sent, or that nothing is. It asks nothing but
its arguments: the caller counts, keeps time and owns the sockets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from node.dns import cookie as cookies
from node.dns import message
from node.dns.lookup import Kind, lookup
from node.dns.message import ExtendedError, Response
from node.dns.query import CHAOS, IN, QUERY, Edns, Query, parse
from node.zone.name import ROOT, Name, from_text
from node.zone.rrset import TXT, RRset
from node.zone.zone import Zone

Transport = Literal["udp", "tcp", "tls"]
NSID, KEEPALIVE = 3, 11
IXFR, AXFR = 251, 252
NOT_READY, PROHIBITED, NOT_AUTHORITATIVE, NOT_SUPPORTED, INVALID_DATA = 14, 18, 20, 21, 24
"""Info codes of extended errors (RFC 8914 section 4)."""
PADDING_BLOCK_OCTETS = 468


@dataclass(frozen=True, slots=True)
class RespondSettings:
    """How answers are made; sizes in octets."""

    udp_payload_octets: int = 1232
    """Longest answer over UDP, and what we say we can receive ourselves."""
    version: str = "quorumdns"
    """Answer to ``version.bind`` (RFC 4892 section 3.1); empty to refuse."""
    show_node: bool = True
    """Tell the node's name in ``id.server`` and NSID (RFC 4892, RFC 5001)."""
    cookie_secrets: tuple[bytes, ...] = ()
    """Of 16 octets, the same on all nodes; the first makes cookies, all are accepted. None: no cookies."""
    require_cookies: bool = False
    """Answer BADCOOKIE over UDP to clients that know cookies but bring none of ours (RFC 7873 section 5.2.3)."""


@dataclass(frozen=True, slots=True)
class View:
    """All that answers are made from, at one moment."""

    zones: Mapping[Name, Zone]
    ready: bool
    """The node has applied what it knew to be committed; before that it cannot say what does not exist."""
    node: str
    settings: RespondSettings = field(default_factory=RespondSettings)


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the IP address without port, and over what."""

    address: str
    transport: Transport
    idle_s: float = 0.0
    """How long its connection may be idle."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message to be sent back; ``rcode``, ``type`` and ``opcode`` are for counting."""

    packet: bytes
    rcode: int
    type: int | None = None
    opcode: int = QUERY
    source: Name = ROOT
    """What the answer comes from; with ``rcode`` it says which answers are alike."""
    is_trusted: bool = False
    """The client's address is not forged: a cookie of ours came with the query."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing is to be sent, for this reason."""

    reason: str


Outcome = Send | Drop


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the steps see; ``now_s`` is seconds since 1970 UTC, ``cookie`` the query's well-formed cookie option."""

    query: Query
    client: Client
    view: View
    now_s: int
    cookie: bytes | None
    is_trusted: bool


def respond(packet: bytes, client: Client, view: View, rotation: int = 0, now_s: int = 0) -> Outcome:
    """Answer one message.

    ``rotation`` says how far address RRsets are turned, ``now_s`` the time in seconds since 1970 UTC, for cookies.
    """
    query = parse(packet)
    if query is None:
        return Drop("short")
    if query.is_answer:
        return Drop("answer")
    exchange = _exchange(query, client, view, now_s)
    response = next(filter(None, (step(exchange) for step in STEPS)))
    type_ = query.question.type if query.question else None
    answer = _rendered(exchange, response, rotation)
    return Send(answer, response.rcode, type_, query.opcode, response.source, exchange.is_trusted)


def cut(packet: bytes, view: View) -> bytes:
    """Answer a query with nothing but its question and TC, so that an honest client turns to TCP."""
    query = parse(packet)
    assert query is not None
    return message.render(query, Response(message.NOERROR), 0, payload_octets=view.settings.udp_payload_octets)


def _exchange(query: Query, client: Client, view: View, now_s: int) -> Exchange:
    secrets = view.settings.cookie_secrets
    option = query.edns.option(cookies.COOKIE) if query.edns is not None and secrets else None
    if option is None or not cookies.is_well_formed(option):
        return Exchange(query, client, view, now_s, None, is_trusted=False)
    is_trusted = cookies.is_ours(option, client.address, secrets, now_s)
    return Exchange(query, client, view, now_s, option, is_trusted)


def _rendered(exchange: Exchange, response: Response, rotation: int) -> bytes:
    query, settings = exchange.query, exchange.view.settings
    limit = message.size_limit(
        query,
        is_datagram=exchange.client.transport == "udp",
        payload_octets_max=settings.udp_payload_octets,
    )
    options = _options(exchange, query.edns) if query.edns is not None and query.edns.options else ()
    return message.render(
        query,
        replace(response, options=options) if options else response,
        limit,
        payload_octets=settings.udp_payload_octets,
        rotation=rotation,
        padding_octets=_padding_octets(exchange),
    )


def _options(exchange: Exchange, edns: Edns) -> tuple[tuple[int, bytes], ...]:
    """Answer the options that ask for something: the node (RFC 5001), a cookie, the time to be idle (RFC 7828)."""
    options = []
    settings = exchange.view.settings
    if settings.show_node and edns.option(NSID) is not None:
        options.append((NSID, exchange.view.node.encode()[:255]))
    if exchange.cookie is not None:
        fresh = cookies.renewed(
            exchange.cookie, exchange.client.address, settings.cookie_secrets, exchange.now_s
        )
        options.append((cookies.COOKIE, fresh))
    if exchange.client.transport != "udp" and edns.option(KEEPALIVE) is not None:
        tenths = min(int(exchange.client.idle_s * 10), 65_535)
        options.append((KEEPALIVE, tenths.to_bytes(2, "big")))
    return tuple(options)


def _padding_octets(exchange: Exchange) -> int:
    """Hide the size of an answer where it is encrypted and padding was offered (RFC 8467 section 4.1)."""
    edns = exchange.query.edns
    offered = edns is not None and edns.option(message.PADDING) is not None
    return PADDING_BLOCK_OCTETS if offered and exchange.client.transport == "tls" else 0


# --- the steps ------------------------------------------------------------------------------------


def refuse_opcode(exchange: Exchange) -> Response | None:
    """Say that only queries are implemented (RFC 1035 section 4.1.1)."""
    return None if exchange.query.opcode == QUERY else Response(message.NOTIMP)


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
    if question is None or question.class_ != CHAOS:
        return None
    text = _chaos_text(exchange.view, question.name)
    if not text:
        return Response(message.REFUSED, class_=CHAOS)
    rdata = bytes((len(text),)) + text
    answer = (RRset(question.name, TXT, 0, (rdata,)),) if question.type in (TXT, 255) else ()
    return Response(message.NOERROR, answer=answer, class_=CHAOS)


def refuse_class(exchange: Exchange) -> Response | None:
    """Serve class IN alone; nobody can be authoritative for every class at once (RFC 1035 section 6.2)."""
    question = exchange.query.question
    if question is not None and question.class_ == IN:
        return None
    return Response(message.REFUSED, error=ExtendedError(NOT_SUPPORTED, "only class IN is served"))


def refuse_transfer(exchange: Exchange) -> Response | None:
    """Refuse zone transfers, which are not offered (RFC 5936 section 5)."""
    question = exchange.query.question
    if question is None or question.type not in (IXFR, AXFR):
        return None
    return Response(message.REFUSED, error=ExtendedError(PROHIBITED, "no transfer is allowed"))


def wait_until_ready(exchange: Exchange) -> Response | None:
    """Say nothing of the zones before they are known: an empty node would deny what exists."""
    if exchange.view.ready:
        return None
    return Response(message.SERVFAIL, error=ExtendedError(NOT_READY, "this node is still loading"))


def answer_from_zones(exchange: Exchange) -> Response:
    """Look the question up."""
    question = exchange.query.question
    assert question is not None
    found = lookup(exchange.view.zones, question.name, question.type, dnssec=exchange.query.dnssec_ok)
    if found.kind is Kind.OUTSIDE:
        return Response(message.REFUSED, error=ExtendedError(NOT_AUTHORITATIVE, ""))
    if found.kind is Kind.BROKEN:
        return Response(message.SERVFAIL, error=ExtendedError(INVALID_DATA, "the zone has no SOA"))
    return Response(
        found.kind.rcode,
        found.authoritative,
        found.answer,
        found.authority,
        found.glue,
        found.additional,
        found.source,
    )


Step = Callable[[Exchange], Response | None]

STEPS: tuple[Step, ...] = (
    refuse_opcode,
    refuse_malformed,
    refuse_version,
    check_cookie,
    answer_chaos,
    refuse_class,
    refuse_transfer,
    wait_until_ready,
    answer_from_zones,
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
