"""``qdns init``: what it writes, that it overwrites nothing, and what it does with certificates later."""

import datetime as dt
import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from node.cli.authority import AuthorityFolder
from node.cli.new_files import NewFile, write_new
from node.config import load
from node.zone.name import to_text
from raft.certificates import issue, make_authority
from raft.identity import Certified
from raft.protection import TlsFiles
from raft.tls import fingerprint, read_refused
from raft.trust import check_files
from tests.cli.conftest import Qdns

THREE = ("--node", "ns1=192.0.2.1", "--node", "ns2=192.0.2.2:7400", "--node", "ns3=2001:db8::3")
SECRETS = {
    "tls/ns1.key",
    "tls/ns2.key",
    "tls/ns3.key",
    "tls/api/ns1.key",
    "tls/api/ns2.key",
    "tls/api/ns3.key",
    "secrets/nodes",
    "secrets/admin-token",
    "offline/ca.key",
}


def written() -> dict[str, int]:
    """Return the files of this folder with their modes."""
    return {str(path): stat.S_IMODE(path.stat().st_mode) for path in Path().rglob("*") if path.is_file()}


def files_of(node: str) -> TlsFiles:
    return TlsFiles(Path("tls/ca.pem"), Path(f"tls/{node}.pem"), Path(f"tls/{node}.key"), Path("tls/refused"))


def works(node: str, cluster: str = "prod") -> dt.datetime:
    """Return the end of a node's certificate; fail if a node could not start with its files."""
    return check_files(files_of(node), Certified(cluster, node, "voter"))


def print_of(path: str) -> str:
    return fingerprint(x509.load_pem_x509_certificate(Path(path).read_bytes()))


@pytest.fixture(name="made")
def fixture_made(qdns: Qdns) -> Qdns:
    """A cluster of three machines in this folder."""
    assert 0 == qdns("init", "--cluster", "prod", *THREE, "--zone", "example.com.").code
    return qdns


def test_what_it_makes_is_a_cluster(made: Qdns) -> None:
    """The configuration is accepted without a word, and each node starts with its files."""
    for node in ("ns1", "ns2", "ns3"):
        ran = made("config", "check", "--node", node)
        assert (0, "") == (ran.code, ran.err)
        assert works(node) > dt.datetime.now(dt.UTC) + dt.timedelta(days=800)
    config = load("cluster.toml", {}, "ns3")
    assert ("prod", ["192.0.2.1:7300", "192.0.2.2:7400", "[2001:db8::3]:7300"]) == (
        config.cluster.name,
        [each.raft for each in config.nodes],
    )
    assert ("[2001:db8::3]:53",) == config.dns.listen
    names = [to_text(name) for name in config.zones[0].settings.nameservers]
    assert ["ns1.example.com.", "ns2.example.com.", "ns3.example.com."] == names


def test_secrets_are_their_owners_alone(made: Qdns) -> None:
    """Keys, tokens and the authority's key have mode 0600, under any umask; the rest can be read."""
    del made
    modes = written()
    assert SECRETS == {path for path, mode in modes.items() if mode == 0o600}
    assert {0o600, 0o644} == set(modes.values())
    assert 0o700 == stat.S_IMODE(Path("offline").stat().st_mode)


def test_it_says_what_goes_where(made: Qdns, tmp_path: Path) -> None:
    """Each machine gets its own key and nobody else's, and never the authority's."""
    (tmp_path / "other").mkdir()
    ran = made("init", "--cluster", "prod", *THREE, "--out", "other/new folder")
    lines = [line.strip() for line in ran.out.splitlines() if line.strip().startswith("tar ")]
    assert 3 == len(lines)
    for number, line in enumerate(lines, 1):
        words = [word for word in line.split() if word.startswith("tls/ns")]
        assert [f"tls/ns{number}.pem", f"tls/ns{number}.key"] == words
        of_api = [word for word in line.split() if word.startswith("tls/api/")]
        assert [f"tls/api/ns{number}.pem", f"tls/api/ns{number}.key"] == of_api
        assert "offline" not in line
        packing = line.partition(" | ")[0]
        packed = subprocess.run(
            f"{packing} | tar -t", shell=True, check=True, capture_output=True, text=True
        ).stdout
        assert f"tls/ns{number}.key" in packed.splitlines()
    assert "Keep other/new folder/offline/ca.key offline" in ran.out


def test_nothing_is_overwritten(made: Qdns) -> None:
    """A second run in the same folder changes no byte and says what is there."""
    before = {path: Path(path).read_bytes() for path in written()}
    ran = made("init", "--cluster", "other", "--node", "ns9=192.0.2.9")
    assert 7 == ran.code
    assert "nothing was written" in ran.err
    assert "  cluster.toml" in ran.err
    assert before == {path: Path(path).read_bytes() for path in written()}


