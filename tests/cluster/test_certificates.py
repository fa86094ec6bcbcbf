"""Certificates between real nodes: made by qdns init, used, renewed and taken back while they run, and refused."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest
import requests

from raft.certificates import issue, make_authority
from raft.identity import Certified
from tests.cluster.servers import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

ROOT = Path(__file__).parent.parent.parent
NUMBERS = itertools.count()
NAMES = ("ns1", "ns2", "ns3")


class Site:
    """Nodes on addresses of this machine that nobody else uses, and the folder that qdns init made for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.net = f"127.{20 + os.getpid() % 200}.{next(NUMBERS) % 250}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def qdns(self, *words: str, folder: Path | None = None, code: int = 0) -> str:
        """Run a command and return what it says."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("QDNS_", "CONF"))}
        done = subprocess.run(
            [sys.executable, "-m", "node", *words],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder or self.folder,
            env=environ | {"PYTHONPATH": str(ROOT)},
            timeout=30,
        )
        assert code == done.returncode, done.stdout + done.stderr
        return done.stdout + done.stderr

    def init(self, folder: Path) -> None:
        """Make the files of this site's cluster in a folder, as any number of authorities would."""
        nodes = [
            word for number, name in enumerate(NAMES, 1) for word in ("--node", f"{name}={self.net}.{number}")
        ]
        self.qdns(
            "init", "--cluster", "lab", *nodes, "--zone", "example.org", "--out", str(folder), folder=ROOT
        )

    def start(self, *names: str, folder: Path | None = None) -> None:
        """Start nodes with the files of a folder."""
        for name in names:
            with self.log_path(name).open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "node", "run", "-c", "cluster.toml", "--node", name],
                    stdout=log,
                    stderr=log,
                    cwd=folder or self.folder,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                )

    def log_path(self, name: str) -> Path:
        return self.folder.parent / f"{name}.log"

    def log(self, name: str) -> str:
        return self.log_path(name).read_text()

    def exit_code(self, name: str) -> int:
        """Wait for the end of a node that cannot start."""
        return self._processes[name].wait(20)

    def signal(self, name: str, which: signal.Signals) -> None:
        self._processes[name].send_signal(which)

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def address(self, name: str) -> str:
        return f"{self.net}.{NAMES.index(name) + 1}"

    def status(self, name: str) -> dict[str, Any]:
        """Return the status as a node sees it; empty while it does not answer."""
        try:
            answer = requests.get(f"http://{self.address(name)}:7380/v1/status", timeout=5)
        except requests.RequestException:
            return {}
        return answer.json() if answer.status_code == 200 else {}

    def is_healthy(self, *names: str) -> bool:
        """Say whether every node calls the cluster healthy."""
        return all(self.status(name).get("health") == "healthy" for name in names)

    def is_ready(self, name: str) -> bool:
        return any(
            row["name"] == name and row["state"] == "ready" for row in self.status(name).get("nodes", ())
        )

    def problems(self, name: str) -> list[str]:
        return [each["text"] for each in self.status(name).get("problems", ())]

    def tells(self, name: str, *words: str) -> bool:
        """Say whether one problem in the status holds all these words."""
        return any(all(word in text for word in words) for text in self.problems(name))

    def answers(self, name: str, owner: str) -> list[str]:
        query = dns.message.make_query(owner, "A")
        try:
            answer = dns.query.udp(query, self.address(name), timeout=1, port=9000)
        except (OSError, dns.exception.DNSException):
            return []
        return sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)

    def write(self, through: str, owner: str, address: str) -> None:
        self.qdns("record", "set", owner, "A", address, "--api", f"http://{self.address(through)}:7380")


@pytest.fixture(name="site")
def fixture_site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site")
    site.init(site.folder)
    yield site
    site.stop()


def test_a_cluster_from_init_renews_and_takes_back_while_it_runs(site: Site) -> None:
    """Made, started, written to; one certificate renewed, one node cut off and let in again; no process restarts."""
    site.start(*NAMES)
    wait_until(lambda: site.is_healthy(*NAMES), "all nodes are well", 30)
    assert all(row["certificate"]["days_left"] > 800 for row in site.status("ns2")["nodes"])
    site.write("ns2", "a.example.org", "192.0.2.1")
    for name in NAMES:
        wait_until(lambda name=name: site.answers(name, "a.example.org") == ["192.0.2.1"], f"{name} answers")

    site.qdns("init", "--renew", "ns1")
    wait_until(lambda: "certificate.reloaded" in site.log("ns1"), "ns1 takes the new certificate by itself")

    assert "certificate.reloaded" not in site.log("ns2")
    site.signal("ns2", signal.SIGHUP)
    wait_until(
        lambda: "certificate.reloaded" in site.log("ns2"), "ns2 reads its files again because it is told to"
    )

    site.qdns("init", "--revoke", "ns3")
    for name in ("ns1", "ns2"):
        site.signal(name, signal.SIGHUP)
    wait_until(lambda: site.tells("ns1", "ns1", "ns3", "list of refused ones"), "ns1 tells of ns3")
    wait_until(lambda: site.tells("ns3", "refuses this node, saying of it"), "ns3 tells why it is alone")
    assert "list of refused ones" in site.log("ns1")
    site.write("ns1", "b.example.org", "192.0.2.2")
    wait_until(lambda: site.answers("ns2", "b.example.org") == ["192.0.2.2"], "the others go on")
    assert [] == site.answers("ns3", "b.example.org")

    site.qdns("init", "--renew", "ns3")
    wait_until(lambda: site.is_healthy(*NAMES), "ns3 is back", 30)
    wait_until(lambda: site.answers("ns3", "b.example.org") == ["192.0.2.2"], "ns3 has caught up")


