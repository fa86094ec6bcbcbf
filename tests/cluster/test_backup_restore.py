"""A backup of one cluster makes another one, by real processes and through the command line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from node.state import snapshot
from node.state.backup import encode, header_of
from node.state.command import ChangeZone, Member, PutRRset, PutZone, Seed
from node.zone.name import from_text
from node.zone.rrset import make
from tests.cluster.nodes import ask
from tests.cluster.servers import wait_until
from tests.ports import free_ports
from tests.state.conftest import SETTINGS, Cluster

pytestmark = pytest.mark.xdist_group("fixed ports")
"""The demo's web servers listen where they always do."""

CONFIG = """
[cluster]
name = "{cluster}"

{nodes}
[raft]
data_dir = "{folder}/data/{{node}}"

[dns]
listen = ["127.0.0.1:{dns}"]

[[zones]]
name = "seed.test"
nameservers = ["ns1.seed.test"]
"""


class Node:
    """One real node, from its start to its end."""

    def __init__(self, folder: Path, name: str, words: list[str], api: int, dns: int) -> None:
        self.url = f"http://127.0.0.1:{api}"
        self.dns = dns
        self.name = name
        self._log_path = folder / f"{name}.log"
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "node", *words],
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(Path.cwd()), "NO_COLOR": "1"},
            )

    def stop(self) -> int:
        """End it; return its exit code."""
        self._process.terminate()
        return self._process.wait(15)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(15)

    def wait(self) -> int:
        """Wait until it ends by itself; return its exit code."""
        return self._process.wait(30)

    def log(self) -> str:
        return self._log_path.read_text()

    def row(self) -> dict[str, Any]:
        """Return what it says of itself; nothing while it does not answer."""
        try:
            answer = requests.get(f"{self.url}/v1/status?scope=local", timeout=2)
        except requests.RequestException:
            return {}
        return dict(answer.json())

    def wait_ready(self) -> None:
        wait_until(lambda: self.row().get("state") == "ready", f"{self.name} is ready\n{self.log()}", 30)


