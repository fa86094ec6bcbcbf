"""The systemd unit is right, hardened, and the node speaks to systemd as the unit expects."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from node.cli.main import main
from node.service_manager import ServiceManager
from node.zone.name import from_text
from tests.cluster.servers import wait_until
from tests.dns.tables import packet
from tests.process import Process

UNIT = Path(__file__).parent.parent.parent / "deploy" / "quorumdns.service"
SOCKET = UNIT.with_suffix(".socket")
BACKUP = UNIT.parent / "quorumdns-backup.service"
analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")


def analyzed(unit: Path, *words: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *words, str(unit)], check=False, capture_output=True, text=True, timeout=60
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


@analyze
@pytest.mark.parametrize(
    "unit", [UNIT, SOCKET, BACKUP, BACKUP.with_suffix(".timer")], ids=lambda unit: str(unit.name)
)
def test_systemd_finds_nothing_to_say(unit: Path, tmp_path: Path) -> None:
    """Every line is known to systemd; the program's place is the only thing that may differ here."""
    for each in (UNIT, SOCKET, BACKUP, BACKUP.with_suffix(".timer")):
        (tmp_path / each.name).write_text(each.read_text().replace("/usr/bin/qdns", "/bin/true"))
    found = analyzed(tmp_path / unit.name, "verify").splitlines()
    assert [] == [line for line in found if "quorumdns" in line]


@analyze
def test_systemd_knows_the_drop_in(tmp_path: Path) -> None:
    """Secrets as credentials: the drop-in beside the unit is understood."""
    (tmp_path / UNIT.name).write_text(UNIT.read_text().replace("/usr/bin/qdns", "/bin/true"))
    folder = tmp_path / f"{UNIT.name}.d"
    folder.mkdir()
    text = (UNIT.parent / "credentials.conf").read_text()
    assert 2 == len(re.findall(r"^LoadCredential=[\w-]+:/etc/quorumdns/secrets/", text, re.MULTILINE))
    (folder / "credentials.conf").write_text(text)
    assert [] == [line for line in analyzed(tmp_path / UNIT.name, "verify").splitlines() if "quorumdns" in line]


@analyze
@pytest.mark.parametrize("unit", [UNIT, BACKUP], ids=lambda unit: str(unit.name))
def test_the_units_are_exposed_little(unit: Path) -> None:
    """The exposure that systemd counts is at most 2.0 of 10."""
    found = re.search(
        r"exposure level for \S+: ([\d.]+)", analyzed(unit, "security", "--offline=true", "--no-pager")
    )
    assert found is not None
    assert float(found[1]) <= 2.0


def test_the_commands_of_the_unit_exist() -> None:
    """Each ``qdns`` line of the unit names a command and options that there are."""
    lines = re.findall(r"^ExecStart(?:Pre)?=/usr/bin/qdns (.*)$", UNIT.read_text(), re.MULTILINE)
    assert 2 == len(lines)
    for line in lines:
        assert 0 == main([*shlex.split(line), "--help"]), line
    assert 2 == main(["run", "--no-such-option", "--help"])


@pytest.mark.real
def test_a_node_tells_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real node says that it serves when it does, how it is, that it reads its file again, and that it stops."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with Process(tmp_path, '[dns]\nlisten = ["127.0.0.1:{port}"]\n') as node:
            kept = f"FDSTORE=1\nFDNAME=tcp 127.0.0.1%3A{node.port}"
            assert kept == manager.recv(512).decode()
            started = f"READY=1\nSTATUS=ns1: DNS on 127.0.0.1:{node.port}, API at http://127.0.0.1:{node.api}"
            assert started == manager.recv(512).decode()
            told = ""
            while not told.startswith("STATUS=leader"):
                told = manager.recv(512).decode()
            assert re.fullmatch(r"STATUS=leader, term \d+, 1/1 nodes, 0 of 0 endpoints up", told)
            assert node.process is not None
            node.process.send_signal(signal.SIGHUP)
            reloading = manager.recv(512).decode()
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", reloading)
            assert b"READY=1" == manager.recv(512)
        assert b"STOPPING=1\nSTATUS=stopping" == manager.recv(512)


SUCCESSOR = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.executable, [sys.executable, "-m", "node", "run", "-c", sys.argv[3]])
"""


@pytest.mark.real
def test_a_restart_keeps_what_the_node_listens_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects over TCP while a node starts anew waits and is answered; over UDP nobody waits."""
    query = packet(from_text("ns1.example.org."), 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with Process(tmp_path, '[dns]\nlisten = ["127.0.0.1:{port}"]\n') as node:
            message, (fd,), _, _ = socket.recv_fds(manager, 512, 4)
            name = message.decode().partition("FDNAME=")[2]
            node.wait_for("cluster.seeded")
            assert node.process is not None
            node.process.send_signal(signal.SIGUSR1)
            assert 0 == node.process.wait(20)
            with socket.create_connection(("127.0.0.1", node.port), timeout=30) as waiting:
                waiting.sendall(len(query).to_bytes(2, "big") + query)
                words = [sys.executable, "-c", SUCCESSOR, str(fd), name, str(tmp_path / "cluster.toml")]
                with (tmp_path / "log").open("ab") as log:
                    node.process = subprocess.Popen(
                        words, stdout=log, stderr=log, cwd=Path.cwd(), pass_fds=(fd,)
                    )
                os.close(fd)
                answer = waiting.recv(4096)[2:]
        assert (query[:2], 0) == (answer[:2], answer[3] & 15)


ACTIVATED = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in sys.argv[1].split(",")]
for number, fd in enumerate(fds):
    os.dup2(fd, 3 + number)
    os.close(fd)
