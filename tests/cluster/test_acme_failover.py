"""A wildcard certificate by lego and pebble from three nodes, the leader killed between challenge and validation."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.api.test_acme import is_open, pebble_config
from tests.cluster.lab import why_not
from tests.cluster.nodes import API_TOKEN, DNS_PORT, Nodes
from tests.cluster.servers import wait_until
from tests.cluster.three import three_nodes
from tests.ports import free_port

CHALLENGE = "_acme-challenge.example.org"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.skipif(
        not (shutil.which("lego") and shutil.which("pebble")), reason="lego or pebble is missing"
    ),
]


class Between:
    """Stands between lego and the nodes: hands requests on to any that lives, and kills the leader in time."""

    def __init__(self, nodes: Nodes, leader: int) -> None:
        self.nodes, self.leader = nodes, leader
        self.presented: list[str] = []
        self.cleaned: list[str] = []
        self.statuses: list[int] = []

    def hand_on(self, path: str, authorization: str, body: bytes) -> int:
        """Send a request to a node that lives until one commits it; return the status."""
        ends = time.monotonic() + 30
        while True:
            for number in self.nodes.numbers:
                status = self._ask(number, path, authorization, body)
                if status not in (0, 503) or time.monotonic() > ends:
                    self.statuses.append(status)
                    self._note(path, json.loads(body)["value"])
                    return status

    def _ask(self, number: int, path: str, authorization: str, body: bytes) -> int:
        url = f"http://{self.nodes.lab.address(number)}:7380{path}"
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        try:
            return requests.post(url, data=body, headers=headers, timeout=8).status_code
        except requests.RequestException:
            return 0

    def _note(self, path: str, value: str) -> None:
        """Remember the value; once both challenges stand, the leader dies before lego hears of it."""
        if path.endswith("/cleanup"):
            self.cleaned.append(value)
            return
        self.presented.append(value)
        if len(set(self.presented)) == 2 and self.leader:
            self.nodes.kill(self.leader)
            self.leader = 0


@contextmanager
def proxied(between: Between) -> Iterator[str]:
    """Serve lego's requests; yields where."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = between.hand_on(self.path, self.headers["Authorization"], body)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/acme"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def authority(folder: Path, resolver: str) -> Iterator[str]:
    """Run pebble, which looks into the DNS of one node; yields the URL of its directory."""
    port = free_port()
    words = ["pebble", "-config", str(pebble_config(folder, port)), "-dnsserver", resolver]
    environ = {**os.environ, "PEBBLE_VA_NOSLEEP": "1"}
    with subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as pebble:
        try:
            wait_until(lambda: is_open(port), "pebble listens")
            yield f"https://127.0.0.1:{port}/dir"
        finally:
            pebble.terminate()


def test_a_certificate_survives_the_leader(tmp_path: Path) -> None:
    """What was acknowledged stands on the others: the authority finds both challenges, and they go again."""
    with three_nodes(tmp_path) as nodes:
        leader = nodes.leader()
        assert leader is not None
        survivor = next(number for number in nodes.numbers if number != leader)
        resolver = f"{nodes.lab.address(survivor)}:{DNS_PORT}"
        between = Between(nodes, leader)
        with authority(tmp_path, resolver) as directory, proxied(between) as endpoint:
            words = [
                *("lego", "--server", directory, "--accept-tos", "--email", "a@example.org"),
                *("--path", str(tmp_path / "lego"), "--dns", "httpreq", "--dns.resolvers", resolver),
                *("--dns.disable-cp", "-d", "example.org", "-d", "*.example.org", "run"),
            ]
            environ = os.environ | {
                "HTTPREQ_ENDPOINT": endpoint,
                "HTTPREQ_USERNAME": "lego",
                "HTTPREQ_PASSWORD": API_TOKEN,
                "HTTPREQ_HTTP_TIMEOUT": "60",
                "LEGO_CA_CERTIFICATES": str(tmp_path / "cert.pem"),
            }
            done = subprocess.run(words, env=environ, check=False, capture_output=True, text=True, timeout=150)
        assert 0 == done.returncode, done.stderr[-3000:]
        assert (0, {200}) == (between.leader, set(between.statuses))
        assert sorted(between.presented) == sorted(between.cleaned)
        assert (tmp_path / "lego" / "certificates" / "example.org.crt").exists()
        alive = [number for number in nodes.numbers if number != leader]
        wait_until(lambda: all(set() == nodes.answer(n, CHALLENGE, "TXT") for n in alive), "they are gone")
