"""Certificates change under a running node: renewed, taken back, made by another authority, or spoilt."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from structlog.testing import capture_logs

from raft.certificates import Pair, issue, make_authority
from raft.errors import RaftError
from raft.identity import Certified, peer_node
from raft.protection import TlsFiles
from raft.tls import fingerprint, read_refused
from raft.trust import Trust
from tests.raft.net import Party, closing, node_of, until

NS1 = Certified("c1", "ns1", "voter")


class Folder:
    """The files of some nodes, as a person would copy them about."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.authority = make_authority("c1")
        self._writes = 0

    def files(self, name: str) -> TlsFiles:
        return TlsFiles(
            self.path / "ca.pem",
            self.path / f"{name}.pem",
            self.path / f"{name}.key",
            self.path / f"{name}.refused",
        )

    def give(self, name: str, authority: Pair | None = None, *, days: int = 825) -> TlsFiles:
        files = self.files(name)
        pair = issue(authority or self.authority, Certified("c1", name, "voter"), days=days)
        if not files.authority.exists():
            files.authority.write_bytes(self.authority.certificate)
        files.certificate.write_bytes(pair.certificate)
        files.key.write_bytes(pair.key)
        files.key.chmod(0o600)
        if files.refused is not None and not files.refused.exists():
            files.refused.write_text("# nobody\n")
        return files

    def print_of(self, name: str) -> str:
        return fingerprint(x509.load_pem_x509_certificate(self.files(name).certificate.read_bytes()))

    def refuse(self, where: str, what: str) -> None:
        refused = self.files(where).refused
        assert refused is not None
        refused.write_text(f"{what}  # taken back\n")


def test_a_refused_certificate_ends_the_connection_and_a_new_one_is_accepted(tmp_path: Path) -> None:
    """Its fingerprint in the list closes what is open, refuses what comes, and touches nobody else."""

    async def run() -> None:
        folder = Folder(tmp_path)
        a, b, c = (Party(name, protection=folder.give(name)) for name in "abc")
        async with closing(a, b, c):
            to_b, to_c = a.meet(b), a.meet(c)
            b.meet(a)
            c.meet(a)
            await until(lambda: a.transport.is_connected(to_b) and a.transport.is_connected(to_c))
            folder.refuse("a", folder.print_of("b").upper())
            a.transport.reload()
            assert not a.transport.is_connected(to_b)
            assert a.transport.is_connected(to_c)
            await until(lambda: any("list of refused ones" in told for _, told in b.refusals))
            await until(lambda: any("list of refused ones" in told for _, told in a.refusals))
            assert all("refuses this node, saying of it" in told for _, told in b.refusals)
            folder.give("b")
            b.transport.reload()
            await until(lambda: a.transport.is_connected(to_b))

    asyncio.run(run())


