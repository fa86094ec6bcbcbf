"""Strangers at the port between nodes: thousands of connections and nonsense, while a hundred writers write."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raft.doorway import PENDING_CONNECTIONS_MAX
from tests.cluster import flood
from tests.cluster.lab import why_not
from tests.cluster.ledger import Ledger, check
from tests.cluster.nodes import RAFT_PORT, Nodes
from tests.cluster.servers import wait_until
from tests.cluster.three import three_nodes
from tests.cluster.writers import Writers, threads

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]

WRITERS = 99
PAUSE_S = 0.3
EACH_KIND = 350
"""Connections of each of three kinds with each of three nodes: 3,150 in all."""
FLOOD_S = 6.0
SPARE_DESCRIPTORS = 24
"""Connections being made or ended, and files that are open for a moment."""
SPARE_TERMS = 2


def test_a_flood_on_the_port_between_nodes_stops_nobody(tmp_path: Path) -> None:
    """Writes go on, the leader stays, descriptors are bounded and given back, and a restarted node gets in."""
    with three_nodes(tmp_path) as nodes:
        flood_all(nodes, Ledger(), lambda _: None)


def flood_all(nodes: Nodes, ledger: Ledger, tell: Callable[[str], None]) -> None:
    """Flood all nodes from outside and from the address of one of them, and compare."""
    leader = nodes.leader()
    assert leader is not None
    follower = next(number for number in nodes.numbers if number != leader)
    with Writers(nodes, ledger, WRITERS, PAUSE_S):
        ledger.wait_acknowledged(50, *nodes.numbers)
        before, term = {number: _descriptors(nodes, number) for number in nodes.numbers}, _term(nodes)
        most: dict[int, int] = {}
        count = len(ledger.acknowledged)
        with threads(lambda over: _watch(nodes, most, over)), _flooded(nodes, follower) as made:
            begin_s = time.monotonic()
            wait_until(lambda: time.monotonic() - begin_s > FLOOD_S, "the flood has lasted")
            ledger.wait_acknowledged(20, *nodes.numbers)
            writes_a_second = (len(ledger.acknowledged) - count) / (time.monotonic() - begin_s)
            terms = _term(nodes) - term
        for number in nodes.numbers:
            assert most[number] <= before[number] + PENDING_CONNECTIONS_MAX + SPARE_DESCRIPTORS
            wait_until(lambda n=number: _descriptors(nodes, n) <= before[n] + 2, f"ns{number} gives back", 10)
        assert terms <= SPARE_TERMS
        with _flooded(nodes, follower):
            nodes.kill(follower)
            nodes.start(follower)
            ledger.wait_acknowledged(5, follower)
    check(nodes, ledger)
    tell(
        f"{made[0]} connections in {FLOOD_S:.0f} s, {terms} more terms, {writes_a_second:.0f} writes a second, "
        f"descriptors {before}, at most {most}; {ledger}"
    )


@contextlib.contextmanager
def _flooded(nodes: Nodes, peer: int) -> Iterator[list[int]]:
    """Flood all nodes from the router and from a node's own machine; yields where the count will be."""
    targets = [f"{nodes.lab.address(number)}:{RAFT_PORT}" for number in nodes.numbers]
    words = [sys.executable, flood.__file__, str(EACH_KIND)]
    outside = [*words, *targets]
    inside = nodes.lab.command(peer, *words[:2], "30", *targets)
    programs = [
        subprocess.Popen(each, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for each in (outside, inside)
    ]
    made: list[int] = []
    try:
        yield made
    finally:
        made.append(sum(int(program.communicate("", timeout=30)[0]) for program in programs))


def _watch(nodes: Nodes, most: dict[int, int], over: threading.Event) -> None:
    """Note the greatest number of descriptors that each node has."""
    while not over.wait(0.05):
        for number in nodes.numbers:
            most[number] = max(most.get(number, 0), _descriptors(nodes, number))


def _descriptors(nodes: Nodes, number: int) -> int:
    return len(list(Path(f"/proc/{nodes.pid(number)}/fd").iterdir()))


def _term(nodes: Nodes) -> int:
    return max(row["term"] for number in nodes.numbers if (row := nodes.status(number)) is not None)