def test_what_cannot_be_finished_is_not_begun(tmp_path: Path) -> None:
    """When a later file cannot be written, the earlier ones are taken away again."""
    (tmp_path / "b").write_text("a file where a folder is needed")
    with pytest.raises(Exception, match="cannot write"):
        write_new({tmp_path / "a": NewFile(b"1"), tmp_path / "b" / "c": NewFile(b"2")})
    assert ["b"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("count", [1, 3])
def test_on_one_machine_no_secret_is_needed(qdns: Qdns, count: int) -> None:
    """Loopback: data beside the file, DNS on a port for everyone, certificates all the same."""
    nodes = [word for n in range(1, count + 1) for word in ("--node", f"n{n}=127.0.0.{n}")]
    ran = qdns("init", "--cluster", "prod", *nodes)
    assert (0, True) == (ran.code, "qdns cluster up" in ran.out)
    config = load("cluster.toml", {}, "n1")
    assert (Path.cwd() / "data/n1", ("127.0.0.1:9000",), ()) == (
        config.raft.data_dir,
        config.dns.listen,
        config.warnings,
    )
    assert not Path("secrets").exists()
    works("n1")


def test_defaults_are_taken_only_when_told(qdns: Qdns) -> None:
    """Without a terminal what is missing is named; --yes means three nodes on this machine."""
    ran = qdns("init", "--cluster", "prod")
    assert (2, True, {}) == (ran.code, "--node NAME=IP" in ran.err, written())
    assert 0 == qdns("init", "--yes").code
    assert ["127.0.0.1:7300", "127.0.0.2:7300", "127.0.0.3:7300"] == [
        each.raft for each in load("cluster.toml", {}, "ns1").nodes
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--node", "ns1"), 'write it like "ns1=192.0.2.1"'),
        (("--node", "ns1=example.com"), "is not an address"),
        (("--node", "ns1=0.0.0.0"), "no address that other nodes can reach"),
        (("--node", "ns/1=192.0.2.1"), "cannot be a name"),
        (("--node", "a=192.0.2.1", "--node", "a=192.0.2.2"), "two nodes are called a"),
        (("--node", "a=127.0.0.1:1", "--node", "b=127.0.0.1:2"), "a and b have the same address 127.0.0.1"),
        (("--node", "a=127.0.0.1", "--node", "b=192.0.2.2"), "a on a loopback address cannot be reached"),
        (("--node", "a=192.0.2.1", "--cluster", "../x"), "cannot be a name"),
        (("--node", "a=192.0.2.1", "--zone", "exa mple..com"), "exa mple..com"),
        (("--node", "a=192.0.2.1", "--renew", "a"), "one thing at a time"),
    ],
)
def test_what_cannot_be_meant_is_refused(qdns: Qdns, words: tuple[str, ...], says: str) -> None:
    """A sentence that names it, and no file."""
    ran = qdns("init", "--cluster", "prod", *words)
    assert ran.code in (2, 3)
    assert says in ran.err
    assert {} == written()


def test_a_node_that_comes_later_gets_a_certificate(made: Qdns) -> None:
    """--issue makes one of the same authority, once."""
    ran = made("init", "--issue", "ns4")
    assert (0, True) == (ran.code, "qdns node add ns4" in ran.out)
    works("ns4")
    assert 7 == made("init", "--issue", "ns4").code


def test_a_replica_says_so_in_its_certificate(made: Qdns) -> None:
    """Its role is in the certificate, also in the renewed one."""
    assert "--replica, and [[nodes]]" in made("init", "--issue", "edge", "--replica").out
    for _ in range(2):
        check_files(files_of("edge"), Certified("prod", "edge", "replica"))
        assert 0 == made("init", "--renew", "edge").code
    text = Path("cluster.toml").read_text()
    role = '[[nodes]]\nname = "far"\nraft = "192.0.2.8:7300"\nrole = "replica"\n'
    Path("cluster.toml").write_text(text + role)
    assert 0 == made("init", "--issue", "far").code
    assert 0 == made("config", "check", "--node", "far").code


def test_a_renewed_certificate_replaces_the_old_one(made: Qdns) -> None:
    """New certificate and key; the old ones are kept, each renewal's."""
    before = [print_of("tls/ns1.pem")]
    for _ in range(2):
        assert 0 == made("init", "--renew", "ns1").code
        works("ns1")
        before.append(print_of("tls/ns1.pem"))
    assert 3 == len(set(before))
    assert set(before[:2]) == {print_of(str(path)) for path in Path("tls/old").glob("ns1-*.pem")}
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in Path("tls/old").glob("*")}
    assert 6 == made("init", "--renew", "ns9").code


