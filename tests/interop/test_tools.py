"""The tools people already use: dig, kdig, nsupdate and knsupdate against our server."""

import base64
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from node.dns.server import DnsSettings
from node.zone.name import from_text
from node.zone.rrset import A, make
from tests.dns.log import ACCESS, KEYS, ZONE, Log
from tests.dns.zones import lines
from tests.interop.ours import Ours
from tests.interop.references import missing_programs

pytestmark = pytest.mark.real
SECRETS = {name: base64.b64encode(KEYS[from_text(name)].secret).decode() for name in ("all", "acme")}


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[tuple[Log, Ours]]:
    missing = missing_programs("dig", "kdig", "nsupdate", "knsupdate")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    certificate = trustme.CA().issue_cert("ns1.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    log = Log(make(from_text("www.example"), A, 60, [bytes((192, 0, 2, 1))]), access=ACCESS)
    settings = DnsSettings(("127.0.0.1:0",), ("127.0.0.1:0",), context)
    with Ours(log.view, settings, log.propose) as ours:
        yield log, ours


def run(*words: str, stdin: str = "") -> tuple[int, str]:
    """Run a tool; return its exit code and all it says."""
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("tool", ["dig", "kdig"])
@pytest.mark.parametrize("how", [(), ("+tcp",), ("+bufsize=4096", "+dnssec"), ("+noedns",)])
def test_a_question_is_answered(tool: str, how: tuple[str, ...], world: tuple[Log, Ours]) -> None:
    """However it is put."""
    _, ours = world
    code, text = run(tool, "@127.0.0.1", "-p", str(ours.port), "+norec", "www.example.", "A", *how)
    assert 0 == code, text
    assert re.search(r"status: NOERROR", text), text
    assert re.search(r"www\.example\.\s+60\s+IN\s+A\s+192\.0\.2\.1", text), text
    assert "WARNING" not in text


def test_kdig_asks_over_tls_and_keeps_the_connection(world: tuple[Log, Ours]) -> None:
    """DNS over TLS with padding, two questions on one connection."""
    _, ours = world
    assert ours.server is not None
    port = ours.server.tls_addresses[0].rpartition(":")[2]
    code, text = run(
        "kdig",
        "@127.0.0.1",
        "-p",
        port,
        "+tls",
        "+keepopen",
        "+padding",
        "www.example.",
        "A",
        "www.example.",
        "AAAA",
    )
    assert (0, 2) == (code, len(re.findall(r"status: NOERROR", text))), text
    assert 2 == sum(ours.server.counters.queries[("tls", type_)] for type_ in ("A", "AAAA"))


def script(tool: str, port: int, *commands: str) -> str:
    """Write what a tool reads; it always ends with ``send``, without which nothing is sent."""
    return "\n".join((f"server 127.0.0.1 {port}", "zone example.", *commands, "send", ""))


@pytest.mark.parametrize("tool", ["nsupdate", "knsupdate"])
@pytest.mark.parametrize("transport", [(), ("-v",)])
def test_updates_are_made(tool: str, transport: tuple[str, ...], world: tuple[Log, Ours]) -> None:
    """Adding, replacing and deleting, over UDP and TCP."""
    log, ours = world
    key = f"hmac-sha256:all:{SECRETS['all']}"
    commands = (
        "prereq yxrrset www.example. A",
        "prereq nxdomain new.example.",
        "update add new.example. 60 A 192.0.2.7",
        'update add new.example. 60 TXT "one" "two"',
        "update delete www.example. A 192.0.2.1",
        "update add www.example. 60 A 192.0.2.8",
    )
    code, text = run(tool, "-y", key, *transport, stdin=script(tool, ours.port, *commands))
    assert 0 == code, text
    zone = log.state.zones[ZONE]
    names = [zone.nodes[from_text(name)].rrsets for name in ("new.example", "www.example")]
    assert [
        ["new.example. A 192.0.2.7", 'new.example. TXT "one" "two"'],
        ["www.example. A 192.0.2.8"],
    ] == [lines(rrsets) for rrsets in names]


@pytest.mark.parametrize("tool", ["nsupdate", "knsupdate"])
@pytest.mark.parametrize(
    ("key", "command", "said"),
    [
        ("all", "prereq nxdomain www.example.\nupdate add x.example. 60 A 192.0.2.7", "YXDOMAIN"),
        ("acme", "update add x.example. 60 A 192.0.2.7", "REFUSED"),
    ],
)
def test_refusals_reach_the_user(tool: str, key: str, command: str, said: str, world: tuple[Log, Ours]) -> None:
    """An exit code other than 0, the rcode in words, and nothing has changed."""
    log, ours = world
    serial = log.state.zones[ZONE].serial
    code, text = run(tool, "-y", f"hmac-sha256:{key}:{SECRETS[key]}", stdin=script(tool, ours.port, command))
    assert code != 0
    assert said in text
    assert serial == log.state.zones[ZONE].serial


@pytest.mark.parametrize("tool", ["nsupdate", "knsupdate"])
def test_a_wrong_secret_is_a_bad_signature(tool: str, world: tuple[Log, Ours]) -> None:
    """The tool says so (RFC 8945 section 5.3.2)."""
    _, ours = world
    wrong = base64.b64encode(b"wrong").decode()
    code, text = run(
        tool,
        "-y",
        f"hmac-sha256:all:{wrong}",
        stdin=script(tool, ours.port, "update add x.example. 60 A 192.0.2.7"),
    )
    assert code != 0
    assert re.search("BADSIG|NOTAUTH|not.verify|tsig", text, re.IGNORECASE), text