def test_files_that_changed_are_used_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node looks at its files by itself; what they no longer allow ends."""
    monkeypatch.setattr("raft.transport.PING_INTERVAL_S", 0.05)

    async def run() -> None:
        folder = Folder(tmp_path)
        a, b = (Party(name, protection=folder.give(name)) for name in "ab")
        async with closing(a, b):
            to_b = a.meet(b)
            b.meet(a)
            await until(lambda: a.transport.is_connected(to_b))
            folder.refuse("a", folder.print_of("b"))
            await until(lambda: not a.transport.is_connected(to_b))

    asyncio.run(run())


def test_the_authority_is_replaced_without_a_break(tmp_path: Path) -> None:
    """Both trusted, then each node renewed, then the old one gone: connected all the time; the old certificate is out."""

    async def run() -> None:
        folder = Folder(tmp_path)
        a, b, late = (Party(name, protection=folder.give(name)) for name in ("a", "b", "late"))
        async with closing(a, b, late):
            to_b, to_late = a.meet(b), a.meet(late)
            b.meet(a)
            late.meet(a)
            await until(lambda: a.transport.is_connected(to_b) and a.transport.is_connected(to_late))
            new = make_authority("c1")
            bundle = folder.files("a").authority
            bundle.write_bytes(folder.authority.certificate + new.certificate)
            for party in (a, b, late):
                party.transport.reload()
            for name, party in (("a", a), ("b", b)):
                folder.give(name, new)
                party.transport.reload()
            assert a.transport.is_connected(to_b)
            bundle.write_bytes(new.certificate)
            a.transport.reload()
            await until(lambda: not a.transport.is_connected(to_late))
            await until(lambda: a.transport.is_connected(to_b))
            await until(lambda: any("authority did not make" in told for _, told in a.refusals))

    asyncio.run(run())


@pytest.mark.parametrize("spoilt", ["certificate", "key", "authority", "refused"])
def test_spoilt_files_leave_the_old_ones_in_use(tmp_path: Path, spoilt: str) -> None:
    """What cannot be used is told, in the log and the status, until it is mended."""
    folder = Folder(tmp_path)
    files = folder.give("ns1")
    trust = Trust(files, NS1)
    before = trust.contexts
    path: Path = getattr(files, spoilt)
    good = path.read_bytes()
    path.write_bytes(b"no such thing")
    with capture_logs() as logs:
        assert not trust.reload()
    assert ["certificate.not_reloaded"] == [each["event"] for each in logs]
    assert trust.contexts is before
    assert str(path) in trust.status.problem
    path.write_bytes(good)
    assert trust.reload()
    assert "" == trust.status.problem


def test_a_key_that_does_not_fit_is_not_loaded_halfway(tmp_path: Path) -> None:
    """Certificate copied, key not yet: nothing is loaded before both stand still and fit."""
    folder = Folder(tmp_path)
    files = folder.give("ns1")
    trust = Trust(files, NS1)
    old_key, old = files.key.read_bytes(), folder.print_of("ns1")
    folder.give("ns1")
    new_key = files.key.read_bytes()
    files.key.write_bytes(old_key)
    assert not trust.look()  # it changed just now
    assert not trust.look()  # it does not fit
    assert "does not fit the certificate" in trust.status.problem
    assert old == fingerprint(trust.contexts.certificate)
    files.key.write_bytes(new_key)
    assert not trust.look()
    assert trust.look()
    assert folder.print_of("ns1") == fingerprint(trust.contexts.certificate)
    assert not trust.look()


def test_the_end_of_a_certificate_is_told_before_and_after(tmp_path: Path) -> None:
    """A warning from 30 days before, an error afterwards; again twice a day, not at every look."""
    files = Folder(tmp_path).give("ns1", days=60)
    today = dt.datetime.now(dt.UTC)
    clock = [today]
    trust = Trust(files, NS1, now=lambda: clock[0])

    def told(days: float) -> list[str]:
        clock[0] = today + dt.timedelta(days=days)
        with capture_logs() as logs:
            trust.tell_of_time()
        return [each["event"] for each in logs]

    assert [] == told(29)
    assert ["certificate.ends_soon"] == told(31)
    assert [] == told(31.4)
    assert ["certificate.ends_soon"] == told(59.9)
    assert ["certificate.expired"] == told(60.1)
    assert [] == told(60.2)
    assert ["certificate.expired"] == told(61)


def test_a_certificate_that_ends_meanwhile_keeps_what_it_has_and_gets_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node tells, and both go on by the connection they have; a new one is refused until it is renewed."""
    monkeypatch.setattr("raft.transport.PING_INTERVAL_S", 0.05)

    async def run() -> None:
        folder = Folder(tmp_path)
        a = Party("a", protection=folder.give("a"))
        files = folder.give("b")
        begun = dt.datetime.now(dt.UTC) - dt.timedelta(days=1, seconds=-2.5)
        short = issue(folder.authority, Certified("c1", "b", "voter"), days=1, now=lambda: begun)
        files.certificate.write_bytes(short.certificate)
        files.key.write_bytes(short.key)
        b = Party("b", protection=files)
        async with closing(a, b):
            to_b = a.meet(b)
            b.meet(a)
            await until(lambda: a.transport.is_connected(to_b))
            with capture_logs() as logs:
                await until(lambda: any(each["event"] == "certificate.expired" for each in logs))
            assert a.transport.send(to_b, {"text": "still"})
            await until(lambda: b.texts() == ["still"])
            assert [] == a.refusals == b.refusals
            connection = a.transport._links["b"].current
            assert connection is not None
            connection.abort()
            await until(lambda: any("has expired" in told for _, told in a.refusals))
            await until(lambda: b.refusals)
            assert not a.transport.is_connected(to_b)
            folder.give("b")
            await until(lambda: a.transport.is_connected(to_b))

    asyncio.run(run())


def test_a_key_that_all_can_read_is_told(tmp_path: Path) -> None:
    """The node starts, and says which file to close."""
    files = Folder(tmp_path).give("ns1")
    files.key.chmod(0o644)
    with capture_logs() as logs:
        Trust(files, NS1)
    assert [f"chmod 600 {files.key}"] == [each["hint"] for each in logs]


def test_a_certificate_of_another_authority_is_not_this_nodes(tmp_path: Path) -> None:
    """Files of two clusters of one name, mixed up: told at the start."""
    folder = Folder(tmp_path)
    folder.give("ns1")
    with pytest.raises(RaftError, match=r"ns1.pem was not made by the authority in .*ca.pem"):
        Trust(folder.give("ns1", make_authority("c1")), NS1)


def test_fingerprints_are_read_as_people_write_them(tmp_path: Path) -> None:
    """With colons or without, in any case, with remarks; anything else is told with its line."""
    path = tmp_path / "refused"
    digits = "ab" * 32
    path.write_text(f"# gone\n\n{':'.join(['AB'] * 32)}  # ns2\n{digits}\n")
    assert frozenset({digits}) == read_refused(path)
    path.write_text(f"{digits}\nns2\n")
    with pytest.raises(RaftError, match=r"refused has no SHA-256 fingerprint in line 2"):
        read_refused(path)
    with pytest.raises(RaftError, match="No such file"):
        read_refused(tmp_path / "none")


def test_two_processes_under_one_name_are_told_of(tmp_path: Path) -> None:
    """A copy of a node with its certificate: the others keep the newer one, and both sides say so."""

    async def run() -> None:
        folder = Folder(tmp_path)
        a, b, copy = (Party(name, protection=folder.give(name[0])) for name in ("a", "b", "b"))
        async with closing(a, b, copy):
            a.transport.addNode(peer_node("b", b.address))
            to_b = node_of(a, "b")
            b.meet(a)
            await until(lambda: a.transport.is_connected(to_b))
            copy.meet(a)
            await until(lambda: any("newer process under the same name" in told for _, told in a.refusals))
            await until(lambda: any("newer process" in told for _, told in b.refusals))

    asyncio.run(run())
