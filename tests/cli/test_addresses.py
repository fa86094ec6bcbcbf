"""Which nodes are asked, and what proves who asks."""

import socket
from pathlib import Path

import pytest

from node.cli import addresses
from node.cli.faults import Failure
from tests.cli.conftest import Qdns, Serve

TWO = """
[[nodes]]
name = "ns1"
raft = "192.0.2.1:7300"
[[nodes]]
name = "ns2"
raft = "192.0.2.2:7300"
api = "https://ns2.example:7380/"
"""


def urls(environ: dict[str, str] | None = None, flag: str | None = None) -> tuple[str, ...]:
    return addresses.api_urls(flag, None, environ or {})


def test_the_flag_wins_over_the_environment_over_the_file() -> None:
    """Without anything it is this machine's own node."""
    assert ("http://127.0.0.1:7380",) == urls()
    Path("cluster.toml").write_text(TWO)
    assert ("http://192.0.2.1:7380", "https://ns2.example:7380") == urls()
    assert ("http://a:1", "https://b:2") == urls({"QDNS_API": "a:1, https://b:2/"})
    assert ("http://c:3",) == urls({"QDNS_API": "a:1"}, "c:3")


def test_the_local_node_is_asked_first() -> None:
    """LOCAL_NODE says which of the file's nodes is nearest."""
    Path("cluster.toml").write_text(TWO)
    assert "https://ns2.example:7380" == urls({"LOCAL_NODE": "ns2"})[0]
    assert "https://ns2.example:7380" == urls({"LOCAL_NODE": "192.0.2.2:7300"})[0]


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("http://127.0.0.1:99", '[api]\nlisten = "127.0.0.1:99"'),
        ("http://127.0.0.1:99", '[api]\nlisten = "0.0.0.0:99"'),
        ("http://[::1]:99", '[api]\nlisten = "[::]:99"'),
        ("http://127.0.0.1:7380", "[cluster]\nname = 'one'"),
        ("http://127.0.0.1:7380", "nodes = 5\napi = 5"),
    ],
)
def test_a_cluster_of_one_is_asked_where_it_listens(expected: str, text: str) -> None:
    """A file without nodes says by [api] where its only node is."""
    Path("cluster.toml").write_text(text)
    assert (expected,) == urls()


def test_a_unix_socket_comes_first_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket of the system unit, unless a configuration is named; that of the file before its nodes."""
    usual, own = tmp_path / "usual.sock", tmp_path / "ns1.sock"
    monkeypatch.setattr(addresses, "SOCKET", usual)
    Path("cluster.toml").write_text(TWO + '[api]\nsocket = "{node}.sock"\ntls = { ca = "ca.pem" }\n')
    assert "https://192.0.2.1:7380" == urls()[0]
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.bind(str(usual))
        second.bind(str(own))
        assert [f"unix:{usual}", f"unix:{own}"] == [addresses.shown(each) for each in urls()[:2]]
        told = addresses.api_urls(None, Path("cluster.toml"), {})
        assert [f"unix:{own}", "https://192.0.2.1:7380"] == [addresses.shown(each) for each in told[:2]]
    assert ("http+unix://%2Fx%2Fy.sock",) == urls(flag="unix:/x/y.sock")


def test_the_authorities_of_the_configuration_are_for_its_own_nodes() -> None:
    """For URLs that somebody gave they count where the configuration has these, too; --ca and QDNS_CA count for all."""
    Path("cluster.toml").write_text(TWO + '[api]\ntls = { ca = "ca.pem" }\n')
    Path("other.pem").touch()
    own, foreign = "https://ns2.example:7380", "https://elsewhere.example:7380"

    def found(url: str, api: str | None = None, flag: Path | None = None, **environ: str) -> str | None:
        return addresses.authorities(flag, api, (url,), None, environ)

    assert ("ca.pem", None) == (found(own), found("http://192.0.2.1:7380"))
    named = {"CONF": "cluster.toml"}
    assert ("ca.pem", None) == (found(own, own, **named), found(foreign, foreign, **named))
    assert ("ca.pem", None) == (found(own, QDNS_API=own, **named), found(foreign, QDNS_API=foreign, **named))
    assert "ca.pem" == addresses.authorities(None, own, (own,), Path("cluster.toml"), {})
    assert (None, None) == (found(own, own), found(own, QDNS_API=own))  # it only happens to lie here
    assert None is addresses.authorities(None, "x", (own, foreign), Path("cluster.toml"), {})
    assert "other.pem" == found(foreign, foreign, QDNS_CA="other.pem")
    assert "other.pem" == found(own, flag=Path("other.pem"), QDNS_CA="ca.pem")
    Path("cluster.toml").write_text("[broken")
    assert None is found(own, own, **named)
    with pytest.raises(Failure, match=r"cannot read the authorities no\.pem: No such file"):
        found(own, flag=Path("no.pem"))


def test_the_json_of_rrdnsd_names_its_nodes() -> None:
    """CONF may name the file of that program."""
    Path("rrdnsd.json").write_text('{"nodes": ["192.0.2.1:3333", "192.0.2.2:3333"], "nodes_protocol": "https"}')
    expected = ("https://192.0.2.1:3333", "https://192.0.2.2:3333")
    assert expected == urls({"CONF": "rrdnsd.json"})


def test_a_token_comes_from_the_environment_or_a_file_never_from_a_word(qdns: Qdns, serve: Serve) -> None:
    """It travels in the header alone; the flag's file stands over the environment."""
    node = serve("healthy")
    Path("token").write_text("qdns_a_b\n")
    qdns("status", "--token-file", "token")
    assert "Bearer qdns_a_b" == node.seen[-1].headers["authorization"]
    qdns("status")
    assert "authorization" not in node.seen[-1].headers
    assert "qdns_c" == addresses.token(None, {"QDNS_TOKEN": "qdns_c", "QDNS_TOKEN_FILE": "token"})
    assert "qdns_a_b" == addresses.token(None, {"QDNS_TOKEN_FILE": "token"})
    assert "qdns_a_b" == addresses.token(Path("token"), {"QDNS_TOKEN": "qdns_c"})


@pytest.mark.parametrize("text", ["", "two words", "line\r\nX-Evil: 1", "geheimnis-ü"])
def test_what_cannot_be_a_token_is_refused_without_showing_it(text: str) -> None:
    """A file that holds something else must not end up in a header, nor in a message."""
    Path("token").write_text(text)
    with pytest.raises(Failure, match="does not hold a token") as caught:
        addresses.token(Path("token"), {})
    assert not text or text not in caught.value.message


def test_netrc_and_proxies_of_the_user_stay_out_of_it(
    qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither a proxy nor a line of ~/.netrc comes between us and our own nodes."""
    node = serve("healthy")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert 0 == qdns("status").code
    assert "authorization" not in node.seen[-1].headers
