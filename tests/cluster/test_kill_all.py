"""kill -9 of all nodes under load, again and again: what was acknowledged is there afterwards."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.journals import Committed
from tests.cluster.lab import why_not
from tests.cluster.ledger import Ledger, check
from tests.cluster.nodes import Nodes
from tests.cluster.three import three_nodes
from tests.cluster.writers import Writers

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]

ROUNDS = int(os.environ.get("QDNS_KILL_ROUNDS", "20"))
WRITERS = 12
SNAPSHOTS = "snapshot_every = 150"
"""So often that kills come while snapshots are written and logs are cut."""


def test_kill_of_all_nodes_loses_nothing(tmp_path: Path) -> None:
    """After each kill -9 of all, every acknowledged write is there once, and nothing that was refused."""
    with three_nodes(tmp_path, SNAPSHOTS) as nodes:
        ledger = Ledger()
        committed = kill_all(nodes, ledger, ROUNDS, lambda _: None)
    assert len(ledger.acknowledged) >= 40 * ROUNDS
    assert len(committed) >= len(ledger.acknowledged)


def kill_all(nodes: Nodes, ledger: Ledger, rounds: int, tell: Callable[[str], None]) -> Committed:
    """Kill all nodes, start them and compare, so many times; ``tell`` gets a line for each round."""
    committed, index = Committed(), 0
    chance = random.Random(rounds)
    for number in range(1, rounds + 1):
        with Writers(nodes, ledger, WRITERS):
            ledger.wait_acknowledged(chance.randrange(20, 80))
            _kill(nodes, ledger, chance)
            committed.take(nodes, index)
            begin_s = time.monotonic()
            nodes.start()
            ledger.wait_acknowledged(20)
            served_s = time.monotonic() - begin_s
        index = check(nodes, ledger)
        tell(f"round {number}: index {index}, 20 writes {served_s:.2f} s after the start; {ledger}")
    nodes.kill()
    committed.take(nodes, index)
    assert {} == committed.duplicates()
    return committed


def _kill(nodes: Nodes, ledger: Ledger, chance: random.Random) -> None:
    """Kill all in any order: most often at once, sometimes the others when they went on without the first."""
    first, *others = chance.sample(list(nodes.numbers), nodes.lab.nodes)
    nodes.kill(first)
    if chance.random() < 0.3:
        ledger.wait_acknowledged(10)
    nodes.kill(*others)
