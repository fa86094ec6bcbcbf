"""The servers that answers are measured on: ours, and those of other people that are installed."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from build_native import build

ORIGIN = "bench.example."

OURS = """
import asyncio, signal, sys
from pathlib import Path
from node.dns.fast import FastDns
from node.dns.respond import Client, Send, View, respond
from node.dns.supervisor import SupervisorSettings
from node.zone.master_file import parse
from node.zone.name import from_text
from node.zone.zone import new_zone

async def main(directory, zone_file, port, answerers, compiled):
    name = from_text("bench.example.")
    zones = {name: new_zone(name, parse(Path(zone_file).read_text(), name, 300).rrsets, 1)}
    view = View(zones, True, "bench")
    def answer(packet, address):
        if not fast.is_shown:  # what is measured is the table
            return None
        outcome = respond(packet, Client(address, "udp"), view)
        return outcome.packet if isinstance(outcome, Send) else None
    settings = SupervisorSettings(Path(directory), int(answerers), orphan_life_s=5.0, compiled=bool(int(compiled)))
    fast = FastDns(settings, lambda: view, answer)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await fast.start((f"127.0.0.1:{port}",))
    await ended.wait()
    await fast.stop()

asyncio.run(main(*sys.argv[1:]))
"""

KNOT = """server:
    listen: 127.0.0.1@{port}
    rundir: {home}
    udp-workers: {workers}
    tcp-workers: 1
    background-workers: 1
database:
    storage: {home}
log:
  - target: stderr
    any: error
zone:
  - domain: {origin}
    file: {zone}
    zonefile-sync: -1
"""
NSD = """server:
  ip-address: 127.0.0.1@{port}
  server-count: {workers}
  username: ""
  zonesdir: {home}
  pidfile: {home}/pid
  xfrdfile: {home}/xfrd
  zonelistfile: {home}/zones
  database: ""
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: {origin}
  zonefile: {zone}
"""
NAMED = """options {{
  directory "{home}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  pid-file "{home}/pid"; session-keyfile "{home}/key"; recursion no; minimal-responses yes;
}};
controls {{ }};
zone "{origin}" {{ type primary; file "{zone}"; }};
"""

PDNS = """launch=bind
security-poll-suffix=
bind-config={home}/named.conf
local-address=127.0.0.1
local-port={port}
socket-dir={home}
receiver-threads={workers}
distributor-threads=1
reuseport=yes
guardian=no
daemon=no
disable-syslog=yes
security-poll-suffix=
setuid=
setgid=
"""
PDNS_ZONES = """zone "{origin}" {{ type master; file "{zone}"; }};
"""
GDNSD = """options => {{
  listen => 127.0.0.1:{port}, udp_threads => {workers}, tcp_threads => 1, run_dir => {home}/run, state_dir => {home}/state,
  zones_default_ttl => 300, disable_cookies => true
}}
"""
_TABLE = "memfd:quorumdns-table"
_DROP_CAPABILITY, _SYS_NICE = 24, 23
"""Of prctl(2) and capabilities(7)."""
OURS_NAMES = ("ours", "ours, Python")
"""With the compiled reader, where it was built, and without."""


@dataclass
class Server:
    """A running server."""

    name: str
    port: int
    process: "subprocess.Popen[bytes]"
    home: Path
    measured: list[float] = field(default_factory=list)

    def pids(self) -> list[int]:
        """Return the process and all below it."""
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(each) for each in task.read_text().split()]
        return found

    def cpu_s(self) -> float:
        """Return the processor time used so far."""
        ticks = 0
        for pid in self.pids():
            columns = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(columns[11]) + int(columns[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Return the memory of what answers, shared pages counted once.

        Of ours that is the table, wherever it is mapped, and the answerers; the control process is left out.
        """
        if self.name not in OURS_NAMES:
            return sum(_mapped_kib(pid, "Pss") for pid in self.pids()) / 1024
        control, *answerers = self.pids()
        rest = sum(_mapped_kib(pid, "Pss") - _mapped_kib(pid, "Pss", _TABLE) for pid in answerers)
        return (rest + _mapped_kib(control, "Rss", _TABLE)) / 1024

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _mapped_kib(pid: int, measure: str, name: str = "") -> int:
    """Add up a process's mappings that have the name in theirs, by a line of smaps(5)."""
    total, is_meant = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        word, _, rest = line.partition(":")
        if word == measure and is_meant:
            total += int(rest.split()[0])
        elif "-" in line.partition(" ")[0]:
            is_meant = name in line
    return total


def _on(cores: set[int]) -> None:
    """Stay on these cores, at the priority that all have: our answerers would raise theirs where they may."""
    os.sched_setaffinity(0, cores)
    ctypes.CDLL(None).prctl(_DROP_CAPABILITY, _SYS_NICE, 0, 0, 0)


def installed() -> list[str]:
    """Return the names of servers that can be measured here."""
    programs = {"knot": "knotd", "nsd": "nsd", "named": "named", "pdns": "pdns_server", "gdnsd": "gdnsd"}
    ours = OURS_NAMES if build() else OURS_NAMES[1:]
    return [*ours, *(name for name, program in programs.items() if _program(program))]


def start(name: str, zone_file: Path, home: Path, workers: int, cores: set[int]) -> Server:
    """Start a server on loopback, on these cores, and wait until it answers."""
    home.mkdir(parents=True)
    port = _free_port()
    values = {"port": port, "home": home, "zone": zone_file, "origin": ORIGIN, "workers": workers}
    config = home / "config"
    if name in OURS_NAMES:
        compiled = str(int(name == OURS_NAMES[0]))
        words = [
            sys.executable,
            "-c",
            OURS,
            str(home / "run"),
            str(zone_file),
            str(port),
            str(workers),
            compiled,
        ]
    elif name == "knot":
        config.write_text(KNOT.format(**values))
        words = [_program("knotd"), "-c", str(config)]
    elif name == "nsd":
        config.write_text(NSD.format(**values))
        words = [_program("nsd"), "-d", "-c", str(config)]
    elif name == "gdnsd":
        for folder in ("zones", "run", "state"):
            (home / folder).mkdir()
        (home / "zones" / ORIGIN.rstrip(".")).symlink_to(zone_file)
        config.write_text(GDNSD.format(**values))
        words = [_program("gdnsd"), "-c", str(home), "start"]
    elif name == "pdns":
        (home / "named.conf").write_text(PDNS_ZONES.format(**values))
        (home / "pdns.conf").write_text(PDNS.format(**values))
        words = [_program("pdns_server"), f"--config-dir={home}"]
    else:
        config.write_text(NAMED.format(**values))
        words = [_program("named"), "-f", "-n", str(workers), "-c", str(config)]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            words,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).resolve().parents[1],
            preexec_fn=lambda: _on(cores),  # noqa: PLW1509 - no threads here
        )
    server = Server(name, port, process, home)
    _await_answer(server)
    return server


def _await_answer(server: Server) -> None:
    query = b"\x00\x01\x00\x00\x00\x01" + bytes(6) + b"\x02h1\x05bench\x07example\x00\x00\x01\x00\x01"
    deadline = time.monotonic() + 600
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect(("127.0.0.1", server.port))
        while time.monotonic() < deadline and server.process.poll() is None:
            try:
                client.send(query)
                if client.recv(4096)[3] & 15 == 0:
                    return
            except OSError:
                time.sleep(0.1)
    raise SystemExit(f"{server.name} does not answer: {(server.home / 'log').read_text()[-500:]}")


def _program(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin") or ""


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
