"""The API does what its description says: schemathesis makes requests of it, right and wrong ones.

``make openapi`` makes thousands; here are few of each kind. What a schema cannot say (that a text is a name, a
zone exists) is refused by the node, so that a request that fits its schema may still be refused.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.test_backup_restore import Node
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
PHASES = os.environ.get("QDNS_OPENAPI_PHASES", "examples,fuzzing")
EXAMPLES = os.environ.get("QDNS_OPENAPI_EXAMPLES", "2")
LIMIT_S = 150 if PHASES == "examples,fuzzing" else 1_500
OPTIONS = (
    f"--phases={PHASES}",
    f"--max-examples={EXAMPLES}",
    f"--max-time={LIMIT_S // 3}",
    "--generation-deterministic",
    "--request-timeout=20",
    "--warnings=off",
    "--no-color",
    f"--workers={1 if 'coverage' in PHASES else 2}",  # in threads CPython 3.11 loses count in what that phase parses
)
RUN = "import sys; from schemathesis.cli import schemathesis; sys.argv[0] = 'schemathesis'; schemathesis()"


@pytest.mark.real
@pytest.mark.timeout(LIMIT_S + 60)
def test_schemathesis(tmp_path: Path) -> None:
    """No request makes the node fail, every answer is as described, and what breaks its schema is refused."""
    api, dns = free_ports(2)
    node = Node(tmp_path, "dev", ["dev", "--api-port", str(api), "--dns-port", str(dns)], api, dns)
    try:
        node.wait_ready()
        url = f"http://127.0.0.1:{api}/openapi.json"
        done = subprocess.run(
            [sys.executable, "-c", RUN, f"--config-file={CONFIG}", "run", url, *OPTIONS],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=LIMIT_S,
        )
        assert 0 == done.returncode, done.stdout[-12_000:] + done.stderr[-2_000:]
    finally:
        node.stop()
