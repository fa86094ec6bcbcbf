"""gRPC probes call the health protocol over HTTP/2 and judge the serving status."""

import asyncio
import ssl

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from node.health.service import Check
from node.probe.checks import run
from node.probe.grpc import GrpcReader, build_call
from node.probe.result import Failed
from node.zone.name import from_text
from tests.probe import gallery
from tests.probe.gallery import listening, says

FQDN = from_text("www.example.test")
SETTINGS = bytes.fromhex("000000040000000000")
SETTINGS_ACK = bytes.fromhex("000000040100000000")
PING = bytes.fromhex("000008060000000000") + b"abcdefgh"
HEADERS = bytes.fromhex("000001010400000001") + b"\x88"
TRAILERS_ONLY = bytes.fromhex("000001010500000001") + b"\x88"


def frame(kind, flags, payload, stream=1):
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def message(status):
    body = bytes((8, status)) if status else b""
    return b"\0" + len(body).to_bytes(4) + body


def answer(status):
    return SETTINGS + SETTINGS_ACK + HEADERS + frame(0, 0, message(status))


def serves(*pieces, pause_s=0.01):
    """Read the whole call, then say the pieces."""

    async def rogue(reader, writer):
        assert await reader.readexactly(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        while True:
            head = await reader.readexactly(9)
            await reader.readexactly(int.from_bytes(head[:3]))
            if head[3] == 0:
                break
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        await reader.read()

    return rogue


def probe(rogue, timeout_s=0.4, **options):
    async def play():
        async with listening(rogue) as server:
            return await run(Check("grpc", server.port, **options), FQDN, "127.0.0.1", timeout_s)

    return asyncio.run(play())


CASES = {
    "serving": (serves(answer(1)), True, "SERVING"),
    "serving, octet by octet": (serves(*(bytes((each,)) for each in answer(1)), pause_s=0), True, "SERVING"),
    "serving, message in two frames": (
        serves(SETTINGS, HEADERS, frame(0, 0, message(1)[:3]), frame(0, 0, message(1)[3:])),
        True,
        "SERVING",
    ),
    "serving, padded": (
        serves(SETTINGS + HEADERS + frame(0, 8, b"\x02" + message(1) + b"\0\0")),
        True,
        "SERVING",
    ),
    "serving, after unknown frames": (
        serves(SETTINGS + frame(99, 0, b"x") + PING + answer(1)),
        True,
        "SERVING",
    ),
    "not serving": (serves(answer(2)), False, "NOT_SERVING"),
    "unknown": (serves(answer(0)), False, "UNKNOWN"),
    "unknown service": (serves(answer(3)), False, "SERVICE_UNKNOWN"),
    "a status of the future": (serves(answer(77)), False, "status 77"),
    "no health service": (serves(SETTINGS + TRAILERS_ONLY), False, "no answer from a health service"),
    "reset": (serves(SETTINGS + frame(3, 0, (7).to_bytes(4))), False, "call reset (HTTP/2 error 7)"),
    "goes away": (
        serves(SETTINGS + frame(7, 0, bytes(4) + (11).to_bytes(4), 0)),
        False,
        "server goes away (HTTP/2 error 11)",
    ),
    "compressed": (serves(SETTINGS + HEADERS + frame(0, 0, b"\1\0\0\0\1x")), False, "answer cannot be read"),
    "too long a message": (
        serves(SETTINGS + HEADERS + frame(0, 0, b"\0\xff\xff\xff\xff")),
        False,
        "answer cannot be read",
    ),
    "too long a frame": (serves(SETTINGS + b"\xff\xff\xff\0\0\0\0\0\1"), False, "not an HTTP/2 answer"),
    "without settings": (serves(HEADERS), False, "not an HTTP/2 answer"),
    "HTTP/1.1": (serves(b"HTTP/1.1 400 Bad Request\r\n\r\n"), False, "not an HTTP/2 answer"),
    "frames without end": (
        serves(SETTINGS + frame(99, 0, b"x" * 16_000) * 5),
        False,
        "answer is longer than 64 KiB",
    ),
    "settings and silence": (serves(SETTINGS), False, "no answer within 400 ms"),
    "silence": (gallery.never_answers, False, "no answer within 400 ms"),
}


@pytest.mark.parametrize("name", CASES)
def test_grpc(name):
    """Only SERVING is up; everything else is down in time, with a sentence."""
    rogue, up, evidence = CASES[name]
    result = probe(rogue)
    assert (up, evidence, True) == (result.up, result.evidence, result.answered)


def test_the_call():
    """The octets of a call: preface, settings, a header without compression (RFC 7541), the request message."""
    call = build_call("shop.Cart", "www.example.test", is_secure=False)
    header = bytes.fromhex("8386") + b"\x04\x1c/grpc.health.v1.Health/Check" + b"\x01\x10www.example.test"
    header += b"\x0f\x10\x10application/grpc" + b"\x00\x02te\x08trailers"
    expected = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS
    expected += frame(1, 4, header) + frame(0, 1, b"\0\0\0\0\x0b\x0a\x09shop.Cart")
    assert expected == call
    assert bytes.fromhex("8387") in build_call("", "a", is_secure=True)
    long = build_call("x" * 300, "h" * 130, is_secure=False)
    assert b"\x01\x7f\x03" + b"h" * 130 in long
    assert b"\x0a\xac\x02" + b"x" * 300 in long


def test_settings_and_pings_are_acknowledged():
    """HTTP/2 wants both to be answered (RFC 9113 sections 6.5.3 and 6.7); acknowledgements are not."""
    reader = GrpcReader()
    assert reader.feed(SETTINGS + PING + SETTINGS_ACK) is None
    assert SETTINGS_ACK + bytes.fromhex("000008060100000000") + b"abcdefgh" == bytes(reader.replies)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_garbage_never_raises_anything_else(pieces):
    """Whatever the octets, the reader returns or raises ``Failed``."""
    reader = GrpcReader()
    try:
        for piece in [SETTINGS, *pieces]:
            reader.feed(piece)
    except Failed:
        pass


def test_over_tls():
    """Over TLS the server hears that HTTP/2 is meant (RFC 7301), and its certificate is verified."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("www.example.test").configure_cert(context)
    context.set_alpn_protocols(["http/1.1", "h2"])
    agreed = []

    async def rogue(reader, writer):
        agreed.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await serves(answer(1))(reader, writer)

    async def play(verify):
        async with listening(rogue, tls=context) as server:
            check = Check("grpc", server.port, tls=True, verify=verify)
            return await run(check, FQDN, "127.0.0.1", 2)

    assert asyncio.run(play(False)).up
    assert "certificate is not from a trusted issuer" == asyncio.run(play(True)).evidence
    assert ["h2"] == agreed


def test_plain_to_an_http_server():
    """An HTTP/1 server's answer is told from HTTP/2."""
    result = probe(says(b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n"))
    assert (False, "not an HTTP/2 answer") == (result.up, result.evidence)
