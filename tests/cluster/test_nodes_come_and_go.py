"""Real nodes that are let in, hand over, lose their data, serve as replicas and are taken out, by qdns alone."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rcode
import pytest

from tests.cluster.servers import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

ROOT = Path(__file__).parent.parent.parent
NUMBERS = itertools.count()
RECORDS = 8

CONFIG = """
[cluster]
name   = "lab"
secret = "file:{folder}/secret"

{nodes}
[raft]
data_dir = "{folder}/data/{{node}}"

[dns]
listen = ["{{address}}:5300"]

[[zones]]
name        = "example.org"
nameservers = ["ns1.example.org"]
records     = "ns1 300 A 192.0.2.53"
"""


class Site:
    """Nodes on addresses of this machine that nobody else uses; each file lists what its operator knew then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.net = f"127.{20 + os.getpid() % 200}.{100 + next(NUMBERS) % 100}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "secret").write_text("s" * 40)
        (folder / "secret").chmod(0o600)

    def address(self, name: str) -> str:
        return f"{self.net}.{name[2:]}"

    def url(self, name: str) -> str:
        return f"http://{self.address(name)}:7380"

    def configure(self, name: str, *known: str, replica: bool = False) -> None:
        tables = [
            f'[[nodes]]\nname = "{each}"\nraft = "{self.address(each)}:7300"\n'
            + ('role = "replica"\n' if replica and each == name else "")
            for each in known
        ]
        text = CONFIG.format(folder=self.folder, nodes="\n".join(tables))
        (self.folder / f"{name}.toml").write_text(text)

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "node", "run", "-c", str(self.folder / f"{name}.toml"), "--node", name],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def kill(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def exit_code(self, name: str) -> int:
        return self._processes.pop(name).wait(20)

    def qdns(self, *words: str, by: str = "", code: int = 0) -> str:
        """Run a command; ``by`` names the node that is asked."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("QDNS_", "CONF"))}
        done = subprocess.run(
            [sys.executable, "-m", "node", *words, *(("--api", self.url(by)) if by else ())],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environ | {"PYTHONPATH": str(ROOT)},
            timeout=30,
        )
        assert code == done.returncode, done.stdout + done.stderr
        return done.stdout + done.stderr

    def status(self, by: str) -> dict[str, Any]:
        return dict(json.loads(self.qdns("status", "--json", by=by)))

    def wait_for(self, by: str, **parts: str) -> dict[str, Any]:
        """Wait until a node sees all these nodes in their parts, ready and with one state."""
        found: dict[str, Any] = {}

        def is_so() -> bool:
            nonlocal found
            try:
                found = self.status(by)
            except (AssertionError, ValueError):
                return False
            rows = {row["name"]: row for row in found["nodes"]}
            return (
                parts == {name: row["part"] for name, row in rows.items()}
                and all(row["state"] == "ready" for row in rows.values())
                and 1 == len({row["state_digest"] for row in rows.values()})
            )

        wait_until(is_so, f"{parts} as {by} sees it", 40, 0.3)
        return found

    def ask(self, name: str, question: str) -> dns.message.Message:
        query = dns.message.make_query(question, "A")
        return dns.query.udp(query, self.address(name), 3, 5300)

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(20)


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()


def grown_to_three(site: Site) -> None:
    """Found a cluster of one, write to it, and let two more nodes in."""
    site.configure("ns1", "ns1")
    site.start("ns1")
    site.wait_for("ns1", ns1="voter")
    for number in range(RECORDS):
        site.qdns("record", "set", f"w{number}.example.org", "A", f"192.0.2.{number + 1}", by="ns1")
    for name in ("ns2", "ns3"):
        site.configure(name, "ns1", "ns2", "ns3")
        site.start(name)  # before it is let in: it waits, and founds nothing
    for name in ("ns2", "ns3"):
        said = site.qdns(
            "node", "add", name, "--raft", f"{site.address(name)}:7300", "--url", site.url(name), by="ns1"
        )
        assert f"added  node {name}" in said
    site.wait_for("ns1", ns1="voter", ns2="voter", ns3="voter")


def test_a_cluster_lives_through_every_change_of_its_nodes(site: Site) -> None:
    """One to three, another leader, a lost disk, a replica, and back to two: nothing is ever missing."""
    grown_to_three(site)
    assert 1 == len(site.ask("ns3", f"w{RECORDS - 1}.example.org").answer)
    problems = {each["code"] for each in site.status("ns1")["problems"]}
    assert "config_differs" in problems  # ns1's own file knows of itself alone

    assert "ns2 leads since term" in site.qdns("node", "lead", "ns2", by="ns1")
    site.kill("ns3")
    shutil.rmtree(site.folder / "data" / "ns3")
    site.start("ns3")
    wait_until(
        lambda: "another data directory" in site.qdns("status", by="ns2", code=0),
        "the refusal in the status",
        30,
        0.5,
    )
    assert dns.rcode.NOERROR != site.ask("ns3", "w0.example.org").rcode()
    assert "replaced  node ns3" in site.qdns("node", "replace", "ns3", by="ns2")
    site.wait_for("ns2", ns1="voter", ns2="voter", ns3="voter")
    assert 1 == len(site.ask("ns3", "w0.example.org").answer)

    site.qdns(
        "node",
        "add",
        "ns4",
        "--raft",
        f"{site.address('ns4')}:7300",
        "--url",
        site.url("ns4"),
        "--replica",
        by="ns1",
    )
    site.configure("ns4", "ns1", "ns2", "ns3", "ns4", replica=True)
    site.start("ns4")
    site.wait_for("ns2", ns1="voter", ns2="voter", ns3="voter", ns4="replica")
    assert 1 == len(site.ask("ns4", "w0.example.org").answer)
    refused = site.qdns("record", "set", "x.example.org", "A", "192.0.2.99", by="ns4", code=4)
    assert "replica, which only serves" in refused

    site.qdns("node", "remove", "ns3", "--yes", by="ns1")
    assert 3 == site.exit_code("ns3")
    assert "was removed from the cluster" in (site.folder / "ns3.log").read_text()
    site.wait_for("ns2", ns1="voter", ns2="voter", ns4="replica")
    site.kill("ns1")
    assert "no connection" not in site.qdns("query", "w0.example.org", "A", by="ns2")
    wait_until(lambda: not site.status("ns2")["quorum"], "the loss of the quorum", 30, 0.3)
    refused = site.qdns("node", "remove", "ns2", "--yes", by="ns2", code=8)
    assert "not changed" in refused


def test_the_last_node_goes_on_by_force(site: Site) -> None:
    """Two of three machines are gone for good; what the third holds is the cluster from now on."""
    grown_to_three(site)
    for name in ("ns1", "ns2", "ns3"):
        site.kill(name)
    said = site.qdns("node", "force-new-cluster", "-c", "ns3.toml", "--node", "ns3", code=2)
    assert "Given up: ns1, ns2." in said
    assert "add --yes" in said
    said = site.qdns("node", "force-new-cluster", "-c", "ns3.toml", "--node", "ns3", "--yes")
    assert "ns3 is a cluster of one" in said
    site.start("ns3")
    site.wait_for("ns3", ns3="voter")
    for number in range(RECORDS):
        assert 1 == len(site.ask("ns3", f"w{number}.example.org").answer)
    site.qdns("record", "set", "after.example.org", "A", "192.0.2.99", by="ns3")
    site.qdns("node", "add", "ns1", "--raft", f"{site.address('ns1')}:7300", by="ns3")
    site.configure("ns1", "ns1", "ns3")
    site.start("ns1")
    wait_until(
        lambda: "holds the log of another cluster" in (site.folder / "ns1.log").read_text(),
        "the refusal of old data",
        30,
    )
    site.kill("ns1")
    shutil.rmtree(site.folder / "data" / "ns1")
    site.start("ns1")
    site.wait_for("ns3", ns1="voter", ns3="voter")
    assert 1 == len(site.ask("ns1", "after.example.org").answer)
