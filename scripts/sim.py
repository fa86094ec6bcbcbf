"""Play the replicated log against its adversary: one run for each seed, the same run for the same seed.

make sim SEEDS=2000
PYTHONHASHSEED=0 python scripts/sim.py --seed 123
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.sim.run import LENGTH_S, Report, run_seed

NOT_SUMMED = ("seed", "nodes", "trace")
TOLD_EVERY = 500


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate the replicated log under seeded faults.")
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one alone and show what it did")
    parser.add_argument("--length", type=float, default=LENGTH_S, help="virtual seconds of trouble")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes; all cores unless given")
    wanted = parser.parse_args()
    if wanted.seed is not None:
        return _run_one(wanted.seed, wanted.length)
    seeds = range(wanted.first, wanted.first + wanted.seeds)
    return _run_many(seeds, wanted.length, max(1, min(wanted.workers, wanted.seeds)))


def _run_one(seed: int, length_s: float) -> int:
    outcome = _try(length_s, seed)
    if isinstance(outcome, str):
        print(f"seed {seed}: {outcome}")
        return 1
    for name, value in asdict(outcome).items():
        print(f"{name:>12} {value}")
    return 0


def _try(length_s: float, seed: int) -> Report | str:
    """Run a seed; return what it did, or what went wrong: a broken promise, or whatever else ends a run."""
    try:
        return run_seed(seed, length_s)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _run_many(seeds: range, length_s: float, workers: int) -> int:
    begin_s = time.monotonic()
    sums: Counter[str] = Counter()
    failed = 0
    with multiprocessing.Pool(workers) as pool:
        outcomes = pool.imap(partial(_try, length_s), seeds, chunksize=4)
        for seed, outcome in zip(seeds, outcomes, strict=True):
            if isinstance(outcome, str):
                failed += 1
                _tell_failure(seed, length_s, outcome)
            else:
                sums.update({name: each for name, each in asdict(outcome).items() if name not in NOT_SUMMED})
            done = seed - seeds.start + 1
            if done % TOLD_EVERY == 0 and done < len(seeds):
                print(f"{done} seeds, {failed} failed, {time.monotonic() - begin_s:.0f} s", flush=True)
    _tell_sums(len(seeds), failed, workers, time.monotonic() - begin_s, sums)
    return 1 if failed else 0


def _tell_failure(seed: int, length_s: float, what: str) -> None:
    length = "" if length_s == LENGTH_S else f" --length {length_s:g}"
    print(f"seed {seed}: {what}\n  PYTHONHASHSEED=0 python scripts/sim.py --seed {seed}{length}", flush=True)


def _tell_sums(count: int, failed: int, workers: int, took_s: float, sums: Counter[str]) -> None:
    rate, entries = count / took_s, sums["committed"] / took_s
    print(f"{count} seeds, {failed} failed, {took_s:.0f} s with {workers} workers")
    print(
        f"{rate:.1f} seeds/s, {entries:,.0f} committed writes/s, {sums['virtual_s'] / took_s:.1f} virtual s/s"
    )
    print(", ".join(f"{round(value):,} {name.replace('_', ' ')}" for name, value in sums.items()))


if __name__ == "__main__":
    sys.exit(main())
