"""Who a connection comes from, as the port between nodes sees it."""

import asyncio

import pytest

from raft.doorway import PENDING_CONNECTIONS_MAX
from raft.errors import RaftError
from raft.identity import peer_node
from raft.listener import socket_address
from tests.raft.net import Party, closing, until


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("192.0.2.1", 7300), "192.0.2.1:7300"),
        (("2001:db8::1", 7300, 0, 0), "[2001:db8::1]:7300"),
        (("::ffff:192.0.2.1", 7300, 0, 0), "192.0.2.1:7300"),
    ],
)
def test_an_address_has_one_form(address: tuple[str, int], text: str) -> None:
    """An IPv4 address is written as one, also where a socket of both families heard of it (RFC 4291 section 2.5.5.2)."""
    assert text == socket_address(address[:2])


def test_a_peer_is_known_by_its_address_on_a_socket_of_both_families() -> None:
    """When strangers crowd the port, a peer's host goes before theirs, whatever family the port listens on."""

    async def run() -> None:
        try:
            b = Party("b", bind="[::]:0")
        except (OSError, RaftError):  # a machine without IPv6
            pytest.skip("no IPv6 here")
        async with closing(b):
            b.transport.addNode(peer_node("a", "127.0.0.1:1"))
            peers = [await asyncio.open_connection("127.0.0.1", b.port) for _ in range(2)]
            await until(lambda: b.transport._doorway.pending)
            strangers = [
                await asyncio.open_connection("::1", b.port) for _ in range(PENDING_CONNECTIONS_MAX + 8)
            ]
            await until(lambda: any("too many" in reason for _, reason in b.refusals))
            hosts = [each.address.rpartition(":")[0] for each in b.transport._doorway.pending]
            assert 2 == hosts.count("127.0.0.1")
            for _, writer in (*peers, *strangers):
                writer.close()

    asyncio.run(run())
