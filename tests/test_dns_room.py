"""The DNS of a whole node as its configuration says: updates, transfers, options, and what SIGHUP changes."""

import asyncio
import base64
import ssl
from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import dns.zone
import pytest
import trustme
from immutables import Map

from node.certificate import CertificateFiles
from node.dns_plan import DnsPlan
from node.dns_room import DnsRoom
from node.state.command import ChangeZone
from node.state.state import State
from node.zone.name import from_text
from raft.proposal import Outcome
from tests.cluster.servers import wait_until
from tests.dns.test_certificate import issue
from tests.dns.test_server import until
from tests.dns.zones import exchange, query, zone
from tests.process import Process

pytestmark = pytest.mark.real

SECRET = base64.b64encode(b"s" * 32).decode()
KEYRING = dns.tsigkeyring.from_text(dict.fromkeys(("certbot", "xfr"), ("hmac-sha256", SECRET)))
DNS = """
[dns]
listen         = ["127.0.0.1:{port}"]
tls_listen     = ["127.0.0.1:{tls_port}"]
tls            = { cert = "cert.pem", key = "file:key.pem" }
nsid           = "{node}.test"
allow_transfer = ["key:xfr"]
cookie_secret  = "file:cookie"
"""
KEYS = """
[[tsig]]
name   = "certbot"
secret = "file:tsig"
grant  = ["_acme-challenge.example.org TXT"]

[[tsig]]
name   = "xfr"
secret = "file:tsig"
"""


@pytest.fixture(name="node", scope="module")
def _node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, trustme.CA]]:
    folder = tmp_path_factory.mktemp("node")
    authority = trustme.CA()
    issue(authority, "one.example", CertificateFiles(folder / "cert.pem", folder / "key.pem"))
    (folder / "key.pem").chmod(0o600)
    with Process(folder, DNS + KEYS, {"tsig": SECRET, "cookie": "0a" * 16}) as process:
        wait_until(lambda: ask(process, "example.org.", "SOA").answer, "the zone is answered")
        yield process, authority


def ask(node: Process, name: str, type_: str, **options: object) -> dns.message.Message:
    """Ask over UDP."""
    asked = dns.message.make_query(name, type_, **options)  # type: ignore[arg-type]
    return dns.query.udp(asked, "127.0.0.1", timeout=5, port=node.port)


def update(node: Process, name: str, key: str = "certbot", value: str = "x") -> dns.message.Message:
    """Send a signed update of a TXT record."""
    message = dns.update.UpdateMessage("example.org.", keyring=KEYRING, keyname=f"{key}.")
    message.replace(name, 60, "TXT", value)
    message.use_edns(0)
    return dns.query.udp(message, "127.0.0.1", timeout=10, port=node.port)


def test_a_key_changes_what_it_is_granted_and_nothing_else(node: tuple[Process, trustme.CA]) -> None:
    """The refusal names the rule, to the client and in the log."""
    process, _ = node
    assert dns.rcode.NOERROR == update(process, "_acme-challenge", value="token").rcode()
    assert "token" in str(ask(process, "_acme-challenge.example.org.", "TXT").answer[0])
    refused = update(process, "www")
    sentence = "no grant of the key certbot covers www.example.org. TXT"
    assert (dns.rcode.REFUSED, [sentence]) == (refused.rcode(), [option.text for option in refused.options])
    assert sentence in [row["reason"] for row in process.events("request.refused")]


def test_a_zone_goes_to_the_listed_key_alone(node: tuple[Process, trustme.CA]) -> None:
    """The address is not on the list, not even loopback."""
    process, _ = node
    zone = dns.zone.Zone("example.org.")
    signed = dns.message.make_query("example.org.", "AXFR")
    signed.use_tsig(KEYRING, "xfr.")
    dns.query.inbound_xfr("127.0.0.1", zone, query=signed, port=process.port, timeout=5)
    assert zone.get_rrset("ns1", "A") is not None
    plain = dns.query.tcp(
        dns.message.make_query("example.org.", "AXFR"), "127.0.0.1", port=process.port, timeout=5
    )
    assert dns.rcode.REFUSED == plain.rcode()
    process.wait_for("request.refused")


def test_options_are_answered_as_configured(node: tuple[Process, trustme.CA]) -> None:
    """NSID and id.server name the node, cookies are made with the secret of the file, the version is private."""
    process, _ = node
    options = [dns.edns.GenericOption(3, b""), dns.edns.CookieOption(b"8octets!", b"")]
    answer = ask(process, "example.org.", "SOA", use_edns=0, options=options)
    found = {int(option.otype): option.to_wire() for option in answer.options}
    assert b"ns1.test" == found[3]
    assert 24 == len(found[10])
    assert 'id.server. 0 CH TXT "ns1.test"' == str(ask(process, "id.server.", "TXT", rdclass="CH").answer[0])
    assert dns.rcode.REFUSED == ask(process, "version.bind.", "TXT", rdclass="CH").rcode()
    assert not answer.flags & dns.flags.RA


