"""``qdns doctor`` and ``qdns bugreport``: what they find, how they end, and that no secret leaves."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from node.cli.commands.bugreport import PARTS, redacted
from tests.cli.conftest import Qdns
from tests.cluster.servers import wait_until
from tests.process import Process

TOKEN = "qdns_admin_0123456789abcdef0123456789abcdef"
MORE = """
[dns]
listen = ["127.0.0.1:{port}"]
[[api.tokens]]
name  = "admin"
token = "file:token"
"""


@pytest.fixture(name="node")
def _node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    folder = tmp_path / "node"
    folder.mkdir()
    with Process(folder, MORE, {"token": TOKEN}) as process:
        url = f"http://127.0.0.1:{process.api}/v1/zones/example.org"
        shown = {"Authorization": f"Bearer {TOKEN}"}
        wait_until(lambda: requests.get(url, headers=shown, timeout=5).status_code == 200, "it is seeded")
        monkeypatch.setenv("QDNS_TOKEN_FILE", str(folder / "token"))
        monkeypatch.setenv("CONF", str(folder / "cluster.toml"))
        monkeypatch.setattr("node.cli.examinations._RESERVED", ("org",))
        yield process


@pytest.mark.real
def test_a_node_is_looked_at(node: Process, qdns: Qdns) -> None:
    """Every part of a whole node is found; what is missing is told with what to do, and in the exit code."""
    ran = qdns("doctor", "--json")
    rows = {row["subject"]: row for row in json.loads(ran.out)}
    for subject in (
        "configuration",
        "files",
        "data directory",
        "quorum",
        "versions",
        "API of ns1",
        "log of ns1",
    ):
        assert "ok" == rows[subject]["verdict"], rows[subject]
    assert {"clock of ns1", "DNS of ns1"} < set(rows)
    assert "skipped" == rows.get("delegation of example.org", {"verdict": "skipped"})["verdict"]
    assert ran.code in (0, 10)
    lines = qdns("doctor").out.splitlines()
    assert lines[0].startswith("SUBJECT")
    assert " ok" in lines[-1]


@pytest.mark.real
def test_a_report_holds_no_secret(node: Process, qdns: Qdns, tmp_path: Path) -> None:
    """The archive has all its parts, only its owner can read it, and the token is nowhere in it."""
    path = tmp_path / "report.tar.gz"
    assert 0 == qdns("bugreport", "--out", str(path)).code
    assert 0o600 == path.stat().st_mode & 0o777
    with tarfile.open(path) as archive:
        parts = {each.name.partition("/")[2]: archive.extractfile(each) for each in archive}
        texts = {name: file.read().decode() for name, file in parts.items() if file is not None}
    assert set(PARTS) == set(texts)
    assert not [name for name, text in texts.items() if TOKEN in text]
    assert "file:" in texts["configuration.txt"]
    assert "ns1" == json.loads(texts["status.json"])["node"]
    assert "qdns_build_info" in texts["metrics.txt"]
    assert "ok" in texts["doctor.txt"]
    assert 2 == qdns("bugreport", "--out", str(path)).code


def test_without_a_node(qdns: Qdns, free_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cluster that does not answer is a finding; a report is made all the same and says so."""
    monkeypatch.setenv("QDNS_API", free_url)
    ran = qdns("doctor")
    assert 11 == ran.code
    assert "no node answered" in ran.out
    assert 0 == qdns("bugreport", "--out", str(tmp_path / "report.tar.gz")).code


def test_a_broken_configuration(qdns: Qdns, free_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults of the file are told by their number and the first, with the command that shows all."""
    monkeypatch.setenv("QDNS_API", free_url)
    Path("cluster.toml").write_text("[dsn]\n[clutser]\n")
    ran = qdns("doctor", "-o", "csv")
    assert 'cluster.toml: 2 faults, the first: unknown key ""dsn""' in ran.out
    assert "qdns config check -c cluster.toml" in ran.out


def test_a_report_on_a_broken_configuration_quotes_nothing(
    qdns: Qdns, free_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the faults are is told, and not what stands there."""
    monkeypatch.setenv("QDNS_API", free_url)
    Path("cluster.toml").write_text('[[api.tokens]]\nname = "a"\n"tok n" = hunter2"\n')
    path = tmp_path / "report.tar.gz"
    assert 0 == qdns("bugreport", "--out", str(path)).code
    with tarfile.open(path) as archive:
        file = archive.extractfile("quorumdns-bugreport/configuration.txt")
        assert file is not None
        text = file.read().decode()
    assert ("cluster.toml:3" in text, "hunter2" in text) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        "Authorization: Bearer abcdefgh12345678",
        "https://user:hunter2@hooks.example.net/x",
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_is_removed(text: str) -> None:
    """Tokens, passwords in URLs and private keys go, wherever they came from; the rest stays."""
    for secret in (TOKEN, "abcdefgh12345678", "hunter2", "MHcCAQ"):
        assert secret not in redacted(f"before {text} after")
    assert redacted(f"before {text} after").startswith("before ")
    assert redacted(f"before {text} after").endswith(" after")
