"""Nodes reach one another, and only one another."""

import asyncio
from typing import Any

import pytest

from raft.errors import RaftError
from raft.identity import peer_node
from raft.protection import LoopbackOnly, Protection, SharedSecret
from tests.raft.net import SECRET, Party, closing, until

MODES = pytest.mark.parametrize("protection", [SECRET, LoopbackOnly()], ids=["secret", "loopback"])


@MODES
def test_messages_arrive_in_order_as_plain_values(protection: Protection) -> None:
    """What is sent arrives once, in order, with every plain value intact, tuples as lists."""

    async def run() -> None:
        a, b = Party("a", protection=protection), Party("b", protection=protection)
        async with closing(a, b):
            to_b = a.meet(b)
            to_a = b.meet(a)
            await until(lambda: a.transport.is_connected(to_b) and b.transport.is_connected(to_a))
            values: dict[str, Any] = {"type": "x", "entries": [(b"\0c", 1, 2**60)], "none": None, "yes": True}
            assert a.transport.send(to_b, values)
            for number in range(1000):
                assert a.transport.send(to_b, {"text": number})
            assert b.transport.send(to_a, {"text": "back"})
            await until(lambda: len(b.messages) == 1001 and a.messages)
            assert ("a", {**values, "entries": [[b"\0c", 1, 2**60]]}) == b.messages.pop(0)
            assert list(range(1000)) == b.texts()
            assert [("b", {"text": "back"})] == a.messages

    asyncio.run(run())


@MODES
def test_large_messages_pass_and_too_large_ones_are_refused(protection: Protection) -> None:
    """A message up to 16 MiB arrives; a larger one is an error of the sender."""

    async def run() -> None:
        a, b = Party("a", protection=protection), Party("b", protection=protection)
        async with closing(a, b):
            to_b = a.meet(b)
            b.meet(a)
            await until(lambda: a.transport.is_connected(to_b))
            assert a.transport.send(to_b, {"text": b"x" * (15 << 20)})
            await until(lambda: b.messages)
            assert 15 << 20 == len(b.messages[0][1]["text"])
            with pytest.raises(ValueError, match="above the limit"):
                a.transport.send(to_b, {"text": b"x" * (17 << 20)})

    asyncio.run(run())


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_nodes_that_dial_each_other_settle_on_one_connection(names: tuple[str, str]) -> None:
    """Simultaneous dials end in one connection on both sides, whoever starts first."""

    async def run() -> None:
        first, second = Party(names[0]), Party(names[1])
        async with closing(first, second):
            one, other = first.meet(second), second.meet(first)
            await until(lambda: first.transport.is_connected(one) and second.transport.is_connected(other))
            await until(lambda: not first.transport._doorway.pending and not second.transport._doorway.pending)
            assert first.transport.send(one, {"text": 1})
            assert second.transport.send(other, {"text": 2})
            await until(lambda: first.messages and second.messages)
            assert ("connected", second.name) == first.events[-1]
            assert ("connected", first.name) == second.events[-1]

    asyncio.run(run())


def test_a_stopped_node_comes_back() -> None:
    """A node that ends is told as disconnected, and connected again when it starts anew."""

    async def run() -> None:
        a, b = Party("a"), Party("b")
        async with closing(a):
            to_b = a.meet(b)
            b.meet(a)
            await until(lambda: a.transport.is_connected(to_b))
            bind = b.address
            async with closing(b):
                pass
            await until(lambda: ("disconnected", "b") in a.events)
            assert not a.transport.send(to_b, {"text": 1})
            again = Party("b", bind=bind)
            async with closing(again):
                again.meet(a)
                await until(lambda: a.transport.is_connected(to_b))
                assert [("connected", "b"), ("disconnected", "b")] == a.events[:2]
                assert ("connected", "b") == a.events[-1]
            assert [] == a.refusals

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"protection": SharedSecret(b"quite another secret, yes")}, "another shared secret"),
        ({"protection": LoopbackOnly()}, "the same protection"),
        ({"cluster": "c2"}, "another cluster"),
        ({"role": "replica"}, "another role"),
        ({"name": "c"}, "is not a member"),
        ({"name": "a"}, "own name"),
        ({"clock": lambda: 1e9}, "a clock that is far off"),
    ],
    ids=["secret", "mode", "cluster", "role", "unknown", "own-name", "clock"],
)
def test_who_does_not_belong_is_refused_and_told_why(changes: dict[str, Any], reason: str) -> None:
    """Wrong secret, protection, cluster, role, name or clock: refused, told on both sides, nothing delivered."""

    async def run() -> None:
        a = Party("a")
        stranger = Party(changes.pop("name", "b"), **changes)
        async with closing(a, stranger):
            known = peer_node("b", "127.0.0.1:1")
            a.transport.addNode(known)
            to_a = peer_node("a" if stranger.name != "a" else "z", a.address)
            stranger.transport.addNode(to_a)
            await until(lambda: any(reason in told for _, told in a.refusals))
            await until(
                lambda: any("refuses this node" in told or reason in told for _, told in stranger.refusals)
            )
            assert not a.transport.is_connected(known)
            assert not stranger.transport.is_connected(to_a)
            assert [] == a.events == stranger.events

    asyncio.run(run())


