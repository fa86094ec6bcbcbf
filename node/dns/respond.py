"""The path of one message: an ordered tuple of steps, of which the first that knows an answer gives it. Pure.

Whatever the octets are, ``respond`` returns what is to be sent, or that nothing is. It asks nothing but
its arguments: the caller counts, keeps time, owns the sockets and reaches the log.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from node.dns import cookie as cookies
from node.dns import forward, maintenance, message, steps
from node.dns.exchange import (
    Client,
    Drop,
    Exchange,
    Forward,
    Outcome,
    Propose,
    RespondSettings,
    Send,
    Stream,
    Transport,
    View,
)
from node.dns.forward import Elsewhere
from node.dns.maintenance import Wish
from node.dns.message import Response
from node.dns.networks import is_in
from node.dns.query import UPDATE, Edns, Query, parse
from node.dns.tsig import Signer, Unsigned, verify
from node.dns.update import finished
from raft.proposal import Outcome as ProposalOutcome

__all__ = [
    "STEPS",
    "Client",
    "Drop",
    "Forward",
    "Outcome",
    "Propose",
    "RespondSettings",
    "Send",
    "Stream",
    "Transport",
    "View",
    "cut",
    "respond",
]

NSID, KEEPALIVE = 3, 11
PADDING_BLOCK_OCTETS = 468

Result = Response | Wish | Elsewhere | Iterator[bytes]
Step = Callable[[Exchange], Result | None]

STEPS: tuple[Step, ...] = (
    steps.refuse_opcode,
    steps.refuse_malformed,
    steps.refuse_version,
    steps.check_cookie,
    maintenance.check_signature,
    steps.answer_chaos,
    steps.refuse_class,
    steps.wait_until_ready,
    maintenance.update,
    maintenance.transfer,
    steps.answer_from_zones,
)


def respond(packet: bytes, client: Client, view: View, rotation: int = 0, now_s: int = 0) -> Outcome:
    """Answer one message.

    ``rotation`` says how far address RRsets are turned; ``now_s`` is the time in seconds since 1970 UTC, for cookies
    and signatures.
    """
    query = parse(packet)
    if query is None:
        return Drop("short")
    if query.is_answer:
        return Drop("answer")
    exchange = _exchange(packet, query, client, view, now_s, rotation)
    result = _first(exchange)
    if isinstance(result, Response):
        return _sent(exchange, result, rotation)
    if isinstance(result, Wish):
        return _proposal(exchange, result)
    if isinstance(result, Elsewhere):
        return _forwarded(exchange)
    assert query.question is not None
    return Stream(_signed_stream(exchange, result), query.question.type)


def _first(exchange: Exchange) -> Result:
    for step in STEPS:
        result = step(exchange)
        if result is not None:
            return result
    raise AssertionError("the last step always answers")


def cut(packet: bytes, view: View) -> bytes:
    """Answer a query with nothing but its question and TC, so that an honest client turns to TCP."""
    query = parse(packet)
    assert query is not None
    return message.render(query, Response(message.NOERROR), 0, payload_octets=view.settings.udp_payload_octets)


def _exchange(packet: bytes, query: Query, client: Client, view: View, now_s: int, turn: int) -> Exchange:
    exchange = Exchange(packet, query, client, view, now_s, turn=turn)
    secrets = view.settings.cookie_secrets
    option = query.edns.option(cookies.COOKIE) if query.edns is not None and secrets else None
    if option is not None and cookies.is_well_formed(option):
        is_trusted = cookies.is_ours(option, client.address, secrets, now_s)
        exchange = replace(exchange, cookie=option, is_trusted=is_trusted)
    if query.tsig_start is not None and query.fault is None:
        try:
            signature = verify(packet, query.tsig_start, view.settings.keys, now_s)
        except Unsigned:
            return replace(exchange, query=replace(query, fault="the TSIG record cannot be read"))
        return replace(exchange, signature=signature)
    return exchange


def _proposal(exchange: Exchange, wish: Wish) -> Propose:
    def finish(outcome: ProposalOutcome, view: View, now_s: int) -> Send:
        later = replace(exchange, view=view, now_s=now_s)
        return _sent(later, finished(wish.asked, outcome, view.log_zones), 0)

    return Propose(wish.asked.command, wish.actor, finish)


def _forwarded(exchange: Exchange) -> Forward:
    query, settings = exchange.query, exchange.view.settings
    limit = _limit(exchange)

    def finish(answer: bytes | None) -> Send:
        if answer is None:
            return _sent(exchange, forward.unanswered(), 0)
        options = _options(exchange, query.edns) if query.edns is not None else ()
        packet = forward.relayed(query, answer, options, limit, settings.udp_payload_octets)
        assert query.question is not None
        return Send(packet, answer[3] & 15, query.question.type, is_trusted=exchange.is_trusted)

    is_stream = exchange.client.transport != "udp"
    return Forward(forward.asked(query, limit), is_stream, finish)


def _signed_stream(exchange: Exchange, messages: Iterator[bytes]) -> Iterator[bytes]:
    """Sign each message of a transfer in its turn (RFC 8945 section 5.3.1)."""
    if exchange.signature is None:
        return messages
    signer = Signer(exchange.signature)
    return (signer.sign(each, exchange.now_s) for each in messages)


def _sent(exchange: Exchange, response: Response, rotation: int) -> Send:
    query = exchange.query
    signer = None if exchange.signature is None else Signer(exchange.signature)
    answer = _rendered(exchange, response, rotation, 0 if signer is None else signer.octets)
    if signer is not None:
        answer = signer.sign(answer, exchange.now_s)
    type_ = query.question.type if query.question else None
    note = response.error.text if response.error is not None and _is_worth_a_line(exchange) else ""
    return Send(answer, response.rcode, type_, query.opcode, response.source, exchange.is_trusted, note)


def _is_worth_a_line(exchange: Exchange) -> bool:
    """Say whether a refusal is told in the log: of updates, of transfers, and of all that is signed."""
    question = exchange.query.question
    wants_zone = question is not None and question.type in (maintenance.AXFR, maintenance.IXFR)
    return exchange.query.opcode == UPDATE or wants_zone or exchange.signature is not None


def _rendered(exchange: Exchange, response: Response, rotation: int, reserved_octets: int) -> bytes:
    query, settings = exchange.query, exchange.view.settings
    if settings.forward_for and is_in(exchange.client.address, settings.forward_for):
        response = replace(response, recursion_available=True)
    options = _options(exchange, query.edns) if query.edns is not None and query.edns.options else ()
    return message.render(
        query,
        replace(response, options=options) if options else response,
        _limit(exchange) - reserved_octets,
        payload_octets=settings.udp_payload_octets,
        rotation=0 if response.is_ordered else rotation,
        padding_octets=_padding_octets(exchange),
    )


def _limit(exchange: Exchange) -> int:
    return message.size_limit(
        exchange.query,
        is_datagram=exchange.client.transport == "udp",
        payload_octets_max=exchange.view.settings.udp_payload_octets,
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
