"""One deadline for everything a probe does, fair when it is this process that was late."""

import asyncio
from types import TracebackType

_STALL_S = 0.05
_STARVED_S = 0.5


class Starved(TimeoutError):
    """The process was held up again and again: what it did not see says nothing of the other side."""


class Deadline:
    """Ends the task's block after ``timeout_s`` with ``TimeoutError``, like ``asyncio.timeout``.

    When the event loop itself was held up past the deadline, answers may be waiting unread in the
    sockets: the block gets the lost time once more, at most ``timeout_s``, before the endpoint is blamed. When
    the loop was held up for long then as well, nobody is blamed: that ends with ``Starved``.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end_s = 0.0
        self._has_expired = False
        self._was_extended = False
        self._is_starved = False

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._end_s = self._loop.time() + self._timeout_s
        self._timer = self._loop.call_at(self._end_s, self._expire)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._timer is not None
        assert self._task is not None
        self._timer.cancel()
        if self._has_expired and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise (Starved if self._is_starved else TimeoutError) from error

    def _expire(self) -> None:
        assert self._task is not None
        stall_s = self._loop.time() - self._end_s
        if stall_s > _STALL_S and not self._was_extended:
            self._was_extended = True
            self._end_s = self._loop.time() + min(stall_s, self._timeout_s)
            self._timer = self._loop.call_at(self._end_s, self._expire)
            return
        self._has_expired = True
        self._is_starved = stall_s > _STARVED_S
        self._task.cancel()
