"""Writers that write through the HTTP API of the nodes, whatever happens to these."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from tests.cluster.ledger import ZONE, Ledger
from tests.cluster.nodes import API_PORT, API_TOKEN, Nodes

PATIENCE_S = 10.0
"""Longer than a node lets a write wait: what it says is heard."""
PAUSE_S = 0.2
"""After a refusal, so that a node that is away costs little."""
NONE: Mapping[str, str] = {}
HEADERS = {"Authorization": f"Bearer {API_TOKEN}", "Content-Type": "application/json"}


class Client:
    """One connection with the API of one node, made anew when it broke; for one thread."""

    def __init__(self, address: str, timeout_s: float = PATIENCE_S) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def connect(self) -> bool:
        """See to it that there is a connection; say whether there is."""
        if self._connection is None:
            connection = http.client.HTTPConnection(self._address, API_PORT, timeout=self._timeout_s)
            try:
                connection.connect()
            except OSError:
                return False
            self._connection = connection
        return True

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = NONE
    ) -> tuple[str, Any]:
        """Return ``ok`` or the code of a refusal, and the answer.

        ``unsent`` when nothing left, ``outcome_unknown`` when the answer did not come.
        """
        if not self.connect():
            return "unsent", None
        assert self._connection is not None
        try:
            text = None if body is None else json.dumps(body)
            self._connection.request(method, path, text, {**HEADERS, **headers})
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self.close()
            return "outcome_unknown", None
        if response.will_close:
            self.close()
        return "ok" if response.status < 300 else answer["code"], answer


def put_text(client: Client, name: str, value: str) -> str:
    """Make the TXT RRset of a name exactly this; return what was said to that."""
    path = f"/v1/zones/{ZONE}/rrsets/{name}.{ZONE}./TXT"
    code, _ = client.ask("PUT", path, {"ttl": 30, "rdatas": [f'"{value}"']})
    return code


def create_text(client: Client, name: str) -> str:
    """Create a name with itself as its text; return what was said to that.

    Carried out twice, it would be refused the second time: the ledger would find what was refused.
    """
    path = f"/v1/zones/{ZONE}/rrsets/{name}.{ZONE}./TXT"
    code, _ = client.ask("PUT", path, {"ttl": 30, "rdatas": [f'"{name}"']}, {"If-None-Match": "*"})
    return code


class Writers:
    """Threads that write names of their own through all nodes in turn, until stopped."""

    def __init__(self, nodes: Nodes, ledger: Ledger, count: int, pause_s: float = 0.0) -> None:
        self._ledger = ledger
        self._addresses = {number: nodes.lab.address(number) for number in nodes.numbers}
        self._pause_s = pause_s
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(1 + each % len(self._addresses),), name=f"writer-{each}")
            for each in range(count)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _write(self, node: int) -> None:
        client = Client(self._addresses[node])
        while not self._over.is_set():
            name = self._ledger.new_name()
            code = create_text(client, name)
            self._ledger.note(name, node, code)
            self._over.wait(self._pause_s if code == "ok" else PAUSE_S)
        client.close()


@contextmanager
def threads(*tasks: Any) -> Iterator[threading.Event]:
    """Run tasks in threads until the block ends; each gets the event that says so."""
    over = threading.Event()
    running = [threading.Thread(target=task, args=(over,)) for task in tasks]
    for each in running:
        each.start()
    try:
        yield over
    finally:
        over.set()
        for each in running:
            each.join()
