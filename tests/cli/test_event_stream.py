"""A watch looks again as soon as something was committed, long before its time is up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.cluster.servers import wait_until
from tests.cluster.test_backup_restore import Node
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]


@pytest.mark.real
def test_a_change_is_shown_at_once(tmp_path: Path) -> None:
    """Piped, a service that comes is a line within seconds though the watch looks every hour."""
    api, dns = free_ports(2)
    url = f"http://127.0.0.1:{api}"
    node = Node(tmp_path, "dev", ["dev", "--api-port", str(api), "--dns-port", str(dns)], api, dns)
    shown = tmp_path / "shown"
    try:
        node.wait_ready()
        with shown.open("wb") as file:
            watching = subprocess.Popen(
                [sys.executable, "-m", "node", "services", "-w", "1h"],
                stdout=file,
                cwd=ROOT,
                env={**os.environ, "QDNS_API": url, "NO_COLOR": "1"},
            )
        try:
            zone = {"nameservers": ["ns1.example.org"]}
            wait_until(lambda: requests.get(f"{url}/metrics", timeout=5).ok, "it answers")
            assert requests.put(f"{url}/v1/zones/example.org", json=zone, timeout=5).ok

            def is_shown() -> bool:
                number = len(requests.get(f"{url}/v1/services", timeout=5).json()["items"])
                body = {"check": "tcp://{}:1", "endpoints": ["127.0.0.1"]}
                requests.put(f"{url}/v1/services/s{number}.example.org", json=body, timeout=5)
                return "s0.example.org" in shown.read_text()

            wait_until(is_shown, "the watch shows it", timeout_s=20, every_s=0.5)
        finally:
            watching.terminate()
            watching.wait(10)
    finally:
        node.stop()
