#!/usr/bin/env python3
"""Plays the main job before your eyes: three nodes, three web servers, a real knotd and a real named.

Needs root (for network namespaces of its own), knotd and named. Run it from the checkout:

    python scripts/main_job.py
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.cluster.lab import why_not
from tests.cluster.servers import Knot, Named
from tests.cluster.test_main_job import Stage, play


def main() -> int:
    problem = why_not()
    missing = [each.program for each in (Knot, Named) if each.missing()]
    if problem or missing:
        print(f"cannot play here: {problem or missing[0] + ' is not installed'}", file=sys.stderr)
        return 2
    start = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - start:6.2f}  {line}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        stage = Stage(Path(folder))
        try:
            stage.start()
            tell("three nodes, three web servers, knotd and named are up and agree")
            play(stage, tell)
        finally:
            stage.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
