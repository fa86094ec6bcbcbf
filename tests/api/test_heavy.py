"""What has to look at very many rows: meanwhile others are answered."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from node.api.order import HEAVY_ROWS
from node.glob import Glob
from node.state.command import ChangeZone, PutRRset
from node.zone.name import from_text
from node.zone.rrset import A, make
from tests.api.conftest import SEED, ZONE, Api, FakeCluster
from tests.api.test_dashboard import send

PATIENCE_S = 20


class Gate:
    """Holds up whatever compares a name with a pattern, and says that it does."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def fits(self, *_: object) -> bool:
        """Say no, later."""
        self.reached.set()
        if not self.opened.wait(PATIENCE_S):
            self.opened.set()  # once is long enough
        return False


@pytest.fixture(name="large", scope="module")
def _large() -> Api:
    cluster = FakeCluster()
    cluster.do(SEED)
    rrsets = [make(from_text(f"n{each}.example.org"), A, 5, [bytes(4)]) for each in range(HEAVY_ROWS)]
    cluster.do(ChangeZone(ZONE, tuple(map(PutRRset, rrsets))))
    return Api(cluster)


@pytest.fixture(name="gate")
def _gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(Glob, "fits", lambda *_: gate.fits())
    yield gate
    gate.opened.set()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/zones/example.org/rrsets?name=*x*",
        "/zones/example.org?name=*x*",
        "/api/v1/servers/localhost/search-data?q=*x*",
    ],
)
def test_others_are_answered_meanwhile(large: Api, gate: Gate, path: str) -> None:
    """A pattern over the names of a large zone is looked for beside the event loop."""

    async def work(client: httpx.AsyncClient) -> Any:
        searching = asyncio.create_task(client.get(path))
        assert await asyncio.to_thread(gate.reached.wait, PATIENCE_S)
        other = await client.get("/v1/zones/example.org")
        assert not searching.done()
        gate.opened.set()
        return other, await searching

    other, found = large.run(work)
    assert (200, 200) == (other.status_code, found.status_code)


def test_a_form_asks_for_its_record_alone(large: Api, gate: Gate) -> None:
    """A name with an asterisk in it is a name there and no pattern, which would have to be looked for."""
    assert 200 == large.get("/zones/example.org?edit=a*b.example.org/A").status_code
    form = {"name": "a*b", "type": "A", "rdatas": "192.0.2.1"}
    assert 200 == send(large, "/zones/example.org", step="preview", **form).status_code
    assert not gate.reached.is_set()
