"""However often the leader changes or dies under them, writes take effect once each, and are told so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from node.cli.client import Client
from node.cli.faults import ExitCode, Failure
from node.state.command import ChangeZone, Member, PutRRset, PutZone, Seed
from node.state.state import Accepted, State
from node.zone.name import from_text
from raft.proposal import Committed, NotCommitted
from tests.cluster.inside import Inside, Node, until
from tests.raft.test_replica import NAMES
from tests.state.conftest import SETTINGS, ZONE, rrset

WRITERS = 4
WRITES_EACH = 50


def address(number: int) -> str:
    return f"192.0.2.{number + 1}"


def test_every_proposal_is_applied_once_while_leaders_hand_over(tmp_path: Path) -> None:
    """Callers on all nodes see nothing of the changes of leaders: each write is committed, once, in its order."""

    async def write(node: Node, name: str, number: int) -> None:
        command = ChangeZone(ZONE, (PutRRset(rrset(name, "A", address(number))),))
        outcome = await node.cluster.propose(command, timeout_s=20.0)
        while isinstance(outcome, NotCommitted):  # certainly nowhere, so it is a new write
            outcome = await node.cluster.propose(command, timeout_s=20.0)
        assert isinstance(outcome, Committed), outcome
        assert isinstance(outcome.result, Accepted)
        assert outcome.result.changed

    async def hand_over(cluster: Inside) -> None:
        (await cluster.leader()).hand_over()
        await asyncio.sleep(0.02)

    asyncio.run(story(tmp_path, write, hand_over))


def test_every_request_is_carried_out_once_while_leaders_die(tmp_path: Path) -> None:
    """qdns tries again on other nodes, with the key of the write: 200 writes, 200 changes, however many tries."""

    async def write(node: Node, name: str, number: int) -> None:
        urls = [node.url, *(each for each in all_urls if each != node.url)]
        client = Client(tuple(urls), token=None, timeout_s=5.0, environ={})
        path = f"/v1/zones/example.org/rrsets/{name}.example.org/A"
        while True:
            try:
                reply = await asyncio.to_thread(client.write, "PUT", path, {"rdatas": [address(number)]})
            except Failure as failure:
                if failure.code is not ExitCode.NO_QUORUM:  # which says that nothing was changed
                    raise
            else:
                assert reply["changed"]
                return

    async def crash(cluster: Inside) -> None:
        all_urls[:] = [node.url for node in cluster.nodes]
        leader = await cluster.leader()
        await leader.crash()
        reached = leader.cluster.state.index + 20
        await leader.start()
        with contextlib.suppress(TimeoutError):  # the writers may have come to their end
            async with asyncio.timeout(10.0):
                await until(lambda: cluster.nodes[0].cluster.state.index > reached)

    all_urls: list[str] = []
    asyncio.run(story(tmp_path, write, crash))


async def story(
    folder: Path,
    write: Callable[[Node, str, int], Awaitable[None]],
    trouble: Callable[[Inside], Awaitable[None]],
) -> None:
    """Let writers write, one record each, again and again, through changing nodes, while there is trouble."""
    seed = Seed(tuple(Member(name) for name in NAMES), (PutZone(ZONE, SETTINGS),))
    async with asyncio.timeout(120), Inside(folder) as cluster:
        while not isinstance(await (await cluster.leader()).cluster.propose(seed), Committed):
            pass
        before = await cluster.settled()
        async with while_it_lasts(lambda: trouble(cluster)) as times:

            async def one_by_one(writer: int) -> None:
                for number in range(WRITES_EACH):
                    await write(cluster.nodes[(writer + number) % len(NAMES)], f"w{writer}", number)
                    await asyncio.sleep(0.02)

            await asyncio.gather(*(one_by_one(writer) for writer in range(WRITERS)))
        assert times[0] >= 3
        require_each_once(before, await cluster.settled())


@contextlib.asynccontextmanager
async def while_it_lasts(act: Callable[[], Awaitable[None]]) -> AsyncIterator[list[int]]:
    """Act again and again beside the body; yield how often it was done. The last time is not cut short."""
    times, over = [0], asyncio.Event()

    async def again() -> None:
        while not over.is_set():
            await act()
            times[0] += 1

    acting = asyncio.create_task(again())
    try:
        yield times
    finally:
        over.set()
        await acting


def require_each_once(before: State, after: State) -> None:
    """One serial a write, and each writer's values in the order in which it wrote them."""
    zone = after.zones[ZONE]
    assert WRITERS * WRITES_EACH == zone.serial - before.zones[ZONE].serial
    for writer in range(WRITERS):
        owner = from_text(f"w{writer}", ZONE)
        written = [each for delta in zone.history for each in delta.added if each.name == owner]
        assert [rrset(f"w{writer}", "A", address(number)).rdatas for number in range(WRITES_EACH)] == [
            each.rdatas for each in written
        ]
