"""What takes long is answered in bounded lines of their own, for as long as somebody waits for it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from node.api import perform
from node.api.etcd import tree
from node.api.going_on import go_on
from node.api.message import Response, never
from node.api.problem import Problem
from node.api.turns import Turns
from node.dns.explain import explain, explain_at
from node.state.command import ChangeZone, PutRRset
from node.zone.name import from_text
from node.zone.rrset import A, make
from tests.api.conftest import ZONE, Api
from tests.probe.gallery import eventually


class Slow:
    """Work in many small pieces, until it is let through or nobody waits for it."""

    def __init__(self) -> None:
        self.gate, self.begun, self.ended = threading.Event(), threading.Event(), threading.Event()

    def work(self) -> Response:
        """Ask before each piece whether to go on."""
        self.begun.set()
        try:
            while not self.gate.wait(0.01):
                go_on()
            return Response()
        finally:
            self.ended.set()


def with_turns(act: Callable[[Turns, Slow], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        turns, slow = Turns("of this test", threads=1, asked_max=4, of_one_max=2), Slow()
        try:
            return await act(turns, slow)
        finally:
            slow.gate.set()
            turns.close()

    return asyncio.run(go())


async def crowd(turns: Turns, slow: Slow, gone: Callable[[], Awaitable[object]] = never) -> list[Any]:
    """Take all places, of two clients, and return when one is at work."""
    asked = [asyncio.create_task(turns.take(slow.work, client, gone)) for client in "aabb"]
    await eventually(slow.begun.is_set, 20)
    return asked


async def refusal(turns: Turns, client: str) -> tuple[str, str]:
    with pytest.raises(Problem) as found:
        await turns.take(Response, client)
    return found.value.code, found.value.detail


def test_bounds() -> None:
    """One too many is told so, and so is one too many of one address; afterwards there is room again."""

    async def act(turns: Turns, slow: Slow) -> None:
        first = asyncio.create_task(turns.take(slow.work, "a"))
        second = asyncio.create_task(turns.take(slow.work, "a"))
        await eventually(slow.begun.is_set, 20)
        code, detail = await refusal(turns, "a")
        assert "busy" == code
        assert "for a already" in detail
        others = [asyncio.create_task(turns.take(slow.work, client)) for client in "bc"]
        await asyncio.sleep(0)
        assert ("busy", "4 requests of this test are being answered already, which is the limit") == (
            await refusal(turns, "d")
        )
        slow.gate.set()
        await asyncio.gather(first, second, *others)
        await turns.take(Response, "a")

    with_turns(act)


def test_who_goes_away_leaves_room() -> None:
    """Turns that have not come are given back, and what is at work ends between two pieces."""

    async def act(turns: Turns, slow: Slow) -> None:
        left = asyncio.Event()
        asked = await crowd(turns, slow, left.wait)
        assert "busy" == (await refusal(turns, "c"))[0]
        left.set()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert ["stopped"] * 4 == [each.code for each in told]
        assert await asyncio.to_thread(slow.ended.wait, 20)
        assert not slow.gate.is_set()
        assert 200 == (await turns.take(Response, "c")).status

    with_turns(act)


def test_closing_waits_for_nobody() -> None:
    """Who waits is told that the node stops, work ends between two pieces, and who comes later is told the same."""

    async def act(turns: Turns, slow: Slow) -> None:
        asked = await crowd(turns, slow)
        turns.close()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert ["stopped"] * 4 == [each.code for each in told]
        assert slow.ended.is_set()
        assert ["stopped"] * 2 == [(await refusal(turns, client))[0] for client in "ac"]

    with_turns(act)


def test_the_past_holds_up_nobody(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one request about it is at work everything else is answered; those of its kind wait, one too many is told so."""
    past, begun, gate, asked = "/v1/explain?name=www.example.org&at=1", threading.Event(), threading.Event(), []

    def slowly(*words: Any) -> Any:
        begun.set()
        assert gate.wait(20)
        return explain_at(*words)

    async def never_the_default(*_: Any) -> None:
        raise AssertionError("the threads of the node's own work")

    real = Turns.take
    monkeypatch.setattr(Turns, "take", lambda self, *rest: (asked.append(rest), real(self, *rest))[1])
    monkeypatch.setattr(perform.asyncio, "to_thread", never_the_default)
    api.context = replace(api.context, explain=explain, explain_at=slowly)

    async def ask(client: Any) -> None:
        first = [asyncio.create_task(client.get(past)) for _ in range(8)]
        await eventually(lambda: len(asked) == 8 and begun.is_set(), 20)
        for path in ("/v1/zones", "/v1/events", "/metrics", "/v1/explain?name=www.example.org"):
            assert 200 == (await client.get(path)).status_code
        for path in (past, "/v1/events/1"):
            refused = await client.get(path)
            assert (503, "busy", "1") == (
                refused.status_code,
                refused.json()["code"],
                refused.headers["retry-after"],
            )
        gate.set()
        assert [200] * 8 == [each.status_code for each in await asyncio.gather(*first)]

    api.run(ask)


def test_etcd_counts_before_it_builds(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree that is too large is refused before its keys are put together."""
    names = [from_text(f"n{each}.example.org") for each in range(20)]
    api.cluster.do(ChangeZone(ZONE, tuple(PutRRset(make(name, A, 5, [bytes(4)])) for name in names)))
    made: list[str] = []
    real = tree._leaf
    monkeypatch.setattr(tree, "_leaf", lambda key, *rest: (made.append(key), real(key, *rest))[1])
    monkeypatch.setattr(tree, "NODES_MAX", 15)
    assert 400 == api.get("/v2/keys/helix/org/example?recursive=true").status_code
    assert not [each for each in made if "/n" in each]
