"""HTTPS probes verify the certificate against the service's name and say what is wrong with it."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from node.health.service import Check
from node.probe.checks import run, tls_name
from node.probe.result import Progress
from node.probe.stream import failure_of
from node.probe.toolbox import Toolbox
from node.zone.name import from_text
from tests.probe import gallery
from tests.probe.gallery import listening, says

FQDN = from_text("www.example.test")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority whose certificate stands in a file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path_factory.mktemp("ca") / "ca.pem")
    authority.path = tmp_path_factory.getbasetemp() / "ca0" / "ca.pem"
    return authority


def server_tls(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def probe(authority, certificate, timeout_s=2.0, rogue=None, trusted=True, address="127.0.0.1", **options):
    """Probe a server with this certificate once; None is a server without TLS."""
    context = server_tls(certificate) if certificate else None

    async def play():
        toolbox = Toolbox(ca_file=authority.path if trusted else None)
        async with listening(rogue or says(OK), address, context) as server:
            try:
                return await run(Check("https", server.port, **options), FQDN, address, timeout_s, toolbox)
            finally:
                await toolbox.close()

    return asyncio.run(play())


def test_a_certificate_for_the_service_is_good(authority):
    """The name to verify is the service's, not the address that is connected to."""
    result = probe(authority, authority.issue_cert("www.example.test"))
    assert (True, "HTTP 200") == (result.up, result.evidence)


def test_the_checks_host_is_the_name_to_verify(authority):
    """``host`` replaces the service's name as TLS server name; its port does not belong to it."""
    result = probe(authority, authority.issue_cert("other.test"), host="other.test:8443")
    assert (True, "HTTP 200") == (result.up, result.evidence)


def test_ipv6_over_tls(authority):
    """An IPv6 endpoint is verified against the name as well."""
    result = probe(authority, authority.issue_cert("www.example.test"), address="::1")
    assert (True, "HTTP 200") == (result.up, result.evidence)


def test_a_body_over_tls(authority):
    """The body is read through TLS as it is without."""
    good = probe(authority, authority.issue_cert("www.example.test"), expect_body="^ok$")
    bad = probe(authority, authority.issue_cert("www.example.test"), expect_body="^well$")
    assert (True, False) == (good.up, bad.up)


def test_the_server_name_is_sent(authority):
    """The server hears the service's name (RFC 6066 section 3)."""
    heard = []
    context = server_tls(authority.issue_cert("www.example.test"))
    context.sni_callback = lambda _, name, __: heard.append(name)

    async def play():
        async with listening(says(OK), tls=context) as server:
            await run(Check("https", server.port, verify=False), FQDN, "127.0.0.1", 2)

    asyncio.run(play())
    assert ["www.example.test"] == heard


def test_a_certificate_for_another_name_is_bad(authority):
    """A certificate for another name, even for the address itself, is not good."""
    for name in ("other.test", "127.0.0.1"):
        result = probe(authority, authority.issue_cert(name))
        assert (False, "certificate is not for www.example.test") == (result.up, result.evidence)
        assert result.answered


def test_an_expired_certificate_is_bad(authority):
    """The evidence says since when."""
    past = datetime(2020, 1, 2, tzinfo=UTC)
    certificate = authority.issue_cert("www.example.test", not_before=past - timedelta(days=9), not_after=past)
    result = probe(authority, certificate)
    assert (False, "certificate expired 2020-01-02") == (result.up, result.evidence)


def test_a_certificate_of_the_future_is_bad(authority):
    """A certificate that is not valid yet is not good."""
    start = datetime.now(UTC) + timedelta(days=9)
    certificate = authority.issue_cert(
        "www.example.test", not_before=start, not_after=start + timedelta(days=9)
    )
    result = probe(authority, certificate)
    assert (False, "certificate is not valid yet") == (result.up, result.evidence)


def test_an_unknown_issuer_is_bad(authority):
    """Without the CA file only the system's trust store counts."""
    result = probe(authority, authority.issue_cert("www.example.test"), trusted=False)
    assert (False, "certificate is not from a trusted issuer") == (result.up, result.evidence)


def test_a_self_signed_certificate_is_bad(authority):
    """A server that presents a root of its own is not trusted."""
    own = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with own.private_key_pem.tempfile() as key, own.cert_pem.tempfile() as chain:
        context.load_cert_chain(chain, key)

    async def play():
        async with listening(says(OK), tls=context) as server:
            return await run(Check("https", server.port), FQDN, "127.0.0.1", 2)

    result = asyncio.run(play())
    assert (False, "certificate is self-signed") == (result.up, result.evidence)


def test_verification_can_be_switched_off(authority):
    """With ``verify`` false any certificate will do."""
    past = datetime(2020, 1, 2, tzinfo=UTC)
    certificate = authority.issue_cert("other.test", not_before=past - timedelta(days=9), not_after=past)
    result = probe(authority, certificate, trusted=False, verify=False)
    assert (True, "HTTP 200") == (result.up, result.evidence)


def test_a_certificate_that_changes_is_seen_at_once(authority):
    """Without leave to take up a session, with the same contexts and the same server the next probe looks at what it shows now."""
    past = datetime(2020, 1, 2, tzinfo=UTC)
    context = server_tls(authority.issue_cert("www.example.test"))
    expired = authority.issue_cert("www.example.test", not_before=past - timedelta(days=9), not_after=past)

    async def play():
        toolbox = Toolbox(ca_file=authority.path)
        async with listening(says(OK), tls=context) as server:
            check = Check("https", server.port)
            before = [await run(check, FQDN, "127.0.0.1", 2, toolbox) for _ in range(2)]
            expired.configure_cert(context)
            after = await run(check, FQDN, "127.0.0.1", 2, toolbox)
        await toolbox.close()
        return [*before, after]

    evidence = [each.evidence for each in asyncio.run(play())]
    assert ["HTTP 200", "HTTP 200", "certificate expired 2020-01-02"] == evidence


