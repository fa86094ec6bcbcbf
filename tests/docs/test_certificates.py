"""What the documents say of certificates works as it is printed, line after line."""

import re
import shlex
from pathlib import Path

import pytest

from node.cli.main import main
from node.config import load
from raft.identity import Certified
from raft.protection import TlsFiles
from raft.trust import check_files

ROOT = Path(__file__).parent.parent.parent


def blocks(page: str, heading: str) -> list[str]:
    """Return the plain code blocks of one section."""
    section = (ROOT / page).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```\n(.*?)```", section, re.DOTALL)


def run(line: str) -> int:
    program, *words = shlex.split(line)
    assert "qdns" == program
    return main(words)


def test_a_cluster_is_made_renewed_taken_back_and_given_another_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line of the section, in its order, in one folder; afterwards every node could start."""
    monkeypatch.chdir(tmp_path)
    lines = [
        line
        for block in blocks("docs/operations.md", "Certificates between nodes")
        for line in block.splitlines()
    ]
    assert 9 == len(lines)
    for line in lines:
        assert 0 == run(line), line
    for node in ("ns1", "ns2", "ns3"):
        files = TlsFiles(
            Path("tls/ca.pem"), Path(f"tls/{node}.pem"), Path(f"tls/{node}.key"), Path("tls/refused")
        )
        check_files(files, Certified("prod", node, "voter"))


def test_the_readme_makes_a_cluster_of_three_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of the README gives what a node accepts, without a word."""
    monkeypatch.chdir(tmp_path)
    (line, *_) = blocks("README.md", "A cluster of your own")[0].splitlines()
    assert 0 == run(line)
    config = load("cluster.toml", {}, "ns3")
    assert (3, []) == (len(config.nodes), [each.code for each in config.warnings])


def test_the_links_between_the_pages_lead_somewhere() -> None:
    """Pages that are named are there, and so is the section."""
    assert (ROOT / "docs/security.md").is_file()
    assert "\n## Certificates between nodes\n" in (ROOT / "docs/operations.md").read_text()
