"""TCP probes: a connection is enough, or a conversation when one is asked for."""

import asyncio
import errno
import os

import pytest

from node.health.service import Check
from node.probe.checks import run
from node.probe.result import Progress
from node.probe.stream import failure_of
from node.zone.name import from_text
from tests.ports import free_port
from tests.probe import gallery
from tests.probe.gallery import echoes, listening

FQDN = from_text("db.example.test")


def probe(rogue, timeout_s=0.4, address="127.0.0.1", **options):
    async def play():
        async with listening(rogue, address) as server:
            return await run(Check("tcp", server.port, **options), FQDN, address, timeout_s)

    return asyncio.run(play())


async def splits(reader, writer):
    writer.write(b"+PO")
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(b"NG\r\n")
    await reader.read()


async def floods(reader, writer):
    while True:
        writer.write(b"x" * 4096)
        await writer.drain()
        await asyncio.sleep(0)


async def says_half(reader, writer):
    writer.write(b"+PO")
    await writer.drain()
    writer.write_eof()
    await reader.read()


REDIS = echoes(replies={b"PING\r\n": b"+PONG\r\n"})
CASES = {
    "a connection": (gallery.never_answers, {}, True, "connected"),
    "a banner": (echoes(b"220 mail ESMTP\r\n"), {"expect": "220 "}, True, "expected text received"),
    "a question": (REDIS, {"send": "PING\r\n", "expect": "+PONG"}, True, "expected text received"),
    "an answer in two pieces": (splits, {"expect": "PONG"}, True, "expected text received"),
    "another answer": (
        REDIS,
        {"send": "QUIT\r\n", "expect": "+PONG"},
        False,
        "expected text not received within 400 ms",
    ),
    "silence": (gallery.never_answers, {"expect": "220 "}, False, "no answer within 400 ms"),
    "half an answer": (says_half, {"expect": "PONG"}, False, "connection closed before the expected text"),
    "a closed door": (gallery.closes_at_once, {"expect": "220 "}, False, "connection closed unanswered"),
    "a flood": (floods, {"expect": "PONG"}, False, "expected text not in the first 64 KiB"),
}


@pytest.mark.parametrize("name", CASES)
def test_tcp(name):
    """The endpoint is up exactly when it says what is expected in time."""
    rogue, options, up, evidence = CASES[name]
    result = probe(rogue, **options)
    assert (up, evidence, True) == (result.up, result.evidence, result.answered)


def test_ipv6():
    """An IPv6 endpoint is reached over IPv6."""
    assert probe(echoes(), address="::1").up


def test_refused():
    """Nobody listening is a refusal, on both families."""
    for address in ("127.0.0.1", "::1"):
        port = free_port()
        result = asyncio.run(run(Check("tcp", port), FQDN, address, 1))
        assert (False, "connection refused", True) == (result.up, result.evidence, result.answered)


@pytest.mark.parametrize(
    ("number", "evidence", "answered", "tried"),
    [
        (errno.ECONNREFUSED, "connection refused", True, True),
        (errno.ECONNRESET, "connection reset", True, True),
        (errno.ENETUNREACH, "network unreachable", False, True),
        (errno.EHOSTUNREACH, "host unreachable", False, True),
        (errno.ETIMEDOUT, "connection timed out", False, True),
        (errno.EMFILE, "this node has no file descriptor left", False, False),
        (errno.EPERM, "connecting is not permitted on this node", False, False),
        (errno.EINVAL, "cannot connect: Invalid argument", False, True),
    ],
)
def test_errors_of_the_operating_system(number, evidence, answered, tried):
    """Every error has a sentence; the endpoint's own deeds show a live network, this node's faults nothing."""
    failure = failure_of(OSError(number, os.strerror(number)), Progress())
    assert (evidence, answered, tried) == (str(failure), failure.answered, failure.tried)
