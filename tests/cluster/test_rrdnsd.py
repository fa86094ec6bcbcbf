"""rrdnsd's documented configuration runs as it is: three nodes from one JSON file keep a real knotd right."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import ask
from tests.cluster.servers import Knot, WebServer, wait_until

ROOT = Path(__file__).parent.parent.parent
SEED = ROOT / "tests" / "config" / "data" / "rrdnsd.json"
NODES = ("127.0.0.1:3333", "127.0.0.1:3334", "127.0.0.1:3335")

pytestmark = [
    pytest.mark.real,
    pytest.mark.xdist_group("fixed ports"),
    pytest.mark.skipif(Knot.missing(), reason="knotd is not installed"),
    pytest.mark.skipif(shutil.which("knsupdate") is None, reason="knsupdate is not installed"),
]


class OpenKnot(Knot):
    """A knotd that lets this machine update without a key, as rrdnsd's example expects."""

    def write(self) -> None:
        super().write()
        conf = self.folder / "knot.conf"
        text = conf.read_text().replace("    key: push\n    action", "    address: 127.0.0.1\n    action")
        conf.write_text(text)


@pytest.fixture(name="knot")
def _knot(tmp_path: Path) -> Iterator[Knot]:
    knot = OpenKnot(tmp_path / "knot", "127.0.0.1", 5454, "rrdnsd.test")
    knot.start()
    yield knot
    knot.stop()


@pytest.fixture(name="webs")
def _webs() -> Iterator[list[WebServer]]:
    webs = [WebServer(address, 8778) for address in ("127.0.0.1", "127.0.0.2")]
    for web in webs:
        web.start()
    yield webs
    for web in webs:
        web.stop()


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path) -> Iterator[Path]:
    processes = []
    for node in NODES:
        environment = {
            **os.environ,
            "CONF": str(SEED),
            "LOCAL_NODE": node,
            "STATE_DIRECTORY": str(tmp_path / "state"),
            "PYTHONPATH": str(ROOT),
        }
        log = (tmp_path / f"{node}.log").open("wb")
        words = [sys.executable, "-m", "node", "run"]
        processes.append(subprocess.Popen(words, stdout=log, stderr=log, env=environment, cwd=tmp_path))
    yield tmp_path
    for process in processes:
        process.terminate()
    codes = [process.wait(15) for process in processes]
    assert codes == [0, 0, 0]


def test_the_seed_configuration_keeps_knot_right(knot: Knot, webs: list[WebServer], cluster: Path) -> None:
    """A dead web server's A record leaves knotd and returns, with the file and variables that users have."""

    def seen() -> set[str] | None:
        return ask(knot.address, knot.port, "rrdnsd.test")

    wait_until(lambda: seen() == {"127.0.0.1", "127.0.0.2"}, "both stand in knotd", 30)
    webs[0].stop()
    wait_until(lambda: seen() == {"127.0.0.2"}, "the dead one left knotd")
    webs[0].start()
    wait_until(lambda: seen() == {"127.0.0.1", "127.0.0.2"}, "it is back in knotd")
    del cluster
