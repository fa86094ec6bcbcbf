"""Turns: requests that take long to answer, so many at one time, in threads of their own and in bounds.

All who ask for such at once would keep the threads of the whole process from everybody, and each more at work slows down
the event loop. Who waits costs a place in a line, no thread; a place is given back when its client goes away.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from node.api.going_on import GivenUp, begin
from node.api.message import Response, never
from node.api.problem import Problem

ROWS_ASKED_MAX = 64
PAST_ASKED_MAX = 16
"""Requests that are at work or wait for it; further ones are told to come back."""
Work = Callable[[], Response]


@dataclass(slots=True, eq=False)
class _Turn:
    """One request's place in the line."""

    work: Work
    client: str
    unwanted: threading.Event = field(default_factory=threading.Event)
    is_at_work: bool = False

    def do(self) -> Response:
        """Work, in a thread. Raises what the work raises, and ``GivenUp``."""
        begin(self.unwanted)
        try:
            return self.work()
        finally:
            begin(None)


class Turns:
    """Does work in the order in which it is asked for. To be used in one event loop."""

    def __init__(self, what: str, *, threads: int, asked_max: int, of_one_max: int) -> None:
        """``what`` names the requests in refusals; at most ``of_one_max`` of them are of one client's address."""
        self._what = what
        self._asked_max, self._of_one_max = asked_max, of_one_max
        self._threads = ThreadPoolExecutor(threads, "turns")
        self._free = asyncio.Semaphore(threads)
        self._asked: Counter[str] = Counter()
        self._tasks: dict[asyncio.Task[Response], _Turn] = {}
        self._closed = False

    async def take(
        self, work: Work, client: str = "", gone: Callable[[], Awaitable[object]] = never
    ) -> Response:
        """Do the work when it is its turn. Raises ``Problem``, and what the work raises.

        ``gone`` returns when the client has: a turn that has not come is given up then, and work that has begun holds
        its place until it ends, which it does between two rows.
        """
        self._require_room(client)
        turn = _Turn(work, client)
        self._asked[client] += 1
        task = asyncio.create_task(self._wait_and_do(turn))
        self._tasks[task] = turn
        task.add_done_callback(self._ended)
        leaving = asyncio.ensure_future(gone())
        try:
            await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            _give_up(task, turn)
        return self._result(task)

    def close(self) -> None:
        """Begin no more of it, and let what is at work end between two rows."""
        self._closed = True
        for task, turn in self._tasks.items():
            _give_up(task, turn)
        self._threads.shutdown(wait=False)

    def _require_room(self, client: str) -> None:
        if self._closed:
            raise _stopped()
        if self._asked.total() >= self._asked_max:
            detail = f"{self._asked_max} requests {self._what} are being answered already, which is the limit"
            raise Problem("busy", detail, "try again, or ask another node")
        if self._asked[client] >= self._of_one_max:
            detail = f"{self._of_one_max} requests {self._what} are being answered for {client} already, "
            raise Problem("busy", f"{detail}which is the limit for one address", "wait for their answers first")

    async def _wait_and_do(self, turn: _Turn) -> Response:
        async with self._free:
            turn.is_at_work = True
            return await asyncio.get_running_loop().run_in_executor(self._threads, turn.do)

    def _ended(self, task: "asyncio.Task[Response]") -> None:
        turn = self._tasks.pop(task)
        self._asked[turn.client] -= 1
        if not self._asked[turn.client]:
            del self._asked[turn.client]
        if not task.cancelled():
            task.exception()  # nobody may be left to look at it

    def _result(self, task: "asyncio.Task[Response]") -> Response:
        if self._closed and (not task.done() or task.cancelled()):
            raise _stopped()
        if not task.done() or task.cancelled():
            raise Problem("stopped", "the client went before its answer came")
        try:
            return task.result()
        except GivenUp:
            raise _stopped() from None


def turns_of_a_node() -> dict[str, Turns]:
    """Return the lines of a node by the kind of ``Compute``: no kind waits for another."""
    return {
        "rows": Turns("that look at many rows", threads=2, asked_max=ROWS_ASKED_MAX, of_one_max=16),
        "past": Turns("about the past", threads=1, asked_max=PAST_ASKED_MAX, of_one_max=8),
        "metrics": Turns("for metrics", threads=1, asked_max=16, of_one_max=8),
    }


def _give_up(task: "asyncio.Task[Response]", turn: _Turn) -> None:
    """Take a turn that has not come out of the line, and tell work that has begun that nobody waits for it."""
    turn.unwanted.set()
    if not turn.is_at_work:
        task.cancel()


def _stopped() -> Problem:
    return Problem("stopped", "this node is stopping", "ask another node")
