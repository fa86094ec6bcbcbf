"""The parts of a replica as its settings ask for them: the journal, and the transport or none."""

import asyncio
from typing import Any

import structlog
from pysyncobj.transport import Transport

from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.identity import Passport, is_loopback
from raft.journal import JournalIdentity, WalJournal
from raft.library import Node, VolatileJournal
from raft.protection import LoopbackOnly, Protection, SharedSecret
from raft.settings import RaftSettings
from raft.transport import SecureTransport, TransportSettings

logger = structlog.get_logger()


def open_journal(settings: RaftSettings, *, alone: bool) -> Any:
    """Open the journal in the data directory; a node alone may do without one. Raises ``RaftError``."""
    if settings.data_dir is not None:
        identity = JournalIdentity(settings.cluster, settings.node)
        return WalJournal(settings.data_dir / "journal", identity)
    if alone:
        return VolatileJournal()
    raise RaftError(
        "A cluster of several nodes needs a data directory: what a node forgets, others may believe it said.",
        exit_code=EXIT_WRONG_SETUP,
    )


def make_transport(
    settings: RaftSettings, peers: list[Node], loop: asyncio.AbstractEventLoop, passport: Passport
) -> Any:
    """Make the transport with the protection that the settings ask for. Raises ``RaftError``."""
    if not peers and _stays_alone(settings):
        return SoleTransport(settings.node)
    protection: Protection = LoopbackOnly()
    if settings.tls is not None:
        protection = settings.tls
    elif settings.secret:
        protection = SharedSecret(settings.secret)
    own = TransportSettings(settings.cluster, settings.node, settings.bind, protection, settings.role)
    return SecureTransport(loop, own, peers, on_refused=_tell_refusal, passport=passport)


def _stays_alone(settings: RaftSettings) -> bool:
    """Say whether nobody can ever join: nothing is kept, or nothing protects what others would be told."""
    is_open = settings.tls is None and not settings.secret and not is_loopback(settings.bind)
    return settings.data_dir is None or is_open


def _tell_refusal(address: str, reason: str) -> None:
    logger.warning("connection.refused", address=address, detail=reason)


class SoleTransport(Transport):  # type: ignore[misc]  # the library has no types
    """The transport of a cluster of one: there is nobody to talk to."""

    ready = True
    certificate = None

    def __init__(self, own: str) -> None:
        super().__init__(None, None, [])
        self._own = own

    def check_member(self, name: str, _address: str) -> None:
        """Refuse to be two. Raises ``RaftError``."""
        if name != self._own:
            raise RaftError(
                f"{name} cannot join: this node keeps nothing, or has neither certificates nor a secret to know it by.",
                exit_code=EXIT_WRONG_SETUP,
            )

    def addNode(self, node: Node) -> None:  # noqa: N802
        """Refuse to be two. Raises ``RaftError``."""
        self.check_member(str(node.id), str(node.address))

    def dropNode(self, _node: Node) -> None:  # noqa: N802
        """Drop nobody."""

    def history_of(self, _node: Node) -> str:
        """Nobody comes with one."""
        return ""

    def directory_of(self, _node: Node) -> str:
        """Nobody comes with one."""
        return ""

    def last_contact(self, _node: Node) -> float | None:
        """Nobody is heard."""
        return None

    def send(self, _node: Node, _message: dict[str, Any]) -> bool:
        """Reach nobody."""
        return False

    def push(self) -> None:
        """Nothing waits to leave."""

    def backlog_bytes(self, _node: Node) -> int:
        """Nothing waits for nobody."""
        return 0

    def reload(self) -> None:
        """Nobody is shown a certificate."""

    def destroy(self) -> None:
        """Close nothing."""

    async def wait_closed(self) -> None:
        """Wait for nothing."""
