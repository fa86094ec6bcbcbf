"""Real node processes in a lab, and short ways to ask and tell them things."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
import requests

from tests.cluster.lab import Lab
from tests.cluster.servers import TSIG_SECRET, wait_until

API_TOKEN = "qdns_test_0123456789abcdef0123456789abcdef"
START_S = 60.0
"""So long a start may take on a machine with much else to do."""
RAFT_PORT = 7300
API_PORT = 7380
DNS_PORT = 5300

CONFIG = """
[cluster]
name   = "lab"
secret = "file:{folder}/raft-secret"

{nodes}
[raft]
data_dir = "{folder}/data/{{node}}"
{raft}

[dns]
listen = {listen}
rate_limit = {{ exempt = ["10.99.0.0/16"] }}
answerers = {answerers}
{dns}

[[zones]]
name        = "example.org"
nameservers = ["ns1.example.org"]
records     = \"\"\"
ns1 300 A 192.0.2.53
\"\"\"

[health]
interval = "{interval}"
timeout  = "{timeout}"
recheck  = "{recheck}"
fall     = {fall}
rise     = 2

[[services]]
fqdn        = "www.example.org"
healthcheck = "http://{{}}:8080/"
endpoints   = [{endpoints}]

[[tsig]]
name   = "push"
secret = "file:{folder}/tsig-secret"
grant  = [{grant}]

[[api.tokens]]
name  = "test"
token = "file:{folder}/api-token"

{push}
{more}
"""


class Nodes:
    """The nodes of one cluster, each in its own machine of the lab."""

    def __init__(
        self,
        lab: Lab,
        folder: Path,
        endpoints: list[str],
        targets: dict[str, str],
        raft: str = "",
        around: Callable[[], Iterable[str]] = tuple,
        dns: str = "",
        answerers: int = 1,
        grant: str = "",
        more: str = "",
        **health: Any,
    ) -> None:
        """``raft`` and ``dns`` are lines for those tables, ``more`` is further ones, ``grant`` is the key's; ``around`` gives the words that start the words that start a node."""
        self.lab = lab
        self.folder = folder
        self._raft = raft
        self._around = around
        self._dns, self._grant, self._more = dns, grant, more
        self._answerers = answerers
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {API_TOKEN}"
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._write(
            endpoints, targets, {"interval": "1s", "timeout": "500ms", "recheck": "250ms", "fall": 2, **health}
        )

    @property
    def numbers(self) -> range:
        return range(1, self.lab.nodes + 1)

    def _write(self, endpoints: list[str], targets: dict[str, str], health: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("raft-secret", "x" * 40), ("tsig-secret", TSIG_SECRET), ("api-token", API_TOKEN)):
            path = self.folder / name
            path.write_text(text)
            path.chmod(0o600)
        nodes = "".join(
            f'[[nodes]]\nname = "ns{number}"\nraft = "{self.lab.address(number)}:{RAFT_PORT}"\n'
            f'api = "http://{self.lab.address(number)}:{API_PORT}"\n\n'
            for number in self.numbers
        )
        push = "".join(
            f'[[push]]\nname = "{name}"\ntype = "rfc2136"\nserver = "{server}"\nzones = ["example.org"]\ntsig = "push"\n\n'
            for name, server in targets.items()
        )
        text = CONFIG.format(
            folder=self.folder,
            nodes=nodes,
            raft=self._raft,
            push=push,
            dns=self._dns,
            answerers=self._answerers,
            grant=self._grant,
            more=self._more,
            listen=f'["{{address}}:{DNS_PORT}"]',
            endpoints=", ".join(f'"{each}"' for each in endpoints),
            **health,
        )
        (self.folder / "cluster.toml").write_text(text)

    def start(self, *numbers: int) -> None:
        """Start some nodes, or all."""
        for number in numbers or self.numbers:
            log = (self.folder / f"ns{number}.log").open("ab")
            words = [sys.executable, "-m", "node", "run", "-c", str(self.folder / "cluster.toml")]
            command = [*self._around(), *self.lab.command(number, *words, "--node", f"ns{number}")]
            self._processes[number] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            )

    def signal(self, number: int, which: signal.Signals) -> None:
        """Send a signal to one node."""
        self._processes[number].send_signal(which)

    def kill(self, *numbers: int) -> None:
        """Kill -9 some nodes, or all."""
        chosen = [number for number in numbers or self.numbers if number in self._processes]
        for number in chosen:
            self._processes[number].kill()
        for number in chosen:
            self._processes.pop(number).wait(10)

    def pid(self, number: int) -> int:
        """Return the process of one node."""
        return self._processes[number].pid

    def wait_ended(self, number: int, timeout_s: float = START_S) -> int:
        """Wait until a node has ended by itself; return its exit code."""
        code = self._processes[number].wait(timeout_s)
        del self._processes[number]
        return code

    def log(self, number: int) -> str:
        """Return what a node has logged since its first start."""
        return (self.folder / f"ns{number}.log").read_text()

    def stop(self) -> None:
        """End all nodes: politely, then not."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self._processes.clear()

    # --- asking -----------------------------------------------------------------------------------

    def api(
        self, method: str, number: int, path: str, *, timeout_s: float = 10.0, **arguments: Any
    ) -> requests.Response:
        """Send a request to one node's API."""
        url = f"http://{self.lab.address(number)}:{API_PORT}{path}"
        return self.session.request(method, url, timeout=timeout_s, **arguments)

    def status(self, number: int) -> dict[str, Any] | None:
        """Return a node's own row, or None when it does not answer."""
        try:
            answer = self.api("GET", number, "/v1/status?scope=local", timeout_s=2)
        except requests.RequestException:
            return None
        return answer.json() if answer.status_code == 200 else None

    def leader(self, among: set[int] | None = None) -> int | None:
        """Return the number of the node that calls itself leader."""
        for number in sorted(among or set(self.numbers)):
            row = self.status(number)
            if row is not None and row["role"] == "leader":
                return number
        return None

    def wait_ready(self, *numbers: int) -> None:
        """Wait until nodes are ready and one of the cluster leads."""
        chosen = numbers or tuple(self.numbers)
        for number in chosen:
            wait_until(
                lambda n=number: (self.status(n) or {}).get("state") == "ready", f"ns{number} is ready", START_S
            )
        wait_until(self.leader, "a leader is known", START_S)

    def answer(self, number: int, name: str = "www.example.org", type_: str = "A") -> set[str] | None:
        """Return the rdatas that a node answers with; None when it does not answer."""
        return ask(self.lab.address(number), DNS_PORT, name, type_)

    def everywhere(self, expected: set[str], *numbers: int, name: str = "www.example.org") -> bool:
        """Say whether all these nodes answer so."""
        return all(self.answer(number, name) == expected for number in numbers or self.numbers)


def ask(address: str, port: int, name: str, type_: str = "A") -> set[str] | None:
    """Ask a server by UDP; return the rdatas of the type, None without an answer."""
    query = dns.message.make_query(name, type_)
    try:
        answer = dns.query.udp(query, address, timeout=0.5, port=port)
    except (OSError, dns.exception.DNSException):
        return None
    wanted = dns.rdatatype.from_text(type_)
    return {rdata.to_text() for rrset in answer.answer if rrset.rdtype == wanted for rdata in rrset}
