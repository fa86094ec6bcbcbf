"""What crowds of bad clients do to good ones: nothing much."""

import asyncio
import resource
import time

import dns.asyncquery
import dns.message
import pytest

from node.dns.server import DnsSettings
from node.dns.stream import StreamSettings
from tests.dns.zones import query, zones
from tests.interop.ours import Ours

pytestmark = pytest.mark.real

ZONES = zones({"example.": "www A 192.0.2.1\n"})
CLIENTS = 10_000
OPEN_MAX = 400


def test_ten_thousand_half_open_clients_do_not_slow_others() -> None:
    """They connect, send half a frame and sit there; a good client is answered in time over UDP and TCP."""
    settings = DnsSettings(("127.0.0.1:0",), stream=StreamSettings(connections_max=OPEN_MAX))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 3 * OPEN_MAX:
        pytest.skip("too few file descriptors are allowed")

    async def crowd(port: int) -> float:
        half = b"\x00\x20" + query("www.example. A")[:10]
        sitting: list[asyncio.StreamWriter] = []
        slowest_s = 0.0
        for number in range(CLIENTS):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(half)
            sitting.append(writer)
            if len(sitting) > OPEN_MAX:
                sitting.pop(0).transport.abort()
            if number % 500 == 0:
                for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
                    started = time.monotonic()
                    answer = await ask(
                        dns.message.make_query("www.example.", "A"), "127.0.0.1", port=port, timeout=5
                    )
                    slowest_s = max(slowest_s, time.monotonic() - started)
                    assert answer.answer
        for writer in sitting:
            writer.transport.abort()
        return slowest_s

    with Ours(ZONES, settings) as ours:
        assert asyncio.run(crowd(ours.port)) < 1.0
        assert ours.server is not None
        counters = ours.server.counters
        assert CLIENTS <= counters.connections_opened
        assert counters.connections_opened - counters.connections_closed <= OPEN_MAX
        assert 0 == counters.failures
