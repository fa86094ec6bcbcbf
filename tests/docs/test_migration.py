"""Coming from other programs: the examples mean what the page says."""

import subprocess
import sys
from pathlib import Path

from node.config import load
from tests.docs.commands import ROOT, blocks

PAGE = ROOT / "docs" / "migration.md"
BASE = """
[[nodes]]
name = "ns1"
raft = "127.0.0.1:7300"

[[zones]]
name = "example.com"
nameservers = ["ns1.example.com"]
"""


def test_gdnsd(tmp_path: Path) -> None:
    """The service that stands for the resource has its addresses, its check and its threshold."""
    (text,) = blocks(PAGE, "toml")
    (tmp_path / "cluster.toml").write_text(BASE + text)
    (service,) = load(tmp_path / "cluster.toml", {}).services
    assert ["192.0.2.10", "192.0.2.11"] == [each.address for each in service.endpoints]
    assert (2000, 1000, 50, 60) == (
        service.interval_ms, service.timeout_ms, service.fail_open_percent, service.ttl,
    )  # fmt: skip
    assert ("http", 80, "/health") == (service.check.kind, service.check.port, service.check.path)


def test_rrdnsd(tmp_path: Path) -> None:
    """The imported file is accepted; the line that starts a node with the JSON itself is tested with the seed's."""
    _run, convert, check = blocks(PAGE, "sh")[0].strip().split("\n")
    source = ROOT / "tests" / "config" / "data" / "rrdnsd.json"
    (tmp_path / "rrdnsd.json").write_text(source.read_text())
    for line in (convert.replace("/etc/", ""), check):
        command = line.replace("qdns", f"{sys.executable} -m node", 1)
        environ = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "LOCAL_NODE": "127.0.0.1:3333"}
        done = subprocess.run(
            command, shell=True, check=False, capture_output=True, text=True, cwd=tmp_path, env=environ
        )
        assert 0 == done.returncode, done.stdout + done.stderr
