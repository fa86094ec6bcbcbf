"""A service's page shows what each node measured, asked from that node; a strange answer is an empty strip."""

import asyncio
from typing import Any

import httpx
import pytest

from node.api.server import ApiServer
from node.probe.history import Cell
from tests.api.conftest import FakeCluster
from tests.api.test_page import text
from tests.api.test_server import SETTINGS

SERVICE = "/services/www.example.org"


def measured(good: int) -> Any:
    """Return a node's own series: a minute with 10 probes, so many of them good."""

    def series(_fqdn: bytes, address: str, count: int, _minutes: int) -> list[Cell | None]:
        last = Cell(10, good, 7, 9) if address == "192.0.2.10" else None
        return [None] * (count - 1) + [last]

    return series


def page_with(cluster: FakeCluster, other: Any, path: str = SERVICE) -> str:
    """Serve ns2 with that series, and return the page of ns1, whose own probes were all good."""

    async def go() -> str:
        second = ApiServer(SETTINGS, cluster.context(node="ns2", series=other))
        await second.start()
        urls = {"ns2": f"http://{second.addresses[0]}"}
        first = ApiServer(SETTINGS, cluster.context(series=measured(10), peer_urls=urls))
        await first.start()
        try:
            async with httpx.AsyncClient(base_url=f"http://{first.addresses[0]}") as client:
                return (await client.get(path)).text
        finally:
            await first.stop()
            await second.stop()

    return asyncio.run(go())


@pytest.mark.parametrize(("span", "words"), [("1h", "last 60 minutes"), ("24h", "last 96 quarters of an hour")])
def test_each_node_tells_its_own(cluster: FakeCluster, span: str, words: str) -> None:
    """Shares, strips and latencies of both nodes stand side by side; ns3 does not answer, and that is said."""
    page = page_with(cluster, measured(4), f"{SERVICE}?span={span}")
    assert f'aria-label="192.0.2.10 from ns1: up 1, down 0 of the {words}"' in page
    assert f'aria-label="192.0.2.10 from ns2: up 0, down 1 of the {words}"' in page
    shown = text(page)
    assert "40.00 %" in shown
    assert "ns1 7 ms throughout; ns2 7 ms throughout; ns3 nothing measured" in shown
    assert "no answer from this node" in shown


def test_a_strange_answer_is_an_empty_strip(cluster: FakeCluster) -> None:
    """A node of another version that tells another number of cells spoils nothing."""

    def short(_fqdn: bytes, _address: str, _count: int, _minutes: int) -> list[Cell | None]:
        return [Cell(10, 4, 7, 9)]

    page = page_with(cluster, short)
    assert 'aria-label="192.0.2.10 from ns2: nothing known of the last hour"' in page
    assert 'aria-label="192.0.2.10 from ns1: up 1, down 0' in page
