"""Every kind of check against every hostile peer: down in time, with a sentence, and nothing left open."""

import asyncio
import os
import socket
import time

import pytest
import trustme

from node.health.service import Check
from node.probe.checks import run
from node.probe.toolbox import Toolbox
from node.zone.name import from_text
from tests.ports import free_port
from tests.probe import gallery
from tests.probe.gallery import descriptors, eventually, listening, says
from tests.probe.test_tls import server_tls

FQDN = from_text("www.example.test")
TIMEOUT_S = 0.4
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

KINDS = {
    "http": {},
    "http body": {"kind": "http", "expect_body": "^well$"},
    "https": {},
    "https body": {"kind": "https", "expect_body": "^well$"},
    "tcp": {"send": "PING\r\n", "expect": "PONG"},
    "tls": {},
    "grpc": {},
}
OVER_TLS = ("https", "https body")


async def half_open(reader, writer):
    """Say at once that nothing will come, and never hang up."""
    writer.write_eof() if writer.can_write_eof() else writer.close()
    while await reader.read(1_000):
        pass


async def drips_without_end(reader, writer):
    """Say one octet now and then, whatever is asked."""
    while True:
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(0.03)


async def pours_without_end(reader, writer):
    """Say more and more, whatever is asked."""
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()
        await asyncio.sleep(0)


HOSTILE = {
    "never answers": gallery.never_answers,
    "hangs up": gallery.closes_at_once,
    "resets": gallery.resets_at_once,
    "half open": half_open,
    "drips": drips_without_end,
    "pours": pours_without_end,
}


@pytest.fixture(scope="module", name="authority")
def _authority(tmp_path_factory):
    authority = trustme.CA()
    authority.path = tmp_path_factory.mktemp("hostile") / "ca.pem"
    authority.cert_pem.write_to_path(authority.path)
    return authority


def check_of(kind: str, port: int) -> Check:
    options = {"kind": kind, **KINDS[kind]}
    return Check(port=port, **options)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_down_in_time(authority, kind, hostile):
    """The whole probe ends within its deadline, down, and neither side holds a connection afterwards."""

    async def play():
        toolbox = Toolbox(ca_file=authority.path)
        tls = server_tls(authority.issue_cert("www.example.test")) if kind in OVER_TLS else None
        before = descriptors()
        async with listening(HOSTILE[hostile], tls=tls) as server:
            started_s = time.monotonic()
            result = await run(check_of(kind, server.port), FQDN, "127.0.0.1", TIMEOUT_S, toolbox)
            took_s = time.monotonic() - started_s
            await eventually(lambda: server.open == 0 and descriptors() <= before + 1)
        await toolbox.close()
        return result, took_s

    result, took_s = asyncio.run(play())
    assert not result.up
    assert result.tried
    assert result.evidence
    assert took_s < 3 * TIMEOUT_S  # the deadline itself, and the patience with a machine that was held up
    assert result.evidence.isprintable()


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_that_is_full_is_silence(kind):
    """Where no connection is made in time the endpoint is down, and the network was not heard."""
    with gallery.full_backlog() as port:
        result = asyncio.run(run(check_of(kind, port), FQDN, "127.0.0.1", TIMEOUT_S))
    assert (False, "no connection within 400 ms", False) == (result.up, result.evidence, result.answered)


@pytest.mark.parametrize("kind", ["http", "https", "tcp", "tls"])
def test_an_open_connection_never_hides_a_dead_listener(authority, kind):
    """A server whose listener is gone is down at once, though it would go on serving the connections it has."""
    held = []

    async def serves_for_ever(reader, writer):
        held.append(writer)
        while await reader.read(1_000):
            writer.write(b"PONG" if kind == "tcp" else OK)

    async def play():
        toolbox = Toolbox(ca_file=authority.path)
        tls = server_tls(authority.issue_cert("www.example.test")) if kind in ("https", "tls") else None
        server = await asyncio.start_server(serves_for_ever, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        before = await run(check_of(kind, port), FQDN, "127.0.0.1", 2.0, toolbox)
        server.close()
        after = await run(check_of(kind, port), FQDN, "127.0.0.1", 2.0, toolbox)
        await toolbox.close()
        return before, after

    before, after = asyncio.run(play())
    assert before.up, before.evidence
    assert 1 == len(held)
    assert (False, "connection refused") == (after.up, after.evidence)


def test_nothing_leads_elsewhere(authority, monkeypatch, tmp_path):
    """Neither a redirect nor a proxy variable nor a netrc sends a probe, or a secret, anywhere else."""
    host = "www.example.test"
    netrc = tmp_path / "netrc"
    netrc.write_text(f"default login me password secret\nmachine {host} login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text(netrc.read_text())

    async def play():
        visits = []

        async def elsewhere(reader, writer):
            visits.append(await reader.read(100))

        async with listening(elsewhere) as trap:
            url = f"http://127.0.0.1:{trap.port}/"
            for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, url)
            heads = []

            async def redirects(reader, writer):
                heads.append(await gallery.read_head(reader))
                await says(f"HTTP/1.1 301 Moved\r\nLocation: {url}\r\nRefresh: 0; url={url}\r\n\r\n".encode())(
                    _Again(), writer
                )

            results = []
            toolbox = Toolbox(ca_file=authority.path)
            for kind in ("http", "https"):
                tls = server_tls(authority.issue_cert(host)) if kind == "https" else None
                async with listening(redirects, tls=tls) as server:
                    results.append(await run(Check(kind, server.port), FQDN, "127.0.0.1", 2.0, toolbox))
            await toolbox.close()
            return visits, heads, results

    visits, heads, results = asyncio.run(play())
    assert [] == visits
    assert ["HTTP 301", "HTTP 301"] == [each.evidence for each in results]
    assert not any(b"authorization" in head.lower() or b"secret" in head for head in heads)
    assert os.environ["NETRC"]


class _Again:
    """A reader whose request has been read already."""

    async def readuntil(self, _):
        return b""

    async def read(self):
        return b""


@pytest.mark.parametrize("kind", ["udp", "dns"])
def test_a_flood_of_wrong_datagrams_ends_in_time(kind):
    """A peer that answers without end, and never what was asked, is down at the deadline or before."""

    async def play():
        loop = asyncio.get_running_loop()
        port = free_port()

        class Flood(asyncio.DatagramProtocol):
            def connection_made(self, transport):
                self.transport = transport

            def datagram_received(self, data, address):
                for number in range(2_000):
                    self.transport.sendto(bytes((number % 256,)) * 40, address)

        transport, _ = await loop.create_datagram_endpoint(Flood, local_addr=("127.0.0.1", port))
        started_s = time.monotonic()
        check = Check(kind, port, send="hello", expect="" if kind == "dns" else "welcome")
        result = await run(check, FQDN, "127.0.0.1", TIMEOUT_S)
        transport.close()
        return result, time.monotonic() - started_s

    result, took_s = asyncio.run(play())
    assert not result.up
    assert took_s < 3 * TIMEOUT_S


def test_the_half_open_peer_is_one(authority):
    """What the tests call half open is: it has said that nothing comes, and still takes what is sent."""

    async def play():
        async with listening(half_open) as server:
            client = socket.create_connection(("127.0.0.1", server.port))
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            end = await loop.sock_recv(client, 10)
            await loop.sock_sendall(client, b"still there?")
            client.close()
            return end

    assert b"" == asyncio.run(play())
