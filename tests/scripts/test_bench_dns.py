"""The benchmarks of answers run, and leave no row out."""

import subprocess
import sys
from pathlib import Path

import pytest

from node.dns.fast import is_supported
from scripts.build_native import compiler

BENCH = Path(__file__).resolve().parent.parent.parent / "scripts" / "bench.py"
OURS = "ours" if compiler() else "ours, Python"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not is_supported(), reason="the fast path wants Linux on x86-64"),
]


def rows_of(*words: str) -> dict[str, list[str]]:
    """Run a benchmark; return the rows of its table without head, by their first column."""
    done = subprocess.run(
        [sys.executable, str(BENCH), *words], capture_output=True, text=True, timeout=150, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]
    return {first: rest for first, *rest in rows}


def number(cell: str) -> float:
    """Read a figure."""
    return float(cell.replace(",", ""))


def test_every_kind_of_load_is_measured() -> None:
    """Rates, processor time, latency and memory, none of them zero."""
    rows = rows_of(
        "dns", "--servers", OURS, "--seconds", "1", "--rounds", "1", "--names", "200", "--rate", "300"
    )
    kinds = [
        f"{kind}, {what}"
        for kind in ("mixed", "spelled", "half", "flood")
        for what in ("answers/s", "processor us/answer")
    ]
    assert [*kinds, "p50 us at 300/s", "p99 us at 300/s", "memory, MiB"] == list(rows)
    assert all(number(cell) > 0 for row in rows.values() for cell in row)


def test_changes_are_timed() -> None:
    """With every reader, alone and with what hangs on it."""
    rows = rows_of("change", "--changes", "20", "--names", "10000")
    assert len(rows) == 4 if compiler() else 2
    assert all(number(cell) > 0 for row in rows.values() for cell in row)


def test_a_node_is_asked_in_peace_and_in_trouble() -> None:
    """Each trouble has its row, and no question is lost while the main process stands still."""
    troubles = ("main process stopped", "API storm", "probes")
    rows = rows_of(
        "isolation",
        "--seconds",
        "1",
        "--rounds",
        "1",
        "--rate",
        "300",
        "--names",
        "200",
        "--probes",
        "60",
        "--troubles",
        ",".join(troubles),
    )
    assert list(troubles) == list(rows)
    assert "0" == rows["main process stopped"][-1]
