"""Real things around a cluster: web servers that can be stopped, knotd and named that accept updates."""

import http.server
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TSIG_NAME = "push"
TSIG_SECRET = "4DgtOFuxTrbrSIuWSYKyoQ0ckSIV1AlEcw5m4u1rm9k="


def wait_until(true: Callable[[], Any], what: str, timeout_s: float = 60.0, every_s: float = 0.02) -> float:
    """Wait until the condition holds; return how long that took, in seconds. Fails with ``what``.

    The usual deadline is one for a machine with much else to do; a test that is about time gives its own.
    """
    start = time.monotonic()
    event = threading.Event()
    while True:
        value = true()
        if value:
            return time.monotonic() - start
        if time.monotonic() - start > timeout_s:
            raise AssertionError(f"after {timeout_s} s still not: {what} (last seen: {value!r})")
        event.wait(every_s)


class WebServer:
    """A web server on one address that says 200; stopped, its port refuses."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self._server: http.server.ThreadingHTTPServer | None = None

    def start(self) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((self.address, self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Daemon:
    """A name server of Debian's, started in a folder of its own."""

    program = ""

    def __init__(self, folder: Path, address: str, port: int, zone: str) -> None:
        self.folder = folder
        self.address = address
        self.port = port
        self.zone = zone
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.write()

    @classmethod
    def missing(cls) -> bool:
        """Say whether the program is not installed."""
        return shutil.which(cls.program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None

    def write(self) -> None:
        """Write the configuration and the zone."""
        (self.folder / "zone").write_text(
            f"$ORIGIN {self.zone}.\n$TTL 60\n"
            "@ SOA ns.elsewhere. host.elsewhere. 1 3600 600 86400 5\n@ NS ns.elsewhere.\n"
        )

    def words(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        raise NotImplementedError

    def log(self) -> str:
        """Return what the server has written so far."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(self.words(), stdout=log, stderr=log, cwd=self.folder)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None


class Knot(Daemon):
    """Knot DNS that accepts signed updates of one zone."""

    program = "knotd"

    def write(self) -> None:
        super().write()
        (self.folder / "zones").mkdir(exist_ok=True)
        shutil.copy(self.folder / "zone", self.folder / "zones" / f"{self.zone}.zone")
        (self.folder / "knot.conf").write_text(
            f"""server:
    rundir: "{self.folder}"
    listen: {self.address}@{self.port}
database:
    storage: "{self.folder}"
key:
  - id: {TSIG_NAME}
    algorithm: hmac-sha256
    secret: {TSIG_SECRET}
acl:
  - id: update
    key: {TSIG_NAME}
    action: [update, transfer]
template:
  - id: default
    storage: "{self.folder}/zones"
zone:
  - domain: {self.zone}
    acl: update
log:
  - target: stderr
    any: info
"""
        )

    def words(self) -> list[str]:
        return ["/usr/sbin/knotd", "-c", str(self.folder / "knot.conf")]


class Named(Daemon):
    """BIND that accepts signed updates of one zone."""

    program = "named"

    def write(self) -> None:
        super().write()
        (self.folder / "named.conf").write_text(
            f"""options {{
    directory "{self.folder}";
    pid-file none;
    session-keyfile none;
    listen-on port {self.port} {{ {self.address}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    notify no;
    dnssec-validation no;
}};
controls {{ }};
key {TSIG_NAME} {{ algorithm hmac-sha256; secret "{TSIG_SECRET}"; }};
zone "{self.zone}" {{
    type primary;
    file "{self.folder}/zone";
    allow-update {{ key {TSIG_NAME}; }};
    allow-transfer {{ key {TSIG_NAME}; }};
}};
"""
        )

    def words(self) -> list[str]:
        return ["/usr/sbin/named", "-g", "-c", str(self.folder / "named.conf")]
