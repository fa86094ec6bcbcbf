"""What other nodes may ask of a leader at once."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from raft.desk import BARRIERS_MAX, Desk
from raft.elections import Message
from raft.library import FOLLOWER, LEADER, Node
from raft.pending import Pending
from raft.proposal import NotCommitted, Unknown
from raft.settings import RaftSettings


class Wire:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, _node: Node, message: Message) -> bool:
        self.sent.append(message)
        return True


def test_barriers_that_others_ask_for_are_bounded() -> None:
    """Beyond the bound they are told to ask again, until a round of messages has answered those before."""
    wire = Wire()
    core: Any = SimpleNamespace(
        is_open=True,
        commit_index=7,
        round=1,
        append_due_s=1.0,
        role=LEADER,
        wire=wire,
        round_is_heard=lambda _: True,
    )
    loop = asyncio.new_event_loop()
    try:
        desk = Desk(cast("RaftSettings", None), loop, core, cast("Any", None), lambda: None)
        for number in range(BARRIERS_MAX + 1):
            desk.on_request(Node("n2"), {"type": "read_index", "number": number})
        assert [(BARRIERS_MAX, None)] == [(each["number"], each["index"]) for each in wire.sent]
        core.round = 2
        desk.run()
        assert BARRIERS_MAX + 1 == len(wire.sent)
        desk.on_request(Node("n2"), {"type": "read_index", "number": BARRIERS_MAX + 1})
        assert BARRIERS_MAX + 1 == len(wire.sent)
    finally:
        loop.close()


def test_a_connection_that_ends_on_what_is_forwarded_ends_no_more() -> None:
    """Too much at once ends the connection in the midst of sending: the caller is told, and the log goes on."""
    leader = Node("n2")
    core: Any = SimpleNamespace(role=FOLLOWER, seat=None, leader=leader, connected={leader})

    class Ending(Wire):
        def send(self, node: Node, message: Message) -> bool:
            super().send(node, message)
            desk.peer_lost(node)
            return False

    core.wire = Ending()
    loop = asyncio.new_event_loop()
    try:
        desk = Desk(cast("RaftSettings", None), loop, core, cast("Any", None), lambda: None)
        written, read = Pending(), Pending()
        desk.propose(b"x", written, 5.0)
        assert isinstance(written.result(0), Unknown)
        desk.read_barrier(read, 5.0)
        assert not read.done()  # it only reads, and is asked anew
        desk.close()
        assert isinstance(read.result(0), NotCommitted)
    finally:
        loop.close()


def test_proposals_wait_while_another_takes_over() -> None:
    """Those of this node wait here, those of others there; none is appended by a leader that goes."""
    appended: list[bytes] = []

    def append(command: bytes) -> tuple[int, int]:
        appended.append(command)
        return len(appended), 1

    core: Any = SimpleNamespace(
        role=LEADER, seat=None, has_room=True, is_handing_over=True, term=1, wire=Wire(), append=append
    )
    core.is_elector = lambda _: True
    loop = asyncio.new_event_loop()
    try:
        settings = RaftSettings("n1", {}, "", "test", None, None)
        desk = Desk(settings, loop, core, cast("Any", None), lambda: None)
        asked = {"type": "propose", "command": b"theirs", "number": 1}
        desk.propose(b"ours", Pending(), 5.0)
        desk.on_request(Node("n2"), asked)
        desk.run()
        assert not appended
        assert [None] == [each["index"] for each in core.wire.sent]
        core.is_handing_over = False
        desk.run()
        desk.on_request(Node("n2"), asked)
        assert [b"ours", b"theirs"] == appended
    finally:
        loop.close()
