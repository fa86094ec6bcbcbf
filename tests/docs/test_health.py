"""The configuration in docs/health.md is accepted, and its commands run, as they are printed."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.test_backup_restore import Node
from tests.config.helpers import accepted
from tests.docs.test_readme import QDNS
from tests.ports import free_ports

TEXT = (Path(__file__).parent.parent.parent / "docs/health.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
EXPECTED = {
    0: ("created  service jobs.example.com", "heard by dev for 60 s", '"lease_s":60'),
    1: ("created  service shop.example.com", "set  service shop.example.com", "fall 5", "steady for 5m"),
    2: ("created  service pool.example.com", "added  pool.example.com 127.0.0.31", "127.0.0.30"),
    3: (
        "stays in DNS as it is",
        "no maintenance",
        "127.0.0.31 published, 127.0.0.30 withdrawn",
        "undrained  shop.example.com 127.0.0.31",
        "drained  shop.example.com 127.0.0.30",
        "forced up  shop.example.com 127.0.0.30",
        "back  shop.example.com 127.0.0.30",
    ),
    4: (
        "with at least 1 vote",
        "127.0.0.30 is published: it is forced up",
        "maintenance.begun",
        "withdrawals, would be",
    ),
}


def test_the_example_is_accepted() -> None:
    """Both services come of it, with their checks."""
    (example,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    config = accepted(example)
    assert ["https", "composite"] == [each.check.kind for each in config.services]
    assert {"queue"} == set(config.checks.exec_checks)


@pytest.fixture(name="port")
def _port() -> Iterator[int]:
    """Where the endpoints of the examples listen: on loopback, because nobody else may be probed."""
    with (
        socket.create_server(("127.0.0.30", 0)) as first,
        socket.create_server(("127.0.0.31", first.getsockname()[1])),
    ):
        yield int(first.getsockname()[1])


@pytest.mark.real
@pytest.mark.skipif(not QDNS.exists(), reason="the command qdns is not installed in this environment")
def test_the_commands_run(port: int, tmp_path: Path) -> None:
    """One block after another, against a development node that has the zone."""
    tmp_path.chmod(0o755)
    api, dns = free_ports(2)
    environment = {
        **{key: value for key, value in os.environ.items() if key != "VISUAL"},
        "PATH": f"{QDNS.parent}:{os.environ['PATH']}",
        "QDNS_API": f"http://127.0.0.1:{api}",
        "NO_COLOR": "1",
        "TMPDIR": str(tmp_path),
    }

    def bash(script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert 0 == done.returncode, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    node = Node(tmp_path, "dev", ["dev", "--api-port", str(api), "--dns-port", str(dns)], api, dns)
    try:
        node.wait_ready()
        bash("qdns zone create example.com --ns ns1.example.com")
        assert len(EXPECTED) == len(EXAMPLES)
        for number, example in enumerate(EXAMPLES):
            out = bash(example.replace("192.0.2.", "127.0.0.").replace("{}:443", f"{{}}:{port}"))
            for expected in EXPECTED[number]:
                assert expected in out, out
    finally:
        node.stop()
    assert [] == list(tmp_path.glob("qdns-edit-*"))
