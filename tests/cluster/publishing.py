"""Three real nodes that push five services to a real knotd, named and pdns_server, all in a network of their own."""

import contextlib
import json
import random
import re
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.exception
import requests

from tests.cluster.lab import Lab
from tests.cluster.nodes import Nodes
from tests.cluster.servers import TSIG_SECRET, wait_until
from tests.push.servers import WRONG_SECRET, ZONE_TEXT, Knot, Named, NameServer, PowerDns

NAMES = tuple(f"svc{number}.example.org" for number in range(5))
ENDPOINTS = tuple(f"192.0.2.{number}" for number in (1, 2, 3, 4))
ALWAYS = ENDPOINTS[0]
"""One endpoint of each service is always up, so none is ever without a record."""
_SERVICE = """
[[services]]
fqdn        = "{name}"
healthcheck = "http://{{}}:8080/"
endpoints   = [{endpoints}]
"""
PLAN = re.compile(r'"plan=(\d+)"')


class Scene:
    """The nodes, the servers, and what is asked of both."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.lab = Lab(3)
        self._stack = contextlib.ExitStack()
        base = ZONE_TEXT + "".join(f"{name}. 5 A {ALWAYS}\n" for name in NAMES)
        kinds: dict[str, type[NameServer]] = {"knot": Knot, "named": Named, "pdns": PowerDns}
        self.servers = {
            name: kind(folder / name, base, Lab.extra(number))
            for number, (name, kind) in enumerate(kinds.items(), 5)
        }
        self.restored = dict.fromkeys(self.servers, 0)
        """How often each server lost what it had since."""
        targets = {name: each.address for name, each in self.servers.items()}
        self.nodes = Nodes(self.lab, folder / "cluster", list(ENDPOINTS), targets, interval="60s", timeout="1s")
        self._configure()
        self.changes = 0

    def _configure(self) -> None:
        path = self.nodes.folder / "cluster.toml"
        text = path.read_text()
        text = re.sub(r"(\[\[push\]\]\n)", '\\1fence = true\nmax_withdrawal = "100%"\n', text)
        endpoints = ", ".join(f'"{each}"' for each in ENDPOINTS)
        text += "".join(_SERVICE.format(name=name, endpoints=endpoints) for name in NAMES)
        path.write_text(text)

    def start(self) -> None:
        self._stack.callback(self.lab.stop)
        self.lab.start()
        self._stack.enter_context(self.lab.entered())
        for server in self.servers.values():
            server.start()
        self.nodes.start()
        self.nodes.wait_ready()
        wait_until(lambda: len(self.wanted()) == len(NAMES), "the cluster is seeded")
        for name in NAMES:
            for address in ENDPOINTS:
                self.force(name, address, up=True)
        wait_until(self.is_right, "the first push has arrived everywhere")

    def stop(self) -> None:
        self.nodes.stop()
        for server in self.servers.values():
            server.stop()
        self._stack.close()

    def force(self, name: str, address: str, *, up: bool, among: tuple[int, ...] = (1, 2, 3)) -> None:
        """Change whether an endpoint is published, through any node that can; a repetition does no harm."""
        path = f"/v1/services/{name}/endpoints/{address}/force"
        body = {"verdict": "up" if up else "down"}

        def is_done() -> bool:
            try:
                answer = self.nodes.api("PUT", random.choice(among), path, json=body, timeout_s=3)
            except requests.RequestException:
                return False
            assert answer.status_code in (200, 503), answer.text
            return answer.status_code == 200

        wait_until(is_done, f"{name} {address} is changed")
        self.changes += 1

    def wanted(self) -> dict[str, list[str]]:
        """Return what is committed, by the first node that tells."""
        found: dict[str, list[str]] = {}
        for name in NAMES:
            for number in self.nodes.numbers:
                with contextlib.suppress(requests.RequestException, KeyError):
                    row = self.nodes.api("GET", number, f"/v1/services/{name}", timeout_s=3).json()
                    found[name] = sorted(each["address"] for each in row["endpoints"] if each["published"])
                    break
        return found

    def is_right(self) -> bool:
        """Say whether every server holds what is committed."""
        wanted = self.wanted()
        return len(wanted) == len(NAMES) and all(
            answer(server, name) == wanted[name] for server in self.servers.values() for name in NAMES
        )

    def states(self) -> set[str]:
        """Return the states of the pushes, as any node tells them."""
        for number in self.nodes.numbers:
            with contextlib.suppress(requests.RequestException, KeyError):
                rows = self.nodes.api("GET", number, "/v1/push", timeout_s=3).json()["items"]
                return {row["state"] for row in rows}
        return set()

    def pusher(self, target: str) -> int | None:
        """Return the node that carried the newest plan of a target."""
        for number in self.nodes.numbers:
            with contextlib.suppress(requests.RequestException, KeyError):
                row = self.nodes.api("GET", number, f"/v1/push/{target}", timeout_s=3).json()
                done = [each for each in row["tries"] if each["ok"]]
                return int(max(done, key=lambda each: each["plan"])["node"][2:]) if done else None
        return None

    def updates(self, target: str) -> int:
        """Return how many updates of a target the nodes have logged."""
        count = 0
        for number in self.nodes.numbers:
            for line in self.nodes.log(number).splitlines():
                if '"push.sent"' in line or '"push.repaired"' in line:
                    with contextlib.suppress(ValueError):
                        count += json.loads(line)["target"] == target
        return count

    # --- trouble ----------------------------------------------------------------------------------

    def trouble(self, kind: str, chance: random.Random) -> None:
        """Make one thing fail for a moment, and mend it."""
        name = chance.choice(sorted(self.servers))
        server, node = self.servers[name], chance.choice(list(self.nodes.numbers))
        if kind == "stopped":
            server.stop()
            pause(1.0)
            server.start()
        elif kind == "restored":
            server.stop()
            self.restored[name] += 1
            server.forget()
            server.start()
        elif kind == "cut off":
            number = self.pusher(name) or node
            self.lab.cut(number, server.host)
            pause(3.0)
            self.lab.mend(number, server.host)
        elif kind == "wrong key":
            self._restart(node, WRONG_SECRET)
            pause(3.0)
            self._restart(node, TSIG_SECRET)
        elif kind == "leader killed":
            self._restart(self.nodes.leader() or node, TSIG_SECRET)
        else:
            self.stand_still(self.pusher(name) or node, 3.0)

    def _restart(self, number: int, secret: str) -> None:
        self.nodes.kill(number)
        path = self.nodes.folder / "tsig-secret"
        path.write_text(secret)
        self.nodes.start(number)
        self.nodes.wait_ready(number)
        path.write_text(TSIG_SECRET)

    def stand_still(self, number: int, seconds: float) -> None:
        """Stop a node where it is, and let it go on."""
        self.nodes.signal(number, signal.SIGSTOP)
        try:
            pause(seconds)
        finally:
            self.nodes.signal(number, signal.SIGCONT)

    def measure(self, target: str, count: int) -> float:
        """Return the median time from the answer to a write to its being visible on a server, in seconds."""
        server, times = self.servers[target], []
        for number in range(count):
            up = number % 2 == 1
            self.force(NAMES[0], ENDPOINTS[1], up=up)
            begun = time.monotonic()
            wait_until(
                lambda up=up: (ENDPOINTS[1] in (answer(server, NAMES[0]) or [])) == up, "visible", every_s=0.001
            )
            times.append(time.monotonic() - begun)
        return statistics.median(times)


def pause(seconds: float) -> None:
    """Let a fault last so long."""
    threading.Event().wait(seconds)


def answer(server: NameServer, name: str, type_: str = "A") -> list[str] | None:
    """Return what a server answers; None when it does not."""
    try:
        return server.ask(name, type_, timeout_s=0.3)
    except (dns.exception.DNSException, OSError):
        return None


class Watch:
    """Asks every server for every name all the time, in the lab's network."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._done = threading.Event()
        self.empty: list[tuple[str, str]] = []
        self.went_back: list[tuple[str, int, int]] = []
        """Servers whose sentinel told an older plan than before."""
        self.answers = 0

    @contextlib.contextmanager
    def running(self) -> Iterator["Watch"]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._done.set()
            thread.join()

    def _run(self) -> None:
        plans: dict[tuple[str, int], int] = {}
        with self._scene.lab.entered():
            while not self._done.wait(0.005):
                for name, server in self._scene.servers.items():
                    self._look(name, server, plans)

    def _look(self, name: str, server: NameServer, plans: dict[tuple[str, int], int]) -> None:
        generation = self._scene.restored[name]
        for each in NAMES:
            found = answer(server, each)
            self.answers += found is not None
            if found == []:
                self.empty.append((name, each))
        told = PLAN.findall(" ".join(answer(server, "_quorumdns.example.org", "TXT") or ()))
        if told and generation == self._scene.restored[name]:
            before = plans.setdefault((name, generation), int(told[0]))
            if int(told[0]) < before:
                self.went_back.append((name, before, int(told[0])))
            plans[name, generation] = max(before, int(told[0]))


def random_change(chance: random.Random) -> dict[str, Any]:
    """Return which endpoint is to be up or down next."""
    return {"name": chance.choice(NAMES), "address": chance.choice(ENDPOINTS[1:]), "up": chance.random() < 0.5}
