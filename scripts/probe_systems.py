"""What probes in ``bench_probe.py``: a whole node of ours, gdnsd, and blackbox_exporter with somebody to ask it."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from failover_systems import ROOT, free_port
from http_client import HttpConnection, RequestFailed

TICKS = os.sysconf("SC_CLK_TCK")
PER_SERVICE = 10
NAME = "s0.probe.test"
NAMED_MAX = 1_000
"""Endpoints have metrics of their own up to this many."""

OURS = """
[cluster]
name   = "probe"
secret = "file:{folder}/secret"
[[nodes]]
name = "ns1"
raft = "127.0.0.1:{raft}"
api  = "http://127.0.0.1:{api}"
[raft]
data_dir = "{folder}/data"
[dns]
listen    = ["127.0.0.1:{dns}"]
answerers = 0
[checks]
ca_file = "{ca_file}"
[health]
interval = "{interval_s}s"
timeout  = "900ms"
recheck  = "500ms"
[[zones]]
name        = "probe.test"
nameservers = ["ns1.probe.test"]
"""
SERVICE = """
[[services]]
fqdn        = "s{number}.probe.test"
healthcheck = {check}
endpoints   = [{endpoints}]
"""

GDNSD = """options => {{ listen => 127.0.0.1:{dns}, run_dir => {folder}/run, state_dir => {folder}/state }}
service_types => {{ web => {{ plugin => http_status, port => {port}, url_path => /, interval => {interval_s}, timeout => 1 }} }}
plugins => {{ multifo => {{
{resources}
}} }}
"""
GDNSD_ZONE = "@ SOA ns1 host (1 3600 600 86400 5)\n@ NS ns1\nns1 A 192.0.2.53\nwww 60 DYNA multifo!r0\n"

BLACKBOX = """modules:
  http:
    prober: http
    timeout: 1s
    http: {{follow_redirects: false, preferred_ip_protocol: ip4, tls_config: {{ca_file: "{ca_file}", server_name: {name}}}}}
