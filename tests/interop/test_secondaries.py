"""BIND, Knot and NSD as secondaries of ours: they follow by NOTIFY and IXFR, and end with the same zone."""

import asyncio
import base64
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import dns.tsig
import dns.zone
import pytest

from node.dns.grants import Access
from node.dns.notify import Notifier, NotifySettings
from node.state.command import ChangeZone, DeleteRRset, PutRRset
from node.zone.name import from_text
from node.zone.rrset import TXT, A, make
from tests.dns.log import KEYS, ZONE, Log
from tests.dns.test_transfer import ours as records_of
from tests.interop.ours import Ours
from tests.interop.references import PROGRAMS, Primary, Reference, missing_programs

pytestmark = pytest.mark.real

CHANGES = 1000
CATCH_UP_S = 90.0
KEY = KEYS[from_text("xfr")]


@pytest.fixture(name="world", params=sorted(PROGRAMS))
def _world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Log, Ours, Reference]]:
    program = request.param
    if missing_programs(program):
        pytest.skip(f"not installed: {program}")
    access = Access(transfer_keys=frozenset({KEY.name}), transfer_networks=())
    hosts = [
        make(from_text(f"host{number}.example"), A, 60, [number.to_bytes(4, "big")]) for number in range(500)
    ]
    log = Log(*hosts, access=access)
    with Ours(log.view) as ours:
        primary = Primary(ours.port, "xfr", base64.b64encode(KEY.secret).decode())
        with Reference(program, tmp_path, {"example": tmp_path / "example.zone"}, primary) as secondary:
            yield log, ours, secondary


def serial_at(port: int) -> int:
    """Return the serial that a server answers."""
    answer = dns.query.udp(dns.message.make_query("example.", "SOA"), "127.0.0.1", port=port, timeout=5)
    return int(answer.answer[0][0].serial)


def wait_for(port: int, serial: int) -> None:
    """Wait until a secondary has a serial; NSD, told of a serial that is old by then, waits for the reminder."""
    deadline = time.monotonic() + CATCH_UP_S
    pause = asyncio.new_event_loop()
    while serial_at(port) != serial:
        assert time.monotonic() < deadline, f"serial {serial_at(port)} instead of {serial}"
        pause.run_until_complete(asyncio.sleep(0.05))
    pause.close()


def test_a_secondary_follows_every_change(world: tuple[Log, Ours, Reference]) -> None:
    """After many changes it holds what we hold, and got it as differences (RFC 1995, RFC 1996)."""
    log, ours, secondary = world
    assert ours.server is not None
    wait_for(secondary.port, log.state.zones[ZONE].serial)
    whole = ours.server.counters.queries["tcp", "AXFR"]
    settings = NotifySettings(also=(f"127.0.0.1:{secondary.port}",), first_wait_s=0.5, reminder_s=5)
    notifier = Notifier(settings, lambda: log.state.zones, lambda: True)

    def change(number: int) -> None:
        name = from_text(f"host{number % 50}.example")
        changes = (
            PutRRset(make(name, A, 60, [number.to_bytes(4, "big"), b"\x7f\x00\x00\x01"])),
            PutRRset(make(from_text(f"t{number}.sub.example"), TXT, 5, [b"\x01x"])),
            DeleteRRset(from_text(f"t{number - 5}.sub.example"), TXT),
        )
        log.apply(ChangeZone(ZONE, changes))
        notifier.zones_changed([ZONE])

    for number in range(CHANGES):
        ours.call(lambda number=number: change(number))  # type: ignore[misc]
    wait_for(secondary.port, log.state.zones[ZONE].serial)
    assert "" == different(secondary.port, records_of(log.state.zones[ZONE]))
    counts = ours.server.counters.queries
    assert counts["tcp", "IXFR"] + counts["udp", "IXFR"] > 0
    # NSD takes a newer serial than the notified one for a failure, and then wants the whole zone.
    assert secondary.program == "nsd" or whole == counts["tcp", "AXFR"]
    asyncio.run_coroutine_threadsafe(notifier.stop(), ours.loop).result(10)


def different(port: int, expected: set[tuple[str, str, int, str]]) -> str:
    """Compare what a secondary answers with what it should hold; return what differs."""
    names = {(name, type_) for name, type_, _, _ in expected}
    for name, type_ in sorted(names):
        answer = dns.query.tcp(dns.message.make_query(name, type_), "127.0.0.1", port=port, timeout=5)
        found = {
            (name, type_, rrset.ttl, rdata.to_text())
            for rrset in answer.answer
            if dns.rdatatype.to_text(rrset.rdtype) == type_
            for rdata in rrset
        }
        wanted = {each for each in expected if each[:2] == (name, type_)}
        if found != wanted:
            return f"{name} {type_}: {found} instead of {wanted}"
    return ""