def test_all_certificates_of_a_revoked_node_are_refused(made: Qdns) -> None:
    """The present one and the former ones, once each; a newer one is none of them."""
    made("init", "--renew", "ns2")
    old = {print_of("tls/ns2.pem"), *(print_of(str(path)) for path in Path("tls/old").glob("*.pem"))}
    assert "refused 2 certificates of ns2" in made("init", "--revoke", "ns2").out
    assert old == read_refused(Path("tls/refused"))
    assert "refused already" in made("init", "--revoke", "ns2").out
    made("init", "--renew", "ns2")
    assert print_of("tls/ns2.pem") not in read_refused(Path("tls/refused"))
    assert 6 == made("init", "--revoke", "ns9").code


def test_the_authority_is_replaced_in_steps(made: Qdns) -> None:
    """Both are trusted until the last node is renewed; the old key is kept aside."""
    old_key = Path("offline/ca.key").read_bytes()
    assert 0 == made("init", "--new-ca").code
    for node in ("ns1", "ns2", "ns3"):
        works(node)
    ran = made("init", "--drop-old-ca")
    assert (7, True) == (ran.code, "still in use: ns1, ns2, ns3" in ran.err)
    for node in ("ns1", "ns2", "ns3"):
        assert 0 == made("init", "--renew", node).code
    assert 0 == made("init", "--drop-old-ca").code
    assert 1 == Path("tls/ca.pem").read_text().count("BEGIN CERTIFICATE")
    for node in ("ns1", "ns2", "ns3"):
        works(node)
    assert [old_key] == [path.read_bytes() for path in Path("offline/old").iterdir()]


def test_without_the_authoritys_key_nothing_changes(made: Qdns, tmp_path: Path) -> None:
    """It is offline, as it should be: the error says where to go; a wrong key is told apart."""
    key = Path("offline/ca.key").rename(tmp_path / "safe.key")
    ran = made("init", "--renew", "ns1")
    assert (6, True) == (ran.code, "where you keep that key" in ran.err)
    assert 0 == made("init", "--renew", "ns1", "--ca-key", str(key)).code
    key.write_bytes(make_authority("prod").key)
    ran = made("init", "--renew", "ns1", "--ca-key", str(key))
    assert (7, True) == (ran.code, "is not the key of the authority" in ran.err)


def test_another_folder_is_told(qdns: Qdns) -> None:
    """The later verbs need the folder of the cluster."""
    ran = qdns("init", "--renew", "ns1")
    assert (2, True) == (ran.code, "run this in the folder that qdns init made" in ran.err)


def _spoil(what: str) -> None:
    """Spoil what ns1 starts with."""
    key, certificate = Path("tls/ns1.key"), Path("tls/ns1.pem")
    authority = AuthorityFolder(load("cluster.toml", {}, "ns1"), None)._pair()
    long_ago = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    if what == "open":
        key.chmod(0o644)
    elif what == "gone":
        key.unlink()
    elif what == "mixed":
        key.write_bytes(Path("tls/ns2.key").read_bytes())
    elif what == "other node":
        certificate.write_bytes(Path("tls/ns2.pem").read_bytes())
    else:
        who = Certified("other" if what == "other cluster" else "prod", "ns1", "voter")
        maker = make_authority("prod") if what == "other authority" else authority
        days, now = {"expired": (1, lambda: long_ago), "ends": (9, lambda: dt.datetime.now(dt.UTC))}.get(
            what, (100, lambda: dt.datetime.now(dt.UTC))
        )
        pair = issue(maker, who, days=days, now=now)
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("open", 0, "everyone on this machine can read the key"),
        ("gone", 0, "ns1 does not start without it"),
        ("ends", 0, "ends in 8 days"),
        ("mixed", 3, "does not fit the certificate"),
        ("other node", 3, "is of the voter 'ns2'"),
        ("other cluster", 3, "of cluster 'other', and this is the voter 'ns1' of 'prod'"),
        ("other authority", 3, "was not made by the authority"),
        ("expired", 3, "qdns init --renew"),
    ],
)
def test_the_check_looks_at_certificates(made: Qdns, what: str, code: int, says: str) -> None:
    """What keeps a node from starting is an error of the check, with what to do; the rest is a warning."""
    _spoil(what)
    ran = made("config", "check", "--node", "ns1")
    assert code == ran.code
    assert says in ran.err


def test_questions_are_asked_on_a_terminal_only(qdns: Qdns, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the same three things are asked for."""
    answers = iter(["lab", "a=192.0.2.1", "b=192.0.2.2", "c=192.0.2.3", "", "example.net"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    assert 0 == qdns("init").code
    config = load("cluster.toml", {}, "b")
    assert ("lab", 3, 1) == (config.cluster.name, len(config.nodes), len(config.zones))
    assert os.access("tls/b.key", os.R_OK)
