"""A large zone goes out while questions are answered: nobody waits for it, and it costs no second copy."""

import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from node.dns.respond import RespondSettings, View
from node.zone.name import Name, from_text
from node.zone.rrset import NS, SOA, RRset, make
from node.zone.rrset import A as ADDRESS
from node.zone.zone import Zone, new_zone
from tests.dns.zones import query
from tests.interop.ours import Ours

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("kdig") is None, reason="kdig is not installed"),
]

RECORDS = 100_000
SLOW_S = 0.25
"""Far more than an answer takes between two messages of a transfer, far less than a transfer."""
GIVEN_UP_S = 120
GROWN_OCTETS_MAX = 64 * 2**20


def large_zone(records: int) -> dict[Name, Zone]:
    """Build a zone with so many addresses."""
    apex = from_text("large.example")
    server = from_text("ns.large.example")
    soa = make(apex, SOA, 300, [server + server + bytes(16) + b"\x00\x00\x00\x3c"])

    def rrsets() -> Iterator[RRset]:
        yield soa
        yield make(apex, NS, 300, [server])
        for number in range(records):
            yield make(from_text(f"host-{number}.large.example"), ADDRESS, 300, [number.to_bytes(4, "big")])

    return {apex: new_zone(apex, rrsets(), 1)}


def ask(port: int) -> float:
    """Return how long one answer takes."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(("127.0.0.1", port))
        started = time.monotonic()
        client.send(query("host-7.large.example. A"))
        assert client.recv(512)[7] == 1
        return time.monotonic() - started


def transfer(records: int) -> tuple[float, list[float], int]:
    """Transfer a zone of so many records; return its seconds, those of answers meanwhile, and octets it took."""
    shown = View(large_zone(records), ready=True, node="ns1", settings=RespondSettings())
    with Ours(lambda: shown) as ours:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        words = ["kdig", "@127.0.0.1", "-p", str(ours.port), "+noall", "large.example", "AXFR"]
        started = time.monotonic()
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
            waits = [ask(ours.port)]
            while client.poll() is None and time.monotonic() - started < GIVEN_UP_S:
                waits.append(ask(ours.port))
            client.kill()
        seconds = time.monotonic() - started
        assert 0 == client.returncode
        assert ours.server is not None
        assert 1 == ours.server.counters.queries["tcp", "AXFR"]
    return seconds, waits, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def test_answers_do_not_wait_for_a_transfer() -> None:
    """The zone goes out message by message, as the client takes it, and questions are answered in between."""
    seconds, waits, grown = transfer(RECORDS)
    assert len(waits) > 100
    slow = [wait for wait in waits if wait > SLOW_S]
    assert len(slow) <= len(waits) // 100, f"{len(slow)} of {len(waits)} answers were slow in {seconds:.1f} s"
    assert grown < GROWN_OCTETS_MAX
