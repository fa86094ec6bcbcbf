"""A wildcard certificate by lego and pebble: written through our API, checked against our own DNS."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from node.api.server import ApiServer
from node.dns.respond import RespondSettings, View
from node.dns.server import DnsServer, DnsSettings
from node.zone.name import from_text
from node.zone.rrset import TXT
from tests.api.conftest import ZONE, FakeCluster
from tests.api.test_server import serve, until
from tests.ports import free_port

CHALLENGE = from_text("_acme-challenge.example.org")


def is_open(port: int) -> bool:
    """Say whether somebody listens on the port."""
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def pebble_config(directory: Path, port: int) -> Path:
    """Write pebble's configuration and a certificate for its own address."""
    key, certificate = directory / "key.pem", directory / "cert.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *request.split(), *files, *names], check=True, capture_output=True)
    values = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{free_port()}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": 5002,
        "tlsPort": 5001,
        "ocspResponderURL": "",
    }
    path = directory / "pebble.json"
    path.write_text(json.dumps({"pebble": values}))
    return path


async def run_lego(directory: Path, api: str, acme: int, resolver: str) -> None:
    """Ask for the certificate; fails with lego's own words."""
    environment = os.environ | {
        "PDNS_API_URL": f"http://{api}",
        "PDNS_API_KEY": "any",
        "LEGO_CA_CERTIFICATES": str(directory / "cert.pem"),
    }
    command = [
        *("lego", "--server", f"https://127.0.0.1:{acme}/dir", "--accept-tos", "--email", "a@example.org"),
        *("--path", str(directory / "lego"), "--dns", "pdns", "--dns.resolvers", resolver, "--dns.disable-cp"),
        *("-d", "example.org", "-d", "*.example.org", "run"),
    ]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=80, check=False
    )
    assert 0 == done.returncode, done.stderr[-3000:]


@pytest.mark.real
@pytest.mark.skipif(
    not (shutil.which("lego") and shutil.which("pebble")), reason="lego or pebble is not installed"
)
def test_wildcard_certificate(cluster: FakeCluster, tmp_path: Path) -> None:
    """Both challenges stand at one name at once, the CA finds them in our DNS, and they go again."""
    acme = free_port()
    config = pebble_config(tmp_path, acme)
    seen: list[int] = []

    def follow(state: Any, _changed: Any) -> None:
        rrset = state.zones[ZONE].get(CHALLENGE, TXT)
        seen.append(0 if rrset is None else len(rrset.rdatas))

    cluster.subscribe(follow)

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        view = lambda: View(cluster.state.zones, True, "ns1", RespondSettings())  # noqa: E731
        dns = DnsServer(DnsSettings(listen=("127.0.0.1:0",)), view)
        await dns.start()
        pebble = await asyncio.create_subprocess_exec(
            *("pebble", "-config", str(config), "-dnsserver", dns.addresses[0]),
            env=os.environ | {"PEBBLE_VA_NOSLEEP": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await until(lambda: is_open(acme))
            await run_lego(tmp_path, server.addresses[0], acme, dns.addresses[0])
        finally:
            pebble.terminate()
            await pebble.wait()
            await dns.stop()

    serve(cluster, work, limit_s=90)
    assert (2, 0) == (max(seen), seen[-1])
    assert (tmp_path / "lego" / "certificates" / "example.org.crt").exists()
