"""The configurations of other people's programs, run as they are printed."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from node.api.server import ApiServer
from tests.api.conftest import FakeCluster
from tests.api.test_powerdns import OCTODNS
from tests.api.test_server import serve
from tests.docs.commands import ROOT, blocks

PAGE = ROOT / "docs" / "clients.md"
ZONE = """
'': {ttl: 60, type: NS, values: [ns1.example.com.]}
www: {ttl: 60, type: A, values: [192.0.2.1, 192.0.2.2]}
"""


@pytest.mark.real
@pytest.mark.skipif(OCTODNS is None, reason="octodns-sync is not installed")
def test_octodns(tmp_path: Path) -> None:
    """It makes the zone, and the next time has nothing to do."""
    (text,) = blocks(PAGE, "yaml")
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones" / "example.com.yaml").write_text(ZONE)
    cluster = FakeCluster()

    def sync(port: str) -> str:
        (tmp_path / "octodns.yaml").write_text(text.replace("7380", port))
        words: list[Any] = [OCTODNS, "--config-file", "octodns.yaml", "--doit"]
        environ = os.environ | {"QDNS_TOKEN": "any"}
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=60
        )
        assert 0 == done.returncode, done.stderr[-3000:]
        return done.stderr + done.stdout

    async def work(server: ApiServer, _client: httpx.AsyncClient) -> None:
        port = server.addresses[0].rpartition(":")[2]
        await asyncio.to_thread(sync, port)
        assert "No changes were planned" in await asyncio.to_thread(sync, port)

    serve(cluster, work, limit_s=90)
    assert 3 == cluster.state.zones[next(iter(cluster.state.zones))].rrset_count
