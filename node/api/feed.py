"""Waking those who wait for the next change of the State: blocking queries, watches, streams."""

import asyncio
from collections.abc import Callable

from node.api.context import Listener
from node.state.state import Changed, State


class Feed:
    """One future that every change completes, and a flag that ends all waiting."""

    def __init__(self, subscribe: Callable[[Listener], Callable[[], None]]) -> None:
        self._next: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unsubscribe = subscribe(self._wake)
        self.closed = False

    async def wait(self, timeout_s: float) -> bool:
        """Wait for the next change; say whether there was one in time."""
        if self.closed or timeout_s <= 0:
            return False
        try:
            await asyncio.wait_for(asyncio.shield(self._next), timeout_s)
        except TimeoutError:
            return False
        return not self.closed

    def close(self) -> None:
        """End all waiting, now and from now on."""
        self.closed = True
        self._unsubscribe()
        self._next.set_result(None)

    def _wake(self, _state: State, _changed: Changed | None) -> None:
        done, self._next = self._next, asyncio.get_running_loop().create_future()
        done.set_result(None)
