#!/usr/bin/env python3
"""Does harm to three real nodes for as long as you like, and compares them with what writers were told.

Needs root, for network namespaces and small disks of its own. Run it from the checkout:

    python scripts/faults.py kill --rounds 200
    python scripts/faults.py stop partition disk flood damage wipe
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.cluster import (
    test_damage,
    test_disk_full,
    test_floods,
    test_kill_all,
    test_partitions,
    test_stopped,
    test_wiped,
)
from tests.cluster.disks import SmallDisks
from tests.cluster.lab import why_not
from tests.cluster.ledger import Ledger
from tests.cluster.nodes import Nodes
from tests.cluster.three import three_nodes

Tell = Callable[[str], None]
Harm = Callable[[Nodes, Ledger, Tell], None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="+", choices=(*_harms(1), "disk"), help="what to do, in this order")
    parser.add_argument("--rounds", type=int, default=20, help="kills, stops, or turns through the others")
    wanted = parser.parse_args()
    problem = why_not()
    if problem:
        print(f"cannot be done here: {problem}", file=sys.stderr)
        return 2
    for fault in wanted.faults:
        _do(fault, wanted.rounds)
    return 0


def _harms(rounds: int) -> dict[str, Harm]:
    return {
        "kill": partial(_kill, rounds),
        "stop": partial(_stop, rounds),
        "partition": partial(_repeat, test_partitions.break_lines, rounds),
        "flood": partial(_repeat, test_floods.flood_all, rounds),
        "damage": partial(_repeat, test_damage.do_damage, rounds),
        "wipe": partial(_repeat, test_wiped.wipe, rounds),
    }


def _do(fault: str, rounds: int) -> None:
    """Do one kind of harm to a new cluster, and say what came of it."""
    begin_s = time.monotonic()
    ledger = Ledger()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - begin_s:8.2f}  {line}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if fault == "disk":
            _fill_disks(folder, ledger, rounds, tell)
        else:
            raft = test_kill_all.SNAPSHOTS if fault == "kill" else ""
            with three_nodes(folder, raft) as nodes:
                _harms(rounds)[fault](nodes, ledger, tell)
    tell(f"{fault}: nothing lost, nothing forged, nothing twice; {ledger}")


def _kill(rounds: int, nodes: Nodes, ledger: Ledger, tell: Tell) -> None:
    committed = test_kill_all.kill_all(nodes, ledger, rounds, tell)
    tell(f"{len(committed)} committed entries compared in all journals, none changed, no write is there twice")


def _stop(rounds: int, nodes: Nodes, ledger: Ledger, tell: Tell) -> None:
    test_stopped.stop_leaders(nodes, ledger, rounds, tell)
    test_stopped.stop_follower(nodes, ledger, tell)


def _repeat(harm: Harm, rounds: int, nodes: Nodes, ledger: Ledger, tell: Tell) -> None:
    for _ in range(rounds):
        harm(nodes, ledger, tell)


def _fill_disks(folder: Path, ledger: Ledger, rounds: int, tell: Tell) -> None:
    data = folder / "cluster" / "data"
    with SmallDisks([data / f"ns{number}" for number in (1, 2, 3)], test_disk_full.DISK_OCTETS) as disks:  # noqa: SIM117
        with three_nodes(folder, around=disks.words) as nodes:
            for _ in range(rounds):
                test_disk_full.fill_disks(nodes, disks, data, ledger, tell)


if __name__ == "__main__":
    sys.exit(main())
