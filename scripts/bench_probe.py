"""Probing: what a check costs a whole node of ours, gdnsd and blackbox_exporter, and whether we keep the time.

The endpoints answer at once, from one other processor where there is one. One system runs at a time.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import probe_systems as systems
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from failover_systems import free_port, wait_until
from probe_systems import Load, Reading, Running

LOADS = (("http", 1_000, 1), ("https", 300, 1), ("http", 4_000, 1), ("http", 10_000, 10))
QUICK = (("http", 50, 1), ("https", 20, 1))

Start = Callable[[Path, Load, set[int]], Running]
Measure = Callable[[Running, float], Reading]
SYSTEMS: dict[str, tuple[str, str, Start, Measure]] = {
    "ours": ("a whole node", "", systems.ours, systems.measure_ours),
    "gdnsd": ("gdnsd", "gdnsd", systems.gdnsd, systems.measure_gdnsd),
    "blackbox": (
        "blackbox_exporter",
        "prometheus-blackbox-exporter",
        systems.blackbox,
        systems.measure_blackbox,
    ),
}


def installed() -> list[str]:
    """Return the systems that can be run here."""
    return [name for name, (_, program, *_) in SYSTEMS.items() if not program or shutil.which(program)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=15.0, help="length of one run (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="few endpoints, too short to mean anything")
    parser.add_argument("--systems", default=",".join(installed()), help="default: %(default)s")
    parser.add_argument("--loads", default="0,1,2,3", help="which rows, by number (default %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    cores = sorted(os.sched_getaffinity(0))
    probing, answering = {cores[0]}, set(cores[1:] or cores)
    os.sched_setaffinity(0, answering)
    numbers = [int(each) for each in arguments.loads.split(",")]
    chosen = QUICK if arguments.quick else [LOADS[number] for number in numbers]
    print(
        "| endpoints | prober | probes/s | of one processor | processor us each | to ours | late | longest delay ms |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="bench-probe-") as home:
        certificate = _write_certificate(Path(home))
        for place, (scheme, count, interval_s) in enumerate(chosen):
            load = Load(scheme, count, interval_s, free_port(), Path(home) / "ca.pem")
            with Targets(load, certificate, answering):
                ours_us = 0.0
                for name in arguments.systems.split(","):
                    if name == "gdnsd" and scheme == "https":
                        continue  # it has no check over TLS
                    reading = _measure(name, Path(home) / f"{name}{place}", load, probing, arguments.seconds)
                    each_us = 1e6 * reading.busy_s / max(reading.probes, 1)
                    ours_us = each_us if name == "ours" else ours_us
                    print(_row(load, SYSTEMS[name][0], reading, each_us, ours_us), flush=True)
    print(f"\nload of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    return 0


def _measure(name: str, folder: Path, load: Load, cores: set[int], seconds: float) -> Reading:
    _, _, start, measure = SYSTEMS[name]
    running = start(folder, load, cores)
    try:
        return measure(running, seconds)
    finally:
        running.stop()


def _row(load: Load, title: str, reading: Reading, each_us: float, ours_us: float) -> str:
    cells = [f"{load.count:,} {load.scheme.upper()} at {load.interval_s} s", title]
    cells += [f"{reading.probes / reading.seconds:,.0f}", f"{100 * reading.busy_s / reading.seconds:.0f} %"]
    cells += [f"{each_us:,.0f}", f"{each_us / ours_us:.2f}" if ours_us else "-"]
    cells.append("-" if reading.late_percent is None else f"{reading.late_percent:.2f} %")
    cells.append("-" if reading.delay_ms is None else f"{reading.delay_ms:.0f}")
    return f"| {' | '.join(cells)} |"


class Targets:
    """The endpoints, for as long as a block lasts."""

    def __init__(self, load: Load, certificate: Path, cores: set[int]) -> None:
        words = [sys.executable, str(Path(__file__).with_name("probe_targets.py")), load.scheme, str(load.port)]
        self._words = [*words, str(certificate)]
        self._cores, self._port = cores, load.port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._words)
        os.sched_setaffinity(self._process.pid, self._cores)
        with contextlib.suppress(PermissionError):  # the endpoints should never be what is slow
            os.setpriority(os.PRIO_PROCESS, self._process.pid, -10)
        wait_until(self._is_listening, "the endpoints listen")

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def _is_listening(self) -> bool:
        listed = Path("/proc/net/tcp").read_text()
        return f":{self._port:04X} 00000000:0000 0A" in listed


def _write_certificate(folder: Path) -> Path:
    """Write a self-signed certificate for the service's name, and trust it as an authority's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(systems.NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    shown = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(shown)
    (folder / "server.pem").write_bytes(secret + shown)
    return folder / "server.pem"
