"""When tokens were last used: noted once a day, by nobody else's request, and never where it cannot be."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from node.api.message import Identity
from node.api.token_uses import TokenUses
from node.api.views import DAY_MS
from node.state.api_tokens import ApiToken, NoteTokenUses, PutToken, RevokeToken
from node.state.command import FORMAT, SetFormat
from raft.proposal import Unknown
from tests.api.conftest import NOW_MS, Api, FakeCluster
from tests.api.test_page import text
from tests.api.test_server import until
from tests.api.test_tokens import ADMIN, SECRET, bearer, digest_of

TODAY = NOW_MS // DAY_MS
CI = Identity("ci", ("read",), is_by_log=True)


@pytest.fixture(name="used")
def _used(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster with two tokens, whose nodes note a use at once."""
    monkeypatch.setattr("node.api.token_uses.TokenUses.__init__.__defaults__", ((0.0, 0.0),))
    for name, secret, scope in (("admin", ADMIN, "admin"), ("ci", SECRET, "read")):
        cluster.do(PutToken(ApiToken(name, bytes.fromhex(digest_of(secret)), (scope,))))
    cluster.do(SetFormat(2))
    return cluster


def notes(cluster: FakeCluster) -> list[Any]:
    """Return what was noted so far."""
    return [each.command for each in cluster.entries if isinstance(each.command, NoteTokenUses)]


def seen(cluster: FakeCluster, *identities: Identity, turns: int = 1, **fields: Any) -> None:
    """Let a node see these, so many times, and end what it began."""

    async def go() -> None:
        uses = TokenUses(cluster.context(**fields))
        for _ in range(turns):
            for identity in identities:
                uses.saw(identity)
            if uses._task is not None:
                await uses._task

    asyncio.run(go())


def test_once_a_day(used: FakeCluster) -> None:
    """A thousand requests are one entry, and the next day has another one; two tokens at once share one."""
    for _ in range(20):
        seen(used, CI, CI, turns=50)
    assert [NoteTokenUses(TODAY, ("ci",))] == notes(used)
    used.now_ms += DAY_MS
    seen(used, CI, Identity("admin", ("admin",), is_by_log=True))
    assert NoteTokenUses(TODAY + 1, ("admin", "ci")) == notes(used)[-1]
    assert "ns1" == used.entries[-1].actor
    assert 2 == len(notes(used))


@pytest.mark.parametrize(
    "identity",
    [
        Identity("ci", ("read",)),
        Identity("local", ("admin",), is_by_log=True),
        Identity("gone", ("read",), is_by_log=True),
    ],
)
def test_others_are_not_noted(used: FakeCluster, identity: Identity) -> None:
    """A token of the node's file under the same name, who needs none, and what is gone leave nothing in the log."""
    seen(used, identity)
    assert [] == notes(used)


def test_not_before_it_can_be(used: FakeCluster) -> None:
    """While a node reads no notes, or has not caught up, nothing is proposed."""
    used.replica = replace(used.replica, ready=False)
    seen(used, CI)
    used.replica = replace(used.replica, ready=True)
    used.state = msgspec.structs.replace(used.state, format=1)
    seen(used, CI)
    assert [] == notes(used)


def test_what_fails_waits(used: FakeCluster) -> None:
    """Without a quorum a request costs one try in ten minutes, not one each."""
    tries = []

    async def propose(command: Any, **_more: Any) -> Unknown:
        tries.append(command)
        return Unknown("no leader")

    seen(used, CI, turns=50, propose=propose)
    assert 1 == len(tries)


def test_who_comes_second_is_silent(used: FakeCluster) -> None:
    """Another node noted it, or the token went, while this one waited its moment."""

    async def go() -> None:
        uses = TokenUses(used.context())
        uses.saw(CI)
        used.do(NoteTokenUses(TODAY, ("ci",)))
        assert uses._task is not None
        await uses._task
        used.now_ms += DAY_MS
        uses.saw(CI)
        used.do(RevokeToken("ci"))
        await uses._task

    asyncio.run(go())
    assert 1 == len(notes(used))


def test_a_day_to_come_is_corrected_by_the_leader(used: FakeCluster) -> None:
    """It does so once a day, whatever another clock says meanwhile; others leave it as it is."""
    used.do(NoteTokenUses(TODAY + 300, ("ci",)))

    async def see(*leaders: str) -> None:
        uses = TokenUses(used.context())
        for leader in leaders:
            used.replica = replace(used.replica, leader=leader)
            uses.saw(CI)
            if uses._task is not None:
                await uses._task
            if leader == "ns1":
                used.do(NoteTokenUses(TODAY + 300, ("ci",)))

    asyncio.run(see("ns2"))
    used.state = msgspec.structs.replace(used.state, format=2)
    asyncio.run(see("ns1"))  # a node is there that would not read the correction
    used.state = msgspec.structs.replace(used.state, format=FORMAT)
    assert TODAY + 300 == used.state.tokens["ci"].used_day
    asyncio.run(see("ns2", "ns1", "ns1", "ns1"))
    ours = [each for each in notes(used) if each.corrects]
    assert [NoteTokenUses(TODAY, ("ci",), corrects=True)] == ours
    used.do(ours[0])
    assert TODAY == used.state.tokens["ci"].used_day


def test_shown_by_api_and_page(used: FakeCluster) -> None:
    """Requests are noted beside their answers; only administrators are shown tokens, on the page, too."""
    api = Api(used)

    async def work(client: Any) -> None:
        assert 200 == (await client.get("/v1/status", headers=bearer(SECRET))).status_code
        assert 403 == (await client.get("/v1/tokens", headers=bearer(SECRET))).status_code
        assert 401 == (await client.get("/v1/tokens", headers=bearer("qdns_wrong"))).status_code
        await until(lambda: bool(notes(used)))

    api.run(work)
    assert [NoteTokenUses(TODAY, ("ci",))] == notes(used)
    rows = api.get("/v1/tokens", headers=bearer(ADMIN)).json()["items"]
    assert [("admin", None), ("ci", "2023-11-14")] == [(row["name"], row["last_used_on"]) for row in rows]
    page = api.get("/cluster", headers={"Cookie": f"qdns_token={ADMIN}"})
    assert "ci read cluster 0 s 2023-11-14 never" in text(page.text)
    page = api.get("/cluster", headers={"Cookie": f"qdns_token={SECRET}"})
    assert "2023-11-14</time>" not in page.text
    assert "Shown to administrators." in page.text
