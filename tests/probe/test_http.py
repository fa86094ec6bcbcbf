"""HTTP probes tell a working endpoint from every way of failing, in time and in one sentence."""

import asyncio
import os
import time

import pytest

from node.health.service import Check
from node.probe.checks import run
from node.probe.http import build_request
from node.zone.name import from_text
from tests.ports import free_port
from tests.probe import gallery
from tests.probe.gallery import descriptors, drips, eventually, listening, pours, says, says_and_stays

FQDN = from_text("www.example.test")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\n"


def probe(rogue, timeout_s=0.4, address="127.0.0.1", **options):
    """Probe the rogue once; return the result and the time it took."""

    async def play():
        async with listening(rogue, address) as server:
            started = time.monotonic()
            result = await run(Check("http", server.port, **options), FQDN, address, timeout_s)
            return result, time.monotonic() - started

    return asyncio.run(play())


GOOD = {
    "200": (says(OK), {}, "HTTP 200"),
    "a status without a reason": (says(b"HTTP/1.1 204\r\n\r\n"), {}, "HTTP 204"),
    "HTTP/1.0 that ends by closing": (
        says(b"HTTP/1.0 200 OK\r\n\r\nfine"),
        {"expect_body": "fine"},
        "HTTP 200",
    ),
    "bare line feeds": (says(b"HTTP/1.1 200 OK\nA: b\n\nx"), {}, "HTTP 200"),
    "103 and then 200": (says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK), {}, "HTTP 200"),
    "100, 102 and then 200, apart": (
        says(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 P\r\n\r\n", OK, pause_s=0.01),
        {},
        "HTTP 200",
    ),
    "a redirect is an answer and is not followed": (
        says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"),
        {},
        "HTTP 302",
    ),
    "a huge body that nobody asked about": (pours(HEAD + b"\r\n", b"x" * 65536), {}, "HTTP 200"),
    "a body held back that nobody asked about": (
        says_and_stays(HEAD + b"Content-Length: 9\r\n\r\n"),
        {},
        "HTTP 200",
    ),
    "text in a body with a length, connection left open": (
        says_and_stays(HEAD + b'Content-Length: 15\r\n\r\n{"status":"ok"}'),
        {"expect_body": '"status": ?"ok"'},
        "HTTP 200",
    ),
    "text in chunks, one of them split in the middle": (
        says(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nhea",
            b"\r\n4\r\nlt",
            b"hy\r\n0\r\n\r\n",
            pause_s=0.01,
        ),
        {"expect_body": "^healthy$"},
        "HTTP 200",
    ),
    "text at the start of an endless body": (
        pours(HEAD + b"\r\nready", b"x" * 4096),
        {"expect_body": "^ready"},
        "HTTP 200",
    ),
    "a HEAD answer has no body": (
        says_and_stays(HEAD + b"Content-Length: 9\r\n\r\n"),
        {"method": "HEAD"},
        "HTTP 200",
    ),
    "503 where it is expected": (
        says(b"HTTP/1.1 503 Busy\r\n\r\n"),
        {"expect_status": ((200, 299), (503, 503))},
        "HTTP 503",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_endpoints_are_up(name):
    """An endpoint that answers as expected is up, whatever is odd about its answer."""
    rogue, options, evidence = GOOD[name]
    result, _ = probe(rogue, 2.0, **options)
    assert (True, evidence, True) == (result.up, result.evidence, result.answered)


BAD = {
    "503": (says(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), {}, "HTTP 503"),
    "a status below the range": (says(OK), {"expect_status": ((204, 204),)}, "HTTP 200"),
    "101 is final": (says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), {}, "HTTP 101"),
    "only 103": (says_and_stays(b"HTTP/1.1 103 Hints\r\n\r\n"), {}, "no complete answer within 400 ms"),
    "103 without end": (
        pours(b"", b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n"),
        {},
        "header is longer than 16 KiB",
    ),
    "never answers": (gallery.never_answers, {}, "no answer within 400 ms"),
    "resets after the request": (gallery.resets_after_request, {}, "connection reset"),
    "closes after the request": (says(), {}, "connection closed unanswered"),
    "closes within the header": (says(b"HTTP/1.1 200 OK\r\nA: b"), {}, "answer ended within its header"),
    "drips its header": (
        drips(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100),
        {},
        "no complete answer within 400 ms",
    ),
    "drips garbage": (drips(b"x" * 1000, 0.01), {}, "not an HTTP answer"),
    "a header without end": (pours(HEAD, b"A: " + b"x" * 512 + b"\r\n"), {}, "header is longer than 16 KiB"),
    "a header line without end": (pours(HEAD + b"A: ", b"x" * 4096), {}, "header is longer than 16 KiB"),
    "an SSH banner": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), {}, "not an HTTP answer"),
    "garbage": (says(bytes(range(256))), {}, "not an HTTP answer"),
    "HTTP/2": (says(b"HTTP/2 200\r\n\r\n"), {}, "not an HTTP/1 answer"),
    "a status of two digits": (says(b"HTTP/1.1 20 OK\r\n\r\n"), {}, "not an HTTP/1 answer"),
    "another body": (says(OK), {"expect_body": "^healthy$"}, "body does not match"),
    "a body cut short": (
        says(HEAD + b"Content-Length: 100\r\n\r\nhealthy"),
        {"expect_body": "healthy"},
        "answer ended within its body",
    ),
    "a body held back": (
        says_and_stays(HEAD + b"Content-Length: 100\r\n\r\nhealthy"),
        {"expect_body": "healthy"},
        "no complete answer within 400 ms",
    ),
    "a body dripped": (
        drips(HEAD + b"\r\n" + b"x" * 1000, 0.01),
        {"expect_body": "x"},
        "no complete answer within 400 ms",
    ),
    "a huge body without the text": (
        pours(HEAD + b"\r\n", b"x" * 65536),
        {"expect_body": "y"},
        "body does not match",
    ),
    "the text after the first 64 KiB": (
        says(HEAD + b"\r\n" + b"x" * 65536 + b"healthy"),
        {"expect_body": "healthy"},
        "body does not match",
    ),
    "a bad chunk": (
        says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhealthy"),
        {"expect_body": "healthy"},
        "body has a bad chunk",
    ),
    "a chunk without its end": (
        says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n7\r\nhealthyXX0\r\n\r\n"),
        {"expect_body": "healthy"},
        "body has a bad chunk",
    ),
    "a chunk size without end": (
        pours(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1" * 512),
        {"expect_body": "healthy"},
        "body has a bad chunk",
    ),
    "chunks cut short": (
        says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n7\r\nhealthy\r\n"),
        {"expect_body": "healthy"},
        "answer ended within its body",
    ),
    "two lengths": (
        says(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
        {"expect_body": "ok"},
        "answer has two different content lengths",
    ),
    "a negative length": (
        says(HEAD + b"Content-Length: -1\r\n\r\nok"),
        {"expect_body": "ok"},
        "answer has a bad content length",
    ),
    "an unwanted gzip bomb": (
        says(HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b"),
        {"expect_body": "ok"},
        "body came as gzip though plain text was asked for",
    ),
    "an unknown transfer encoding": (
        says(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
        {"expect_body": "ok"},
        "body has an unknown transfer encoding",
    ),
    "a body that makes the pattern backtrack": (
        says(HEAD + b"\r\n" + b"a" * 5000 + b"!"),
        {"expect_body": "(a+)+$"},
        "expect_body takes more than 250 ms on this body",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_endpoints_are_down_in_time(name):
    """An endpoint that fails is down within the deadline, with a sentence that says how."""
    rogue, options, evidence = BAD[name]
    result, took_s = probe(rogue, 0.8 if "takes more" in evidence else 0.4, **options)
    assert (False, evidence, True) == (result.up, result.evidence, result.answered)
    assert took_s < 1.2
    assert result.latency_ms <= 1200


@pytest.mark.parametrize("rogue", [gallery.resets_at_once, gallery.closes_at_once])
def test_a_connection_ended_at_once_is_down(rogue):
    """A peer that ends the fresh connection is down; whether with FIN or RST depends on what it had read."""
    result, _ = probe(rogue)
    assert (False, True) == (result.up, result.answered)
    assert result.evidence in {"connection reset", "connection closed unanswered"}


def test_refused_is_an_answer():
    """A refusal shows that the network is alive."""
    result = asyncio.run(run(Check("http", free_port()), FQDN, "127.0.0.1", 1.0))
    assert (False, "connection refused", True) == (result.up, result.evidence, result.answered)


def test_a_peer_that_does_not_accept_is_silent():
    """A connection that is not made in time fails at the deadline and says nothing of the network."""
    with gallery.full_backlog() as port:
        result = asyncio.run(run(Check("http", port), FQDN, "127.0.0.1", 0.3))
    assert (False, "no connection within 300 ms", False) == (result.up, result.evidence, result.answered)
    assert 290 <= result.latency_ms < 600


def test_ipv6():
    """An IPv6 endpoint is probed over IPv6."""
    result, _ = probe(says(OK), address="::1")
    assert (True, "HTTP 200") == (result.up, result.evidence)


def test_the_request():
    """The Host header is the service's name, no proxy variable matters, and the connection is not kept."""
    heard = []

    async def rogue(reader, writer):
        heard.append(await gallery.read_head(reader))
        writer.write(OK)

    os.environ["HTTP_PROXY"] = os.environ["http_proxy"] = "http://127.0.0.1:1"
    try:
        result, _ = probe(rogue, path="/health?a=b c", headers=(("X-Probe", "qdns"), ("user-agent", "me")))
    finally:
        del os.environ["HTTP_PROXY"], os.environ["http_proxy"]
    assert result.up
    expected = [
        b"GET /health?a=b%20c HTTP/1.1",
        b"Host: www.example.test",
        b"Accept: */*",
        b"Accept-Encoding: identity",
        b"X-Probe: qdns",
        b"user-agent: me",
        b"Connection: close",
        b"",
        b"",
    ]
    assert expected == heard[0].split(b"\r\n")


def test_host_of_the_check_wins():
    """``host`` replaces the service's name in the Host header."""
    assert b"\r\nHost: other.test\r\n" in build_request(Check("http", 80, host="other.test"), "other.test")


def test_every_connection_is_closed():
    """After a probe neither side holds a connection or descriptor, however it ended."""

    async def play():
        before = descriptors()
        async with listening(gallery.never_answers) as silent, listening(says(OK)) as good:
            for port in (silent.port, good.port, silent.port):
                await run(Check("http", port), FQDN, "127.0.0.1", 0.05)
            task = asyncio.create_task(run(Check("http", silent.port), FQDN, "127.0.0.1", 5))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await eventually(lambda: good.open == 0 and silent.open == 0)
            return before

    before = asyncio.run(play())
    assert descriptors() <= before
