"""Three real nodes that watch endpoints with moods, and a watcher of every answer they give meanwhile."""

import contextlib
import json
import signal
import ssl
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trustme

from tests.cluster.lab import Lab
from tests.cluster.moody import Endpoint
from tests.cluster.nodes import API_PORT, Nodes
from tests.cluster.servers import wait_until

INTERVAL_S, TIMEOUT_S, RECHECK_S, FALL = 1.0, 0.9, 0.25, 2
BOUND_S = INTERVAL_S + FALL * (RECHECK_S + TIMEOUT_S) + 0.3
"""The documented bound for an endpoint that falls silent; for refusals it is less."""
PATIENCE_S = BOUND_S + 25.0
"""For a machine with much else to do: what is tested is that it happens, not how fast."""

WWW, CALM, SECURE, DARK = (f"{each}.example.org" for each in ("www", "calm", "secure", "dark"))
PORTS = {WWW: 8080, CALM: 8081, SECURE: 8443, DARK: 8082}
HOSTS = {WWW: (1, 2, 3, 4), CALM: (5, 6), SECURE: (7, 8), DARK: (1, 2)}

SERVICES = """
[checks]
ca_file = "{folder}/ca.pem"
"""
SERVICE = """
[[services]]
fqdn        = "{fqdn}"
healthcheck = "{check}"
endpoints   = [{endpoints}]
{options}
"""


def addresses(fqdn: str) -> list[str]:
    """Return the addresses of a service's endpoints."""
    return [Lab.extra(number) for number in HOSTS[fqdn]]


