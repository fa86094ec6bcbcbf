"""``qdns cluster``: real processes that stand in for nodes are started, found, ended, and never mistaken."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.cli import local_cluster, processes
from node.cli.local_cluster import LocalCluster
from tests.cli.conftest import Qdns
from tests.ports import free_ports

STUB = (sys.executable, str(Path(__file__).parent / "stub_node.py"))
DEADLINE_S = 15.0


def wait_until(holds: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.02)


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a cluster.toml of two nodes on free ports; nodes are stubs."""
    ports = free_ports(4)
    text = '[raft]\ndata_dir = "data/{node}"\n[dns]\nlisten = []\n'
    for number in (1, 2):
        raft, api = ports[2 * number - 2 : 2 * number]
        text += f'[[nodes]]\nname = "ns{number}"\nraft = "127.0.0.1:{raft}"\napi = "http://127.0.0.1:{api}"\n'
    (tmp_path / "cluster.toml").write_text(text)
    monkeypatch.setattr(local_cluster, "NODE_COMMAND", STUB)
    return tmp_path


@pytest.fixture(name="cluster", autouse=True)
def fixture_cluster(folder: Path) -> Iterator[LocalCluster]:
    """The same cluster by its own door; nothing of it outlives the test."""
    found = local_cluster.load(folder / "cluster.toml", os.environ, STUB)
    yield found
    processes.stop_all([member.program for member in found.members], 0.5)


def pids(cluster: LocalCluster) -> list[int | None]:
    return [member.program.pid() for member in cluster.members]


def test_up_status_kill_restart_down(qdns: Qdns, cluster: LocalCluster) -> None:
    """The whole life: detached start, one killed, one back, all stopped."""
    up = qdns("cluster", "up", "--detach")
    assert (0, "") == (up.code, up.err)
    assert "leader ns1 after " in up.out
    assert cluster.members[0].api in up.out
    assert None not in pids(cluster)

    again = qdns("cluster", "up", "--detach")
    assert (7, True) == (again.code, "error: already running: ns1, ns2" in again.err)

    assert 0 == qdns("cluster", "kill", "ns2").code
    assert pids(cluster)[1] is None
    assert ["ns1 runs", "ns2 stopped"] == [
        f"{line.split()[0]} {line.split()[2]}"
        for line in qdns("cluster", "status", "--no-headers").out.splitlines()
    ]
    assert (6, True) == (qdns("cluster", "kill", "ns2").code, True)

    back = qdns("cluster", "restart", "ns2")
    assert (0, True) == (back.code, back.out.startswith("ns2 is ready after "))
    down = qdns("cluster", "down")
    assert (0, "stopped ns1, ns2\n") == (down.code, down.out)
    assert [None, None] == pids(cluster)
    assert "nothing was running\n" == qdns("cluster", "down").out


def test_a_port_in_use_is_told_before_anything_starts(qdns: Qdns, cluster: LocalCluster) -> None:
    """The message names node, protocol, address and reason; nothing is left running."""
    address = cluster.members[1].listens[0][1]
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        ran = qdns("cluster", "up", "--detach")
    assert 7 == ran.code
    assert f"  ns2  tcp {address}  in use by another program\n" in ran.err
    assert [None, None] == pids(cluster)


def test_a_node_that_ends_at_once_takes_the_others_with_it(
    qdns: Qdns, cluster: LocalCluster, folder: Path
) -> None:
    """The last lines of its log are shown, and no orphan stays."""
    (folder / "ns2.refuses").touch()
    ran = qdns("cluster", "up", "--detach")
    assert 4 == ran.code
    assert "error: ns2 stopped right after the start\n" in ran.err
    assert "node.refused detail='the journal is damaged'" in ran.err
    assert [None, None] == pids(cluster)


def test_a_stale_pid_file_harms_nobody(qdns: Qdns, cluster: LocalCluster) -> None:
    """A number that now belongs to a stranger is neither signalled nor counted as running."""
    cluster.directory.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        cluster.members[0].program.pid_path.write_text(f"{stranger.pid}\n")
        assert "nothing was running\n" == qdns("cluster", "down").out
        assert stranger.poll() is None
        assert 0 == qdns("cluster", "up", "--detach").code
        assert stranger.pid != cluster.members[0].program.pid()
        assert stranger.stdin is not None
        stranger.stdin.close()


