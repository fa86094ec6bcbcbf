"""Certificates say who a node is, and only the cluster's own authority can say it."""

import asyncio
import datetime as dt
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from raft.certificates import BadCertificate, Pair, issue, make_authority, read_identity
from raft.errors import RaftError
from raft.identity import Certified, peer_node
from raft.protection import LoopbackOnly, TlsFiles
from raft.tls import TlsContexts
from tests.raft.net import SECRET, Party, closing, until

LONG_AGO = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
FAR_OFF = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)


def stored(folder: Path, name: str, authority: Pair, pair: Pair) -> TlsFiles:
    files = TlsFiles(folder / f"{name}.ca", folder / f"{name}.pem", folder / f"{name}.key")
    for path, octets in (
        (files.authority, authority.certificate),
        (files.certificate, pair.certificate),
        (files.key, pair.key),
    ):
        path.write_bytes(octets)
    files.key.chmod(0o600)
    return files


def files_of(folder: Path, name: str, authority: Pair, **more: Any) -> TlsFiles:
    who = Certified(more.pop("cluster", "c1"), name, more.pop("role", "voter"))
    return stored(folder, name, authority, issue(authority, who, **more))


@pytest.mark.parametrize(
    "who",
    [Certified("c1", "ns1", "voter"), Certified("a/b ü", "n:1/%2F", "replica"), Certified("c", "x", "admin")],
)
def test_the_certificate_names_its_node(who: Certified) -> None:
    """Cluster, role and name come back exactly, whatever characters they hold."""
    pair = issue(make_authority(who.cluster), who)
    assert who == read_identity(x509.load_pem_x509_certificate(pair.certificate))


def test_a_certificate_without_a_node_is_told() -> None:
    """The authority's own certificate names no node."""
    with pytest.raises(BadCertificate, match="no alternative name"):
        read_identity(x509.load_pem_x509_certificate(make_authority("c").certificate))


@pytest.mark.real
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_accepts_the_chain(tmp_path: Path) -> None:
    """Another implementation verifies what was issued, for both ends of a connection (RFC 5280)."""
    files = files_of(tmp_path, "ns1", make_authority("c1"))
    for purpose in ("sslserver", "sslclient"):
        command = [
            "openssl",
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            files.authority,
            files.certificate,
        ]
        assert "OK" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_nodes_with_certificates_exchange_messages(tmp_path: Path) -> None:
    """Two nodes of one authority connect by TLS 1.3 and find one another's role."""

    async def run() -> None:
        authority = make_authority("c1")
        a = Party("a", protection=files_of(tmp_path, "a", authority))
        b = Party("b", protection=files_of(tmp_path, "b", authority, role="replica"), role="replica")
        async with closing(a, b):
            to_b, to_a = a.meet(b), b.meet(a)
            await until(lambda: a.transport.is_connected(to_b) and b.transport.is_connected(to_a))
            assert [("replica", "b")] == a.events
            for number in range(200):
                assert a.transport.send(to_b, {"text": number})
            assert b.transport.send(to_a, {"text": b"x" * (2 << 20)})
            await until(lambda: len(b.messages) == 200 and a.messages)
            assert list(range(200)) == b.texts()
            connection = a.transport._links["b"].current
            assert connection is not None
            assert connection.transport is not None
            assert "TLSv1.3" == connection.transport.get_extra_info("ssl_object").version()
            assert [] == a.refusals == b.refusals

    asyncio.run(run())


def impostor(folder: Path, authority: Pair, what: str) -> tuple[Any, Any]:
    """Return the protection of someone who wants to be ``b``, and how he gets past his own start."""
    other = make_authority("c1")
    if what == "other-authority":
        theirs = files_of(folder, "b", other)
        return None, TlsFiles(folder / "a.ca", theirs.certificate, theirs.key)
    if what == "expired":
        return None, files_of(folder, "b", authority, days=1, now=lambda: LONG_AGO)
    if what == "early":
        return None, files_of(folder, "b", authority, now=lambda: FAR_OFF)
    if what == "other-name":
        return None, files_of(folder, "c", authority)
    if what == "other-cluster":
        return None, files_of(folder, "b", authority, cluster="c9")
    if what == "other-role":
        return None, files_of(folder, "b", authority, role="admin")
    return (SECRET if what == "secret" else LoopbackOnly()), None


