"""Every example of docs/zones.md runs as it is printed, against a development node on other ports."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs/zones.md").read_text()
QDNS = Path(sys.executable).parent / "qdns"
EXAMPLES = re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)

pytestmark = [
    pytest.mark.xdist_group("examples of zones"),
    pytest.mark.real,
    pytest.mark.skipif(not QDNS.exists(), reason="the command qdns is not installed in this environment"),
    pytest.mark.skipif(not shutil.which("dig"), reason="dig is not installed"),
    pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed"),
]


@pytest.fixture(name="node", scope="module")
def _node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, int]]:
    """A development node: a folder to work in, and its ports."""
    folder = tmp_path_factory.mktemp("zones")
    dns, api = free_port(), free_port()
    command = [QDNS, "dev", "--dns-port", str(dns), "--api-port", str(api)]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as node:
        assert node.stdout is not None
        next(line for line in node.stdout if "Ctrl-C" in line or "node.started" in line)
        wait = [
            "curl",
            "-sf",
            "--retry",
            "40",
            "--retry-all-errors",
            "--retry-delay",
            "1",
            f"http://127.0.0.1:{api}/readyz",
        ]
        subprocess.run(wait, check=True, capture_output=True, timeout=60)
        yield folder, dns, api
        node.send_signal(signal.SIGTERM)
        node.stdout.read()


def test_there_are_examples() -> None:
    """The page shows files, leases and the etcd door."""
    assert 7 == len(EXAMPLES)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(node: tuple[Path, int, int], number: int) -> None:
    """Each block runs to its end, in the order of the page."""
    folder, dns, api = node
    script = EXAMPLES[number].replace("127.0.0.1:7380", f"127.0.0.1:{api}").replace("-p 9000", f"-p {dns}")
    script = script.replace("198.51.100.53", "127.0.0.53")  # a secondary is told of changes (RFC 1996)
    environment = {
        **os.environ,
        "PATH": f"{QDNS.parent}:{os.environ['PATH']}",
        "NO_COLOR": "1",
        "QDNS_API": f"http://127.0.0.1:{api}",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 0 == done.returncode, f"{script}\n{done.stdout}{done.stderr}"
    for expected in EXPECTED.get(number, ()):
        assert expected in done.stdout, done.stdout


EXPECTED = {
    0: ("192.0.2.2\n",),
    1: ("+ mail 300 IN A 192.0.2.25", "imported  example.org"),
    4: ("for 90 s unless set again", "lease 90 s"),
    5: ("123.123.123.123\n", '"ttl":30'),
    6: ("# not taken: /helix/net/example/bad/A", "leased  foo.example.net. A for 300 s"),
}
