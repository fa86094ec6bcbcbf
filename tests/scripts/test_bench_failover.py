"""The benchmark of failover runs, and measures every system that is installed at each kill."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"


@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [[], ["--hung"]])
def test_every_system_is_measured(how: list[str]) -> None:
    """Each installed system has a row; ours tells how far its nodes lie apart."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        import failover_systems as systems
    finally:
        sys.path.remove(str(SCRIPTS))
    words = [sys.executable, str(SCRIPTS / "bench.py"), "failover", "--rounds", "1", *how]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, check=False)
    assert 0 == done.returncode, done.stderr[-3000:]
    cells = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    rows = {row[0]: row[1:] for row in cells if len(row) == 7}
    assert len(systems.installed()) == len(rows)
    for title, (rounds, *times, ratio, spread) in rows.items():
        assert ("1", 3) == (rounds, len(times))
        assert all(float(each) > 0 for each in times)
        assert float(ratio) > 0
        assert ("-" != spread) == (title == "ours")
