"""Where the kernel shows no ``/proc`` (other systems, strict containers) all goes on that can."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from node.cli import processes
from node.dns import answerer_link, answerer_process, fast
from tests.cluster.lab import why_not
from tests.cluster.nodes import ask
from tests.cluster.servers import wait_until
from tests.process import Process

ROOT = Path(__file__).parents[1]


@pytest.fixture(name="nothing", autouse=True)
def _nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every reader of ``/proc`` look into an empty directory."""
    empty = tmp_path / "empty"
    empty.mkdir()
    for module in (processes, answerer_link):
        monkeypatch.setattr(module, "PROC", empty)


def test_no_answerers_that_could_not_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without start times of processes there are none beside the node: it answers by itself."""
    assert "" == answerer_process.birth_of(os.getpid())
    assert not fast.is_supported()
    monkeypatch.undo()
    assert sys.platform != "linux" or answerer_process.birth_of(os.getpid())


def test_the_socket_where_they_meet() -> None:
    """It is at its own path, and works."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        directory = answerer_link.Directory(Path(folder))
        assert f"{folder}/{answerer_link.SOCKET_NAME}" == directory.socket_path
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link,
        ):
            listener.bind(directory.socket_path)
            listener.listen(1)
            link.connect(directory.socket_path)
        directory.close()


def test_a_process_is_known_by_its_words(tmp_path: Path) -> None:
    """``ps`` tells them: one with others is not ours, nor one that has ended."""
    words = (sys.executable, "-c", "import time; time.sleep(60)")
    program = processes.Program("sleeper", words, tmp_path / "pid", tmp_path / "log")
    child = program.start(tmp_path, {})
    try:
        assert child.pid == program.pid()
        other = processes.Program("other", (*words, "more"), tmp_path / "pid", tmp_path / "log")
        assert other.pid() is None
        assert program.send(signal.SIGTERM)
        wait_until(lambda: program.pid() is None, "a zombie is none of ours")
    finally:
        child.kill()
        child.wait()
    assert program.pid() is None


@pytest.mark.real
@pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")
def test_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole node, under a ``/proc`` that is empty, answers and takes changes."""
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "-"]
    start = subprocess.Popen

    def hiding(words: list[str], **options: object) -> "subprocess.Popen[bytes]":
        return start([*hidden, *words], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", hiding)
    with Process(tmp_path, '[dns]\nlisten = ["127.0.0.1:{port}"]\n') as node:
        monkeypatch.undo()
        wait_until(lambda: ask("127.0.0.1", node.port, "ns1.example.org") == {"192.0.2.53"}, "it answers")
        assert node.process is not None
        seen = Path(f"/proc/{node.process.pid}/root/proc")
        assert [] == list(seen.iterdir())
