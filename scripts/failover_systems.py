"""The systems that ``bench_failover.py`` compares: three nodes of ours, gdnsd and PowerDNS with Lua records.

Each probes the same endpoints at its fastest sane settings: once a second where it can, one failure is enough.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "www.failover.test"
SECRET = "a secret of the benchmark, for loopback only"

ENDPOINT = """
import asyncio, sys
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok"
async def answer(reader, writer):
    try:
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(ANSWER)
    except (OSError, asyncio.IncompleteReadError):
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(answer, sys.argv[1], int(sys.argv[2]), backlog=1024)
    await server.serve_forever()
asyncio.run(main())
"""

OURS = """
[cluster]
name   = "failover"
secret = "file:{folder}/secret"
{nodes}
[raft]
data_dir = "{folder}/data/{{node}}"
[dns]
listen     = ["{{address}}:{dns}"]
rate_limit = {{ exempt = ["127.0.0.0/8"] }}
[[zones]]
name        = "failover.test"
nameservers = ["ns1.failover.test"]
[health]
interval = "1s"
timeout  = "900ms"
recheck  = "500ms"
rise     = 1
fall     = {fall}
[[services]]
fqdn        = "www.failover.test"
zone        = "failover.test"
ttl         = 1
healthcheck = "http://{{}}:{port}/"
endpoints   = [{endpoints}]
"""
NODE = """
[[nodes]]
name = "ns{number}"
raft = "127.0.0.{number}:{raft}"
api  = "http://127.0.0.{number}:{api}"
"""

GDNSD = """options => {{ listen => 127.0.0.1:{dns}, run_dir => {folder}/run, state_dir => {folder}/state }}
service_types => {{ web => {{ plugin => http_status, port => {port}, url_path => /, interval => 2, timeout => 1,
    up_thresh => 1, ok_thresh => 1, down_thresh => 1 }} }}
plugins => {{ multifo => {{ www => {{ service_types => web, {endpoints} }} }} }}
"""
GDNSD_ZONE = """@ SOA ns1 host (1 3600 600 86400 5)
@ NS ns1
ns1 A 192.0.2.53
www 1 DYNA multifo!www
"""

PDNS = """launch=bind
security-poll-suffix=
bind-config={folder}/named.conf
local-address=127.0.0.1
local-port={dns}
socket-dir={folder}
enable-lua-records=yes
lua-health-checks-interval=1
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
guardian=no
daemon=no
"""
PDNS_ZONE = """$ORIGIN failover.test.
$TTL 1
@ SOA ns1 host 1 3600 600 86400 5
@ NS ns1
ns1 A 192.0.2.53
www LUA A "ifurlup('http://www.failover.test:{port}/', {{ {{ {endpoints} }} }}, {{ timeout=1, selector='all' }})"
"""


class Endpoint:
    """A web server in a process of its own, which can be killed or hung."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self._words = [sys.executable, "-c", ENDPOINT, address, str(port)]
        self._where = address, port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(self._words, stderr=subprocess.DEVNULL)
        wait_until(self._is_there, f"the endpoint {self.address}")

    def stop(self) -> None:
        """End it, however it is."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def _is_there(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(self._where) == 0


@dataclass
class System:
    """What answers for the name: its DNS servers, and the processes behind them."""

    title: str
    servers: list[tuple[str, int]]
    words: list[list[str]]
    folder: Path
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start its processes."""
        for number, words in enumerate(self.words):
            log = (self.folder / f"log{number}").open("wb")
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder, env=environment)
            self._processes.append(process)

    def stop(self) -> None:
        """End them."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self._processes.clear()


def ours(folder: Path, addresses: list[str], port: int, fall: int = 1) -> System:
    """Three nodes, a majority of which decides."""
    raft, api, dns = (free_port() for _ in range(3))
    folder.mkdir(parents=True)
    secret = folder / "secret"
    secret.touch(0o600)
    secret.write_text(SECRET)
    nodes = "".join(NODE.format(number=number, raft=raft, api=api) for number in (1, 2, 3))
    endpoints = ", ".join(f'"{address}"' for address in addresses)
    config = folder / "cluster.toml"
    config.write_text(
        OURS.format(folder=folder, nodes=nodes, dns=dns, port=port, endpoints=endpoints, fall=fall)
    )
    run = [sys.executable, "-m", "node", "run", "-c", str(config), "--node"]
    words = [[*run, f"ns{number}"] for number in (1, 2, 3)]
    return System("ours", [(f"127.0.0.{number}", dns) for number in (1, 2, 3)], words, folder)


def gdnsd(folder: Path, addresses: list[str], port: int) -> System:
    """One gdnsd; it probes every two seconds at most."""
    dns = free_port()
    for part in ("run", "state", "zones"):
        (folder / part).mkdir(parents=True)
    endpoints = ", ".join(f"e{number} => {address}" for number, address in enumerate(addresses))
    (folder / "config").write_text(GDNSD.format(folder=folder, dns=dns, port=port, endpoints=endpoints))
    (folder / "zones" / "failover.test").write_text(GDNSD_ZONE)
    return System("gdnsd", [("127.0.0.1", dns)], [[_path("gdnsd"), "-c", str(folder), "start"]], folder)


def pdns(folder: Path, addresses: list[str], port: int) -> System:
    """One PowerDNS that probes once a second; without its caches, which would hide changes."""
    dns = free_port()
    folder.mkdir(parents=True)
    endpoints = ", ".join(f"'{address}'" for address in addresses)
    (folder / "pdns.conf").write_text(PDNS.format(folder=folder, dns=dns))
    (folder / "named.conf").write_text(f'zone "failover.test" {{ type master; file "{folder}/zone"; }};\n')
    (folder / "zone").write_text(PDNS_ZONE.format(port=port, endpoints=endpoints))
    words = [[_path("pdns_server"), f"--config-dir={folder}"]]
    return System("PowerDNS Lua", [("127.0.0.1", dns)], words, folder)


SYSTEMS: dict[str, tuple[str, Callable[[Path, list[str], int], System]]] = {
    "ours": ("", ours),
    "gdnsd": ("gdnsd", gdnsd),
    "pdns": ("pdns_server", pdns),
}


def installed() -> list[str]:
    """Return the systems that can be run here."""
    return [name for name, (program, _) in SYSTEMS.items() if not program or _path(program)]


def free_port() -> int:
    """Return a port that is free on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_so: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Wait until it is so. Raises ``TimeoutError``."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end_s:
            raise TimeoutError(f"after {timeout_s:g} s still not there: {what}")
        time.sleep(0.02)


def _path(program: str) -> str:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""
