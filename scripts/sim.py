"""Play the replicated log against its adversary: one run for each seed, the same run for the same seed.

make sim SEEDS=2000
python scripts/sim.py --seed 123
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.sim.checker import Violation
from tests.sim.run import LENGTH_S, run_seed

SUMMED = (
    "messages",
    "troubles",
    "committed",
    "refused",
    "unknown",
    "swaps",
    "repetitions",
    "reads",
    "terms",
    "snapshots",
    "restarts",
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate the replicated log under seeded faults.")
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one alone and show what it did")
    parser.add_argument("--length", type=float, default=LENGTH_S, help="virtual seconds of trouble")
    wanted = parser.parse_args()
    if wanted.seed is not None:
        return _run_one(wanted.seed, wanted.length)
    return _run_many(wanted.first, wanted.seeds, wanted.length)


def _run_one(seed: int, length_s: float) -> int:
    try:
        report = run_seed(seed, length_s)
    except Violation as violation:
        print(f"seed {seed}: {violation}")
        return 1
    for name, value in asdict(report).items():
        print(f"{name:>10} {value}")
    return 0


def _run_many(first: int, count: int, length_s: float) -> int:
    begin_s = time.process_time()
    sums: Counter[str] = Counter()
    failed = []
    for seed in range(first, first + count):
        try:
            report = run_seed(seed, length_s)
        except Violation as violation:
            failed.append(seed)
            print(
                f"seed {seed}: {violation}\n  python scripts/sim.py --seed {seed} --length {length_s:g}",
                flush=True,
            )
            continue
        sums.update({name: getattr(report, name) for name in SUMMED})
        sums["virtual seconds"] += round(report.virtual_s)
    print(f"{count} seeds, {len(failed)} failed, {time.process_time() - begin_s:.0f} s of processor time")
    print(", ".join(f"{value:,} {name}" for name, value in sums.items()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
