"""Three real nodes tell a real receiver: each transition once, whatever happens to the node that tells."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab import Lab, why_not
from tests.cluster.nodes import Nodes
from tests.cluster.servers import WebServer, wait_until

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(400),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]
ONE, TWO, HOOK = Lab.extra(1), Lab.extra(2), Lab.extra(3)
KILLS = 2
"""In the test below."""


class Receiver:
    """Takes notices, or says that it cannot now."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.by: list[str] = []
        self.refusals = 0
        self.is_well = True
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.is_well:
                    receiver.taken.append(body)
                    receiver.by.append(self.headers["Qdns-Node"])
                else:
                    receiver.refusals += 1
                self.send_response(204 if receiver.is_well else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((HOOK, 8000), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def told(self) -> list[tuple[str, str]]:
        return [(each["event"], each["data"].get("endpoint", "")) for each in self.taken]


def test_each_transition_is_told_once_by_three_nodes(tmp_path: Path) -> None:
    """Also when the teller is killed, the receiver is away, one node cannot reach it, and all start anew."""
    tmp_path.chmod(0o755)
    lab = Lab(3)
    lab.start()
    try:
        with lab.entered():
            _play(lab, tmp_path)
    finally:
        lab.stop()


def _play(lab: Lab, folder: Path) -> None:
    nodes = Nodes(lab, folder / "cluster", [ONE, TWO], {})
    path = nodes.folder / "cluster.toml"
    hook = f'\n[[notify]]\nname = "ops"\ntype = "webhook"\nurl = "http://{HOOK}:8000/"\nevents = "endpoint.*"\n'
    path.write_text(path.read_text() + hook)
    webs = {address: WebServer(address, 8080) for address in (ONE, TWO)}
    receiver = Receiver()
    try:
        nodes.start()
        nodes.wait_ready()
        wait_until(lambda: _row(nodes)["state"] != "new", "the receiver is known to the log")
        for web in webs.values():
            web.start()
        expected = {("endpoint.up", ONE), ("endpoint.up", TWO)}
        wait_until(lambda: expected <= set(receiver.told()), "told that both are up")
        teller = receiver.by[-1]
        nodes.kill(int(teller[2:]))
        webs[ONE].stop()
        wait_until(lambda: receiver.told()[-1] == ("endpoint.down", ONE), "another node tells")
        assert receiver.by[-1] != teller
        nodes.start(int(teller[2:]))
        nodes.wait_ready()
        receiver.is_well = False
        webs[ONE].start()
        wait_until(lambda: receiver.refusals >= 3, "several tries fail")
        receiver.is_well = True
        wait_until(lambda: receiver.told()[-1] == ("endpoint.up", ONE), "told in the end")
        lab.cut(int(teller[2:]), HOOK)
        webs[TWO].stop()
        wait_until(lambda: receiver.told()[-1] == ("endpoint.down", TWO), "told by one that can reach it")
        assert receiver.by[-1] != teller
        lab.mend(int(teller[2:]), HOOK)
        wait_until(lambda: _row(nodes)["state"] == "ok", "the log knows")
        count = len(receiver.taken)
        nodes.kill()
        nodes.start()
        nodes.wait_ready()
        webs[TWO].start()
        wait_until(lambda: ("endpoint.up", TWO) in receiver.told()[count:], "told of what is new", 120)
        ids = [each["id"] for each in receiver.taken]
        assert (
            len(ids) - len(set(ids)) <= KILLS
        )  # one that dies before the log knows leaves the next to tell it again
    finally:
        nodes.stop()
        receiver.stop()
        for web in webs.values():
            web.stop()


def _row(nodes: Nodes) -> dict[str, Any]:
    row: dict[str, Any] = nodes.api("GET", 1, "/v1/notify").json()["items"][0]
    return row
