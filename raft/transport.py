"""Messages between nodes: authenticated, ordered, limited; the library's transport without its pickles.

Everything runs in the one thread whose event loop is given; callbacks are called there. A callback that
raises ends the connection whose message it was given, and the loop's exception handler hears of it.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from raft.connection import Connection
from raft.doorway import Doorway
from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.frames import FRAME_BYTES_MAX, encode_message
from raft.handshake import Established, Handshake
from raft.identity import Certified, LocalIdentity, Passport, Role, parse_address
from raft.link import Link
from raft.protection import Protection, SharedSecret, TlsFiles, check_protection
from raft.refusal import Refusal
from raft.refusal_log import RefusalLog
from raft.seal import stretch_secret
from raft.status import CertificateStatus
from raft.trust import Trust

PING_INTERVAL_S: Final = 1.0
SILENCE_MAX_S: Final = 4.0
"""A connection on which nothing came for so long is dead: pings come four times as often."""

_LOOK_PINGS: Final = 2
"""Between two looks at the files that prove who the nodes are."""


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Who this node is and where it listens (``IP:PORT``)."""

    cluster: str
    node: str
    bind: str
    protection: Protection
    role: Role = "voter"


class SecureTransport(Transport):  # type: ignore[misc]  # the library has no types
    """Connects this node with the nodes it is told of by ``addNode``; drops everyone else.

    Nodes are made by ``raft.identity.peer_node``. ``on_refused`` gets the address and the reason of every
    refused connection, rate-limited. Raises ``RaftError`` if the protection does not suffice for the addresses.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: TransportSettings,
        peers: Iterable[Node] = (),
        *,
        on_refused: Callable[[str, str], None],
        passport: Passport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(None, None, [])
        check_protection(settings.protection, (settings.bind,))
        self._loop = loop
        self._settings = settings
        self._local = LocalIdentity(
            settings.cluster,
            settings.node,
            settings.role,
            secrets.token_bytes(16),
            clock,
            passport or Passport(),
        )
        protection = settings.protection
        own = Certified(settings.cluster, settings.node, settings.role)
        self._trust = Trust(protection, own) if isinstance(protection, TlsFiles) else None
        self._cluster_key = (
            stretch_secret(protection.octets, settings.cluster)
            if isinstance(protection, SharedSecret)
            else None
        )
        self._refusals = RefusalLog(on_refused, time.monotonic)
        self._doorway = Doorway(loop, self, self._trust, self._hosts)
        self._links: dict[str, Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ping_timer: asyncio.TimerHandle | None = None
        self._ping_due = 0.0
        self._pings = 0
        self.address: str | None = None
        """Where this node listens, once it does."""
        self._destroyed = False
        for peer in peers:
            self.addNode(peer)

    @property
    def ready(self) -> bool:
        """Whether this node listens."""
        return self.address is not None

    def tryGetReady(self) -> None:  # noqa: N802
        """Listen and begin to dial; once. Raises ``RaftError`` if the address cannot be bound."""
        if self.ready or self._destroyed:
            return
        self.address = self._doorway.open(self._settings.bind)
        for link in self._links.values():
            link.task = self._spawn(link.keep())
        self._ping_due = self._loop.time() + PING_INTERVAL_S
        self._ping_timer = self._loop.call_at(self._ping_due, self._ping_all)

    def check_member(self, _name: str, address: str) -> None:
        """Raise ``RaftError`` for the address of a member that the protection does not suffice for."""
        check_protection(self._settings.protection, (address,))

    def addNode(self, node: Node) -> None:  # noqa: N802
        """Keep a connection with this node. Raises ``RaftError`` for an address the protection does not suffice for."""
        check_protection(self._settings.protection, (node.address,))
        if node.id == self._settings.node:
            raise RaftError(
                f"The node {node.id} is listed as its own peer; give every node a name of its own.",
                exit_code=EXIT_WRONG_SETUP,
            )
        self.dropNode(node)
        decides = self._settings.node < node.id
        link = self._links[node.id] = Link(node, self._doorway.dial, decides=decides)
        if self.ready:
            link.task = self._spawn(link.keep())

    def dropNode(self, node: Node) -> None:  # noqa: N802
        """Forget this node and close its connections, without a callback."""
        link = self._links.pop(node.id, None)
        if link is not None:
            link.stop()
            for connection in list(self._doorway.pending):
                if connection.peer == node.id:
                    connection.close()

    def send(self, node: Node, message: dict[str, Any], *, bulk: bool = False) -> bool:
        """Send a message of plain values; False if there is no connection or it ends by being too far behind.

        Bulk messages are kept in order among themselves and let all others pass; give them in pieces of at
        most 256 KiB. Raises ``ValueError`` for a message above 16 MiB.
        """
        link = self._links.get(node.id)
        if link is None or link.current is None:
            return False
        payload = encode_message(message)
        if len(payload) > FRAME_BYTES_MAX:
            raise ValueError(f"a message of {len(payload)} octets is above the limit of {FRAME_BYTES_MAX}")
        return link.current.send(payload, bulk=bulk)

    def push(self) -> None:
        """Let all that was sent leave now: whoever calls this is about to keep the loop from turning."""
        for link in self._links.values():
            if link.current is not None:
                link.current.push()

    def backlog_bytes(self, node: Node) -> int:
        """How many octets wait to be sent to this node; a sender of bulk keeps this small."""
        link = self._links.get(node.id)
        return link.current.backlog_bytes if link is not None and link.current is not None else 0

    def is_connected(self, node: Node) -> bool:
        """Tell whether there is a connection in use with this node."""
        link = self._links.get(node.id)
        return link is not None and link.current is not None

    def history_of(self, node: Node) -> str:
        """Return the log that this node was committed to when it connected; empty for none, or no connection."""
        link = self._links.get(node.id)
        if link is None or link.current is None or link.current.established is None:
            return ""
        return link.current.established.history

    def directory_of(self, node: Node) -> str:
        """Return the data directory with which this node is connected; empty when it is not."""
        link = self._links.get(node.id)
        if link is None or link.current is None or link.current.established is None:
            return ""
        return link.current.established.directory

    def last_contact(self, node: Node) -> float | None:
        """When anything was last heard from this node, on ``time.monotonic``; None: never."""
        link = self._links.get(node.id)
        return link.heard_at if link is not None else None

    @property
    def certificate(self) -> CertificateStatus | None:
        """How this node's certificate is; None without certificates."""
        return self._trust.status if self._trust is not None else None

    def reload(self) -> None:
        """Read certificates and the list of refused ones again; close what they do not allow any more."""
        if self._trust is not None and self._trust.reload():
            self._close_untrusted()

    def destroy(self) -> None:
        """Close everything; no callback is called any more. ``wait_closed`` lets the rest end."""
        self._destroyed = True
        self._onMessageReceivedCallback = None
        self._onNodeConnectedCallback = self._onNodeDisconnectedCallback = None
        self._onReadonlyNodeConnectedCallback = self._onReadonlyNodeDisconnectedCallback = None
        self._doorway.close()
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        for link in list(self._links.values()):
            self.dropNode(link.node)
        for task in self._tasks:
            task.cancel()
        self.address = None

    async def wait_closed(self) -> None:
        """Wait until what ``destroy`` cancelled has ended."""
        await self._doorway.wait_closed()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # What connections call

    def handshake(self, connection: Connection) -> Handshake:
        """Return the handshake for a connection just made."""
        return Handshake(
            self._local,
            meant=connection.dialled,
            role_of=self._role_of,
            cluster_key=self._cluster_key,
            certified=self._doorway.certified(connection),
        )

    def handshake_done(self, connection: Connection) -> None:
        """Take the proven connection, or leave the decision to the other side."""
        assert connection.established is not None
        link = self._links.get(connection.established.node)
        if link is None:
            raise Refusal("unknown", connection.established.node)
        if link.is_superseded(connection.established.instance):
            raise Refusal("superseded", connection.established.node)
        self._check_founders(connection.established)
        if link.decides:
            connection.choose()
            self._use(link, connection)

    def _check_founders(self, peer: Established) -> None:
        """Refuse who would found another cluster than this node, if both have a say in that.

        Only who has proved his name may hold a founding up, and each side sees for itself.
        """
        own = self._local.passport.founders()
        if own and peer.founders not in ("", own) and {peer.role, self._local.role} == {"voter"}:
            raise Refusal("founders", peer.node)

    def use_chosen(self, connection: Connection) -> None:
        """Use the connection the other side chose."""
        assert connection.established is not None
        link = self._links.get(connection.established.node)
        if link is None or link.decides:
            raise Refusal("protocol", "decides what is not its to decide")
        self._use(link, connection)

    def message_received(self, connection: Connection, message: dict[str, Any]) -> None:
        """Hand the message to the log."""
        assert connection.established is not None
        link = self._links.get(connection.established.node)
        if link is not None and link.current is connection:
            self._onMessageReceived(link.node, message)

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """Tell of a refusal."""
        if connection.peer is not None:
            self._local.passport.refused(connection.peer, refusal)
        self._refusals.tell(connection.address, refusal.word, refusal.reason)

    def connection_closed(self, connection: Connection) -> None:
        """Forget the connection; tell the log if it was the one in use."""
        self._doorway.pending.pop(connection, None)
        link = self._links.get(connection.peer or "")
        if link is not None and link.lose(connection):
            self._tell_disconnected(link.node)

    # Inner workings

    def _use(self, link: Link, connection: Connection) -> None:
        self._doorway.pending.pop(connection, None)
        was_connected = link.current is not None
        link.use(connection)
        if was_connected:
            self._tell_disconnected(link.node)
        if connection.closed or link.current is not connection:
            return
        if link.node.role == "replica":
            self._onReadonlyNodeConnected(link.node)
        else:
            self._onNodeConnected(link.node)

    def _tell_disconnected(self, node: Node) -> None:
        if node.role == "replica":
            self._onReadonlyNodeDisconnected(node)
        else:
            self._onNodeDisconnected(node)

    def _role_of(self, name: str) -> Role | None:
        link = self._links.get(name)
        return link.node.role if link is not None else None

    def _hosts(self) -> set[str]:
        return {parse_address(link.node.address)[0] for link in self._links.values()}

    def _ping_all(self) -> None:
        now = self._loop.time()
        slept = now - self._ping_due > PING_INTERVAL_S  # then what came meanwhile is not read yet
        for link in self._links.values():
            link.ping(None if slept else SILENCE_MAX_S)
        self._look_at_files()
        self._ping_due = now + PING_INTERVAL_S
        self._ping_timer = self._loop.call_at(self._ping_due, self._ping_all)

    def _look_at_files(self) -> None:
        self._pings += 1
        if self._trust is not None and self._pings % _LOOK_PINGS == 0:
            self._trust.tell_of_time()
            if self._trust.look():
                self._close_untrusted()

    def _close_untrusted(self) -> None:
        links = (link.current for link in self._links.values())
        for connection in [*self._doorway.pending, *(each for each in links if each is not None)]:
            try:
                self._doorway.certified(connection)
            except Refusal as refusal:
                connection.refuse(refusal)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
