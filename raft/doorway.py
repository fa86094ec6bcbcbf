"""Where connections begin: those this node makes, those it accepts, and the few strangers it suffers at once."""

import asyncio
import socket
from collections.abc import Callable, Collection
from typing import Final

from pysyncobj.node import Node

from raft.connection import HANDSHAKE_MAX_S, Connection, Owner
from raft.identity import Certified, parse_address
from raft.listener import Listener
from raft.refusal import Refusal
from raft.tls import refusal_of
from raft.trust import Trust

PENDING_CONNECTIONS_MAX: Final = 64
CLOSING_MAX_S: Final = 1.0


class Doorway:
    """Makes the connections of ``owner``; ``hosts`` gives the IP addresses of its peers."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        trust: Trust | None,
        hosts: Callable[[], Collection[str]],
    ) -> None:
        self.pending: dict[Connection, None] = {}
        """Connections that nobody uses yet, oldest first."""
        self._loop = loop
        self._owner = owner
        self._trust = trust
        self._handshake_max_s = HANDSHAKE_MAX_S if trust is not None else None
        self._closing_max_s = CLOSING_MAX_S if trust is not None else None
        self._hosts = hosts
        self._listener = Listener(loop, self._accept)
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, address: str) -> str:
        """Listen; return the address bound. Raises ``RaftError``."""
        return self._listener.open(address)

    def close(self) -> None:
        """Listen no more, and end what nobody uses yet."""
        self._listener.close()
        for connection in list(self.pending):
            connection.abort()
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until what ``close`` cancelled has ended."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def dial(self, node: Node) -> Connection:
        """Return a connection that is being made with the node. Raises ``OSError``."""
        host, port = parse_address(node.address)
        connection = self._begin(node.id, node.address)
        try:
            await self._loop.create_connection(
                lambda: connection,
                host,
                port,
                ssl=self._trust.contexts.dialling if self._trust is not None else None,
                ssl_handshake_timeout=self._handshake_max_s,
                ssl_shutdown_timeout=self._closing_max_s,
            )
        except BaseException as error:
            self._fail(connection, error)
            raise
        return connection

    def certified(self, connection: Connection) -> Certified | None:
        """Return who the other side is by its certificate, None without TLS.

        Raises ``Refusal`` if the certificate is not trusted, or no more.
        """
        if self._trust is None or connection.transport is None:
            return None
        ssl_object = connection.transport.get_extra_info("ssl_object")
        return self._trust.certified(ssl_object) if ssl_object is not None else None

    def _accept(self, accepted: socket.socket, address: str) -> None:
        if len(self.pending) >= PENDING_CONNECTIONS_MAX:
            self._make_room()
        connection = self._begin(None, address)
        task = self._loop.create_task(self._adopt(accepted, connection))
        connection.making = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda made: accepted.close() if made.cancelled() else None)

    async def _adopt(self, accepted: socket.socket, connection: Connection) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._trust.contexts.accepting if self._trust is not None else None,
                ssl_handshake_timeout=self._handshake_max_s,
                ssl_shutdown_timeout=self._closing_max_s,
            )
        except OSError as error:
            self._fail(connection, error)

    def _fail(self, connection: Connection, error: BaseException) -> None:
        refusal = refusal_of(error) if self._trust is not None else None
        if refusal is not None and not connection.closed:
            self._owner.refused(connection, refusal)
        connection.close()

    def _make_room(self) -> None:
        """End the pending connection that is worth least: a stranger's before a peer's, an old before a new one."""
        hosts = self._hosts()

        def worth(pending: Connection) -> tuple[bool, bool]:
            return pending.peer is not None, parse_address(pending.address)[0] in hosts

        worth_least = min(self.pending, key=worth)
        self._owner.refused(worth_least, Refusal("crowd", str(len(self.pending))))
        worth_least.abort()

    def _begin(self, dialled: str | None, address: str) -> Connection:
        connection = Connection(self._owner, self._loop, dialled=dialled, address=address)
        self.pending[connection] = None
        return connection
