"""The deadline ends what takes too long, passes other cancellations on, and is fair after a stall."""

import asyncio
import socket
import time

import pytest

from node.health.service import Check
from node.probe.checks import run
from node.probe.deadline import Deadline
from node.probe.toolbox import Toolbox
from node.zone.name import from_text
from tests.probe.gallery import listening, says


def hold_up(seconds):
    """Keep the event loop from doing anything."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_it_ends_what_takes_too_long():
    """The block is cancelled and the caller sees ``TimeoutError``."""

    async def main():
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with Deadline(0.05):
                await asyncio.sleep(10)
        assert 0.04 < time.monotonic() - started < 1
        await asyncio.sleep(0)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_it_leaves_the_quick_alone():
    """What ends in time is not disturbed, then or later."""

    async def main():
        async with Deadline(0.02):
            await asyncio.sleep(0)
        await asyncio.sleep(0.04)
        return "done"

    assert "done" == asyncio.run(main())


def test_other_cancellations_pass():
    """A cancellation from outside stays one, before the deadline and at the same time."""

    async def wait():
        async with Deadline(0.03):
            await asyncio.sleep(10)

    async def main(delay):
        task = asyncio.create_task(wait())
        asyncio.get_running_loop().call_later(delay, task.cancel)
        with pytest.raises((asyncio.CancelledError, TimeoutError)) as caught:
            await task
        return caught.type

    assert asyncio.CancelledError is asyncio.run(main(0.01))

    async def both():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + 0.03, task.cancel)
        hold_up(0.04)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(both())


def test_an_answer_that_waited_for_us_counts():
    """An endpoint is not down because this process was held up past the deadline."""

    async def main():
        async with listening(says(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
            asyncio.get_running_loop().call_soon(hold_up, 0.4)
            return await run(Check("http", server.port), from_text("www.example.test"), "127.0.0.1", 0.2)

    result = asyncio.run(main())
    assert (True, "HTTP 200") == (result.up, result.evidence)


def test_a_stall_helps_the_silent_only_once():
    """The lost time is given again once, at most a whole timeout."""

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_soon(hold_up, 0.5)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with Deadline(0.1):
                await asyncio.sleep(10)
        return time.monotonic() - started

    assert 0.55 < asyncio.run(main()) < 0.9


def test_who_is_held_up_all_the_time_blames_nobody():
    """A node without processor time cannot tell a silent endpoint from its own deafness: it counts as untried."""

    async def main():
        loop = asyncio.get_running_loop()

        def hold_up_again():
            hold_up(0.6)
            loop.call_later(0.01, hold_up_again)

        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts by its backlog, and never answers
            loop.call_soon(hold_up_again)
            return await run(
                Check("http", silent.getsockname()[1]), from_text("www.example"), "127.0.0.1", 0.1, Toolbox()
            )

    result = asyncio.run(main())
    assert (False, False, "this node is too busy to tell") == (result.up, result.tried, result.evidence)