class Hospital:
    """The lab, the endpoints and the nodes; everything is well between two tests."""

    def __init__(self, folder: Path) -> None:
        self.lab = Lab(3)
        self.authority = trustme.CA()
        folder.mkdir(parents=True, exist_ok=True)
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        self.endpoints = {
            (fqdn, address): Endpoint(address, port, self.certificate(fqdn) if fqdn == SECURE else None)
            for fqdn, port in PORTS.items()
            for address in addresses(fqdn)
        }
        more = SERVICES.format(folder=folder) + "".join(
            (
                _service(CALM, f"http://{{}}:{PORTS[CALM]}/"),
                _service(SECURE, f"https://{{}}:{PORTS[SECURE]}/"),
                _service(DARK, f"http://{{}}:{PORTS[DARK]}/", 'fail_open = "0%"'),
            )
        )
        times = {"interval": INTERVAL_S, "timeout": TIMEOUT_S, "recheck": RECHECK_S}
        health = {key: f"{round(value * 1000)}ms" for key, value in times.items()}
        self.nodes = Nodes(self.lab, folder / "cluster", addresses(WWW), {}, more=more, fall=FALL, **health)
        self._stack = contextlib.ExitStack()

    def certificate(self, name: str) -> ssl.SSLContext:
        """Return what a server needs to show a certificate of our authority for the name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        return context

    def start(self) -> None:
        """Start everything, and wait until all nodes say up of all endpoints."""
        self._stack.callback(self.lab.stop)
        self.lab.start()
        self._stack.enter_context(self.lab.entered())
        self._stack.callback(self.nodes.stop)
        for each in self.endpoints.values():
            each.start()
            self._stack.callback(each.stop)
        self.nodes.start()
        self.nodes.wait_ready()
        for fqdn in PORTS:
            self.wait_answers(set(addresses(fqdn)), fqdn=fqdn)
        self.wait_well()

    def stop(self) -> None:
        """End everything."""
        self._stack.close()

    def at(self, fqdn: str, place: int) -> Endpoint:
        """Return a service's endpoint by its place, from 0."""
        return self.endpoints[fqdn, addresses(fqdn)[place]]

    def service(self, fqdn: str, asked: int) -> dict[str, Any]:
        """Return what a node says of a service."""
        found: dict[str, Any] = self.nodes.api("GET", asked, f"/v1/services/{fqdn}").json()
        return found

    def votes(self, fqdn: str, address: str, asked: int) -> dict[str, dict[str, Any]]:
        """Return the votes on an endpoint that a node has applied, by the voter's name."""
        rows = self.service(fqdn, asked)["endpoints"]
        row = next(each for each in rows if each["address"] == address)
        return {vote["node"]: vote for vote in row["votes"]}

    def is_well(self) -> bool:
        """Say whether every node votes up on every endpoint, and all are in DNS."""
        asked = self.nodes.numbers[0]
        for fqdn in PORTS:
            for address in addresses(fqdn):
                votes = self.votes(fqdn, address, asked)
                if len(votes) != 3 or not all(vote["up"] for vote in votes.values()):
                    return False
            if not self.nodes.everywhere(set(addresses(fqdn)), name=fqdn):
                return False
        return True

    def wait_well(self) -> None:
        """Wait until nothing is left of a test."""
        wait_until(self.is_well, "everything is up again, everywhere", 2 * PATIENCE_S)

    def wait_answers(self, expected: set[str], *numbers: int, fqdn: str = WWW) -> None:
        """Wait until all nodes, or these, answer so."""
        what = f"{fqdn} is {sorted(expected)} on {numbers or 'all nodes'}"
        wait_until(lambda: self.nodes.everywhere(expected, *numbers, name=fqdn), what, PATIENCE_S)

    def events(self, asked: int, after: int = 0, kind: str = "") -> list[dict[str, Any]]:
        """Return the events after a log index that a node has."""
        path = f"/v1/events?after={after}&limit=1000&kind={kind}"
        items: list[dict[str, Any]] = self.nodes.api("GET", asked, path).json()["items"]
        return items

    @contextlib.contextmanager
    def following(self, kind: str) -> Iterator[Callable[[], list[tuple[int, int]]]]:
        """Follow events by the command line, asking any node; gives the places of those shown so far."""
        urls = ",".join(f"http://{self.lab.address(number)}:{API_PORT}" for number in self.nodes.numbers)
        words = [sys.executable, "-m", "node", "event", "list", "--follow", "--kind", kind, "-o", "jsonl"]
        path, complaints = self.nodes.folder / "followed", self.nodes.folder / "follower"
        token = str(self.nodes.folder / "api-token")
        with path.open("wb") as out, complaints.open("wb") as errors:
            follower = subprocess.Popen(
                [*words, "--api", urls, "--token-file", token, "--timeout", "4s"], stdout=out, stderr=errors
            )

            def shown() -> list[tuple[int, int]]:
                assert follower.poll() in (None, -signal.SIGTERM), complaints.read_text()
                lines = path.read_text().splitlines(keepends=True)
                rows = [json.loads(line) for line in lines if line.endswith("\n")]
                return [(row["index"], row["number"]) for row in rows]

            try:
                wait_until(shown, "the follower shows what was there before", PATIENCE_S)
                yield shown
            finally:
                follower.terminate()  # a shell's background jobs, these tests too, may inherit that SIGINT is ignored
                follower.wait(20)

    def index(self) -> int:
        """Return the newest log index that any node has applied."""
        rows = [self.nodes.status(number) for number in self.nodes.numbers]
        return max(row["applied_index"] for row in rows if row is not None)


class Watcher:
    """Asks every node for every service again and again, and keeps each different answer."""

    def __init__(self, hospital: Hospital) -> None:
        self._hospital = hospital
        self.seen: dict[str, set[frozenset[str]]] = defaultdict(set)
        self._ended = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[dict[str, set[frozenset[str]]]]:
        """Watch; what was seen is whole when the block has ended."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self.seen
        finally:
            self._ended.set()
            thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            for number in self._hospital.nodes.numbers:
                for fqdn in PORTS:
                    answer = self._hospital.nodes.answer(number, fqdn)
                    if answer is not None:
                        self.seen[fqdn].add(frozenset(answer))


def _service(fqdn: str, check: str, options: str = "") -> str:
    endpoints = ", ".join(f'"{address}"' for address in addresses(fqdn))
    return SERVICE.format(fqdn=fqdn, check=check, endpoints=endpoints, options=options)
