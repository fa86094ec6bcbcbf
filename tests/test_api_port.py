"""The API of a whole node: TLS with a certificate that is renewed, the Unix socket, and tokens of file and log."""

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import trustme

from node.certificate import CertificateFiles
from node.cli.client import Client
from node.cli.faults import ExitCode, Failure
from tests.cluster.servers import wait_until
from tests.dns.test_certificate import issue
from tests.process import Process

pytestmark = pytest.mark.real

SECRET = "qdns_admin_of_the_file_0123456789"
API = """
[dns]
listen = ["127.0.0.1:{port}"]
[api]
socket = "api.sock"
tls    = { cert = "cert.pem", key = "file:key.pem", ca = "ca.pem" }
"""
TOKEN = """
[[api.tokens]]
name  = "admin"
token = "file:token"
"""


@pytest.fixture(name="node", scope="module")
def _node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, trustme.CA]]:
    folder = tmp_path_factory.mktemp("node")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    files = CertificateFiles(folder / "cert.pem", folder / "key.pem")
    issue(authority, "127.0.0.1", files)
    files.key.chmod(0o600)
    with Process(folder, API + TOKEN, {"token": SECRET}, scheme="https") as process:
        wait_until(lambda: is_ready(process), "the node is ready")
        yield process, authority


def is_ready(process: Process) -> bool:
    ca = str(process.folder / "ca.pem")
    return requests.get(f"https://127.0.0.1:{process.api}/readyz", verify=ca, timeout=5).ok


def qdns(process: Process, *urls: str, token: str | None = None) -> Client:
    """Return a client as the command line has one."""
    return Client(urls, token=token, timeout_s=5, environ={}, ca=str(process.folder / "ca.pem"))


def test_tls(node: tuple[Process, trustme.CA]) -> None:
    """The API speaks TLS alone on its port, shows its certificate, and asks for a token on loopback, too."""
    process, _ = node
    url = f"https://127.0.0.1:{process.api}"
    assert [url] == [row["api"] for row in process.events("node.started")]
    assert "ns1" == qdns(process, url, token=SECRET).get("/v1/status")["node"]
    with pytest.raises(Failure, match="asks for a token"):
        qdns(process, url).get("/v1/status")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{process.api}/healthz", timeout=5)
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{url}/healthz", timeout=5)
    form = requests.post(
        f"{url}/login",
        {"token": SECRET},
        timeout=5,
        allow_redirects=False,
        verify=str(process.folder / "ca.pem"),
    )
    assert "; Secure" in form.headers["Set-Cookie"]


def test_a_certificate_that_is_not_accepted(node: tuple[Process, trustme.CA], tmp_path: Path) -> None:
    """Whoever has not the authority is told which file to name; another name, and a file that is none, are told."""
    process, _ = node
    url = f"https://127.0.0.1:{process.api}"
    unknown = tmp_path / "unknown.pem"
    trustme.CA().cert_pem.write_to_path(str(unknown))
    (tmp_path / "none.pem").write_text("this is no certificate")
    told = []
    for ca in (None, unknown, tmp_path / "none.pem", tmp_path / "gone.pem"):
        with pytest.raises(Failure) as failed:
            Client((url,), token=SECRET, timeout_s=5, environ={}, ca=str(ca) if ca is not None else None).write(
                "PUT", "/v1/zones/example.org/rrsets/x.example.org/A", {"rdatas": ["192.0.2.1"]}
            )
        told.append(failed.value)
    assert {ExitCode.UNREACHABLE} == {each.code for each in told}
    for each in told[:2]:
        assert "not trusted here" in each.facts[0]
        assert "--ca FILE" in each.hint
    assert "certificate" in told[2].facts[0], told[2].facts
    assert "gone.pem" in told[3].facts[0]
    with pytest.raises(Failure) as failed:
        qdns(process, url.replace("127.0.0.1", "localhost"), token=SECRET).get("/v1/status")
    assert "its certificate is not accepted: " in failed.value.facts[0]


def test_the_unix_socket(node: tuple[Process, trustme.CA]) -> None:
    """Over the socket whoever the kernel knows is an administrator, without TLS or a token, and is named in the events."""
    process, _ = node
    socket = process.folder / "api.sock"
    client = qdns(process, f"http+unix://{str(socket).replace('/', '%2F')}")
    wait_until(lambda: client.find("/v1/zones/example.org") is not None, "the cluster is seeded")
    client.write("PUT", "/v1/zones/example.org/rrsets/www.example.org/A", {"rdatas": ["192.0.2.1"]})
    assert f"local:{getpass.getuser()}" == client.get("/v1/events")["items"][-1]["actor"]
    assert 0o660 == socket.stat().st_mode & 0o777


def test_a_socket_that_is_gone_is_named(node: tuple[Process, trustme.CA], tmp_path: Path) -> None:
    """The next node is asked after a socket that nobody listens on; an error shows its path."""
    process, _ = node
    gone = f"http+unix://{str(tmp_path / 'gone.sock').replace('/', '%2F')}"
    url = f"https://127.0.0.1:{process.api}"
    assert "ns1" == qdns(process, gone, url, token=SECRET).get("/v1/status")["node"]
    with pytest.raises(Failure) as failed:
        qdns(process, gone).get("/v1/status")
    assert f"unix:{tmp_path}/gone.sock  no such file or directory" in failed.value.render()


def test_a_reload_takes_tokens_and_certificate(node: tuple[Process, trustme.CA]) -> None:
    """SIGHUP: another token and another pair of files hold at once; a bad file changes neither."""
    process, authority = node
    url = f"https://127.0.0.1:{process.api}"
    second = CertificateFiles(process.folder / "cert2.pem", process.folder / "key2.pem")
    issue(authority, "127.0.0.1", second)
    second.key.chmod(0o600)
    (process.folder / "token2").write_text("qdns_second_0123456789abcdef")
    (process.folder / "token2").chmod(0o600)
    process.reload((API + TOKEN).replace("cert.pem", "cert2.pem").replace("key.pem", "key2.pem") + "tokn = 1\n")
    assert "tokn" in process.events("config.refused")[-1]["detail"]
    assert "ns1" == qdns(process, url, token=SECRET).get("/v1/status")["node"]
    fresh = (API + TOKEN).replace("cert.pem", "cert2.pem").replace("key.pem", "key2.pem")
    process.reload(fresh.replace("file:token", "file:token2"))
    assert ["api.tokens", "api.certificate"] == process.events("config.reloaded")[-1]["keys"]
    assert "ns1" == qdns(process, url, token="qdns_second_0123456789abcdef").get("/v1/status")["node"]
    with pytest.raises(Failure, match="not known here"):
        qdns(process, url, token=SECRET).get("/v1/status")
    wait_until(
        lambda: str(second.cert) in str(process.events("certificate.loaded")), "the second pair is loaded"
    )
