"""The will to have a connection ends when it is told to, at whatever moment."""

import asyncio
from typing import Any

import pytest

from raft.identity import peer_node
from raft.link import Link


@pytest.mark.parametrize("turns", range(8))
def test_a_link_that_is_stopped_while_it_dials_ends(turns: int) -> None:
    """Stopped in the very turn in which a connection is made, it dials no more."""

    async def run() -> None:
        made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def dial(_node: object) -> Any:
            return await made

        link = Link(peer_node("b", "127.0.0.1:1"), dial, decides=True)
        link.task = asyncio.create_task(link.keep())
        await asyncio.sleep(0.01)

        class Failed:
            closed = True

        made.set_result(Failed())
        for _ in range(turns):
            await asyncio.sleep(0)
        link.stop()
        done, _ = await asyncio.wait([link.task], timeout=1)
        assert {link.task} == done

    asyncio.run(run())
