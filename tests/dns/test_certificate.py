"""The certificate of DNS over TLS: a changed file is shown without a listener closed, a bad one is not."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from node.certificate import BadCertificate, Certificate, CertificateFiles
from node.dns.listen import read_address
from node.dns.server import DnsServer, DnsSettings
from tests.dns.test_server import until
from tests.dns.test_tls import names_of
from tests.dns.zones import view, zones

ZONES = zones({"example.": ""})


def issue(authority: trustme.CA, name: str, files: CertificateFiles) -> None:
    """Write a certificate for a name, as a renewal does: new files that take the old ones' place."""
    issued = authority.issue_cert(name)
    for path, pem in ((files.cert, issued.cert_chain_pems[0]), (files.key, issued.private_key_pem)):
        fresh = path.with_suffix(".new")
        pem.write_to_path(fresh)
        fresh.replace(path)


def test_a_renewed_certificate_is_shown_and_a_broken_one_is_not(tmp_path: Path) -> None:
    """Connections go on; the next handshake has the new one, the old one as long as the files are no pair."""
    authority = trustme.CA()
    files = CertificateFiles(tmp_path / "cert.pem", tmp_path / "key.pem")
    issue(authority, "one.example", files)

    async def run() -> None:
        certificate = Certificate(files, look_again_s=0.02)
        settings = DnsSettings(("127.0.0.1:0",), ("127.0.0.1:0",), certificate.context)
        server = DnsServer(settings, lambda: view(ZONES))
        await server.start()
        port = read_address(server.tls_addresses[0]).port
        watching = asyncio.create_task(certificate.watch())
        assert "one.example" == await names_of(port, authority, "one.example")
        files.key.write_text("no key")
        await until(lambda: certificate._marks[1][2] == len("no key"))
        assert "one.example" == await names_of(port, authority, "one.example")
        before = certificate._current
        issue(authority, "two.example", files)
        await until(lambda: certificate._current is not before)
        assert "two.example" == await names_of(port, authority, "two.example")
        watching.cancel()
        await server.stop()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_the_protocol_is_named(tmp_path: Path) -> None:
    """Clients that ask for it get ALPN "dot"."""
    authority = trustme.CA()
    files = CertificateFiles(tmp_path / "cert.pem", tmp_path / "key.pem")
    issue(authority, "one.example", files)

    async def run() -> str | None:
        server = DnsServer(
            DnsSettings(("127.0.0.1:0",), ("127.0.0.1:0",), Certificate(files).context), lambda: view(ZONES)
        )
        await server.start()
        client = ssl.create_default_context()
        authority.configure_trust(client)
        client.set_alpn_protocols(["dot"])
        _, writer = await asyncio.open_connection(
            "127.0.0.1", read_address(server.tls_addresses[0]).port, ssl=client, server_hostname="one.example"
        )
        protocol: str | None = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        writer.close()
        await server.stop()
        return protocol

    assert "dot" == asyncio.run(asyncio.wait_for(run(), 20))


def test_a_start_without_a_pair_says_which_files(tmp_path: Path) -> None:
    """The sentence names both files."""
    with pytest.raises(BadCertificate, match=r"key\.pem are no certificate and its key: No such file"):
        Certificate(CertificateFiles(tmp_path / "cert.pem", tmp_path / "key.pem"))
