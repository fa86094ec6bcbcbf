"""Debian's name servers, started by the tests on loopback with folders of their own."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dns.exception
import dns.message
import dns.query

from tests.ports import free_port

READY_S = 20.0
PROGRAMS = {"named": "/usr/sbin/named", "knotd": "/usr/sbin/knotd", "nsd": "/usr/sbin/nsd"}


def missing_programs(*names: str) -> list[str]:
    """Return which programs are not installed."""
    return [name for name in names if not shutil.which(PROGRAMS.get(name, name))]


@dataclass(frozen=True, slots=True)
class Primary:
    """Where a secondary gets its zones from, on 127.0.0.1, and the key (hmac-sha256) it signs with."""

    port: int
    key: str
    secret: str


class Reference:
    """One running server for zones given as files by origin; the secondary of ``primary`` where there is one."""

    def __init__(
        self, program: str, folder: Path, zones: Mapping[str, Path], primary: Primary | None = None
    ) -> None:
        self.program = program
        self.folder = folder
        self.zones = zones
        self.primary = primary
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        words = {"named": self._named, "knotd": self._knotd, "nsd": self._nsd}[self.program]()
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def _wait(self) -> None:
        """Wait until every zone is answered."""
        assert self.process is not None
        deadline = time.monotonic() + READY_S
        for origin in self.zones:
            asked = dns.message.make_query(origin, "SOA")
            while True:
                try:
                    if dns.query.udp(asked, "127.0.0.1", timeout=0.2, port=self.port).answer:
                        break
                except (OSError, dns.exception.DNSException):
                    pass
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.05)
                if self.process.returncode is not None or time.monotonic() > deadline:
                    self.process.kill()
                    log = (self.folder / "log").read_text(errors="replace")[-3000:]
                    raise AssertionError(f"{self.program} does not serve {origin}:\n{log}")

    def _named(self) -> list[str]:
        primary, kind, keys = self.primary, "type primary;", ""
        if primary is not None:
            kind = f"type secondary; primaries {{ 127.0.0.1 port {primary.port} key {primary.key}; }};"
            kind += " allow-notify { 127.0.0.1; }; masterfile-format text;"
            keys = f'key {primary.key} {{ algorithm hmac-sha256; secret "{primary.secret}"; }};\n'
        zones = keys + "".join(
            f'zone "{origin}" {{ {kind} file "{path}"; check-names ignore; }};\n'
            for origin, path in self.zones.items()
        )
        (self.folder / "named.conf").write_text(
            f"""options {{
    directory "{self.folder}"; pid-file none; session-keyfile none; managed-keys-directory "{self.folder}";
    listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; notify no; empty-zones-enable no; dnssec-validation no; allow-transfer {{ none; }};
    max-udp-size 1232; edns-udp-size 1232; minimal-responses no-auth; minimal-any yes;
    check-integrity no; check-wildcard no; check-mx ignore; check-mx-cname ignore; check-srv-cname ignore;
    version "quorumdns"; server-id "ns1"; hostname "ns1";
}};
controls {{ }};
{zones}"""
        )
        return [PROGRAMS["named"], "-g", "-n", "1", "-c", str(self.folder / "named.conf")]

    def _knotd(self) -> list[str]:
        primary, more, remotes = self.primary, "", ""
        if primary is not None:
            more = "    master: primary\n    acl: notify\n"
            remotes = (
                f"key:\n  - id: {primary.key}\n    algorithm: hmac-sha256\n    secret: {primary.secret}\n"
                f"remote:\n  - id: primary\n    address: 127.0.0.1@{primary.port}\n    key: {primary.key}\n"
                "acl:\n  - id: notify\n    address: 127.0.0.1\n    action: notify\n"
            )
        zones = "".join(
            f'  - domain: "{origin}"\n    file: "{path}"\n{more}' for origin, path in self.zones.items()
        )
        (self.folder / "knot.conf").write_text(
            f"""server:
    rundir: "{self.folder}"
    listen: 127.0.0.1@{self.port}
    udp-max-payload: 1232
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    version: "quorumdns"
    identity: "ns1"
    nsid: "ns1"
database:
    storage: "{self.folder}"
{remotes}template:
  - id: default
    storage: "{self.folder}"
    semantic-checks: off
    zonefile-sync: -1
    journal-content: none
log:
  - target: stderr
    any: warning
zone:
{zones}"""
        )
        return [PROGRAMS["knotd"], "-c", str(self.folder / "knot.conf")]

    def _nsd(self) -> list[str]:
        primary, more, keys = self.primary, "", ""
        if primary is not None:
            more = (
                f"    request-xfr: 127.0.0.1@{primary.port} {primary.key}\n    allow-notify: 127.0.0.1 NOKEY\n"
            )
            keys = (
                f'key:\n    name: {primary.key}\n    algorithm: hmac-sha256\n    secret: "{primary.secret}"\n'
            )
        zones = keys + "".join(
            f'zone:\n    name: "{origin}"\n    zonefile: "{path}"\n{more}'
            for origin, path in self.zones.items()
        )
        (self.folder / "nsd.conf").write_text(
            f"""server:
    ip-address: 127.0.0.1
    port: {self.port}
    server-count: 1
    username: ""
    chroot: ""
    database: ""
    pidfile: ""
    zonesdir: "{self.folder}"
    zonelistfile: "{self.folder}/zone.list"
    xfrdfile: "{self.folder}/xfrd.state"
    xfrdir: "{self.folder}"
    ipv4-edns-size: 1232
    identity: "ns1"
    nsid: "ascii_ns1"
    version: "quorumdns"
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    minimal-responses: no
    refuse-any: no
remote-control:
    control-enable: no
{zones}"""
        )
        return [PROGRAMS["nsd"], "-d", "-c", str(self.folder / "nsd.conf")]
