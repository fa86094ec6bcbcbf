"""Registers that one writes and many read through the leader: could one true register have answered so?"""

import itertools
import threading
import time
from collections import Counter

from tests.cluster.ledger import ZONE
from tests.cluster.nodes import Nodes
from tests.cluster.writers import Client, put_text
from tests.sim.linearizable import FOREVER, Operation, find_unlinearizable_key

WRITES_PER_REGISTER = 20
PAUSE_S = 0.02


class Registers:
    """Writes and reads through all nodes in turn, noted as they were called and answered."""

    def __init__(self, nodes: Nodes, patience_s: float = 10.0) -> None:
        self._addresses = [nodes.lab.address(number) for number in nodes.numbers]
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._operations: list[Operation] = []
        self._key = "r0"
        self.reads = Counter[str]()
        """By what was said."""

    def write(self, over: threading.Event) -> None:
        """Write a new value again and again, through one node after the other."""
        clients = itertools.cycle([Client(address, self._patience_s) for address in self._addresses])
        for number in itertools.count():
            if over.wait(PAUSE_S):
                return
            self._key = f"r{number // WRITES_PER_REGISTER}"
            mine = Operation("write", self._key, f"v{number}", time.monotonic_ns())
            with self._lock:
                self._operations.append(mine)
            code = put_text(next(clients), mine.key, f"v{number}")
            if code == "ok":
                mine.returned = time.monotonic_ns()
            elif code != "outcome_unknown":
                with self._lock:
                    self._operations.remove(mine)

    def read(self, node: int, over: threading.Event) -> None:
        """Ask one node for what the leader knows, again and again."""
        client = Client(self._addresses[node - 1], self._patience_s)
        while not over.wait(PAUSE_S):
            self.note_read(client, self._key)

    def note_read(self, client: Client, key: str) -> None:
        """Read a register once with ``consistency=leader``."""
        mine = Operation("read", key, None, time.monotonic_ns())
        path = f"/v1/zones/{ZONE}/rrsets/{key}.{ZONE}./TXT?consistency=leader"
        code, answer = client.ask("GET", path)
        mine.returned = time.monotonic_ns()
        if code == "ok":
            mine.value = answer["rdatas"][0].strip('"')
        with self._lock:
            self.reads[code] += 1
            if code in ("ok", "not_found"):
                self._operations.append(mine)

    def check(self) -> None:
        """Fail if no order of the operations explains what was read."""
        for each in self._operations:
            assert each.called < each.returned <= FOREVER
        assert None is find_unlinearizable_key(self._operations)
