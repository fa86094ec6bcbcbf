"""A few transports in one loop, and what they heard."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from pysyncobj.node import Node

from raft.identity import Role, peer_node
from raft.protection import Protection, SharedSecret
from raft.transport import SecureTransport, TransportSettings

SECRET = SharedSecret(b"a secret of the tests' own making")
DEADLINE_S = 30.0


class Party:
    """One node: its transport and a record of its callbacks."""

    def __init__(self, name: str, *, protection: Protection = SECRET, cluster: str = "c1", **more: Any) -> None:
        role: Role = more.pop("role", "voter")
        bind: str = more.pop("bind", "127.0.0.1:0")
        self.name = name
        self.role = role
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.events: list[tuple[str, str]] = []
        self.refusals: list[tuple[str, str]] = []
        self.on_message: Callable[[Node, dict[str, Any]], None] = lambda _node, _message: None
        self.transport = SecureTransport(
            asyncio.get_running_loop(),
            TransportSettings(cluster, name, bind, protection, role),
            on_refused=lambda address, reason: self.refusals.append((address, reason)),
            **more,
        )
        self.transport.setOnMessageReceivedCallback(self._message)
        self.transport.setOnNodeConnectedCallback(lambda node: self.events.append(("connected", node.id)))
        self.transport.setOnNodeDisconnectedCallback(lambda node: self.events.append(("disconnected", node.id)))
        self.transport.setOnReadonlyNodeConnectedCallback(lambda node: self.events.append(("replica", node.id)))
        self.transport.tryGetReady()

    def _message(self, node: Node, message: dict[str, Any]) -> None:
        self.messages.append((node.id, message))
        self.on_message(node, message)

    @property
    def address(self) -> str:
        assert self.transport.address is not None
        return self.transport.address

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def meet(self, other: "Party") -> Node:
        """Add the other as a peer."""
        node = peer_node(other.name, other.address, other.role)
        self.transport.addNode(node)
        return node

    def texts(self) -> list[Any]:
        return [message["text"] for _, message in self.messages]


@contextlib.asynccontextmanager
async def closing(*parties: Party) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for party in parties:
            party.transport.destroy()
            await party.transport.wait_closed()
        await asyncio.sleep(0.01)


async def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> None:
    """Wait for the condition; fail when it does not come true in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while not condition():
        assert loop.time() < end, "the condition did not come true in time"
        await asyncio.sleep(0.005)


def node_of(party: Party, name: str) -> Node:
    return party.transport._links[name].node
