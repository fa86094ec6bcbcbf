"""StatsD: the seed's eight names, from the counters of /metrics, over UDP that never waits."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest
import structlog.testing

from node.state.state import Event
from node.statsd import PACKET_OCTETS_MAX, PERIOD_S, TIMES_MAX, Statsd, StatsdSettings, packed
from node.tally import Tally
from node.zone.name import from_text
from tests.cluster.servers import wait_until
from tests.config.helpers import LONE, accepted, faults_of
from tests.process import Process

WWW = from_text("www.example.org")
DOWN = Event(1, 0, 0, "verdict.changed", "", "", data={"after": "down"})
VOTE = Event(1, 0, 0, "vote.cast", "", "", data={"node": "ns2"})


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        yield server


def settings(server: socket.socket, **fields: str) -> StatsdSettings:
    return StatsdSettings("127.0.0.1", server.getsockname()[1], **fields)  # type: ignore[arg-type]


def sent(server: socket.socket, statsd: Statsd) -> list[str]:
    """Return the lines of one flush."""
    asyncio.run(statsd._resolve())
    statsd.flush()
    lines: list[str] = []
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            lines += server.recv(65_536).decode().split("\n")
    return lines


def test_all_eight_names() -> None:
    """What was counted since the last time, and nothing when nothing was but the load."""
    with listening() as server:
        tally = Tally("ns1")
        statsd = Statsd(settings(server), tally, lambda: 0.25, lambda: True)
        tally.probe_ended(WWW, True, 0.0125)
        tally.probe_ended(WWW, False, 1.0)
        tally.committed([DOWN, VOTE])
        assert [
            "probe.failure.cnt:1|c",
            "probe.success.cnt:1|c",
            "fetch.cnt:2|c",
            "probe_time_msec:12.500|ms",
            "probe.duration:12.500|ms",
            "probe_time_msec:1000.000|ms",
            "probe.duration:1000.000|ms",
            "status_change.cnt:1|c",
            "received_update.cnt:1|c",
            "probe.load_factor:0.250|g",
        ] == sent(server, statsd)
        assert ["probe.load_factor:0.250|g"] == sent(server, statsd)
        statsd.close()


def test_prefix_tags_and_a_follower() -> None:
    """Services are tags of Datadog's kind; a node that does not lead tells of no transition, then or later."""
    with listening() as server:
        tally, leads = Tally("ns1"), [False]
        statsd = Statsd(settings(server, prefix="rrdnsd", tags="datadog"), tally, lambda: 0.0, lambda: leads[0])
        tally.committed([DOWN])
        tally.probe_ended(WWW, True, 0.001)
        lines = sent(server, statsd)
        assert "rrdnsd.probe.success.cnt:1|c|#service:www.example.org" in lines
        assert "rrdnsd.probe_time_msec:1.000|ms|#service:www.example.org" in lines
        assert not any("status_change" in line for line in lines)
        leads[0] = True
        assert ["rrdnsd.probe.load_factor:0.000|g"] == sent(server, statsd)
        statsd.close()


def test_many_probes_are_a_sample_in_packets_of_a_frame() -> None:
    """Counters stay exact, timers say their rate, no packet is longer than a frame carries."""
    tally = Tally("ns1")
    statsd = Statsd(StatsdSettings("127.0.0.1", 1), tally, lambda: 0.0, lambda: True)
    for _ in range(4 * TIMES_MAX):
        tally.probe_ended(WWW, True, 0.001)
    lines = list(statsd._lines())
    assert f"probe.success.cnt:{4 * TIMES_MAX}|c".encode() in lines
    assert TIMES_MAX == lines.count(b"probe_time_msec:1.000|ms|@0.25")
    packets = list(packed(lines))
    assert max(map(len, packets)) <= PACKET_OCTETS_MAX
    assert lines == b"\n".join(packets).split(b"\n")


def test_a_receiver_that_is_not_there_costs_nothing() -> None:
    """A closed port, and a host that nobody knows, which is said once."""
    tally = Tally("ns1")
    with listening() as server:
        gone = settings(server)
    statsd = Statsd(gone, tally, lambda: 0.0, lambda: True)
    asyncio.run(statsd._resolve())
    for _ in range(3):
        statsd.flush()
    statsd.close()
    clock = [0.0]
    unknown = Statsd(
        StatsdSettings("nowhere.invalid", 1), tally, lambda: 0.0, lambda: True, clock_s=lambda: clock[0]
    )
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            asyncio.run(unknown._resolve())
            unknown.flush()
            clock[0] += 100
    assert ["statsd.unknown_host"] == [line["event"] for line in logs]


@pytest.mark.real
def test_a_real_node_sends_what_it_tells_prometheus(tmp_path) -> None:
    """Probes of a real endpoint arrive within a second or two."""
    with listening() as server:
        port = server.getsockname()[1]
        more = f"""
[dns]
listen = []
[statsd]
server = "127.0.0.1:{port}"
prefix = "rrdnsd"
[health]
interval = "200ms"
timeout = "100ms"
recheck = "100ms"
[[services]]
fqdn = "www.example.org"
healthcheck = "http://{{}}:9/"
endpoints = ["127.0.0.1"]
"""
        with Process(tmp_path, more):
            seen: set[str] = set()

            def has_all() -> bool:
                seen.update(line.partition(":")[0] for line in server.recv(65_536).decode().split("\n"))
                return {"rrdnsd.probe.failure.cnt", "rrdnsd.status_change.cnt"} <= seen

            wait_until(has_all, "failures and the change arrive")
    names = ("fetch.cnt", "probe_time_msec", "probe.duration", "probe.load_factor")
    assert {f"rrdnsd.{each}" for each in names} <= seen
    assert PERIOD_S == 1.0


def test_the_table_of_the_file() -> None:
    """A host by name or address with its port, a prefix of words, and one of two kinds of tags."""
    text = LONE + '[statsd]\nserver = "stats.example.net:8125"\nprefix = "dns.prod"\ntags = "datadog"\n'
    assert StatsdSettings("stats.example.net", 8125, "dns.prod", "datadog") == accepted(text).statsd
    assert faults_of(LONE + '[statsd]\nserver = "stats.example.net"\n')
    assert faults_of(LONE + '[statsd]\nserver = "127.0.0.1:8125"\nprefix = "a b"\n')