"""


@dataclass
class Load:
    """What is to be probed."""

    scheme: str
    count: int
    interval_s: int
    port: int
    ca_file: Path

    @property
    def addresses(self) -> list[str]:
        """One loopback address for each endpoint."""
        return [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(self.count)]


@dataclass
class Reading:
    """What a system did during one measurement."""

    probes: int
    seconds: float
    busy_s: float
    late_percent: float | None = None
    """Probes that began more than 100 ms after their time; None where nobody can tell."""
    delay_ms: float | None = None


@dataclass
class Running:
    """A process that probes."""

    process: subprocess.Popen[bytes]
    url: str = ""
    load: Load | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def busy_s(self) -> float:
        """Return the processor time that the process and its children have used."""
        return sum(_ticks(pid) for pid in (self.process.pid, *_children(self.process.pid))) / TICKS

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def start(words: list[str], folder: Path, cores: set[int]) -> subprocess.Popen[bytes]:
    """Start a program on some processors, with its output in a file."""
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        words, stdout=log, stderr=log, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    os.sched_setaffinity(process.pid, cores)
    return process


def ours(folder: Path, load: Load, cores: set[int]) -> Running:
    """A whole node, alone in its cluster: log, DNS, API and prober; wait until every endpoint is up."""
    folder.mkdir()
    secret = folder / "secret"
    secret.touch(0o600)
    secret.write_text("a secret of the benchmark, for loopback only")
    api = free_port()
    text = OURS.format(
        folder=folder,
        raft=free_port(),
        api=api,
        dns=free_port(),
        interval_s=load.interval_s,
        ca_file=load.ca_file,
    )
    check = json.dumps(f"{load.scheme}://{{}}:{load.port}/")
    if load.scheme == "https":
        check = f'{{ url = {check}, host = "{NAME}" }}'
    groups = [load.addresses[at : at + PER_SERVICE] for at in range(0, load.count, PER_SERVICE)]
    text += "".join(
        SERVICE.format(number=number, check=check, endpoints=", ".join(json.dumps(each) for each in group))
        for number, group in enumerate(groups)
    )
    config = folder / "cluster.toml"
    config.write_text(text)
    words = [sys.executable, "-m", "node", "run", "-c", str(config), "--node", "ns1"]
    running = Running(start(words, folder, cores), f"http://127.0.0.1:{api}", load)
    deadline_s = time.monotonic() + 180
    while (counts := _metrics(running.url)).get("up", 0) < min(load.count, NAMED_MAX):
        if time.monotonic() > deadline_s:
            running.stop()
            raise TimeoutError(f"not all endpoints are up: {counts}; {(folder / 'log').read_text()[-800:]}")
        time.sleep(0.5)
    time.sleep(22)  # what is told of lateness is of the last 20 s: the start is not what is measured
    return running


def measure_ours(running: Running, seconds: float) -> Reading:
    """Let it probe for a while."""
    before = _metrics(running.url)
    busy_s, begun_s = running.busy_s(), time.monotonic()
    time.sleep(seconds)
    after = _metrics(running.url)
    busy_s, took_s = running.busy_s() - busy_s, time.monotonic() - begun_s
    probes = round(after["qdns_probes_total"] - before["qdns_probes_total"])
    late = after["qdns_probe_started_late_total"] - before["qdns_probe_started_late_total"]
    failed = after["qdns_probe_failures_total"] - before["qdns_probe_failures_total"]
    running.details = {"failed": failed, "load": after["qdns_probe_load_factor"]}
    return Reading(
        probes, took_s, busy_s, 100 * late / max(probes, 1), 1000 * after["qdns_probe_delay_seconds"]
    )


def gdnsd(folder: Path, load: Load, cores: set[int]) -> Running:
    """Run gdnsd with the same endpoints; it probes every two seconds at most."""
    for part in ("run", "state", "zones"):
        (folder / part).mkdir(parents=True)
    interval_s = max(load.interval_s, 2)
    groups = [load.addresses[at : at + PER_SERVICE] for at in range(0, load.count, PER_SERVICE)]
    resources = ",\n".join(
        f"r{number} => {{ service_types => web, "
        + ", ".join(f"a{place} => {address}" for place, address in enumerate(group))
        + " }"
        for number, group in enumerate(groups)
    )
    text = GDNSD.format(
        folder=folder, dns=free_port(), port=load.port, interval_s=interval_s, resources=resources
    )
    (folder / "config").write_text(text)
    (folder / "zones" / "probe.test").write_text(GDNSD_ZONE)
    running = Running(start(["gdnsd", "-c", str(folder), "start"], folder, cores), load=load)
    running.details["interval_s"] = interval_s
    time.sleep(5 + interval_s)
    return running


def measure_gdnsd(running: Running, seconds: float) -> Reading:
    """Let it probe for a while; how many probes that are follows from its interval."""
    assert running.load is not None
    busy_s, begun_s = running.busy_s(), time.monotonic()
    time.sleep(seconds)
    busy_s, took_s = running.busy_s() - busy_s, time.monotonic() - begun_s
    return Reading(round(running.load.count / running.details["interval_s"] * took_s), took_s, busy_s)


def blackbox(folder: Path, load: Load, cores: set[int]) -> Running:
    """blackbox_exporter; whoever asks it is not counted."""
    folder.mkdir()
    (folder / "blackbox.yml").write_text(BLACKBOX.format(ca_file=load.ca_file, name=NAME))
    port = free_port()
    words = ["prometheus-blackbox-exporter", f"--config.file={folder}/blackbox.yml"]
    words.append(f"--web.listen-address=127.0.0.1:{port}")
    process = start(words, folder, cores)
    time.sleep(2)
    return Running(process, f"127.0.0.1:{port}", load)


def measure_blackbox(running: Running, seconds: float) -> Reading:
    """Ask it for each endpoint once an interval, or as often as it can."""
    return asyncio.run(_ask_blackbox(running, seconds))


async def _ask_blackbox(running: Running, seconds: float) -> Reading:
    load, (host, _, port) = running.load, running.url.partition(":")
    assert load is not None
    targets = [urllib.parse.quote(f"{load.scheme}://{each}:{load.port}/", safe="") for each in load.addresses]
    busy_s, begun_s = running.busy_s(), time.monotonic()
    done = failed = 0

    async def ask(mine: list[str]) -> None:
        nonlocal done, failed
        connection = HttpConnection(host, int(port), "Accept-Encoding: gzip\r\n")  # as Prometheus asks
        beat_s = begun_s
        while time.monotonic() < begun_s + seconds:
            for target in mine:
                answer = await connection.request("GET", f"/probe?module=http&target={target}", b"")
                done += 1
                text = gzip.decompress(answer)
                failed += b"probe_success 1" not in text
                if failed > 10 + done // 10:
                    raise RequestFailed(
                        f"it finds {failed} of {done} endpoints down, at last {target}: {text[-300:]!r}"
                    )
                if time.monotonic() > begun_s + seconds:
                    break
            beat_s += load.interval_s
            await asyncio.sleep(max(0.0, beat_s - time.monotonic()))
        connection.close()

    workers = min(32, len(targets))
    await asyncio.gather(*(ask(targets[number::workers]) for number in range(workers)))
    return Reading(done, time.monotonic() - begun_s, running.busy_s() - busy_s)


def _metrics(url: str) -> dict[str, float]:
    """Return the metrics without labels, and how many endpoints have which verdict, of those that it names."""
    found: dict[str, float] = {}
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=20) as answer:
            text = answer.read().decode()
    except OSError:
        return found
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name and "{" not in name and not name.startswith("#"):
            found[name] = float(value)
        elif name.startswith("qdns_endpoint_verdict{"):
            verdict = name.partition('verdict="')[2].partition('"')[0]
            found[verdict] = found.get(verdict, 0) + float(value)
    return found


def _children(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    found = [int(each) for each in listed]
    return [*found, *(below for each in found for below in _children(each))]


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