def without_tls(text: str) -> str:
    """Return a configuration with a secret in the place of certificates."""
    before, _, rest = text.partition("[cluster.tls]")
    return before + 'secret = "file:shared"\n\n[[nodes]]' + rest.partition("[[nodes]]")[2]


@pytest.mark.parametrize(
    ("stranger", "here", "there"),
    [
        ("another authority", "this cluster's authority did not make", "this cluster's authority did not make"),
        ("a secret", "uses another protection", "uses another protection"),
    ],
)
def test_a_node_that_cannot_prove_itself_is_refused_and_both_sides_say_why(
    site: Site, tmp_path: Path, stranger: str, here: str, there: str
) -> None:
    """Same names and addresses, and not one of us: the cluster goes on, log and status name it and the reason."""
    site.init(tmp_path / "foreign")
    if stranger == "a secret":
        path = tmp_path / "foreign/cluster.toml"
        path.write_text(without_tls(path.read_text()))
        (tmp_path / "foreign/shared").write_text("x" * 40)
        (tmp_path / "foreign/shared").chmod(0o600)
    site.start("ns1", "ns2")
    site.start("ns3", folder=tmp_path / "foreign")
    wait_until(lambda: site.is_ready("ns1") and site.is_ready("ns2"), "two of three are enough", 30)
    wait_until(lambda: site.tells("ns1", "ns3", here), "the status of ns1 says why", 30)
    wait_until(lambda: site.tells("ns3", there), "the status of ns3 says why")
    wait_until(lambda: here in site.log("ns1") and there in site.log("ns3"), "both logs say why")
    shown = site.qdns("status", "--api", f"http://{site.address('ns2')}:7380")
    assert "ns3" in shown
    assert here in shown
    site.write("ns2", "a.example.org", "192.0.2.1")
    wait_until(lambda: site.answers("ns1", "a.example.org") == ["192.0.2.1"], "the cluster goes on")
    assert [] == site.answers("ns3", "a.example.org")


@pytest.mark.parametrize(
    ("spoilt", "says"),
    [
        ("other node", "is of the voter 'ns2' of cluster 'lab', and this is the voter 'ns1'"),
        ("other cluster", "of cluster 'other'"),
        ("other authority", "was not made by the authority"),
        ("expired", "has expired: renew it"),
        ("early", "not valid yet: set the clock"),
        ("no key", "No such file or directory"),
        ("nothing", "[cluster] tls or secret is required"),
    ],
)
def test_a_node_with_the_wrong_files_does_not_start(site: Site, spoilt: str, says: str) -> None:
    """Exit code 3, one sentence that says what to do, no traceback."""
    _spoil(site.folder, spoilt)
    site.start("ns1")
    assert 3 == site.exit_code("ns1")
    told = site.log("ns1")
    assert says in (json.loads(told)["detail"] if told.startswith("{") else told)
    assert "Traceback" not in told


def _spoil(folder: Path, what: str) -> None:
    import datetime as dt

    certificate, key = folder / "tls/ns1.pem", folder / "tls/ns1.key"
    if what == "other node":
        certificate.write_bytes((folder / "tls/ns2.pem").read_bytes())
    elif what == "no key":
        key.unlink()
    elif what == "nothing":
        text = (folder / "cluster.toml").read_text()
        before, _, rest = text.partition("[cluster.tls]")
        text = before + "[[nodes]]" + rest.partition("[[nodes]]")[2]
        (folder / "cluster.toml").write_text(text.replace("127.", "10."))
    else:
        from raft.certificates import Pair

        authority = Pair((folder / "tls/ca.pem").read_bytes(), (folder / "offline/ca.key").read_bytes())
        if what == "other authority":
            authority = make_authority("lab")
        years = {"expired": -20, "early": 20}.get(what, 0)
        now = dt.datetime.now(dt.UTC) + dt.timedelta(days=365 * years)
        pair = issue(
            authority, Certified("other" if what == "other cluster" else "lab", "ns1", "voter"), now=lambda: now
        )
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
