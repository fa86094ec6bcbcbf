"""The page on notifications is run: its configuration, its commands, its check of the signature."""

import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from node.notify.names import NAMES, severity_of
from node.notify.webhook import signature
from node.state.state import Event
from tests.cluster.servers import wait_until
from tests.docs.test_readme import QDNS, ROOT
from tests.process import Process

PAGE = (ROOT / "docs" / "notifications.md").read_text()
SERVICE = """
[dns]
listen = []
[health]
interval = "200ms"
timeout = "100ms"
recheck = "50ms"
fall = 1
rise = 1
fail_open = "0%"
[[services]]
fqdn = "www.example.org"
healthcheck = "http://{}:PROBED/"
endpoints = ["127.0.0.1"]
"""


def block(kind: str) -> str:
    """Return the page's code block of a language."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


class Hook:
    """A receiver that keeps what it takes, and the endpoint that is well."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                octets = self.rfile.read(int(self.headers["Content-Length"]))
                hook.taken.append(({key.lower(): value for key, value in self.headers.items()}, octets))
                self.send_response(204)
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = str(self.server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/T0K3N"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(octets) for _, octets in self.taken]


@pytest.mark.real
@pytest.mark.skipif(not QDNS.exists(), reason="the command qdns is not installed in this environment")
def test_the_examples(tmp_path: Path) -> None:
    """A node with the page's receivers tells its webhook once of a transition, and never again after a restart."""
    program = tmp_path / "page"
    program.write_text(f"#!/bin/sh\ncat >>{tmp_path}/paged\n")
    program.chmod(0o755)
    receivers = (
        block("toml").replace("/usr/local/bin/page", str(program)).replace("*.example.com", "*.example.org")
    )
    receivers = receivers.replace("mail.example.net:587", "127.0.0.1:9")
    with Hook() as hook:
        secrets = {"hook-url": hook.url, "hook-secret": "shared", "mail-password": "hunter2hunter2"}
        process = Process(tmp_path, SERVICE.replace("PROBED", hook.port) + receivers, secrets)
        with process:
            wait_until(lambda: "endpoint.up" in names(hook), "told that it is up")
            environ = {"PATH": f"{QDNS.parent}:/usr/bin:/bin", "QDNS_API": f"http://127.0.0.1:{process.api}"}
            for line in block("sh").strip().splitlines():
                done = subprocess.run(line.split(), env=environ, capture_output=True, text=True, check=False)
                assert 0 == done.returncode, done.stderr
            assert "notice.test" in names(hook)
            put_endpoint(process, "127.0.0.9")
            wait_until(lambda: "endpoint.down" in names(hook), "told that one is down")
            wait_until(lambda: row(process, "mail")["state"] == "failing", "nobody takes mail")
        told = len(hook.taken)
        with process:
            wait_until(lambda: requests.get(url(process, "/readyz"), timeout=5).ok, "ready again")
            put_endpoint(process, "127.0.0.10")
            wait_until(lambda: len(hook.taken) > told, "told of something new")
            assert "127.0.0.10" == hook.events()[-1]["data"]["endpoint"]
            assert 0 == row(process, "ops")["failures"]
    headers, body = hook.taken[0]
    scope: dict[str, Any] = {}
    exec(block("python"), scope)  # it is our own page
    assert scope["is_ours"](b"shared", headers["qdns-signature"], body)
    assert not scope["is_ours"](b"other", headers["qdns-signature"], body)
    assert not scope["is_ours"](b"shared", signature(b"shared", body, 1), body)
    ids = [event["id"] for event in hook.events()]
    assert len(ids) == len(set(ids))
    assert json.loads(block("json")).keys() == hook.events()[0].keys()
    log = (tmp_path / "log").read_text()
    assert not any(secret in log for secret in ("T0K3N", "hunter2hunter2", "shared"))


def names(hook: Hook) -> list[str]:
    return [event["event"] for event in hook.events()]


def url(process: Process, path: str) -> str:
    return f"http://127.0.0.1:{process.api}{path}"


def put_endpoint(process: Process, address: str) -> None:
    path = f"/v1/services/www.example.org/endpoints/{address}"
    requests.put(url(process, path), json={}, timeout=5).raise_for_status()


def row(process: Process, name: str) -> dict[str, Any]:
    items = requests.get(url(process, "/v1/notify"), timeout=5).json()["items"]
    return next(each for each in items if each["receiver"] == name)


def test_the_table_of_severities_is_right() -> None:
    """Every name in it has the severity of its row, and those of the two grave rows are all there are."""
    rows = re.findall(r"^\| `(critical|warning|info)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert 3 == len(rows)
    said = {name: severity for severity, text in rows for name in re.findall(r"`([a-z]+\.[a-z_]+)`", text)}
    said.pop("maintenance.ended")
    assert said == {name: severity_of(event(name)) for name in said}
    grave = {name for name in NAMES if severity_of(event(name)) != "info"}
    assert grave <= set(said)


def event(name: str) -> Event:
    """Return an event of this name."""
    noun, _, verb = name.partition(".")
    if noun == "endpoint" and verb in ("up", "down", "undecided"):
        return Event(1, 0, 0, "verdict.changed", "", "", data={"after": verb})
    return Event(1, 0, 0, name, "", "")


def test_every_event_that_apply_tells_has_a_name() -> None:
    """A pattern of an event that does not exist is a mistake in the file, so the list must be whole."""
    told = set()
    for path in (ROOT / "node" / "state").glob("*.py"):
        told |= set(re.findall(r'"([a-z]+\.[a-z_]+)"', path.read_text()))
    known = {*NAMES, "verdict.changed"}
    kinds = {each for each in told if each.partition(".")[0] in {name.partition(".")[0] for name in known}}
    assert set() == kinds - known
