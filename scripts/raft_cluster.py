"""Three nodes on loopback whose log is measured, whoever made it, for ``bench_raft.py``."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import http_client
from loops import closed_loop

NODES = 3
READY_S = 300.0


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a closed loop."""

    rate: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    processor_us: float
    """Of all three nodes, for one round of the loop."""


class Cluster:
    """What both have: processes, and how long things take."""

    name = ""

    def __init__(self, folder: Path, snapshot_entries: int | None = None) -> None:
        self._folder = folder
        self._snapshot_entries = snapshot_entries
        self._processes: dict[int, subprocess.Popen[str]] = {}

    async def start(self) -> None:
        """Start all nodes; return when one leads."""
        self._folder.mkdir(parents=True)
        await self._start_all()

    async def _start_all(self) -> None:
        for number in range(NODES):
            self._launch(number)
        for number in range(NODES):
            await self._wait_ready(number)

    def stop(self) -> None:
        """Kill what still runs."""
        for process in self._processes.values():
            process.kill()
            process.wait()

    async def write(self, writers: int, seconds: float, records: int = 1) -> Load:
        """Put so many records in every entry."""
        raise NotImplementedError

    def _launch(self, number: int) -> None:
        raise NotImplementedError

    async def _wait_ready(self, number: int) -> None:
        raise NotImplementedError

    async def leader(self) -> int:
        """Return who leads."""
        raise NotImplementedError

    async def _first_write(self, numbers: list[int]) -> float:
        """Return when a write was committed, on ``time.monotonic``."""
        raise NotImplementedError

    async def fail_over_s(self) -> float:
        """Kill the leader; return after how long a write was committed. The node is started again."""
        dead = await self.leader()
        self._kill(dead)
        begun_s = time.monotonic()
        at_s = await self._first_write([number for number in range(NODES) if number != dead])
        self._launch(dead)
        await self._wait_ready(dead)
        return at_s - begun_s

    async def restart(self) -> tuple[float, float, float]:
        """Kill a follower and start it; return the seconds until it serves what was committed.

        With them: the seconds of a processor that took, and the MiB it holds then.
        """
        number = (await self.leader() + 1) % NODES
        self._kill(number)
        begun_s = time.monotonic()
        self._launch(number)
        await self._wait_ready(number)
        took_s = time.monotonic() - begun_s
        return took_s, _processor_s(self._processes[number]), self.memory_mib(number)

    def memory_mib(self, number: int) -> float:
        """Return what a node holds in memory."""
        pages = int(Path(f"/proc/{self._processes[number].pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def _kill(self, number: int) -> None:
        self._processes[number].send_signal(signal.SIGKILL)
        self._processes[number].wait()

    def _processor_s(self) -> float:
        return sum(map(_processor_s, self._processes.values()))

    async def _loaded(self, work: Callable[[], Awaitable[dict[str, Any]]]) -> Load:
        before_s = self._processor_s()
        done = await work()
        used_s = self._processor_s() - before_s
        took = done["took_ms"]
        count = done["count"]
        return Load(count / done["seconds"], took["p50"], took["p99"], took["max"], used_s / count * 1e6)


def _processor_s(process: "subprocess.Popen[str]") -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def http_loop(
    host: str,
    port: int,
    connections: int,
    seconds: float,
    act: Callable[[http_client.HttpConnection], Awaitable[None]],
) -> dict[str, Any]:
    """Let each connection send one request after the other."""
    idle = [http_client.HttpConnection(host, port) for _ in range(connections)]

    async def once() -> None:
        client = idle.pop()
        await act(client)
        idle.append(client)

    try:
        return await closed_loop(connections, seconds, once)
    finally:
        for client in idle:
            client.close()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
