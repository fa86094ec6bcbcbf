"""What qdns init makes for the HTTP APIs: trusted by clients for its own names, worth nothing between nodes."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from node.cli.authority import AuthorityFolder
from node.config import load
from raft.certificates import hosts_in, issue_server, make_authority
from raft.errors import RaftError
from raft.identity import Certified
from raft.protection import TlsFiles
from raft.refusal import Refusal
from raft.tls import TlsContexts
from raft.trust import check_files
from tests.cli.conftest import Qdns
from tests.cli.test_init import THREE, files_of, print_of, works

API_1 = TlsFiles(Path("tls/ca.pem"), Path("tls/api/ns1.pem"), Path("tls/api/ns1.key"), None)
OWN = Certified("prod", "ns1", "voter")


@pytest.fixture(name="made")
def fixture_made(qdns: Qdns) -> Qdns:
    """A cluster of three machines in this folder."""
    assert 0 == qdns("init", "--cluster", "prod", *THREE).code
    return qdns


def meet(server: ssl.SSLContext, client: ssl.SSLContext, host: str | None = None) -> ssl.SSLObject:
    """Let two sides shake hands in memory; return the client's. Raises ``ssl.SSLError``."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    dialling = client.wrap_bio(to_client, to_server, server_hostname=host)
    accepting = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for side in (dialling, accepting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return dialling


def of_api(kind: int, files: TlsFiles) -> ssl.SSLContext:
    """Return a context as somebody has it who shows these files and believes everybody."""
    context = ssl.SSLContext(kind)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(files.certificate, files.key)
    return context


@pytest.mark.parametrize(
    ("host", "is_good"), [("192.0.2.1", True), ("ns1", True), ("192.0.2.2", False), ("ns2", False)]
)
def test_clients_trust_it_for_its_own_node(made: Qdns, host: str, is_good: bool) -> None:
    """With the authority of the cluster, at the address and by the name of the node, and nowhere else."""
    del made
    client = ssl.create_default_context(cafile="tls/ca.pem")
    server = of_api(ssl.PROTOCOL_TLS_SERVER, API_1)
    if is_good:
        assert meet(server, client, host).getpeercert()
        return
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        meet(server, client, host)


def test_a_nodes_certificate_serves_no_client(made: Qdns) -> None:
    """The key with which a node meets the others is no key for its API, nor for that of another node."""
    del made
    client = ssl.create_default_context(cafile="tls/ca.pem")
    client.hostname_checks_common_name = False  # as in qdns and browsers
    for host in ("192.0.2.1", "ns1"):
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            meet(of_api(ssl.PROTOCOL_TLS_SERVER, files_of("ns1")), client, host)


def test_it_opens_no_connection_between_nodes(made: Qdns) -> None:
    """Who shows it is refused by the node that is dialled, and by the node that dials; no node starts with it."""
    del made
    node = TlsContexts(files_of("ns2"), Certified("prod", "ns2", "voter"))
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        meet(node.accepting, of_api(ssl.PROTOCOL_TLS_CLIENT, API_1))
    with pytest.raises(Refusal, match="names 0 nodes"):
        node.certified(meet(of_api(ssl.PROTOCOL_TLS_SERVER, API_1), node.dialling))
    with pytest.raises(RaftError, match="names 0 nodes"):
        check_files(API_1, OWN)


def test_it_is_renewed_with_the_node(made: Qdns) -> None:
    """Under its names and those that are added, which it keeps; the former files are kept, too."""
    before = print_of("tls/api/ns1.pem")
    ran = made("init", "--renew", "ns1", "--host", "ns1.example.org", "--host", "2001:db8::1")
    assert (0, True) == (ran.code, "tls/api/ns1.key for its API" in ran.out)
    assert 0 == made("init", "--renew", "ns1").code
    assert before != print_of("tls/api/ns1.pem")
    assert {"192.0.2.1", "2001:db8::1", "ns1", "ns1.example.org"} == set(hosts())
    assert 4 == len(list(Path("tls/api/old").iterdir()))
    works("ns1")


def hosts(node: str = "ns1") -> tuple[str, ...]:
    """Return whom a certificate of an API is for."""
    return hosts_in(x509.load_pem_x509_certificate(Path(f"tls/api/{node}.pem").read_bytes()))


def test_a_node_that_comes_later(made: Qdns) -> None:
    """Its address is what --host says, or the configuration; without either there is no certificate for its API."""
    ran = made("init", "--issue", "ns4")
    assert (0, True, False) == (ran.code, "--host IP" in ran.out, Path("tls/api/ns4.pem").exists())
    assert 0 == made("init", "--renew", "ns4", "--host", "192.0.2.4").code
    assert ("192.0.2.4", "ns4") == hosts("ns4")
    text = Path("cluster.toml").read_text()
    Path("cluster.toml").write_text(text + '\n[[nodes]]\nname = "ns5"\nraft = "192.0.2.5:7300"\n')
    assert 0 == made("init", "--issue", "ns5").code
    assert ("192.0.2.5", "ns5") == hosts("ns5")


@pytest.mark.parametrize(
    "words",
    [
        ("--renew", "ns1", "--host", ""),
        ("--renew", "ns1", "--host", "a b"),
        ("--renew", "ns1", "--host", "*.example.org"),
        ("--renew", "ns1", "--host", "x" * 300),
        ("--revoke", "ns1", "--host", "a"),
        ("--cluster", "x", "--host", "a"),
    ],
)
def test_what_is_no_host(made: Qdns, words: tuple[str, ...]) -> None:
    """It is refused before anything is made."""
    before = print_of("tls/ns1.pem")
    assert 2 == made("init", *words).code
    assert before == print_of("tls/ns1.pem")


def test_certificates_from_elsewhere_are_left_alone(made: Qdns) -> None:
    """Another authority's certificate stays as it is, also where it stands in the place of ours."""
    foreign = make_authority("elsewhere").certificate
    Path("tls/api/ns1.pem").write_bytes(foreign)
    ran = made("init", "--renew", "ns1")
    assert (0, foreign) == (ran.code, Path("tls/api/ns1.pem").read_bytes())
    text = Path("cluster.toml").read_text()
    Path("cluster.toml").write_text(text.replace('ca = "tls/ca.pem" }', 'ca = "tls/other.pem" }'))
    before = print_of("tls/api/ns2.pem")
    assert 0 == made("init", "--renew", "ns2").code
    assert before == print_of("tls/api/ns2.pem")
    ran = made("init", "--renew", "ns2", "--host", "a")
    assert (2, True) == (ran.code, "does not have this authority" in ran.err)


def test_the_old_authority_stays_while_an_api_needs_it(made: Qdns) -> None:
    """A node whose own certificate is new and whose API's is not keeps the former authority trusted."""
    assert 0 == made("init", "--new-ca").code
    kept = {name: Path(f"tls/api/ns1.{name}").read_bytes() for name in ("pem", "key")}
    for node in ("ns1", "ns2", "ns3"):
        assert 0 == made("init", "--renew", node).code
    renewed = {name: Path(f"tls/api/ns1.{name}").read_bytes() for name in kept}
    for name, octets in kept.items():
        Path(f"tls/api/ns1.{name}").write_bytes(octets)
    ran = made("init", "--drop-old-ca")
    assert (7, True) == (ran.code, "still in use: ns1" in ran.err)
    for name, octets in renewed.items():
        Path(f"tls/api/ns1.{name}").write_bytes(octets)
    assert 0 == made("init", "--drop-old-ca").code


def test_on_one_machine_there_is_none(qdns: Qdns) -> None:
    """On loopback nobody reads the wire: plain HTTP, which no browser warns of."""
    assert 0 == qdns("init", "--yes").code
    assert not Path("tls/api").exists()
    assert load("cluster.toml", {}, "ns1").api.tls is None
    assert 0 == qdns("init", "--renew", "ns1").code


@pytest.mark.parametrize(
    ("days", "says"), [(9, "the API of ns1 ends in 8 days"), (-9, "the API of ns1 has ended on")]
)
def test_the_check_tells_when_it_ends(made: Qdns, days: int, says: str) -> None:
    """As with the node's own, but only as a warning: the node starts."""
    authority = AuthorityFolder(load("cluster.toml", {}, "ns1"), None)._pair()
    day = dt.datetime.now(dt.UTC) - (dt.timedelta(days=20) if days < 0 else dt.timedelta())
    pair = issue_server(authority, "ns1", ("192.0.2.1",), days=11 if days < 0 else days, now=lambda: day)
    API_1.certificate.write_bytes(pair.certificate)
    API_1.key.write_bytes(pair.key)
    ran = made("config", "check", "--node", "ns1")
    assert (0, True, True) == (ran.code, says in ran.err, "qdns init --renew ns1" in ran.err)
