"""The commands of the page on the API run as they are printed."""

import re
import subprocess
from pathlib import Path

import pytest

from node.config import loads
from tests.cluster.servers import wait_until
from tests.cluster.test_backup_restore import Node
from tests.docs.test_readme import QDNS, ROOT
from tests.ports import free_ports
from tests.process import Process

PAGE = (ROOT / "docs" / "api.md").read_text()

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not QDNS.exists(), reason="the command qdns is not installed in this environment"),
]


def blocks(heading: str) -> list[str]:
    """Return the code blocks of one section."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```\w*\n(.*?)```", section, re.DOTALL)


def shell(script: str, folder: Path, api: int) -> subprocess.CompletedProcess[str]:
    """Run lines of the page as one script that ends at the first failure."""
    environment = {
        "PATH": f"{QDNS.parent}:/usr/bin:/bin",
        "QDNS_API": f"http://127.0.0.1:{api}",
        "NO_COLOR": "1",
    }
    return subprocess.run(
        ["/bin/sh", "-e", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=60,
    )


def test_where_it_listens(tmp_path: Path) -> None:
    """The example is a configuration as it should be."""
    (text,) = blocks("Where it listens")
    config = loads(text, {}, base=tmp_path)
    assert ("https://127.0.0.1:7380", Path("/run/quorumdns/api.sock")) == (config.node.api, config.api.socket)
    assert () == config.warnings


def test_from_a_file(tmp_path: Path) -> None:
    """What differs from the file is planned, applied in one entry, and then nothing differs."""
    (script,) = blocks("From a file")
    with Process(tmp_path, "") as node:
        wait_until(lambda: "example.org" in shell("qdns zones", tmp_path, node.api).stdout, "it is seeded")
        node.write('[[zones]]\nname = "more.test"\nnameservers = ["ns1.example.org"]\n')
        done = shell(script, tmp_path, node.api)
        assert 0 == done.returncode, done.stderr
        assert 2 == done.stdout.count("+ zone more.test")
        assert "1 to add: applied in one entry" in done.stdout
        assert "nothing to do" in done.stdout


def test_tokens(tmp_path: Path) -> None:
    """From the first token on the API wants one; what was revoked is gone from the list."""
    (script,) = blocks("Who may")
    api, dns = free_ports(2)
    node = Node(tmp_path, "dev", ["dev", "--api-port", str(api), "--dns-port", str(dns)], api, dns)
    try:
        node.wait_ready()
        done = shell(script, tmp_path, api)
        assert 0 == done.returncode, done.stderr
        assert 2 == len(re.findall(r"^qdns_\w+_[0-9a-f]{64}$", done.stdout, re.MULTILINE))
        assert 0o600 == (tmp_path / "admin-token").stat().st_mode & 0o777
        refused = shell("qdns token list", tmp_path, api)
        assert (5, True) == (refused.returncode, "asks for a token" in refused.stderr)
        (batch,) = blocks("Writing")
        done = shell(f'{batch.strip()} -H "Authorization: Bearer $(cat admin-token)"', tmp_path, api)
        assert (0, True) == (done.returncode, '"changed":true' in done.stdout), done.stdout
        left = shell("QDNS_TOKEN_FILE=admin-token qdns token list -o name", tmp_path, api)
        assert ["admin", "ci"] == left.stdout.split()
    finally:
        node.stop()
