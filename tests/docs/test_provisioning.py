"""Programs that write zones by UPDATE, with the configurations of docs/dns.md: certbot, lego and octoDNS."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.api.test_acme import is_open, pebble_config
from tests.cluster.servers import TSIG_SECRET, wait_until
from tests.docs.test_dns import block, needs
from tests.ports import free_port
from tests.process import Process

pytestmark = pytest.mark.real

CONFIG = """
[dns]
listen         = ["127.0.0.1:{port}"]
allow_transfer = ["key:octodns"]

[[zones]]
name        = "example.com"
nameservers = ["ns.example.net"]

[[tsig]]
name   = "certbot"
secret = "file:tsig"
grant  = ["_acme-challenge.**.example.com TXT", "_acme-challenge.example.com TXT"]

[[tsig]]
name   = "octodns"
secret = "file:tsig"
grant  = ["**.example.com"]
"""
OCTODNS = (sys.executable, "-c", "from octodns.cmds.sync import main; main()")


@pytest.fixture(name="node")
def _node(tmp_path: Path) -> Iterator[Process]:
    with Process(tmp_path, CONFIG, {"tsig": TSIG_SECRET}) as node:
        wait_until(lambda: ask(node, "example.com.", "SOA"), "the zone is there")
        yield node


def ask(node: Process, name: str, type_: str) -> list[str]:
    """Return the rdatas that the node answers with."""
    answer = dns.query.udp(dns.message.make_query(name, type_), "127.0.0.1", port=node.port, timeout=5)
    return sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)


def run(folder: Path, *words: str, **environ: str) -> str:
    """Run a program; fail with its own words."""
    done = subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=folder,
        env={**os.environ, **environ},
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


@contextmanager
def authority(node: Process) -> Iterator[str]:
    """Run pebble, which looks into our DNS; yields the URL of its directory."""
    port = free_port()
    config = pebble_config(node.folder, port)
    words = ["pebble", "-config", str(config), "-dnsserver", f"127.0.0.1:{node.port}"]
    environ = {**os.environ, "PEBBLE_VA_NOSLEEP": "1"}
    with subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as pebble:
        try:
            wait_until(lambda: is_open(port), "pebble listens")
            yield f"https://127.0.0.1:{port}/dir"
        finally:
            pebble.terminate()


def challenges_written(node: Process) -> bool:
    """Say whether a challenge came and went."""
    return (
        len(
            [
                row
                for row in node.events("zone.changed")
                if row.get("zone", row.get("subject")) == "example.com."
            ]
        )
        >= 2
    )


@needs("certbot", "pebble")
def test_certbot_gets_a_wildcard_certificate(node: Process) -> None:
    """By its RFC 2136 plug-in: the challenges come by UPDATE, the authority sees them, and they go again."""
    plugins = subprocess.run(["certbot", "plugins"], check=False, capture_output=True, text=True, timeout=60)
    if "dns-rfc2136" not in plugins.stdout:
        pytest.skip("certbot's plug-in dns-rfc2136 is not installed")
    ini = node.folder / "rfc2136.ini"
    ini.write_text(block("rfc2136.ini").replace("198.51.100.1", "127.0.0.1").replace("= 53", f"= {node.port}"))
    ini.chmod(0o600)
    folders = [
        word for each in ("config", "work", "logs") for word in (f"--{each}-dir", str(node.folder / each))
    ]
    with authority(node) as url:
        run(
            node.folder,
            *("certbot", "certonly", "--dns-rfc2136", "--dns-rfc2136-credentials", str(ini)),
            *("--dns-rfc2136-propagation-seconds", "1", "--server", url, "--no-verify-ssl", "-n"),
            *("--agree-tos", "-m", "a@example.org", "-d", "example.com", "-d", "*.example.com", *folders),
        )
    assert (node.folder / "config" / "live" / "example.com" / "cert.pem").exists()
    assert [] == ask(node, "_acme-challenge.example.com.", "TXT")
    assert challenges_written(node)


@needs("lego", "pebble")
def test_lego_gets_a_wildcard_certificate(node: Process) -> None:
    """By its provider rfc2136."""
    server = f"127.0.0.1:{node.port}"
    with authority(node) as url:
        run(
            node.folder,
            *("lego", "--server", url, "--accept-tos", "--email", "a@example.org", "--path", "lego"),
            *("--dns", "rfc2136", "--dns.resolvers", server, "--dns.disable-cp"),
            *("-d", "example.com", "-d", "*.example.com", "run"),
            RFC2136_NAMESERVER=server,
            RFC2136_SEQUENCE_INTERVAL="1",
            RFC2136_POLLING_INTERVAL="1",
            RFC2136_TSIG_KEY="certbot.",
            RFC2136_TSIG_ALGORITHM="hmac-sha256.",
            RFC2136_TSIG_SECRET=TSIG_SECRET,
            LEGO_CA_CERTIFICATES=str(node.folder / "cert.pem"),
        )
    assert (node.folder / "lego" / "certificates" / "example.com.crt").exists()
    assert [] == ask(node, "_acme-challenge.example.com.", "TXT")
    assert challenges_written(node)


def test_octodns_makes_the_zone_what_its_file_says(node: Process) -> None:
    """It reads the zone by AXFR and writes what differs by UPDATE; the second run finds nothing to do."""
    pytest.importorskip("octodns_bind", reason="octodns-bind is not installed")
    text = block("octodns.yaml").replace("198.51.100.1", "127.0.0.1").replace("port: 53", f"port: {node.port}")
    (node.folder / "octodns.yaml").write_text(text)
    (node.folder / "zones").mkdir()
    (node.folder / "zones" / "example.com.yaml").write_text(
        "mail:\n  ttl: 300\n  type: MX\n  value: {exchange: mx.example.net., preference: 10}\n"
        "www:\n  - {ttl: 300, type: A, values: [192.0.2.1, 192.0.2.2]}\n"
        "  - {ttl: 300, type: TXT, value: 'one two'}\n"
    )
    words = (*OCTODNS, "--config-file", "octodns.yaml", "--doit")
    run(node.folder, *words)
    assert ["192.0.2.1", "192.0.2.2"] == ask(node, "www.example.com.", "A")
    assert ["10 mx.example.net."] == ask(node, "mail.example.com.", "MX")
    before = ask(node, "example.com.", "SOA")
    assert "No changes were planned" in run(node.folder, *words)
    assert before == ask(node, "example.com.", "SOA")
