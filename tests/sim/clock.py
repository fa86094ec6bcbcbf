"""Virtual time: an event loop for each node, turned by hand by the one who owns the time."""

import asyncio
from collections.abc import Callable
from typing import Any


class _NoSelector:
    """There are no sockets to wait for."""

    def select(self, _timeout: float | None) -> list[Any]:
        return []

    def close(self) -> None:
        pass


class VirtualLoop(asyncio.base_events.BaseEventLoop):
    """asyncio's own loop, with a clock of ours and no way to wait."""

    def __init__(self, clock: Callable[[], float], worker_delay_s: Callable[[], float]) -> None:
        super().__init__()
        self._clock_resolution = 1e-9
        self._selector = _NoSelector()
        self._clock = clock
        self._worker_delay_s = worker_delay_s
        self.faults: list[BaseException] = []
        self.set_exception_handler(self._note_fault)

    def time(self) -> float:
        return self._clock()

    def turn(self) -> None:
        """Run everything that is due now, once."""
        asyncio._set_running_loop(self)
        try:
            self._run_once()
        finally:
            asyncio._set_running_loop(None)

    def next_due(self) -> float:
        """When the next turn is due; infinity for never."""
        if self._ready:
            return self._clock()
        return self._scheduled[0]._when if self._scheduled else float("inf")

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, work: Callable[..., Any], *arguments: Any
    ) -> asyncio.Future[Any]:
        """A worker thread that is done after a while, at one moment."""
        future: asyncio.Future[Any] = self.create_future()

        def finish() -> None:
            try:
                result = work(*arguments)
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(self._worker_delay_s(), finish)
        return future

    def _note_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.faults.append(context.get("exception") or RuntimeError(context["message"]))

    def _process_events(self, _events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
