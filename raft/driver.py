"""What happens in the log's thread: ticks when they are due, proposals, barriers, and their deadlines."""

import asyncio
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import structlog

from raft.compaction import Compaction
from raft.core import Core
from raft.elections import Message
from raft.feed import Feed
from raft.identity import peer_node
from raft.library import LEADER, Node, now_s
from raft.machine import StateMachine
from raft.opening import SoleTransport, make_transport, open_journal
from raft.proposal import Committed, NotCommitted, Outcome, Unknown
from raft.report import Report
from raft.settings import RaftSettings
from raft.snapshots import SnapshotDamaged, SnapshotStore
from raft.waiting import Waiting, settle

logger = structlog.get_logger()

TICK_S = 0.01
"""The longest time between two ticks."""
LEADER_WAIT_S = 1.5
"""So long a proposal waits for a leader to appear before it is refused."""
_STOPPING = NotCommitted("stopped", "this node is stopping")


@dataclass(slots=True)
class _Held:
    """Something that waits for a leader."""

    until_s: float
    command: bytes | None
    """None for a read barrier."""
    future: "Future[Outcome]"
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


class Driver:
    """Drives one core; every method runs in the log's thread."""

    def __init__(self, settings: RaftSettings, machine: StateMachine, loop: asyncio.AbstractEventLoop) -> None:
        self._settings = settings
        self._machine = machine
        self._loop = loop
        self._wake = asyncio.Event()
        self._waiting = Waiting()
        self._held: deque[_Held] = deque()
        self._barriers: deque[_Barrier] = deque()
        self._forwarded: dict[int, _Held] = {}
        self._undecided: dict[Future[Outcome], Outcome] = {}
        """What each caller who waits is told if this node ends."""
        self._number = 0
        self._stop_at_s: float | None = None
        self._handed_over = False
        self._closed = False
        self._core: Core | None = None
        self._compaction: Compaction | None = None
        self._report: Report | None = None
        self._transport: Any = None
        self._journal: Any = None

    # --- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the journal and listen. Raises ``RaftError``."""
        settings = self._settings
        peers = [
            peer_node(name, address) for name, address in settings.members.items() if name != settings.node
        ]
        self._journal = open_journal(settings, alone=not peers)
        self._transport = make_transport(settings, peers, self._loop) if peers else SoleTransport()
        own = peer_node(settings.node, settings.members[settings.node])
        self._core = Core(settings, own, peers, self._journal, self._transport, self)
        self._compaction = self._make_compaction()
        self._compaction.load()
        self._report = Report(settings, self._core, self._transport, self._loop.time)
        self._note_status()

    def _make_compaction(self) -> Compaction:
        settings = self._settings
        store = None
        if settings.data_dir is not None:
            store = SnapshotStore(settings.data_dir / "snapshot", settings.cluster)
            self.core.feed = Feed(store, self._transport.backlog_bytes)
        return Compaction(
            self.core,
            self._machine,
            store,
            lambda: tuple(settings.members),
            settings.snapshot_entries,
            lambda: self._waiting.skipped_to(self.core.applied_index),
        )

    @property
    def core(self) -> Core:
        """The core, once it is open."""
        assert self._core is not None
        return self._core

    @property
    def compaction(self) -> Compaction:
        """What keeps the log short, once it is open."""
        assert self._compaction is not None
        return self._compaction

    async def run(self) -> None:
        """Tick until stopped. Raises ``RaftError`` when the log cannot go on."""
        while self._stop_at_s is None or now_s() < self._stop_at_s:
            self._wake.clear()
            self.core.tick()
            self._settle_barriers()
            self._try_held()
            self.compaction.run()
            self._note_status()
            if self._stop_at_s is not None and self._has_left():
                return
            if not self.core.is_behind:
                await self._pause()
            else:
                await asyncio.sleep(0)

    async def _pause(self) -> None:
        wait_s = min(TICK_S, max(0.0, self.core.next_due_s - now_s()))
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    def stop(self, until_s: float) -> None:
        """Take nothing new, hand leadership over if this node leads, then end ``run``."""
        self._stop_at_s = until_s
        self._wake.set()

    def _has_left(self) -> bool:
        """Say whether this node leads no more, or nobody is there to take over; ask one who has all."""
        core = self.core
        if core.role != LEADER or not core.voters & core.connected:
            return True
        if not self._handed_over:
            self._handed_over = core.hand_over()
        return False

    async def close(self) -> None:
        """Decide all that waits, close the connections and the journal."""
        self._closed = True
        for held in self._held:
            settle(held.future, _STOPPING)
        for future, outcome in list(self._undecided.items()):
            settle(future, outcome)
        if self._transport is not None:
            self._transport.destroy()
            await self._transport.wait_closed()
        if self._compaction is not None:
            await self._compaction.close()
        if self._journal is not None:
            self._journal._destroy()  # noqa: SLF001  # the library's name for it

    # --- proposals --------------------------------------------------------------------------------------

    def propose(self, command: bytes, future: "Future[Outcome]", timeout_s: float) -> None:
        """Append here, forward to the leader, or wait a little for one."""
        at_deadline = Unknown("no outcome within the time allowed")
        at_end = Unknown("this node stopped while the entry was on its way")
        self._take(command, future, timeout_s, at_deadline, at_end)

    def read_barrier(self, future: "Future[Outcome]", timeout_s: float) -> None:
        """Ask the leader how far the log is committed, and wait until that is applied here."""
        at_deadline = NotCommitted("no-quorum", "no majority answered within the time allowed")
        self._take(None, future, timeout_s, at_deadline, _STOPPING)

    def _take(
        self,
        command: bytes | None,
        future: "Future[Outcome]",
        timeout_s: float,
        at_deadline: Outcome,
        at_end: Outcome,
    ) -> None:
        """See to it that the caller is told something in time, then begin."""
        if self._closed or self._stop_at_s is not None:
            settle(future, _STOPPING)
            return
        deadline = self._loop.call_later(timeout_s, settle, future, at_deadline)
        self._undecided[future] = at_end
        future.add_done_callback(lambda _: self._decided(future, deadline))
        held = _Held(now_s() + min(timeout_s * 0.9, LEADER_WAIT_S), command, future)
        if not self._begin(held):
            self._held.append(held)
        self._wake.set()

    def _decided(self, future: "Future[Outcome]", deadline: asyncio.TimerHandle) -> None:
        deadline.cancel()
        self._undecided.pop(future, None)

    def _begin(self, held: _Held) -> bool:
        """Start what was asked for if there is a leader; say whether it was started."""
        core = self.core
        if now_s() < held.not_before_s:
            return False
        if core.role == LEADER:
            if held.command is not None and not core.has_room:
                settle(held.future, NotCommitted("busy", "too much in the log waits for a majority already"))
                return True
            if held.command is not None:
                index, term = core.append(held.command)
                self._waiting.add(index, term, held.future)
                return True
            if core.is_open:
                self._begin_barrier(_Barrier(0, core.commit_index, held))
                return True
            return False
        if core.leader is None or core.leader not in core.connected:
            return False
        self._forward(core.leader, held)
        return True

    def _forward(self, leader: Node, held: _Held) -> None:
        self._number += 1
        number = self._number
        kind = {"type": "read_index"} if held.command is None else {"type": "propose", "command": held.command}
        self._forwarded[number] = held
        held.future.add_done_callback(lambda _: self._forwarded.pop(number, None))
        if not self.core.wire.send(leader, {**kind, "number": number}):
            self._lose(number)  # the connection ended on it, and some of it may have left

    def _lose(self, number: int) -> None:
        """The answer will not come: ask anew what only reads, for what writes nobody can tell."""
        held = self._forwarded.pop(number)
        if held.command is None:
            self._held.append(held)
        else:
            settle(held.future, Unknown("the connection or the leader went while the entry was on its way"))

    def _hold_again(self, held: _Held) -> None:
        """Nothing was done about it: try again a little later."""
        held.not_before_s = now_s() + self._settings.heartbeat_s
        self._held.append(held)

    def _try_held(self) -> None:
        """Start what waited for a leader; refuse what waited long enough."""
        for _ in range(len(self._held)):
            held = self._held.popleft()
            if held.future.done() or self._begin(held):
                continue
            if now_s() < held.until_s:
                self._held.append(held)
            else:
                settle(
                    held.future, NotCommitted("no-leader", "no leader is known; a majority of nodes is needed")
                )

    # --- what other nodes ask and answer ----------------------------------------------------------------

    def on_request(self, node: Node, message: Message) -> None:
        """Take a proposal or a barrier of a peer, or the answer to one of ours."""
        kind = message["type"]
        if kind == "propose" and isinstance(message["command"], bytes):
            self._take_proposal(node, message)
        elif kind == "read_index":
            self._take_barrier(node, message["number"])
        elif kind == "proposed":
            self._take_place(message)
        elif kind == "read_index_reply":
            self._take_read_index(message)

    def _take_proposal(self, node: Node, message: Message) -> None:
        core = self.core
        reply: Message = {"type": "proposed", "number": message["number"], "index": None, "term": core.term}
        is_taken = core.role == LEADER and core.has_room and self._stop_at_s is None
        if is_taken and len(message["command"]) <= self._settings.proposal_bytes_max:
            reply["index"], reply["term"] = core.append(message["command"])
        core.wire.send(node, reply)

    def _take_place(self, message: Message) -> None:
        """Wait for the entry that the leader made of our proposal."""
        held = self._forwarded.pop(message["number"], None)
        if held is None:
            return
        index, term = message["index"], message["term"]
        if index is None:
            self._hold_again(held)
        elif index <= self.core.applied_index:
            settle(held.future, Unknown("the entry's place was passed before its outcome was known"))
        else:
            self._waiting.add(index, term, held.future)

    def _take_barrier(self, node: Node, number: int) -> None:
        core = self.core
        if core.is_open:
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
            self._wait_applied(message["index"], held.future)

    def _wait_applied(self, index: int, future: "Future[Outcome]") -> None:
        if self.core.applied_index >= index:
            settle(future, Committed(index, None))
        else:
            self._waiting.add(index, 0, future)

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
            self._wait_applied(index, barrier.held.future)
        elif barrier.held is not None:
            self._hold_again(barrier.held)

    # --- what the core tells ----------------------------------------------------------------------------

    def apply(self, index: int, term: int, command: bytes | None) -> None:
        """Apply a committed entry and decide what waited for it."""
        result = self._machine.apply(index, command) if command is not None else None
        self._waiting.applied(index, term, result)

    def take_piece(self, identity: str, offset: int, total: int, data: bytes) -> None:
        """Take a piece of the leader's snapshot; see ``compaction``."""
        try:
            self.compaction.take_piece(identity, offset, total, data)
        except SnapshotDamaged as damage:
            logger.warning("snapshot.refused", detail=str(damage))

    def wake(self) -> None:
        """Tick soon."""
        self._wake.set()

    def entries_cut(self, index: int) -> None:
        """Entries are gone from this log."""
        self._waiting.cut_from(index)

    def leader_changed(self) -> None:
        """End what the former leader was to decide."""
        detail = "the leader changed while the entry was on its way"
        self._waiting.end_all(detail)
        for number in list(self._forwarded):
            self._lose(number)
        while self._barriers:
            self._answer_barrier(self._barriers.popleft(), None)
        self._wake.set()

    def _note_status(self) -> None:
        assert self._report is not None
        self.status = self._report.take(self.compaction.index, int(self._journal.bytes_on_disk))