def test_a_server_that_wants_to_know_us_is_bad(authority):
    """With TLS 1.3 it hangs up after the handshake. That is the endpoint's fault, not one of this node."""
    context = server_tls(authority.issue_cert("www.example.test"))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)

    async def play():
        toolbox = Toolbox(ca_file=authority.path)
        async with listening(says(OK), tls=context) as server:
            found = await run(Check("https", server.port), FQDN, "127.0.0.1", 2, toolbox)
        await toolbox.close()
        return found

    result = asyncio.run(play())
    assert (False, True, True) == (result.up, result.answered, result.tried)


def test_what_tls_says_is_never_a_fault_of_this_node():
    """The numbers of its errors mean something else than those of the operating system: 1 is no missing permission."""
    for number in range(20):
        error = ssl.SSLError(number, "no")
        error.reason = "NO_REASON"
        failure = failure_of(error, Progress())
        assert (True, True) == (failure.answered, failure.tried)


def test_tls_to_a_plain_port_is_bad(authority):
    """A server that speaks no TLS is told from one with a bad certificate."""

    async def plain(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    result = probe(authority, None, rogue=plain)
    assert (False, "no TLS on this port", True) == (result.up, result.evidence, result.answered)


def test_plain_to_a_tls_port_is_bad(authority):
    """An HTTP check of a TLS port gets no HTTP answer."""

    async def play():
        context = server_tls(authority.issue_cert("www.example.test"))
        async with listening(says(OK), tls=context) as server:
            return await run(Check("http", server.port), FQDN, "127.0.0.1", 2)

    result = asyncio.run(play())
    assert not result.up
    assert result.evidence in {"not an HTTP answer", "connection closed unanswered", "connection reset"}


def test_a_handshake_that_never_ends_is_bad_in_time(authority):
    """A peer that accepts and is silent during the handshake fails at the deadline."""
    result = probe(authority, None, 0.3, gallery.never_answers)
    assert (False, "no TLS handshake within 300 ms", True) == (result.up, result.evidence, result.answered)
    assert result.latency_ms < 600


def test_a_handshake_cut_off_is_bad(authority):
    """A peer that closes or resets during the handshake is down at once."""
    for rogue in (gallery.closes_at_once, gallery.resets_at_once):
        result = probe(authority, None, 2, rogue)
        assert (False, True) == (result.up, result.answered)
        assert result.latency_ms < 1000
        assert result.evidence.startswith("connection ")


def probe_handshake(authority, certificate, **options):
    """Probe with kind tls; return the result."""
    context = server_tls(certificate)

    async def play():
        async with listening(gallery.never_answers, tls=context) as server:
            check = Check("tls", server.port, **options)
            return await run(check, FQDN, "127.0.0.1", 2, Toolbox(ca_file=authority.path))

    return asyncio.run(play())


def ending_in(authority, days, name="www.example.test"):
    return authority.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days, minutes=5))


def test_a_handshake_is_enough_for_tls(authority):
    """A check of kind tls says nothing after the handshake, and tells version and end of validity."""
    result = probe_handshake(authority, ending_in(authority, 30))
    day = datetime.now(UTC) + timedelta(days=30, minutes=5)
    assert (True, f"TLS 1.3, certificate until {day:%Y-%m-%d}") == (result.up, result.evidence)


def test_tls_verifies_like_https(authority):
    """The name is verified, or nothing is."""
    certificate = ending_in(authority, 30, "other.test")
    bad = probe_handshake(authority, certificate)
    assert (False, "certificate is not for www.example.test") == (bad.up, bad.evidence)
    assert probe_handshake(authority, certificate, verify=False).up
    assert probe_handshake(authority, certificate, host="other.test").up


@pytest.mark.parametrize(("ends_in", "days", "warns"), [(10, 14, True), (20, 14, False), (10, 0, False)])
def test_an_end_near_is_a_warning(authority, ends_in, days, warns):
    """A certificate that ends within ``warn_expiry_days`` is still good, and told."""
    day = datetime.now(UTC) + timedelta(days=ends_in, minutes=5)
    warning = f"certificate ends {day:%Y-%m-%d}" if warns else ""
    handshake = probe_handshake(authority, ending_in(authority, ends_in), warn_expiry_days=days)
    https = probe(authority, ending_in(authority, ends_in), warn_expiry_days=days)
    assert (True, warning) == (handshake.up, handshake.warning)
    assert (True, warning) == (https.up, https.warning)


def test_an_unreadable_ca_file_is_evidence(tmp_path):
    """A CA file that is gone is this node's fault: evidence of nothing, with a sentence that names it."""

    async def play():
        toolbox = Toolbox(ca_file=tmp_path / "gone.pem")
        return await run(Check("https", 1), FQDN, "127.0.0.1", 1, toolbox)

    result = asyncio.run(play())
    assert (False, False, False) == (result.up, result.answered, result.tried)
    assert result.evidence.startswith("the CA file cannot be read")


def test_names_for_tls():
    """Brackets and port are the Host header's."""
    expected = {"a.test": "a.test", "a.test:8443": "a.test", "[::1]:443": "::1", "::1": "::1"}
    assert expected == {host: tls_name(host) for host in expected}
