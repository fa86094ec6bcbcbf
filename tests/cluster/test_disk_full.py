"""A node whose disk is full stops rather than promise what it cannot keep; nobody else stops with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.disks import SmallDisks
from tests.cluster.lab import why_not
from tests.cluster.ledger import Ledger, check
from tests.cluster.nodes import Nodes
from tests.cluster.three import three_nodes
from tests.cluster.writers import Writers

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]

WRITERS = 9
DISK_OCTETS = 8 * 1024 * 1024
EXIT_DISK_FAULT = 70


def test_a_full_disk_stops_one_node_and_loses_nothing(tmp_path: Path) -> None:
    """First the leader's, then a follower's: exit 70 and a sentence; with room again the node catches up."""
    data = tmp_path / "cluster" / "data"
    with SmallDisks([data / f"ns{number}" for number in (1, 2, 3)], DISK_OCTETS) as disks:  # noqa: SIM117
        with three_nodes(tmp_path, around=disks.words) as nodes:
            fill_disks(nodes, disks, data, Ledger(), lambda _: None)


def fill_disks(
    nodes: Nodes, disks: SmallDisks, data: Path, ledger: Ledger, tell: Callable[[str], None]
) -> None:
    """Fill the leader's disk, then a follower's, under load; see each stop, come back and catch up."""
    for is_leader in (True, False):
        leader = nodes.leader()
        assert leader is not None
        others = [number for number in nodes.numbers if number != leader]
        full = leader if is_leader else others.pop()
        others = [number for number in nodes.numbers if number != full]
        with Writers(nodes, ledger, WRITERS):
            ledger.wait_acknowledged(10, *nodes.numbers)
            ballast = disks.fill(data / f"ns{full}")
            assert EXIT_DISK_FAULT == nodes.wait_ended(full)
            ledger.wait_acknowledged(20, *others)
            said = _last_word(nodes, full, "raft.ended")
            for part in (f"{data}/ns{full}/journal", "No space left on device", "start the node again"):
                assert part in said
            if is_leader:
                nodes.start(full)
                assert EXIT_DISK_FAULT == nodes.wait_ended(full)
            ballast.unlink()
            nodes.start(full)
            ledger.wait_acknowledged(10, *nodes.numbers)
        index = check(nodes, ledger)
        tell(f"disk of the {'leader' if is_leader else 'follower'} full: {said}; then index {index}; {ledger}")


def _last_word(nodes: Nodes, number: int, event: str) -> str:
    return next(line for line in reversed(nodes.log(number).splitlines()) if event in line)