def test_tls_shows_the_renewed_certificate(node: tuple[Process, trustme.CA]) -> None:
    """Within seconds after the files have changed, without a signal."""
    process, authority = node
    client = ssl.create_default_context()
    authority.configure_trust(client)

    def answers(name: str) -> bool:
        asked = dns.message.make_query("ns1.example.org.", "A")
        try:
            answer = dns.query.tls(
                asked, "127.0.0.1", port=process.tls_port, timeout=5, ssl_context=client, server_hostname=name
            )
        except ssl.SSLCertVerificationError:
            return False
        return bool(answer.answer)

    assert answers("one.example")
    issue(authority, "two.example", CertificateFiles(process.folder / "cert.pem", process.folder / "key.pem"))
    wait_until(lambda: answers("two.example"), "the new certificate is shown", timeout_s=20, every_s=0.2)


def test_a_reload_takes_new_rules_and_refuses_a_bad_file(node: tuple[Process, trustme.CA]) -> None:
    """SIGHUP: a fault keeps what was; a grant, a version and a limit hold at once; addresses wait for a restart."""
    process, _ = node
    (process.folder / "key.pem").chmod(0o600)
    process.reload(DNS + KEYS.replace("TXT", "TXTT"))
    assert "TXTT" in process.events("config.refused")[-1]["detail"]
    assert dns.rcode.NOERROR == update(process, "_acme-challenge").rcode()
    wider = KEYS.replace("_acme-challenge.example.org TXT", "**.example.org TXT")
    process.reload(DNS.replace("{tls_port}", "1") + 'version = "ours"\n' + wider)
    assert ["dns", "tsig"] == process.events("config.reloaded")[-1]["keys"]
    assert ["nodes", "dns.tls_listen"] == process.events("config.restart_needed")[-1]["keys"]
    assert dns.rcode.NOERROR == update(process, "www").rcode()
    assert 'version.bind. 0 CH TXT "ours"' == str(ask(process, "version.bind.", "TXT", rdclass="CH").answer[0])


def test_a_node_without_a_usable_certificate_does_not_start(tmp_path: Path) -> None:
    """It says which files, and ends with the code for a wrong configuration."""
    process = Process(tmp_path, DNS + KEYS, {"tsig": SECRET, "cookie": "0a" * 16})
    with pytest.raises(AssertionError, match=r"cert\.pem"), process:
        pass
    assert process.process is not None
    assert 3 == process.process.returncode


def test_a_node_without_a_majority_answers_for_as_long_as_it_may() -> None:
    """For ever by default; with ``serve_stale_for`` until that has passed, and again once there is a majority."""
    name = from_text("example.")
    state = State(zones=Map({name: zone("example.", "www A 192.0.2.1\n")}))
    has_quorum = [True]

    def room(serve_stale_for_s: float | None) -> DnsRoom:
        plan = DnsPlan((), "ns1", serve_stale_for_s=serve_stale_for_s)
        return DnsRoom(
            plan,
            lambda: state.zones,
            lambda: state,
            lambda: True,
            lambda: False,
            lambda: has_quorum[0],
            propose,
        )

    async def propose(command: ChangeZone, /, *, actor: str) -> Outcome:
        raise AssertionError(command, actor)

    async def run() -> None:
        for patient, limit_s in ((True, None), (False, 0.05)):
            dns_room = room(limit_s)
            await dns_room.start()
            has_quorum[0] = False
            await asyncio.sleep(0.6)
            answer = exchange(query("www.example. A", use_edns=0), dns_room.view())
            assert (dns.rcode.NOERROR if patient else dns.rcode.SERVFAIL) == answer.rcode()
            assert patient or "serve_stale_for" in answer.options[0].text
            has_quorum[0] = True
            await until(lambda r=dns_room: not r.view().is_stale)
            await dns_room.stop()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_defect_does_not_end_the_watch_over_the_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    """It is logged, and the next look is taken."""
    looks: list[bool] = []

    def has_quorum() -> bool:
        looks.append(True)
        if len(looks) == 1:
            raise RuntimeError("once")
        return True

    async def propose(command: ChangeZone, /, *, actor: str) -> Outcome:
        raise AssertionError(command, actor)

    async def run() -> None:
        state = State()
        room = DnsRoom(
            DnsPlan((), "ns1"), dict, lambda: state, lambda: True, lambda: False, has_quorum, propose
        )
        await room.start()
        await until(lambda: len(looks) > 2)
        await room.stop()

    asyncio.run(asyncio.wait_for(run(), 20))
    assert "dns.failed" in "".join(capsys.readouterr())
