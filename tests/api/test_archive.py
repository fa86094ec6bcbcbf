"""The past is put together one request at a time, in bounds, while everything else is answered."""

import asyncio
import threading
from dataclasses import replace

import pytest

from node.api.archive import ASKED_MAX, Archive
from node.dns.explain import explain, explain_at
from tests.api.conftest import Api
from tests.probe.gallery import eventually

PAST = "/v1/explain?name=www.example.org&at=1"


class Slow:
    """The way into the past, which waits until it is let through."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.now = self.most = 0

    def explain_at(self, *words):  # type: ignore[no-untyped-def]
        self.now += 1
        self.most = max(self.most, self.now)
        self.begun.set()
        try:
            assert self.gate.wait(20)
            return explain_at(*words)
        finally:
            self.now -= 1


@pytest.fixture(name="looks")
def _looks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What has been asked of the archive so far."""
    looks: list[object] = []
    real = Archive.look

    def look(self, work):  # type: ignore[no-untyped-def]
        looks.append(work)
        return real(self, work)

    monkeypatch.setattr(Archive, "look", look)
    return looks


async def crowd(client, looks, slow):  # type: ignore[no-untyped-def]
    """Ask as often as there is room, and return when one is at work and all others wait."""
    asked = [asyncio.create_task(client.get(PAST)) for _ in range(ASKED_MAX)]
    await eventually(lambda: len(looks) == ASKED_MAX and slow.begun.is_set(), 20)
    return asked


def test_the_past_holds_up_nobody(api: Api, looks: list[object]) -> None:
    """While one request is at work others are read; those of its kind wait, and one too many is told so."""
    slow = Slow()
    api.context = replace(api.context, explain=explain, explain_at=slow.explain_at)

    async def ask(client):  # type: ignore[no-untyped-def]
        asked = await crowd(client, looks, slow)
        others = [
            await client.get(path) for path in ("/v1/zones", "/v1/events", "/v1/explain?name=www.example.org")
        ]
        too_many = [await client.get(path) for path in (PAST, "/v1/events/1")]
        slow.gate.set()
        found = await asyncio.gather(*asked)
        return others, too_many, found, await client.get(PAST)

    others, too_many, found, again = api.run(ask)
    assert [200] * 3 == [each.status_code for each in others]
    assert [(503, "busy")] * 2 == [(each.status_code, each.json()["code"]) for each in too_many]
    assert "1" == too_many[0].headers["retry-after"]
    assert [200] * (ASKED_MAX + 1) == [each.status_code for each in (*found, again)]
    assert 1 == slow.most


def test_who_goes_away_leaves_room(api: Api, looks: list[object]) -> None:
    """A turn that has not come is given up with its request; work that goes on keeps its place."""
    slow = Slow()
    api.context = replace(api.context, explain=explain, explain_at=slow.explain_at)

    async def ask(client):  # type: ignore[no-untyped-def]
        asked = await crowd(client, looks, slow)
        assert 503 == (await client.get(PAST)).status_code
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        more = [asyncio.create_task(client.get(PAST)) for _ in range(ASKED_MAX - 1)]
        await asyncio.sleep(0)
        slow.gate.set()
        return await asyncio.gather(*more)

    assert [200] * (ASKED_MAX - 1) == [each.status_code for each in api.run(ask)]
    assert 1 == slow.most
