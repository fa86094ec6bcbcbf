"""Looking into the past, one request at a time.

To put together how things stood at an earlier index takes up to seconds of a processor. It is done in a thread of its own,
as all who ask for it at once would keep those threads from everybody, and a second one at work would only slow down the
event loop more.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore

from node.api.message import Response
from node.api.problem import Problem

ASKED_MAX = 16
"""Requests that are at work or wait for it; further ones are told to come back."""


class Archive:
    """Does such work in the order in which it is asked for."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "past")
        self._room = BoundedSemaphore(ASKED_MAX)

    async def look(self, work: Callable[[], Response]) -> Response:
        """Do the work when it is its turn. Raises ``Problem`` when too many wait, and what the work raises.

        Whoever goes away gives up a turn that has not come; work that has begun holds its place until it ends.
        """
        if not self._room.acquire(blocking=False):
            detail = f"{ASKED_MAX} requests about the past are being answered already, which is the limit"
            raise Problem("busy", detail, "try again, or ask another node")
        job = self._thread.submit(work)
        job.add_done_callback(self._done)
        return await asyncio.wrap_future(job)

    def _done(self, _job: "Future[Response]") -> None:
        self._room.release()

    def close(self) -> None:
        """Begin no more of it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