names = ":".join(["quorumdns.socket"] * len(fds))
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(sys.executable, [sys.executable, "-m", "node", "run", "-c", sys.argv[2]])
"""


@pytest.mark.real
@pytest.mark.parametrize("answerers", [0, 2])
def test_a_node_takes_the_sockets_of_a_unit(tmp_path: Path, answerers: int) -> None:
    """UDP, TCP and the API are served on what systemd holds; who came before the node waits and is answered."""
    query = packet(from_text("ns1.example.org."), 1)
    config = f'[dns]\nlisten = ["127.0.0.1:{{port}}"]\nanswerers = {answerers}\n'
    with (
        Process(tmp_path, config) as node,
        socket.socket(type=socket.SOCK_DGRAM) as datagram,
        socket.socket() as stream,
        socket.socket() as api,
        socket.socket(type=socket.SOCK_DGRAM) as asking,
    ):
        node.wait_for("cluster.seeded")
        assert node.process is not None
        node.process.terminate()
        assert 0 == node.process.wait(20)
        datagram.bind(("127.0.0.1", node.port))
        for bound, port in ((stream, node.port), (api, node.api)):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("127.0.0.1", port))
            bound.listen(16)
        asking.settimeout(30)
        asking.connect(("127.0.0.1", node.port))
        with socket.create_connection(("127.0.0.1", node.port), timeout=30) as waiting:
            waiting.sendall(len(query).to_bytes(2, "big") + query)
            asking.send(query)
            fds = [each.fileno() for each in (datagram, stream, api)]
            words = [sys.executable, "-c", ACTIVATED, ",".join(map(str, fds)), str(tmp_path / "cluster.toml")]
            with (tmp_path / "log").open("ab") as log:
                node.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=Path.cwd(), pass_fds=fds)
            over_tcp, over_udp = waiting.recv(4096)[2:], asking.recv(4096)
        assert (query[:2], 0) == (over_tcp[:2], over_tcp[3] & 15)
        assert (query[:2], 0) == (over_udp[:2], over_udp[3] & 15)
        ready = f"http://127.0.0.1:{node.api}/readyz"
        wait_until(lambda: requests.get(ready, timeout=5).ok, "the node is ready, says its API", 30)


def test_sockets_of_a_unit_are_known_by_their_place() -> None:
    """What is bound to no address of the network, or listens not, is none of ours; a foreign name says nothing."""
    code = """
import os, socket, sys
from node.service_manager import ServiceManager
opened = [socket.socket(type=socket.SOCK_DGRAM), socket.socket(), socket.socket(), socket.socket(socket.AF_UNIX)]
for each in opened[:3]:
    each.bind(("127.0.0.1", 0))
opened[1].listen()
wanted = {("udp", opened[0].getsockname()), ("tcp", opened[1].getsockname())}
assert [3, 4, 5, 6] == [each.fileno() for each in opened], [each.fileno() for each in opened]
names = "a.socket:b.socket:c.socket:d.socket"
environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "4", "LISTEN_FDNAMES": names}
found = ServiceManager(environ).inherited
assert {(kind, f"{host}:{port}") for kind, (host, port) in wanted} == set(found), found
[each.detach() for each in opened]
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr


def test_only_what_is_meant_for_this_process_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptors of another process, or none, leave a node to open its own sockets."""
    for environ in (
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "tcp 127.0.0.1%3A53"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""},
    ):
        assert {} == ServiceManager(environ).inherited
        assert {} == environ


def test_what_a_node_no_longer_listens_on_is_taken_back(tmp_path: Path) -> None:
    """A changed configuration leaves no socket behind in which clients would wait for ever."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.socket() as bound:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        told = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        told.inherited = {("tcp", "[::1]:53"): bound, ("tcp", "127.0.0.1:53"): bound}
        told.keep({("tcp", "127.0.0.1:53"): bound, ("tls", "127.0.0.1:853"): bound})
        assert b"FDSTOREREMOVE=1\nFDNAME=tcp [%3A%3A1]%3A53" == manager.recv(512)
        assert b"FDSTORE=1\nFDNAME=tls 127.0.0.1%3A853" == manager.recv(512)


def test_a_restart_leaves_the_answerers_and_a_stop_ends_them() -> None:
    """The unit says what docs/answering.md says of it."""
    lines = UNIT.read_text().splitlines()
    assert {"KillMode=process", "RestartKillSignal=SIGUSR1"} <= set(lines)
    assert "KillSignal=SIGTERM" in lines or not any(line.startswith("KillSignal=") for line in lines)


def test_systemd_hears_of_start_and_stop(tmp_path: Path) -> None:
    """One datagram each; the address is taken out of the environment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        told = ServiceManager(environ)
        assert {} == environ
        told.started("ns1: DNS on 127.0.0.1:53")
        assert b"READY=1\nSTATUS=ns1: DNS on 127.0.0.1:53" == manager.recv(512)
        told.stopping()
        assert b"STOPPING=1\nSTATUS=stopping" == manager.recv(512)


def test_a_manager_that_is_gone_costs_nothing(tmp_path: Path) -> None:
    """A node goes on where nobody listens, or was never asked to tell."""
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).started("here")
    ServiceManager({}).stopping()
