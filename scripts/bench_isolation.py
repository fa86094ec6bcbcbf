"""Answers of a node while something else goes on: its process stopped, an election, an import, probes, an API storm.

Three nodes on loopback; one of them is asked at a steady rate, first in peace and then with the trouble, one trouble after
the other. The generator runs at a raised priority where it may, as the answerers do.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns_load
import http_client
import requests
from build_native import build

ROOT = Path(__file__).resolve().parent.parent
NODES = 3
READY_S = 120.0
STORM_CONNECTIONS = 32
ENDPOINTS_PER_SERVICE = 100
CONFIG = """
[cluster]
name = "bench"
{nodes}
[raft]
data_dir = "{home}/data/{{node}}"
[dns]
listen = "{{address}}:{port}"
answerers = 1
reader = "{reader}"
rate_limit = false
[[zones]]
name = "bench.example"
file = "{home}/zone"
[[zones]]
name = "storm.example"
nameservers = ["ns1.bench.example"]
"""
NODE = """
[[nodes]]
name = "n{number}"
raft = "{host}:{raft}"
api  = "http://{host}:{api}"
"""


class Cluster:
    """Three nodes of ours; the first is the one that is asked."""

    def __init__(self, home: Path, reader: str) -> None:
        self.home = home
        self.port, self.api, raft = (_free_port() for _ in range(3))
        nodes = "".join(
            NODE.format(number=number, host=_host(number), raft=raft, api=self.api) for number in range(NODES)
        )
        text = CONFIG.format(nodes=nodes, home=home, reader=reader, port=self.port)
        (home / "cluster.toml").write_text(text)
        self.processes = [self._start(number) for number in range(NODES)]

    def _start(self, number: int) -> "subprocess.Popen[bytes]":
        words = [
            sys.executable,
            "-m",
            "node",
            "run",
            "-c",
            str(self.home / "cluster.toml"),
            "--node",
            f"n{number}",
        ]
        with (self.home / f"log{number}").open("ab") as log:
            environ = {**os.environ, "PYTHONPATH": str(ROOT)}
            return subprocess.Popen(words, stdout=log, stderr=log, cwd=self.home, env=environ)

    def url(self, number: int) -> str:
        """Return where a node's API is."""
        return f"http://{_host(number)}:{self.api}"

    def status(self, number: int) -> dict[str, object]:
        """Return a node's own row, nothing when it does not answer."""
        with contextlib.suppress(requests.RequestException, ValueError):
            found: dict[str, object] = requests.get(
                f"{self.url(number)}/v1/status?scope=local", timeout=2
            ).json()
            return found
        return {}

    def wait_ready(self) -> None:
        """Wait until all nodes are ready and the first answers from its table."""
        deadline = time.monotonic() + READY_S
        while (
            any(self.status(number).get("state") != "ready" for number in range(NODES)) or not self._is_shown()
        ):
            if time.monotonic() > deadline:
                raise SystemExit((self.home / "log0").read_text()[-2000:])
            time.sleep(0.2)

    def _is_shown(self) -> bool:
        """Say whether the first node answers from its table."""
        _query(self.home, self.port)
        found = self.status(0).get("answers")
        return isinstance(found, dict) and bool(found["native"] + found["cache_misses"])

    def leader(self) -> int:
        """Return who leads."""
        return next((n for n in range(NODES) if self.status(n).get("role") == "leader"), 0)

    def restart(self, number: int) -> None:
        """Start a node again that was killed."""
        self.processes[number].wait()
        self.processes[number] = self._start(number)

    def stop(self) -> None:
        """End all nodes."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


# --- troubles: each is given the cluster and how long the questions go on ---------------------------------------------


@contextlib.contextmanager
def stopped(cluster: Cluster, _: argparse.Namespace) -> Iterator[None]:
    """The main process of the node stands still."""
    cluster.processes[0].send_signal(signal.SIGSTOP)
    yield
    cluster.processes[0].send_signal(signal.SIGCONT)


@contextlib.contextmanager
def election(cluster: Cluster, _: argparse.Namespace) -> Iterator[None]:
    """The leader dies; where that is the node itself, its answerers have lost their main process too."""
    number = cluster.leader()
    cluster.processes[number].kill()
    yield
    cluster.restart(number)


@contextlib.contextmanager
def importing(cluster: Cluster, arguments: argparse.Namespace) -> Iterator[None]:
    """A zone of many records comes in."""
    path = cluster.home / "import"
    dns_load.write_zone(path, arguments.import_records)
    text = path.read_text().replace(dns_load.ORIGIN, "import.example.")
    with _beside(
        lambda: requests.put(
            f"{cluster.url(0)}/v1/zones/import.example/file",
            data=text.encode(),
            headers={"Content-Type": "text/dns"},
            timeout=600,
        )
    ):
        yield


@contextlib.contextmanager
def probing(cluster: Cluster, arguments: argparse.Namespace) -> Iterator[None]:
    """Every node probes endpoints, so many a second in all."""
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        number = 0
        for start in range(0, arguments.probes // NODES, ENDPOINTS_PER_SERVICE):
            addresses = [
                f"127.1.{each >> 8}.{each & 255}" for each in range(start, start + ENDPOINTS_PER_SERVICE)
            ]
            body = {
                "check": f"tcp://{{}}:{listener.getsockname()[1]}",
                "endpoints": addresses,
                "interval_ms": 1000,
                "timeout_ms": 900,
                "zone": "storm.example",
            }
            requests.put(
                f"{cluster.url(0)}/v1/services/s{number}.storm.example", json=body, timeout=60
            ).raise_for_status()
            number += 1
        yield
        for each in range(number):
            requests.delete(f"{cluster.url(0)}/v1/services/s{each}.storm.example", timeout=60)


@contextlib.contextmanager
def storming(cluster: Cluster, _: argparse.Namespace) -> Iterator[None]:
    """Keep-alive connections write records as fast as they may."""
    ending = threading.Event()

    async def write(number: int) -> None:
        connection = http_client.HttpConnection("127.0.0.1", cluster.api)
        while not ending.is_set():
            address = f"10.9.{number}.{int(time.monotonic() * 1000) & 255}"
            body = f'{{"ttl": 60, "records": ["{address}"]}}'.encode()
            with contextlib.suppress(OSError, http_client.RequestFailed):
                await connection.request("PUT", f"/v1/zones/storm.example/rrsets/w{number}/A", body)
        connection.close()

    async def storm() -> None:
        await asyncio.gather(*map(write, range(STORM_CONNECTIONS)))

    with _beside(lambda: asyncio.run(storm())):
        yield
        ending.set()


TROUBLES: dict[str, Callable[[Cluster, argparse.Namespace], "contextlib.AbstractContextManager[None]"]] = {
    "main process stopped": stopped,
    "API storm": storming,
    "probes": probing,
    "import": importing,
    "election": election,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind (default %(default)s)")
    parser.add_argument("--rate", type=int, default=2_000, help="questions a second (default %(default)s)")
    parser.add_argument("--names", type=int, default=10_000, help="addresses in the zone (default %(default)s)")
    parser.add_argument(
        "--import-records", type=int, default=100_000, help="records that come in (default %(default)s)"
    )
    parser.add_argument(
        "--probes", type=int, default=3_000, help="probes a second of all nodes (default %(default)s)"
    )
    parser.add_argument("--reader", choices=("native", "python"), default="native" if build() else "python")
    parser.add_argument("--troubles", default=",".join(TROUBLES), help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="bench-isolation-") as home:
        folder = Path(home)
        dns_load.write_zone(folder / "zone", arguments.names)
        dns_load.write_queries(folder / "mixed", arguments.names, "mixed")
        cluster = Cluster(folder, arguments.reader)
        try:
            cluster.wait_ready()
            print(
                "| | p50 us in peace | meanwhile | p99 us in peace | meanwhile | ratio | lost |\n"
                + "|---" * 7
                + "|"
            )
            for name in arguments.troubles.split(","):
                rounds = []
                for _ in range(arguments.rounds):
                    quiet = _ask(cluster, arguments)
                    with TROUBLES[name](cluster, arguments):
                        loud = _ask(cluster, arguments)
                    rounds.append(
                        (
                            quiet.p50_us,
                            loud.p50_us,
                            quiet.p99_us,
                            loud.p99_us,
                            loud.p99_us / quiet.p99_us,
                            loud.lost,
                        )
                    )
                    cluster.wait_ready()
                *times, ratio, _ = (statistics.median(column) for column in zip(*rounds, strict=True))
                lost = sum(row[-1] for row in rounds)
                cells = (name, *(f"{each:,.0f}" for each in times), f"{ratio:.2f}", f"{lost:.0f}")
                print("| " + " | ".join(cells) + " |", flush=True)
        finally:
            cluster.stop()
    return 0


def _ask(cluster: Cluster, arguments: argparse.Namespace) -> dns_load.Load:
    """Ask at the rate, in a process of its own: this one may be busy with the trouble."""
    words = [
        sys.executable,
        __file__,
        str(cluster.port),
        str(cluster.home / "mixed"),
        str(arguments.seconds),
        str(arguments.rate),
    ]
    done = subprocess.run(
        words, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    rate, lost, p50, p99 = done.stdout.split()
    return dns_load.Load(float(rate), int(lost), float(p50), float(p99))


@contextlib.contextmanager
def _beside(work: Callable[[], object]) -> Iterator[None]:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        yield
        future.exception()


def _accept(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()


def _query(home: Path, port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.settimeout(0.5)
        client.connect(("127.0.0.1", port))
        client.send(dns_load.read_packets(home / "mixed", edns=False)[0])
        client.recv(4096)


def _host(number: int) -> str:
    return f"127.0.0.{number + 1}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    load = dns_load.at_rate(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
    print(load.rate, load.lost, load.p50_us, load.p99_us)
