"""A node takes the place of another one, or of one that died, and nobody who asks notices."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest
import requests

from node.dns.fast import is_supported
from node.zone.name import from_text
from tests.cluster.servers import wait_until
from tests.dns.tables import packet
from tests.process import Process

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not is_supported(), reason="the fast path wants Linux on x86-64"),
]

DNS = """
[dns]
listen    = ["127.0.0.1:{port}"]
answerers = 2
"""
NS1 = from_text("ns1.example.org.")


class Stream:
    """Questions over UDP without a pause, in a thread of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked = 0
        self.wrong: list[str] = []
        self._is_ending = False
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        clients = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(8)]
        for client in clients:
            client.settimeout(5)
            client.connect(("127.0.0.1", self.port))
        while not self._is_ending:
            client = clients[self.asked % len(clients)]
            name = NS1 if self.asked % 3 else from_text(f"n{self.asked}.example.org.")
            client.send(packet(name, 1, edns=1232 if self.asked % 2 else None))
            try:
                rcode = client.recv(4096)[3] & 15
            except TimeoutError:
                rcode = -1
            if rcode != (0 if self.asked % 3 else 3):
                self.wrong.append(f"question {self.asked}: {rcode}")
            self.asked += 1
        for client in clients:
            client.close()

    def end(self) -> None:
        """Stop asking."""
        self._is_ending = True
        self._thread.join()


@pytest.fixture(name="node")
def _node(tmp_path: Path) -> Iterator[Process]:
    with Process(tmp_path, DNS) as process:
        wait_until(lambda: is_answered(process), "the table is shown", timeout_s=30)
        yield process


def is_answered(node: Process) -> bool:
    """Say whether all answerers answer from the table: the kernel divides clients among them by their ports."""
    return all(is_one_answered(node) for _ in range(16)) and answers(node)["processes"] == 2


def is_one_answered(node: Process) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect(("127.0.0.1", node.port))
        client.send(packet(NS1, 1))
        try:
            return client.recv(4096)[3] & 15 == 0 and _has_shown(node)
        except OSError:
            return False


def _has_shown(node: Process) -> bool:
    """Say whether something was answered from the table."""
    found = answers(node)
    return bool(found["native"] + found["cache_misses"])


def answers(node: Process) -> dict[str, Any]:
    """Return what the node says it has answered."""
    status = requests.get(f"http://127.0.0.1:{node.api}/v1/status?scope=local", timeout=10).json()
    found: dict[str, Any] = status["answers"]
    return found


def pids(node: Process) -> list[int]:
    """Return the answerers."""
    rows = json.loads((node.folder / "data/answerers/answerers.json").read_text())["answerers"]
    return sorted(row["pid"] for row in rows)


def start_again(node: Process, *words: str) -> "subprocess.Popen[bytes]":
    """Start another process of the same node and wait until it is ready."""
    command = [sys.executable, "-m", "node", "run", "-c", str(node.folder / "cluster.toml"), *words]
    environ = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    path = node.folder / "log2"
    with path.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=node.folder, env=environ)

    def is_ready() -> bool:
        assert process.poll() is None, path.read_text(errors="replace")[-3000:]
        return "node.started" in path.read_text(errors="replace")

    wait_until(is_ready, "the successor is ready", timeout_s=60)
    return process


def test_a_takeover_loses_no_question(node: Process) -> None:
    """50,000 questions meanwhile are answered rightly, TCP connections wait, and the answerers stay the same."""
    before = pids(node)
    stream = Stream(node.port)
    try:
        wait_until(lambda: stream.asked > 10_000, "asking", timeout_s=60)
        successor = start_again(node, "--takeover")
        node_process = node.process
        assert node_process is not None
        assert 0 == node_process.wait(20)
        node.process = successor
        asked = dns.message.make_query("ns1.example.org.", "A")
        assert dns.query.tcp(asked, "127.0.0.1", port=node.port, timeout=5).answer
        wait_until(lambda: stream.asked > 50_000, "50,000 questions", timeout_s=120)
    finally:
        stream.end()
    assert [] == stream.wrong
    assert before == pids(node)
    assert "node.taken_over" in (node.folder / "log").read_text()