def test_a_deaf_node_is_killed_in_the_end(
    qdns: Qdns, cluster: LocalCluster, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not listen to SIGTERM gets SIGKILL when its time is up."""
    monkeypatch.setattr(local_cluster, "STOP_TIMEOUT_S", 0.3)
    (folder / "ns1.deaf").touch()
    assert 0 == qdns("cluster", "up", "--detach").code
    assert "stopped ns1, ns2\n" == qdns("cluster", "down").out
    assert [None, None] == pids(cluster)


@pytest.mark.parametrize(("which", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_in_the_foreground_a_signal_stops_all(
    which: signal.Signals, code: int, cluster: LocalCluster, folder: Path
) -> None:
    """Ctrl-C, SIGTERM and a closed terminal leave no orphans, also of nodes that were restarted elsewhere."""
    script = (
        "import sys; from node.cli import local_cluster, main;"
        f"local_cluster.NODE_COMMAND = {STUB!r}; sys.exit(main.main(['cluster', 'up']))"
    )
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
        | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
    ) as foreground:
        try:
            assert foreground.stdout is not None
            lines = iter(foreground.stdout.readline, "")
            assert any("Ctrl-C stops everything" in line for line in lines)
            first = cluster.members[0].program.pid()
            assert first is not None
            os.kill(first, signal.SIGKILL)
            assert "  ns1 was ended by SIGKILL\n" == next(lines)
            with cluster.locked():
                cluster.start([cluster.members[0]])
            assert "  ns1 runs again\n" == next(lines)
            foreground.send_signal(which)
            assert code == foreground.wait(DEADLINE_S)
        finally:
            foreground.kill()
    assert [None, None] == pids(cluster)


def test_only_one_command_at_a_time(qdns: Qdns, cluster: LocalCluster) -> None:
    """Two terminals cannot start and stop the same nodes at once."""
    cluster.directory.mkdir(parents=True)
    with (cluster.directory / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = qdns("cluster", "down")
    assert (7, True) == (ran.code, "another qdns cluster command" in ran.err)


def test_logs_carry_the_name_of_the_node(
    qdns: Qdns, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All logs, or one; followed, whole new lines appear as they are written."""
    assert 0 == qdns("cluster", "up", "--detach").code
    wait_until(lambda: all(member.program.log_tail(1) for member in cluster.members), "both logged")
    expected = "ns1  node.started node=ns1\nns2  node.started node=ns2\n"
    assert expected == qdns("cluster", "logs").out
    assert "ns2  node.started node=ns2\n" == qdns("cluster", "logs", "ns2").out

    looks = iter([b"half ", b"a line\n", None])

    def grow(_: float) -> None:
        text = next(looks)
        if text is None:
            raise KeyboardInterrupt
        with cluster.members[0].program.log_path.open("ab") as log:
            log.write(text)

    monkeypatch.setattr("node.cli.commands.cluster.pause", grow)
    ran = qdns("cluster", "logs", "ns1", "-n", "0", "--follow")
    assert (130, "ns1  half a line\n") == (ran.code, ran.out)


def test_an_unknown_node_is_told_with_the_known_ones(qdns: Qdns) -> None:
    """A misspelt node ends with 6."""
    ran = qdns("cluster", "kill", "ns9")
    assert (6, 'error: no node "ns9" in this cluster\nhint: one of: ns1, ns2\n') == (ran.code, ran.err)


def test_without_a_configuration_the_way_out_is_named(
    qdns: Qdns, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a folder without a cluster.toml the message says which commands would work."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    ran = qdns("cluster", "up")
    assert (3, True) == (ran.code, "hint: qdns cluster up -c FILE" in ran.err)


def test_waiting_ends_when_a_node_stays_silent(cluster: LocalCluster) -> None:
    """A node that runs but never gets ready is named when the time is up."""
    member = cluster.members[0]
    silent = processes.Program("ns1", ("sleep", "60"), member.program.pid_path, member.program.log_path)
    silent.start(Path(), os.environ)
    stuck = local_cluster.Member("ns1", member.api, (), (), silent)
    with pytest.raises(local_cluster.Failure, match=r"not ready after 0\.2 s: ns1"):
        cluster.wait_ready([stuck], timeout_s=0.2)
    processes.stop_all([silent], 5.0)
