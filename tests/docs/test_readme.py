"""Every example of the README runs as it is printed."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from node.config import load
from tests.cluster.servers import wait_until

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
QDNS = Path(sys.executable).parent / "qdns"
PORTS = [("127.0.0.1", 9000), ("127.0.0.1", 7380), ("127.0.0.11", 8778)]

needs_tools = [
    pytest.mark.real,
    pytest.mark.xdist_group("fixed ports"),
    pytest.mark.skipif(not QDNS.exists(), reason="the command qdns is not installed in this environment"),
    pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed"),
    pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed"),
]


def blocks(heading: str, language: str = "") -> list[str]:
    """Return the code blocks of one section of the README."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def shell(line: str, folder: Path) -> str:
    """Run one line as a user would; fail when it does."""
    environment = {**os.environ, "PATH": f"{QDNS.parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        line, shell=True, check=False, capture_output=True, text=True, cwd=folder, env=environment, timeout=60
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def free(address: str, port: int) -> bool:
    """Say whether nothing listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) != 0


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "cluster.toml", tmp_path)
    return tmp_path


@pytest.fixture(name="development_node")
def _development_node(tmp_path: Path) -> Iterator[Path]:
    """The command of the first block, without its installation."""
    taken = [f"{address}:{port}" for address, port in PORTS if not free(address, port)]
    if taken:
        pytest.skip(f"something else listens on {taken[0]}")
    (first, *_) = blocks("Run it")
    command = first.strip().split(" && ")[1]
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen([str(QDNS), *command.split()[1:]], stdout=log, stderr=log, cwd=tmp_path)
    try:
        wait_until(lambda: not free("127.0.0.1", 7380) or process.poll() is not None, "the API listens", 20)
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield tmp_path
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0, (tmp_path / "log").read_text()


class TestDevelopment:
    """The section "Run it"."""

    pytestmark = needs_tools

    def test_the_blocks_run_as_printed(self, development_node: Path) -> None:
        """A broken web server leaves DNS and comes back; records of one's own are answered with TTL 5."""
        _, demo, own = blocks("Run it")
        look, break_it, show, look_again, mend = demo.strip().split("\n")

        def seen() -> int:
            return len(shell(look, development_node).split())

        wait_until(lambda: seen() == 3, "three addresses")
        wait_until(lambda: shell(show, development_node).count("● up") == 3, "all are voted up")
        shell(break_it, development_node)
        wait_until(lambda: seen() == 2, "the broken one left DNS", 10)
        assert "✕ down" in shell(show, development_node)
        assert len(shell(look_again, development_node).split()) == 2
        shell(mend, development_node)
        wait_until(lambda: seen() == 3, "the mended one is back", 10)

        put, dig, record = own.strip().split("\n")
        shell(put, development_node)
        answer = shell(dig, development_node)
        assert re.search(r"foo\.example\.com\.\s+5\s+IN\s+A\s+123\.123\.123\.123", answer)
        assert re.search(r"flags: qr aa", answer)
        shell(record, development_node)
        assert shell("dig +short bar.example.com @127.0.0.1 -p 9000", development_node) == "192.0.2.7\n"


class TestCluster:
    """The section "Three nodes in one minute"."""

    pytestmark = needs_tools

    def test_the_block_runs_as_printed(self, folder: Path) -> None:
        """Three nodes come up, one is killed, the others go on, all go down and leave nothing behind."""
        up, status, kill, status_again, down = blocks("Three nodes in one minute")[0].strip().split("\n")
        try:
            shell(up, folder)
            text = shell(status, folder)
            assert text.count("ready") == 3, text
            shell(kill, folder)
            wait_until(lambda: "unreachable" in shell(status_again, folder), "ns2 is seen unreachable")
            assert shell("dig +short ns1.demo.test @127.0.0.3 -p 9000", folder) == "127.0.0.1\n"
            shell("qdns cluster restart ns2", folder)
            wait_until(lambda: shell(status, folder).count("ready") == 3, "ns2 is back")
        finally:
            shell(down, folder)
        assert all(free(f"127.0.0.{number}", 7380) for number in (1, 2, 3))


def test_the_configuration_loads(tmp_path: Path) -> None:
    """The example of a cluster is accepted as it is."""
    (text,) = blocks("A cluster of your own", "toml")
    for name in ("raft-secret", "tsig-push-knot", "api-token"):
        secret = tmp_path / name
        secret.write_text("4DgtOFuxTrbrSIuWSYKyoQ0ckSIV1AlEcw5m4u1rm9k=")
        secret.chmod(0o600)
    certificate = trustme.CA().issue_cert("198.51.100.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "api.pem")
    (tmp_path / "api.key").touch(0o600)
    certificate.private_key_pem.write_to_path(tmp_path / "api.key")
    path = tmp_path / "cluster.toml"
    path.write_text(text.replace("/etc/quorumdns", str(tmp_path)))
    config = load(path, {}, "ns1")
    assert ("ns1", "ns2", "ns3") == tuple(each.name for each in config.nodes)
    assert () == config.warnings