def test_a_takeover_without_a_running_node_is_a_start(node: Process) -> None:
    """So the same words can stand in a unit file."""
    assert node.process is not None
    node.process.terminate()
    assert 0 == node.process.wait(20)
    node.process = start_again(node, "--takeover")
    wait_until(lambda: is_answered(node), "the table is shown", timeout_s=30)


def test_a_killed_node_is_replaced_without_a_lost_question(node: Process) -> None:
    """Its answerers go on, and its successor adopts them; what has changed meanwhile shows."""
    before = pids(node)
    stream = Stream(node.port)
    try:
        wait_until(lambda: stream.asked > 2_000, "asking", timeout_s=60)
        assert node.process is not None
        node.process.kill()
        node.process.wait()
        wait_until(lambda: stream.asked > 10_000, "asking without the node", timeout_s=60)
        node.process = start_again(node)
        url = f"http://127.0.0.1:{node.api}/v1/zones/example.org/rrsets/new.example.org/A"
        wait_until(
            lambda: requests.put(url, json={"rdatas": ["192.0.2.99"], "ttl": 5}, timeout=10).ok, "written"
        )
        asked = dns.message.make_query("new.example.org.", "A")

        def is_new() -> bool:
            return "192.0.2.99" in str(dns.query.udp(asked, "127.0.0.1", port=node.port, timeout=5).answer)

        wait_until(is_new, "the change shows", timeout_s=30)
    finally:
        stream.end()
    assert [] == stream.wrong
    assert before == pids(node)


def test_a_stopped_control_process_stops_no_answers(node: Process) -> None:
    """SIGSTOP for as long as a hang takes: answers go on, and afterwards the answerers are the same."""
    before = pids(node)
    assert node.process is not None
    stream = Stream(node.port)
    try:
        os.kill(node.process.pid, signal.SIGSTOP)
        began = time.monotonic()
        at = stream.asked
        wait_until(lambda: stream.asked > at + 5_000, "answers of a stopped node", timeout_s=60)
        wait_until(lambda: time.monotonic() > began + 17, "a long stop", timeout_s=20)
    finally:
        os.kill(node.process.pid, signal.SIGCONT)
        stream.end()
    assert [] == stream.wrong
    wait_until(lambda: answers(node)["processes"] == 2, "the node goes on", timeout_s=30)
    assert before == pids(node)


def test_a_killed_answerer_is_replaced_within_a_second(node: Process) -> None:
    """Nobody's question is lost: what came in meanwhile waits in the socket."""
    stream = Stream(node.port)
    try:
        first = pids(node)[0]
        os.kill(first, signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: first not in pids(node), "replaced", timeout_s=10)
        assert time.monotonic() - began < 1
        at = stream.asked
        wait_until(lambda: stream.asked > at + 2_000, "asking on", timeout_s=60)
    finally:
        stream.end()
    assert [] == stream.wrong
    assert answers(node)["rcodes"]["NXDOMAIN"] > 0


def test_sigusr1_leaves_the_answerers_to_the_next_process(node: Process) -> None:
    """A unit can restart a node so; SIGTERM ends them all."""
    before = pids(node)
    stream = Stream(node.port)
    try:
        assert node.process is not None
        node.process.send_signal(signal.SIGUSR1)
        assert 0 == node.process.wait(20)
        at = stream.asked
        wait_until(lambda: stream.asked > at + 1_000, "asking without the node", timeout_s=60)
        node.process = start_again(node)
        assert before == pids(node)
    finally:
        stream.end()
    assert [] == stream.wrong
    node.process.terminate()
    assert 0 == node.process.wait(20)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before), "all have ended")
