"""The benchmark of the log runs, and leaves no row out."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent.parent / "scripts" / "bench.py"
LOADS = (
    "writes, 1 writer",
    "writes, 64 writers",
    "reads of the latest, 64 readers",
    "entries of 1,000 records, 1 writer",
    "writes over HTTP, 64 connections",
)
OTHERS = (
    "kill -9 of the leader to the next write, s",
    "with 2,000 records: restart, s",
    "with 2,000 records: restart, processor s",
    "with 2,000 records: memory, MiB",
    "with 2,000 records: longest write during a snapshot, ms",
)
OURS_ALONE = (
    "with 2,000 records: longest turn of the log before that, ms",
    "with 2,000 records: longest turn of the log during a snapshot, ms",
    "with 2,000 records: longest turn of the log that takes a snapshot, ms",
)


@pytest.mark.real
@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
def test_every_row_is_measured_on_both_sides(tmp_path: Path) -> None:
    """Each row of the table has a figure of ours, of etcd and their ratio, or of ours alone where etcd has none."""
    words = [sys.executable, str(BENCH), "raft", "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert 0 == done.returncode, done.stderr[-3000:]
    cells = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    rows = {row[0]: row[1:] for row in cells if len(row) == 4}
    for title in OURS_ALONE:
        assert float(rows.pop(title)[0].split(" ")[0].replace(",", "")) > 0
    for title, values in rows.items():
        assert all(float(value.split(" ")[0].replace(",", "")) > 0 for value in values), title
    assert set(OTHERS) <= set(rows)
    for load in LOADS:
        assert 4 == sum(1 for title in rows if title.startswith(f"{load}, "))
    assert not list(tmp_path.iterdir())
