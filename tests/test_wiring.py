"""A node as a whole: it stops in order, and whoever is being served then is answered."""

import asyncio
import os
import signal
import subprocess
import sys

import httpx

_NODE = """
import sys
from node.plan import DevSettings
from node.wiring import RunInfo, run_dev


def ready(info: RunInfo) -> None:
    print(info.api, flush=True)


sys.exit(run_dev(DevSettings(None, dns_port=0, api_port=0, with_demo=False), ready=ready))
"""


async def _until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(20):
        while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def _last_requests(api: str, pid: int) -> list[httpx.Response]:
    async with httpx.AsyncClient(base_url=api, timeout=20) as client:
        await _until_ready(client)
        requests = [
            asyncio.create_task(client.get("/v1/zones?min_index=99999999")),
            asyncio.create_task(client.put("/v1/zones/a.org?min_index=99999999", json={"nameservers": ["n."]})),
            asyncio.create_task(client.get("/v1/zones?index=99999999&wait=60s")),
        ]
        await asyncio.sleep(0.3)
        os.kill(pid, signal.SIGTERM)
        return await asyncio.gather(*requests)


def test_a_node_that_stops_answers_those_it_serves() -> None:
    """Requests in flight when the signal comes get an answer, the log no trace, and the process ends well."""
    with subprocess.Popen(
        [sys.executable, "-c", _NODE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as node:
        try:
            assert node.stdout is not None
            api = next(line for line in node.stdout if line.startswith("http")).strip()
            answers = asyncio.run(_last_requests(api, node.pid))
            _, log = node.communicate(timeout=20)
        finally:
            node.kill()
    assert [503, 503, 200] == [answer.status_code for answer in answers]
    assert ["stopped", "stopped"] == [answer.json()["code"] for answer in answers[:2]]
    assert 0 == node.returncode
    assert "Traceback" not in log
