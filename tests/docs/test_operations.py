"""The examples of backup and restore in the page for operators run as they are printed."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.servers import wait_until
from tests.cluster.test_backup_restore import Node
from tests.docs.test_readme import QDNS, ROOT
from tests.ports import free_ports

PAGE = (ROOT / "docs" / "operations.md").read_text()
FOLDER = "/var/backups/quorumdns"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not QDNS.exists(), reason="the command qdns is not installed in this environment"),
]


def blocks(heading: str) -> list[str]:
    """Return the code blocks of one section."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```\w*\n(.*?)```", section, re.DOTALL)


def test_backup_and_restore(tmp_path: Path) -> None:
    """What a running node gave is checked, compared, written by the timer's line, and begins another one."""
    tmp_path.chmod(0o755)
    (commands,) = blocks("Backup")
    units = (ROOT / "deploy" / "quorumdns-backup.service").read_text()
    (restore,) = blocks("Restore")
    api, dns, new_api, new_dns, raft = free_ports(5)
    environment = {
        "PATH": f"{QDNS.parent}:/usr/bin:/bin",
        "QDNS_API": f"http://127.0.0.1:{api}",
        "NO_COLOR": "1",
    }

    def shell(line: str) -> None:
        done = subprocess.run(
            line, shell=True, check=False, capture_output=True, text=True, env=environment, timeout=60
        )
        assert 0 == done.returncode, f"{line}\n{done.stdout}{done.stderr}"

    words = ["dev", "--api-port", str(api), "--dns-port", str(dns)]
    node = Node(tmp_path, "dev", words, api, dns)
    try:
        node.wait_ready()
        for line in commands.strip().split("\n"):
            shell(line.replace(FOLDER, str(tmp_path)))
        (start,) = re.findall(r"^ExecStart=(.*)$", units, re.MULTILINE)
        shell(start.replace("/usr/bin/qdns", "qdns").replace(FOLDER, str(tmp_path)).replace("%%", "%"))
        assert 2 == len(list(tmp_path.glob("*.qdns")))
    finally:
        node.stop()

    (tmp_path / "cluster.toml").write_text(
        f'[cluster]\nname = "dev"\n[[nodes]]\nname = "ns1"\nraft = "127.0.0.1:{raft}"\n'
        f'api = "http://127.0.0.1:{new_api}"\n[raft]\ndata_dir = "data"\n[dns]\nlisten = ["127.0.0.1:{new_dns}"]\n'
    )
    line = restore.strip().replace(FOLDER, str(tmp_path))
    assert line.startswith("qdns ")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "node", *line.split()[1:]],
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(ROOT)},
        )
    try:
        wait_until(lambda: "restore.finished" in (tmp_path / "log").read_text(), "it is restored", 30)
    finally:
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(15), (tmp_path / "log").read_text()
