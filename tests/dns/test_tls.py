"""DNS over TLS (RFC 7858), padding (RFC 8467), keepalive (RFC 7828), and a certificate that changes."""

import asyncio
import ssl
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.message
import pytest
import trustme

from node.dns.listen import ListenFailed, read_address
from node.dns.respond import Client
from node.dns.server import DnsServer, DnsSettings
from tests.dns.test_server import serve, start_failing
from tests.dns.zones import exchange, query, view, zones

ZONES = zones({"example.": "www A 192.0.2.1\n"})
PADDING, KEEPALIVE = 12, 11


def context(folder: Path, authority: trustme.CA, name: str) -> tuple[ssl.SSLContext, tuple[Path, Path]]:
    """Make a server's context with a certificate in files."""
    certificate = authority.issue_cert(name)
    files = (folder / f"{name}.pem", folder / f"{name}.key")
    certificate.cert_chain_pems[0].write_to_path(files[0])
    certificate.private_key_pem.write_to_path(files[1])
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*files)
    return server, files


async def names_of(port: int, authority: trustme.CA, expected: str) -> str:
    """Connect and return the certificate's name."""
    client = ssl.create_default_context()
    authority.configure_trust(client)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=expected)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    return str(certificate["subjectAltName"][0][1])


def test_tls_answers_and_takes_a_new_certificate(tmp_path: Path) -> None:
    """Loading another certificate into the context is enough: the next connection sees it."""
    authority = trustme.CA()
    server_context, _ = context(tmp_path, authority, "old.example")
    _, files = context(tmp_path, authority, "new.example")

    async def test(server: DnsServer, *_: object) -> None:
        port = read_address(server.tls_addresses[0]).port
        client = ssl.create_default_context()
        authority.configure_trust(client)
        answer = await dns.asyncquery.tls(
            dns.message.make_query("www.example.", "A"),
            "127.0.0.1",
            port=port,
            timeout=5,
            ssl_context=client,
            server_hostname="old.example",
        )
        assert "192.0.2.1" == answer.answer[0][0].address
        assert 1 == server.counters.queries["tls", "A"]
        server_context.load_cert_chain(*files)
        assert "new.example" == await names_of(port, authority, "new.example")

    serve(test, DnsSettings(("127.0.0.1:0",), ("127.0.0.1:0",), server_context), lambda: view(ZONES))


def test_tls_needs_a_certificate() -> None:
    """Never plain text on an address that promises TLS."""
    assert "needs a certificate" in start_failing(DnsSettings(("127.0.0.1:0",), ("127.0.0.1:0",)))
    assert issubclass(ListenFailed, Exception)


@pytest.mark.parametrize(("transport", "multiple"), [("tls", 468), ("tcp", 0), ("udp", 0)])
def test_padding_fills_a_block_where_it_is_offered_and_encrypted(transport: str, multiple: int) -> None:
    """Answers over TLS are padded to 468 octets (RFC 8467 section 4.1), others are not."""
    packet = query("www.example. A", use_edns=0, options=[dns.edns.GenericOption(PADDING, b"")])
    answer = exchange(packet, view(ZONES), Client("192.0.2.9", transport))  # type: ignore[arg-type]
    length = len(answer.wire or b"")
    assert (0 if multiple else length) == (length % multiple if multiple else len(answer.wire or b""))
    assert bool(multiple) == any(option.otype == PADDING for option in answer.options)


def test_padding_is_not_forced_on_anybody() -> None:
    """No padding without the client's (RFC 7830 section 4)."""
    answer = exchange(query("www.example. A", use_edns=0), view(ZONES), Client("192.0.2.9", "tls"))
    assert () == answer.options


def test_the_time_to_be_idle_is_told_on_connections_only() -> None:
    """In tenths of a second, when asked for, never over UDP (RFC 7828 section 3.3)."""
    packet = query("www.example. A", use_edns=0, options=[dns.edns.GenericOption(KEEPALIVE, b"")])
    told = exchange(packet, view(ZONES), Client("192.0.2.9", "tcp", 10.0)).options
    assert [(KEEPALIVE, b"\x00\x64")] == [(option.otype, option.to_wire()) for option in told]
    assert () == exchange(packet, view(ZONES), Client("192.0.2.9", "udp", 10.0)).options
