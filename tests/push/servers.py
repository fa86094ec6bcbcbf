"""Real name servers on loopback that accept signed updates of example.org."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from tests.ports import free_port

KEY_NAME = "push"
SECRET = "4DgtOFuxTrbrSIuWSYKyoQ0ckSIV1AlEcw5m4u1rm9k="
WRONG_SECRET = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
PROGRAM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
POWERDNS_SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
ZONE_TEXT = """$ORIGIN example.org.
$TTL 60
@ SOA ns.elsewhere.test. host.elsewhere.test. 1 3600 600 86400 5
@ NS ns.elsewhere.test.
*.wild A 192.0.2.200
*.alias CNAME elsewhere.test.
"""


class NameServer:
    """A name server in a folder of its own; started, stopped and asked by the tests."""

    program = ""

    def __init__(self, folder: Path, zone_text: str = ZONE_TEXT, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.host = host
        self.port = free_port()
        self.zone_text = zone_text
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.write()

    @property
    def address(self) -> str:
        """Return ``address:port``."""
        return f"{self.host}:{self.port}"

    def write(self) -> None:
        """Write configuration and zone."""
        raise NotImplementedError

    def words(self) -> list[str]:
        """Return the command that runs it in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers for the zone."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.words(), stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError((self.folder / "log").read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        """Stop it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def forget(self) -> None:
        """Lose everything but the zone file, as if restored from a backup."""
        shutil.rmtree(self.folder)
        self.folder.mkdir(mode=0o755)
        self.write()

    def ask(self, name: str, type_: str = "A", timeout_s: float = 2.0) -> list[str]:
        """Return the answer's records as sorted text; a server that starts or stops says SERVFAIL or so, which is none."""
        query = dns.message.make_query(name, type_)
        response = dns.query.udp(query, self.host, port=self.port, timeout=timeout_s)
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise dns.exception.DNSException(dns.rcode.to_text(response.rcode()))
        return sorted(rdata.to_text() for rrset in response.answer for rdata in rrset)

    def ttl(self, name: str, type_: str = "A") -> int:
        """Return the ttl of an RRset."""
        query = dns.message.make_query(name, type_)
        return dns.query.udp(query, self.host, port=self.port, timeout=2).answer[0].ttl

    def _answers(self) -> bool:
        try:
            return bool(self.ask("example.org.", "SOA", timeout_s=0.05))
        except (dns.exception.DNSException, OSError):
            return False


class Knot(NameServer):
    """Knot DNS."""

    program = "knotd"

    def write(self) -> None:
        (self.folder / "zones").mkdir(exist_ok=True)
        (self.folder / "zones" / "example.org.zone").write_text(self.zone_text)
        (self.folder / "knot.conf").write_text(
            f"""server:
    rundir: "{self.folder}"
    listen: {self.host}@{self.port}
database:
    storage: "{self.folder}"
key:
  - id: {KEY_NAME}
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: update
    key: {KEY_NAME}
    action: [update, transfer]
zone:
  - domain: example.org
    storage: "{self.folder}/zones"
    acl: update
log:
  - target: stderr
    any: info
"""
        )

    def words(self) -> list[str]:
        return [found("knotd"), "-c", str(self.folder / "knot.conf")]


class Named(NameServer):
    """BIND."""

    program = "named"

    def write(self) -> None:
        (self.folder / "zone").write_text(self.zone_text)
        (self.folder / "named.conf").write_text(
            f"""options {{
    directory "{self.folder}";
    pid-file none;
    session-keyfile none;
    listen-on port {self.port} {{ {self.host}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    notify no;
    dnssec-validation no;
}};
controls {{ }};
key {KEY_NAME} {{ algorithm hmac-sha256; secret "{SECRET}"; }};
zone "example.org" {{
    type primary;
    file "{self.folder}/zone";
    allow-update {{ key {KEY_NAME}; }};
    allow-transfer {{ key {KEY_NAME}; }};
}};
"""
        )

    def words(self) -> list[str]:
        return [found("named"), "-g", "-c", str(self.folder / "named.conf")]


def found(program: str) -> str:
    """Return the program's path; skip the test when it is not installed."""
    path = shutil.which(program, path=PROGRAM_PATH)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


class PowerDns(NameServer):
    """PowerDNS with a database in a file, its HTTP API switched on."""

    program = "pdns_server"
    api_key = "only-for-tests"

    def __init__(self, folder: Path, zone_text: str = ZONE_TEXT, host: str = "127.0.0.1") -> None:
        found(self.program)
        if not POWERDNS_SCHEMA.exists():
            pytest.skip("PowerDNS' backend for SQLite is not installed")
        self.api_port = free_port()
        super().__init__(folder, zone_text, host)

    def write(self) -> None:
        self.folder.joinpath("pdns.conf").write_text(
            f"""launch=gsqlite3
security-poll-suffix=
gsqlite3-database={self.folder}/db
gsqlite3-dnssec=yes
local-address={self.host}
local-port={self.port}
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8,10.0.0.0/8
api=yes
api-key={self.api_key}
webserver=yes
webserver-address=127.0.0.1
webserver-port={self.api_port}
socket-dir={self.folder}
daemon=no
guardian=no
disable-syslog=yes
security-poll-suffix=
"""
        )
        with contextlib.closing(sqlite3.connect(self.folder / "db")) as database:
            database.executescript(POWERDNS_SCHEMA.read_text())
        self.folder.joinpath("zone").write_text(self.zone_text)
        self._tool("load-zone", "example.org", str(self.folder / "zone"))
        self._tool("import-tsig-key", KEY_NAME, "hmac-sha256", SECRET)
        self._tool("set-meta", "example.org", "TSIG-ALLOW-DNSUPDATE", KEY_NAME)

    def words(self) -> list[str]:
        return [found("pdns_server"), f"--config-dir={self.folder}"]

    def _tool(self, *words: str) -> None:
        subprocess.run(
            [found("pdnsutil"), f"--config-dir={self.folder}", *words], check=True, capture_output=True
        )