def _unchecked(_: TlsContexts, files: TlsFiles, __: Certified) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes())


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("other-authority", "authority did not make"),
        ("expired", "a certificate that has expired"),
        ("early", "a certificate that is not valid yet"),
        ("other-name", "another name, role or cluster than its certificate"),
        ("other-cluster", "another name, role or cluster than its certificate"),
        ("other-role", "another name, role or cluster than its certificate"),
        ("secret", "uses another protection"),
        ("plain", "uses another protection"),
    ],
)
def test_who_has_no_valid_certificate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, reason: str
) -> None:
    """Another authority, an expired certificate, another's certificate, none: refused and told why."""

    async def run() -> None:
        authority = make_authority("c1")
        a = Party("a", protection=files_of(tmp_path, "a", authority))
        protection, unchecked = impostor(tmp_path, authority, what)
        if unchecked is not None:
            monkeypatch.setattr("raft.tls.TlsContexts._check_own", _unchecked)
            monkeypatch.setattr("raft.tls.TlsContexts._check_issuer", lambda *_: None)
        b = Party("b", protection=protection or unchecked)
        async with closing(a, b):
            known = peer_node("b", "127.0.0.1:1")
            a.transport.addNode(known)
            b.meet(a)
            await until(lambda: any(reason in told for _, told in a.refusals))
            await until(lambda: b.refusals)
            assert [] == a.events == b.events

    asyncio.run(run())


def test_a_dialled_node_must_be_the_one_that_was_meant(tmp_path: Path) -> None:
    """Another node's valid certificate at a peer's address is refused by the side that dials."""

    async def run() -> None:
        authority = make_authority("c1")
        a = Party("a", protection=files_of(tmp_path, "a", authority))
        c = Party("c", protection=files_of(tmp_path, "c", authority))
        async with closing(a, c):
            b_at_c = peer_node("b", c.address)
            a.transport.addNode(b_at_c)
            await until(lambda: any("another node answers" in told for _, told in a.refusals + c.refusals))
            assert not a.transport.is_connected(b_at_c)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"role": "admin"}, "is of the admin 'a' of cluster 'c1', and this is the voter 'a'"),
        ({"cluster": "c2"}, "of cluster 'c2'"),
        ({"days": 1, "now": lambda: LONG_AGO}, "is valid from 2000-12-31 to 2001-01-02.*has expired: renew it"),
        ({"now": lambda: FAR_OFF}, "not valid yet: set the clock"),
    ],
)
def test_a_node_does_not_start_with_a_certificate_that_is_not_its_own(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    """Wrong role, wrong cluster or expired: told at the start, with exit code 3."""
    files = files_of(tmp_path, "a", make_authority("c1"), **changes)

    async def run() -> None:
        Party("a", protection=files)

    with pytest.raises(RaftError, match=words) as caught:
        asyncio.run(run())
    assert 3 == caught.value.exit_code


@pytest.mark.parametrize("broken", ["authority", "certificate", "key"])
@pytest.mark.parametrize(
    "contents", [None, b"", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"]
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, broken: str, contents: bytes | None) -> None:
    """A missing, empty or broken file is told by its path."""
    files = files_of(tmp_path, "a", make_authority("c1"))
    path: Path = getattr(files, broken)
    path.unlink()
    if contents is not None:
        path.write_bytes(contents)

    async def run() -> None:
        Party("a", protection=files)

    with pytest.raises(RaftError, match=str(path)) as caught:
        asyncio.run(run())
    assert 3 == caught.value.exit_code
