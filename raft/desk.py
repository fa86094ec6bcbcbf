"""Where callers are served: proposals, changes and barriers of this node's callers, and of other nodes'.

What is asked on a follower travels to the leader once and is never repeated by itself. Every caller is told
something in time: committed, not committed, or unknown.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from raft.changing import Changes
from raft.core import Core
from raft.deadlines import Deadlines
from raft.elections import Message
from raft.errors import RaftError
from raft.library import LEADER, Node, now_s
from raft.membership import BadMembership, Change, RefusedChange, decode_change, encode_change
from raft.pending import Pending
from raft.proposal import Committed, NotCommitted, Outcome, Unknown
from raft.settings import RaftSettings
from raft.waiting import Waiting

LEADER_WAIT_S = 1.5
"""So long a proposal waits for a leader to appear before it is refused."""
BARRIERS_MAX = 10_000
"""Barriers that wait for one round of messages, however many other nodes ask for."""
_READ_ONLY = NotCommitted("read-only", "this node is a replica, which only serves; ask a node that votes")
_STOPPING = NotCommitted("stopped", "this node is stopping")
_UNHEARD = NotCommitted("no-quorum", "no majority answered within the time allowed")
_LATE = Unknown("no outcome within the time allowed")
_ENDED = Unknown("this node stopped while the entry was on its way")
_CHANGE_LATE = Unknown("no outcome within the time allowed; `qdns node list` tells who the members are")
_CHANGE_ENDED = Unknown("this node stopped while the change was on its way")


@dataclass(slots=True)
class _Held:
    """Something that waits for a leader."""

    until_s: float
    command: bytes | Change | None
    """None for a read barrier."""
    pending: Pending
    not_before_s: float = 0.0
    """When it may be tried again, after the node that was asked turned out to lead no more."""


@dataclass(slots=True)
class _Barrier:
    """A leader's barrier that waits for a majority to acknowledge a round."""

    round: int
    index: int
    held: _Held | None = None
    """What a caller of this node asked for; or else"""
    node: Node | None = None
    """who asked, with this number."""
    number: int = 0