def test_without_proof_of_identity_only_loopback_addresses_are_allowed() -> None:
    """Neither secret nor certificates: an address others can reach is refused at the start."""

    async def run() -> None:
        with pytest.raises(RaftError, match="can be reached from other machines") as caught:
            Party("a", protection=LoopbackOnly(), bind="0.0.0.0:0")
        assert 3 == caught.value.exit_code
        a = Party("a", protection=LoopbackOnly())
        async with closing(a):
            with pytest.raises(RaftError, match="can be reached"):
                a.transport.addNode(peer_node("b", "192.0.2.1:7300"))

    asyncio.run(run())


def test_a_short_secret_is_refused() -> None:
    """A secret that could be guessed is refused at the start."""

    async def run() -> None:
        with pytest.raises(RaftError, match="at least 16"):
            Party("a", protection=SharedSecret(b"hunter2"))

    asyncio.run(run())


def test_an_address_in_use_is_a_clear_error() -> None:
    """Two nodes at one address: the second says which address is taken."""

    async def run() -> None:
        a = Party("a")
        async with closing(a):
            with pytest.raises(
                RaftError, match=f"cannot listen at {a.address}: Address already in use"
            ) as caught:
                Party("b", bind=a.address)
            assert 3 == caught.value.exit_code

    asyncio.run(run())


def test_the_newest_process_under_a_name_wins_for_good() -> None:
    """A second process under a name replaces the first, which is refused from then on and told so."""

    async def run() -> None:
        a, old = Party("a"), Party("b")
        new = Party("b")
        async with closing(a, old, new):
            to_b = a.meet(old)
            old.meet(a)
            await until(lambda: a.transport.is_connected(to_b))
            to_a = new.meet(a)
            await until(lambda: new.transport.is_connected(to_a))
            await until(lambda: any("replaced by a newer process" in told for _, told in a.refusals))
            await until(lambda: any("replaced by a newer process" in told for _, told in old.refusals))
            assert new.transport.send(to_a, {"text": "new"})
            await until(lambda: a.messages)
            assert a.transport.is_connected(to_b)

    asyncio.run(run())


def test_a_replica_is_told_apart_from_voters() -> None:
    """A node with the role of a replica is announced as one that only reads."""

    async def run() -> None:
        a, r = Party("a"), Party("r", role="replica")
        async with closing(a, r):
            a.meet(r)
            r.meet(a)
            await until(lambda: a.events and r.events)
            assert ([("replica", "r")], [("connected", "a")]) == (a.events, r.events)

    asyncio.run(run())


def test_bulk_lets_other_messages_pass() -> None:
    """A small message sent after many bulk ones overtakes them; the bulk keeps its order."""

    async def run() -> None:
        a, b = Party("a"), Party("b")
        async with closing(a, b):
            to_b = a.meet(b)
            b.meet(a)
            await until(lambda: a.transport.is_connected(to_b))
            for number in range(100):
                assert a.transport.send(to_b, {"text": number, "data": b"x" * (256 << 10)}, bulk=True)
            assert a.transport.send(to_b, {"text": "heartbeat"})
            await until(lambda: len(b.messages) == 101)
            assert b.texts().index("heartbeat") < 10
            assert list(range(100)) == [text for text in b.texts() if text != "heartbeat"]
            await until(lambda: a.transport.backlog_bytes(to_b) == 0)

    asyncio.run(run())


def test_a_dropped_node_is_gone_at_once() -> None:
    """A node dropped from the cluster is disconnected and cannot come back."""

    async def run() -> None:
        a, b = Party("a"), Party("b")
        async with closing(a, b):
            to_b = a.meet(b)
            to_a = b.meet(a)
            await until(lambda: a.transport.is_connected(to_b) and b.transport.is_connected(to_a))
            a.transport.dropNode(to_b)
            assert not a.transport.send(to_b, {"text": 1})
            await until(lambda: any("is not a member" in told for _, told in a.refusals))
            assert not b.transport.is_connected(to_a)

    asyncio.run(run())
