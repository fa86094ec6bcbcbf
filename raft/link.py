"""What this node knows of one other node: the connection in use, and the will to have one."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from pysyncobj.node import Node

from raft.connection import Connection

DIAL_MAX_S: Final = 2.0
RETRY_MIN_S: Final = 0.2
RETRY_MAX_S: Final = 2.0
_YIELD_S: Final = 0.1
"""The node that does not decide dials a little later: most often the other has come by then."""
_SUPERSEDED_MAX: Final = 64


class Link:
    """``decides`` tells whether this node chooses among several connections with the other one."""

    def __init__(self, node: Node, dial: Callable[[Node], Awaitable[Connection]], *, decides: bool) -> None:
        self.node = node
        self.decides = decides
        self.current: Connection | None = None
        self.task: asyncio.Task[None] | None = None
        self._dial = dial
        self._heard_at: float | None = None
        self._changed = asyncio.Event()
        self._superseded: deque[bytes] = deque(maxlen=_SUPERSEDED_MAX)

    @property
    def heard_at(self) -> float | None:
        """When anything was last heard from the node, on ``time.monotonic``."""
        return self.current.heard_at if self.current is not None else self._heard_at

    def is_superseded(self, instance: bytes) -> bool:
        """Tell whether a newer process under the same name replaced this one."""
        return instance in self._superseded

    def use(self, connection: Connection) -> None:
        """Make this the connection in use and close the one before."""
        old, self.current = self.current, connection
        self._changed.set()
        if old is None or old is connection:
            return
        assert old.established is not None
        assert connection.established is not None
        if old.established.instance != connection.established.instance:
            self._superseded.append(old.established.instance)
        old.close()

    def lose(self, connection: Connection) -> bool:
        """Take note that a connection ended; tell whether it was the one in use."""
        self._changed.set()
        if self.current is not connection:
            return False
        self.current = None
        self._heard_at = connection.heard_at
        return True

    def ping(self, silence_max_s: float | None) -> None:
        """Show this node's life on the connection in use, or end it if nothing was heard on it for too long."""
        if self.current is None:
            return
        if silence_max_s is not None and time.monotonic() - self.current.heard_at > silence_max_s:
            self.current.abort()
        else:
            self.current.ping()

    def stop(self) -> None:
        """Give the node up."""
        if self.task is not None:
            self.task.cancel()
        connection, self.current = self.current, None
        if connection is not None:
            connection.close()

    async def keep(self) -> None:
        """Dial whenever there is no connection; for ever."""
        wait_s = 0.0 if self.decides else _YIELD_S
        retry_s = RETRY_MIN_S
        while True:
            await asyncio.sleep(wait_s)
            if self.current is None:
                await self._try()
            if self.current is not None:
                retry_s = RETRY_MIN_S
                await self._wait(lambda: self.current is None)
            wait_s = retry_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads dialling, guards nothing
            retry_s = min(2 * retry_s, RETRY_MAX_S)

    async def _try(self) -> None:
        """Dial once; return when there is a connection in use or this one has failed."""
        try:
            async with asyncio.timeout(DIAL_MAX_S):  # wait_for may lose a cancellation (CPython issue 86296)
                connection = await self._dial(self.node)
        except (OSError, TimeoutError):
            return
        await self._wait(lambda: connection.closed or self.current is not None)

    async def _wait(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