def qdns(node: Node, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line against a node."""
    return subprocess.run(
        [sys.executable, "-m", "node", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "QDNS_API": node.url, "NO_COLOR": "1", "PYTHONPATH": str(Path.cwd())},
    )


RECORDS = {
    ("a.old.test", "A"): "192.0.2.1",
    ("*.b.old.test", "TXT"): '"wild"',
    ("old.test", "MX"): "10 mx.old.test.",
}


@pytest.fixture(name="backup", scope="module")
def _backup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Node]]:
    """A node in development mode with a few records and a service, and a backup of it."""
    folder = tmp_path_factory.mktemp("old")
    folder.chmod(0o755)
    api, dns = free_ports(2)
    old = Node(folder, "dev", ["dev", "--with-demo", "--api-port", str(api), "--dns-port", str(dns)], api, dns)
    try:
        old.wait_ready()
        assert 0 == qdns(old, "zone", "create", "old.test", "--ns", "ns1.old.test").returncode
        for (name, type_), text in RECORDS.items():
            done = qdns(old, "record", "set", name, type_, text)
            assert 0 == done.returncode, done.stderr
        path = folder / "dev.qdns"
        done = qdns(old, "backup", str(path))
        assert 0 == done.returncode, done.stderr
        yield path, old
    finally:
        old.stop()


class New:
    """A cluster of nodes with empty data directories."""

    def __init__(self, folder: Path, cluster: str, count: int) -> None:
        self.folder = folder
        self.names = [f"ns{number}" for number in range(1, count + 1)]
        ports = free_ports(3 * count)
        self.ports = {name: ports[3 * place : 3 * place + 3] for place, name in enumerate(self.names)}
        for name in self.names:
            self._write(cluster, name)
        self.nodes: dict[str, Node] = {}

    def _write(self, cluster: str, own: str) -> None:
        nodes = "".join(
            f'[[nodes]]\nname = "{name}"\nraft = "127.0.0.1:{raft}"\napi = "http://127.0.0.1:{api}"\n\n'
            for name, (raft, api, _) in self.ports.items()
        )
        text = CONFIG.format(cluster=cluster, nodes=nodes, folder=self.folder, dns=self.ports[own][2])
        (self.folder / f"{own}.toml").write_text(text)

    def start(self, name: str, *options: str) -> Node:
        words = ["run", "-c", str(self.folder / f"{name}.toml"), "--node", name, *options]
        _, api, dns = self.ports[name]
        self.nodes[name] = Node(self.folder, name, words, api, dns)
        return self.nodes[name]

    def stop(self) -> None:
        for node in self.nodes.values():
            node.stop()


@pytest.mark.real
def test_one_node_begins_with_a_backup(backup: tuple[Path, Node], tmp_path: Path) -> None:
    """It answers as the old one did, agrees with the file, and is no empty cluster any more."""
    path, old = backup
    tmp_path.chmod(0o755)
    new = New(tmp_path, "dev", 1)
    try:
        node = new.start("ns1", "--restore", str(path))
        wait_until(lambda: "restore.finished" in node.log(), f"it is restored\n{node.log()}", 30)
        node.wait_ready()
        for (name, type_), text in RECORDS.items():
            asked = name.replace("*", "x")
            assert {text} == ask("127.0.0.1", old.dns, asked, type_) == ask("127.0.0.1", node.dns, asked, type_)
        assert set() == ask("127.0.0.1", node.dns, "seed.test", "SOA")
        (before,) = ask("127.0.0.1", old.dns, "old.test", "SOA") or ()
        (after,) = ask("127.0.0.1", node.dns, "old.test", "SOA") or ()
        assert int(before.split()[2]) + 65_536 <= int(after.split()[2])
        same = qdns(node, "restore", str(path), "--dry-run")
        assert (0, True) == (same.returncode, "no difference" in same.stdout), same.stdout + same.stderr

        assert 0 == qdns(node, "record", "set", "later.old.test", "A", "192.0.2.9").returncode
        other = qdns(node, "restore", str(path), "--dry-run")
        assert 12 == other.returncode
        assert "- later.old.test. A  " in other.stdout
        assert 0 == node.stop()
        again = new.start("ns1", "--restore", str(path))
        assert 3 == again.wait()
        assert "a backup goes into an empty cluster only" in again.log()
        again = new.start("ns1")
        again.wait_ready()
        assert {"192.0.2.9"} == ask("127.0.0.1", again.dns, "later.old.test")
    finally:
        new.stop()


@pytest.mark.real
@pytest.mark.parametrize("who", [("ns1",), ("ns3",), ("ns1", "ns2", "ns3")])
def test_three_nodes_begin_with_a_backup(
    backup: tuple[Path, Node], tmp_path: Path, who: tuple[str, ...]
) -> None:
    """Whether one node was given the file or all, all three come to the same State, and it is that of the file."""
    path, _ = backup
    tmp_path.chmod(0o755)
    new = New(tmp_path, "prod", 3)
    try:
        for name in sorted(new.names, key=lambda each: each not in who):
            node = new.start(name, *(("--restore", str(path), "--restore-of", "dev") if name in who else ()))
            if name in who:
                wait_until(lambda node=node: node.row().get("restoring"), f"{name} waits\n{node.log()}")
        for name in who:
            wait_until(lambda name=name: "restore.finished" in new.nodes[name].log(), f"{name} has it", 30)
        for node in new.nodes.values():
            node.wait_ready()
            for (asked, type_), text in RECORDS.items():
                name = asked.replace("*", "x")
                wait_until(lambda n=node, a=name, t=type_, w=text: ask("127.0.0.1", n.dns, a, t) == {w}, name)

        def digests() -> set[tuple[object, object]]:
            rows = [node.row() for node in new.nodes.values()]
            return {(row.get("applied_index"), row.get("state_digest")) for row in rows}

        wait_until(lambda: len(digests()) == 1, "all nodes have one digest")
    finally:
        new.stop()


def large(path: Path) -> None:
    """Write a backup that takes a while to come in."""
    zone = from_text("large.test")
    cluster = Cluster()
    cluster.do(Seed((Member("dev"),), (PutZone(zone, SETTINGS),)))
    for first in range(0, 40_000, 8_000):
        names = (from_text(f"h{number}", zone) for number in range(first, first + 8_000))
        cluster.do(
            ChangeZone(zone, tuple(PutRRset(make(name, 1, 60, [b"\xc0\x00\x02\x01"])) for name in names))
        )
    header = header_of(cluster.state, "dev", "dev", "0", 1_700_000_000_000)
    path.write_bytes(b"".join(encode(header, snapshot.dump(cluster.state))))


@pytest.mark.real
def test_the_leader_dies_while_a_backup_comes_in(tmp_path: Path) -> None:
    """Another node goes on where it stood, and the one that died comes back to it with the same command."""
    tmp_path.chmod(0o755)
    path = tmp_path / "large.qdns"
    large(path)
    new = New(tmp_path, "dev", 3)

    def leader() -> str:
        rows = {name: node.row() for name, node in new.nodes.items()}
        return next((name for name, row in rows.items() if row.get("role") == "leader"), "")

    def digests() -> set[tuple[object, object]]:
        rows = [node.row() for node in new.nodes.values()]
        return {(row.get("applied_index"), row.get("state_digest")) for row in rows}

    try:
        for name in new.names:
            new.start(name, "--restore", str(path))
        wait_until(
            lambda: any(node.row().get("applied_index", 0) > 6 for node in new.nodes.values()), "it comes", 90
        )
        died = leader() or "ns1"
        new.nodes[died].kill()
        left = [new.nodes[name] for name in new.names if name != died]
        assert not any("restore.finished" in node.log() for node in left)
        again = new.start(died, "--restore", str(path))
        for node in (*left, again):
            wait_until(lambda n=node: "restore.finished" in n.log(), f"it is restored\n{node.log()}", 120)
        wait_until(lambda: len(digests()) == 1, "all nodes have one digest", 30)
        assert not list((tmp_path / "data").glob("*/restoring"))
    finally:
        new.stop()


@pytest.mark.real
def test_a_node_that_comes_too_late_is_refused(backup: tuple[Path, Node], tmp_path: Path) -> None:
    """A cluster that two nodes have begun already is not replaced by what the third one brings."""
    path, _ = backup
    tmp_path.chmod(0o755)
    new = New(tmp_path, "dev", 3)
    try:
        for name in ("ns1", "ns2"):
            new.start(name)
        for name in ("ns1", "ns2"):
            new.nodes[name].wait_ready()
        wait_until(lambda: ask("127.0.0.1", new.nodes["ns1"].dns, "seed.test", "SOA"), "the seed is there", 30)
        late = new.start("ns3", "--restore", str(path))
        assert 3 == late.wait()
        assert "the cluster has been seeded already" in late.log()
    finally:
        new.stop()


@pytest.mark.real
def test_a_file_that_will_not_do_starts_nothing(backup: tuple[Path, Node], tmp_path: Path) -> None:
    """A damaged file, or one of another cluster, is refused before the data directory is touched."""
    path, _ = backup
    tmp_path.chmod(0o755)
    new = New(tmp_path, "prod", 1)
    cut = tmp_path / "cut.qdns"
    cut.write_bytes(path.read_bytes()[:-20])
    for options, said in (
        (["--restore", str(path)], "is of the cluster dev, and this is prod"),
        (["--restore", str(cut), "--restore-of", "dev"], "it is cut off after"),
        (["--restore", str(tmp_path / "nothing")], "no such file"),
    ):
        node = new.start("ns1", *options)
        assert 3 == node.wait()
        assert said in node.log()
        assert "Traceback" not in node.log()
    assert not (tmp_path / "data").exists()