class Desk:
    """Serves the callers of one core; every method runs in the log's thread."""

    def __init__(
        self,
        settings: RaftSettings,
        loop: asyncio.AbstractEventLoop,
        core: Core,
        changes: Changes,
        wake: Callable[[], None],
    ) -> None:
        self.is_leaving = False
        """Whether this node takes nothing new."""
        self.waiting = Waiting()
        self._settings = settings
        self._deadlines = Deadlines(loop)
        self.core = core
        self._changes = changes
        self._wake = wake
        self._held: deque[_Held] = deque()
        self._barriers: deque[_Barrier] = deque()
        self._forwarded: dict[int, _Held] = {}
        self._number = int.from_bytes(os.urandom(6), "big")
        """Of the latest request to a leader. It begins anywhere: a leader may still answer this node's last process,
        and must not be heard by whoever waits under the same number in this one."""

    def run(self) -> None:
        """Go on with what can go on."""
        self._settle_barriers()
        self._try_held()

    def close(self) -> None:
        """Decide all that waits."""
        self.is_leaving = True
        for held in self._held:
            held.pending.settle(_STOPPING)
        self._deadlines.end()

    def leader_changed(self) -> None:
        """End what the former leader was to decide."""
        self.waiting.end_all("the leader changed while the entry was on its way")
        self._lose_all()
        while self._barriers:
            self._answer_barrier(self._barriers.popleft(), None)

    # --- proposals --------------------------------------------------------------------------------------

    def propose(self, command: bytes, pending: Pending, timeout_s: float) -> None:
        """Append here, forward to the leader, or wait a little for one."""
        self._take(command, pending, timeout_s, _LATE, _ENDED)

    def read_barrier(self, pending: Pending, timeout_s: float) -> None:
        """Ask the leader how far the log is committed, and wait until that is applied here."""
        self._take(None, pending, timeout_s, _UNHEARD, _STOPPING)

    def change_members(self, change: Change, pending: Pending, timeout_s: float) -> None:
        """Have the leader change who belongs to the cluster."""
        self._take(change, pending, timeout_s, _CHANGE_LATE, _CHANGE_ENDED)

    def _take(
        self,
        command: bytes | Change | None,
        pending: Pending,
        timeout_s: float,
        at_deadline: Outcome,
        at_end: Outcome,
    ) -> None:
        """See to it that the caller is told something in time, then begin."""
        if self.is_leaving:
            pending.settle(_STOPPING)
            return
        seat = self.core.seat
        if command is not None and seat is not None and seat.role == "replica":
            pending.settle(_READ_ONLY)
            return
        self._deadlines.add(pending, timeout_s, at_deadline, at_end)
        patience_s = timeout_s * 0.9 if isinstance(command, Change) else min(timeout_s * 0.9, LEADER_WAIT_S)
        held = _Held(now_s() + patience_s, command, pending)
        if not self._begin(held):
            self._held.append(held)
        self._wake()

    def _begin(self, held: _Held) -> bool:
        """Start what was asked for if there is a leader; say whether it was started."""
        core = self.core
        if now_s() < held.not_before_s:
            return False
        if core.role == LEADER:
            if held.command is not None and core.is_handing_over:
                return False
            if isinstance(held.command, Change):
                return self._begin_change(held, held.command)
            if held.command is not None and not core.has_room:
                held.pending.settle(NotCommitted("busy", "too much in the log waits for a majority already"))
                return True
            if held.command is not None:
                index, term = core.append(held.command)
                self.waiting.add(index, term, held.pending)
                return True
            if core.is_open:
                self._begin_barrier(_Barrier(0, core.commit_index, held))
                return True
            return False
        if core.leader is None or core.leader not in core.connected:
            return False
        self._forward(core.leader, held)
        return True

    def _begin_change(self, held: _Held, change: Change) -> bool:
        try:
            place = self._changes.begin(change)
        except (RefusedChange, RaftError) as refusal:
            held.pending.settle(NotCommitted("refused", str(refusal)))
            return True
        if place is None:
            held.not_before_s = now_s() + self._settings.heartbeat_s
            return False
        self._wait_at(*place, held.pending)
        return True

    def _wait_at(self, index: int, term: int, pending: Pending) -> None:
        if term == 0:
            self._wait_applied(index, pending)
        else:
            self.waiting.add(index, term, pending)

    def _forward(self, leader: Node, held: _Held) -> None:
        self._number += 1
        number = self._number
        kind = _request(held.command)
        self._forwarded[number] = held
        held.pending.add_done_callback(lambda _: self._forwarded.pop(number, None))
        if not self.core.wire.send(leader, {**kind, "number": number}):
            self._lose(number)  # the connection ended on it, and some of it may have left

    def peer_lost(self, node: Node) -> None:
        """If this was the leader, what it was asked, or its answers, went with the connection."""
        if node is self.core.leader:
            self._lose_all()

    def _lose_all(self) -> None:
        for number in list(self._forwarded):
            self._lose(number)

    def _lose(self, number: int) -> None:
        """The answer will not come: ask anew what only reads, for what writes nobody can tell."""
        held = self._forwarded.pop(number, None)
        if held is None:
            return  # sending ended the connection, and with it all that was forwarded
        if held.command is None:
            self._held.append(held)
        else:
            held.pending.settle(Unknown("the connection or the leader went while the entry was on its way"))

    def _hold_again(self, held: _Held) -> None:
        """Nothing was done about it: try again a little later."""
        held.not_before_s = now_s() + self._settings.heartbeat_s
        self._held.append(held)

    def _try_held(self) -> None:
        """Start what waited for a leader; refuse what waited long enough."""
        for _ in range(len(self._held)):
            held = self._held.popleft()
            if held.pending.done() or self._begin(held):
                continue
            if now_s() < held.until_s:
                self._held.append(held)
            else:
                held.pending.settle(
                    NotCommitted("no-leader", "no leader is known; a majority of nodes is needed")
                )

    # --- what other nodes ask and answer ----------------------------------------------------------------

    def on_request(self, node: Node, message: Message) -> None:
        """Take a proposal or a barrier of a peer, or the answer to one of ours."""
        kind = message["type"]
        if kind == "propose" and isinstance(message["command"], bytes):
            self._take_proposal(node, message)
        elif kind == "change":
            self._take_change(node, message)
        elif kind == "read_index":
            self._take_barrier(node, message["number"])
        elif kind == "proposed":
            self._take_place(message)
        elif kind == "read_index_reply":
            self._take_read_index(message)

    def _takes_from(self, node: Node) -> bool:
        """Say whether this node leads and goes on doing so, and the other one may ask it for entries."""
        core = self.core
        return (
            core.role == LEADER and not core.is_handing_over and not self.is_leaving and core.is_elector(node)
        )

    def _take_proposal(self, node: Node, message: Message) -> None:
        core = self.core
        reply: Message = {"type": "proposed", "number": message["number"], "index": None, "term": core.term}
        is_taken = self._takes_from(node) and core.has_room
        if is_taken and len(message["command"]) <= self._settings.proposal_bytes_max:
            reply["index"], reply["term"] = core.append(message["command"])
        core.wire.send(node, reply)

    def _take_change(self, node: Node, message: Message) -> None:
        """Take a change of members from a peer that may ask for one."""
        core = self.core
        reply: Message = {"type": "proposed", "number": message["number"], "index": None, "term": 0}
        if self._takes_from(node):
            try:
                place = self._changes.begin(decode_change(message["change"]))
            except (RefusedChange, BadMembership, RaftError) as refusal:
                reply["refused"] = str(refusal)
            else:
                reply["index"], reply["term"] = place if place is not None else (None, 0)
        core.wire.send(node, reply)

    def _take_place(self, message: Message) -> None:
        """Wait for the entry that the leader made of our proposal."""
        held = self._forwarded.pop(message["number"], None)
        if held is None:
            return
        index, term = message["index"], message["term"]
        if "refused" in message:
            held.pending.settle(NotCommitted("refused", str(message["refused"])))
        elif index is None:
            self._hold_again(held)
        elif term != 0 and index <= self.core.applied_index:
            held.pending.settle(Unknown("the entry's place was passed before its outcome was known"))
        else:
            self._wait_at(index, term, held.pending)

    def _take_barrier(self, node: Node, number: int) -> None:
        core = self.core
        if core.is_open and len(self._barriers) < BARRIERS_MAX:
            self._begin_barrier(_Barrier(0, core.commit_index, None, node, number))
        else:
            core.wire.send(node, {"type": "read_index_reply", "number": number, "index": None})

    def _take_read_index(self, message: Message) -> None:
        held = self._forwarded.pop(message["number"], None)
        if held is None:
            return
        if message["index"] is None:
            self._hold_again(held)
        else:
            self._wait_applied(message["index"], held.pending)

    def _wait_applied(self, index: int, pending: Pending) -> None:
        if self.core.applied_index >= index:
            pending.settle(Committed(index, None))
        else:
            self.waiting.add(index, 0, pending)

    def _begin_barrier(self, barrier: _Barrier) -> None:
        """Have the next round of messages prove that this node still leads."""
        barrier.round = self.core.round + 1
        self.core.append_due_s = 0.0
        self._barriers.append(barrier)

    def _settle_barriers(self) -> None:
        core = self.core
        while self._barriers and core.role == LEADER and core.round_is_heard(self._barriers[0].round):
            if self._barriers[0].round > core.round:
                return
            barrier = self._barriers.popleft()
            self._answer_barrier(barrier, barrier.index)

    def _answer_barrier(self, barrier: _Barrier, index: int | None) -> None:
        if barrier.node is not None:
            self.core.wire.send(
                barrier.node, {"type": "read_index_reply", "number": barrier.number, "index": index}
            )
        elif barrier.held is not None and index is not None:
            self._wait_applied(index, barrier.held.pending)
        elif barrier.held is not None:
            self._hold_again(barrier.held)


def _request(command: bytes | Change | None) -> Message:
    """Return what a follower asks of the leader."""
    if command is None:
        return {"type": "read_index"}
    if isinstance(command, Change):
        return {"type": "change", "change": encode_change(command)}
    return {"type": "propose", "command": command}
