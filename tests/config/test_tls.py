"""``tls`` of [cluster]: one table for all nodes, each node's own files."""

from pathlib import Path

import pytest

from tests.config.helpers import LONE, accepted, faults_of, warnings_of

TLS = '[cluster.tls]\nca = "tls/ca.pem"\ncert = "tls/{node}.pem"\nkey = "file:tls/{node}.key"\n'
THREE = "".join(f'[[nodes]]\nname = "ns{n}"\nraft = "10.0.0.{n}:7300"\n' for n in (1, 2, 3))
API = '[api]\nlisten = "127.0.0.1:7380"\n'


def test_each_node_has_its_own_files(tmp_path: Path) -> None:
    """``{node}`` is the node's name, and paths start beside the file."""
    config = accepted(TLS + 'refused = "tls/refused"\n' + THREE + API, node="ns2", base=tmp_path)
    tls = config.cluster.tls
    assert tls is not None
    assert (tmp_path / "tls/ca.pem", tmp_path / "tls/ns2.pem") == (tls.ca, tls.cert)
    assert (f"file:{tmp_path}/tls/ns2.key", tmp_path / "tls/refused") == (tls.key.reference, tls.refused)


def test_certificates_are_enough_off_loopback() -> None:
    """With tls no secret is asked for; without both the file is refused, naming both."""
    assert [] == faults_of(TLS + THREE + API, node="ns1")
    ((line, _, message),) = faults_of(THREE + API, node="ns1")
    assert (3, True) == (line, "[cluster] tls or secret is required" in message)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("tls/{node}.key", "a secret is never written here"),
        ("env:KEY", "TLS reads its key from a file"),
    ],
)
def test_the_key_is_a_reference_to_a_file(key: str, words: str) -> None:
    """A bare path and an environment variable are refused at their place."""
    ((line, _, message),) = faults_of(TLS.replace("file:tls/{node}.key", key) + LONE)
    assert (4, True) == (line, words in message)


def test_a_missing_part_is_told() -> None:
    """tls is whole or not there."""
    ((_, _, message),) = faults_of('[cluster.tls]\nca = "ca.pem"\nkey = "file:k"\n' + LONE)
    assert 'missing required key "cert" in cluster.tls' == message


def test_one_certificate_for_all_nodes_is_told() -> None:
    """A certificate names one node."""
    ((_, _, message),) = warnings_of(TLS.replace("tls/{node}.pem", "tls/all.pem") + THREE + API, node="ns1")
    assert "tls/all.pem is the same for every node, and a certificate is one node's" == message


def test_tokens_without_a_secret_between_nodes_are_told(tmp_path: Path) -> None:
    """Nodes could not read one another's status."""
    token = tmp_path / "token"
    token.write_text("x" * 32)
    token.chmod(0o600)
    tokens = f'[[api.tokens]]\nname = "admin"\ntoken = "file:{token}"\n'
    messages = [message for _, _, message in warnings_of(TLS + THREE + tokens, node="ns1")]
    assert any("none can see how the others are" in message for message in messages)
