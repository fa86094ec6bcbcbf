"""What happens in the log's thread: ticks when they are due, proposals, barriers, and their deadlines."""

import asyncio
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import structlog

from raft.compaction import Compaction, Feed
from raft.core import Core
from raft.elections import Message
from raft.identity import peer_node
from raft.library import CANDIDATE, LEADER, Node, now_s
from raft.machine import StateMachine
from raft.opening import SoleTransport, make_transport, open_journal
from raft.proposal import Committed, NotCommitted, Outcome, Unknown
from raft.settings import RaftSettings
from raft.snapshots import SnapshotDamaged, SnapshotStore
from raft.status import PeerStatus, ReplicaStatus
from raft.waiting import Waiting, settle

logger = structlog.get_logger()

TICK_S = 0.01
"""The longest time between two ticks."""
LEADER_WAIT_S = 1.5
"""So long a proposal waits for a leader to appear before it is refused."""
_FORWARDS_MAX = 10_000


@dataclass(slots=True)
class _Held:
    """Something that waits for a leader."""

    until_s: float
    command: bytes | None
    """None for a read barrier."""
    future: "Future[Outcome]"


@dataclass(slots=True)
class _Barrier:
    """A leader's barrier that waits for a majority to acknowledge a round."""

    round: int
    index: int
    future: "Future[Outcome] | None" = None
    node: Node | None = None
    """Who asked, with this number."""
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
        self._forwarded: dict[int, Future[Outcome]] = {}
        self._number = 0
        self._open_proposals = 0
        self._stop_at_s: float | None = None
        self._ready_index: int | None = None
        self._ready = False
        self._core: Core | None = None
        self._compaction: Compaction | None = None
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
        self._note_status()

    def _make_compaction(self) -> Compaction:
        settings = self._settings
        store = None
        if settings.data_dir is not None:
            store = SnapshotStore(settings.data_dir / "snapshot", settings.cluster)
            self.core.feed = Feed(store, self._transport.backlog_bytes)
        return Compaction(
            self.core, self._machine, store, lambda: tuple(settings.members), settings.snapshot_entries
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
            self.core.tick()
            self._settle_barriers()
            self._try_held()
            self.compaction.run()
            self._note_status()
            if self._stop_at_s is not None and self.core.role != LEADER:
                return
            if not self.core.is_behind:
                await self._pause()
            else:
                await asyncio.sleep(0)

    async def _pause(self) -> None:
        self._wake.clear()
        wait_s = min(TICK_S, max(0.0, self.core.next_due_s - now_s()))
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    def stop(self, until_s: float) -> None:
        """Hand leadership over if this node leads, then end ``run``."""
        alone = not self.core.voters
        self._stop_at_s = now_s() if alone or not self.core.hand_over() else until_s
        self._wake.set()

    async def close(self) -> None:
        """Decide all that waits, close the connections and the journal."""
        self._waiting.end_all("this node stopped while the entry was on its way")
        for held in self._held:
            settle(held.future, NotCommitted("stopped", "this node is stopping"))
        for future in list(self._forwarded.values()):
            settle(future, Unknown("this node stopped while the entry was on its way"))
        for barrier in self._barriers:
            self._answer_barrier(barrier, None)
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
        if self._open_proposals >= self._settings.proposals_max:
            settle(future, NotCommitted("busy", f"{self._open_proposals} proposals wait already"))
            return
        self._open_proposals += 1
        future.add_done_callback(lambda _: self._close_proposal())
        self._end_in(future, timeout_s, Unknown("no outcome within the time allowed"))
        self._offer(_Held(now_s() + min(timeout_s * 0.9, LEADER_WAIT_S), command, future))

    def read_barrier(self, future: "Future[Outcome]", timeout_s: float) -> None:
        """Ask the leader how far the log is committed, and wait until that is applied here."""
        self._end_in(
            future, timeout_s, NotCommitted("no-quorum", "no majority answered within the time allowed")
        )
        self._offer(_Held(now_s() + min(timeout_s * 0.9, LEADER_WAIT_S), None, future))

    def _close_proposal(self) -> None:
        self._open_proposals -= 1

    def _end_in(self, future: "Future[Outcome]", timeout_s: float, outcome: Outcome) -> None:
        handle = self._loop.call_later(timeout_s, settle, future, outcome)
        future.add_done_callback(lambda _: handle.cancel())

    def _offer(self, held: _Held) -> None:
        if not self._begin(held):
            self._held.append(held)
        self._wake.set()

    def _begin(self, held: _Held) -> bool:
        """Start what was asked for if there is a leader; say whether it was started."""
        core = self.core
        if core.role == LEADER:
            if held.command is not None:
                index, term = core.append(held.command)
                self._waiting.add(index, term, held.future)
                return True
            if core.is_open:
                self._begin_barrier(_Barrier(0, core.commit_index, held.future))
                return True
            return False
        if core.leader is None or len(self._forwarded) >= _FORWARDS_MAX:
            return False
        return self._forward(core.leader, held)

    def _forward(self, leader: Node, held: _Held) -> bool:
        self._number += 1
        kind = {"type": "read_index"} if held.command is None else {"type": "propose", "command": held.command}
        if not self.core.wire.send(leader, {**kind, "number": self._number}):
            return False
        number = self._number
        self._forwarded[number] = held.future
        held.future.add_done_callback(lambda _: self._forwarded.pop(number, None))
        return True

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
        if core.role == LEADER and len(message["command"]) <= self._settings.proposal_bytes_max:
            reply["index"], reply["term"] = core.append(message["command"])
        core.wire.send(node, reply)

    def _take_place(self, message: Message) -> None:
        """Wait for the entry that the leader made of our proposal."""
        future = self._forwarded.pop(message["number"], None)
        if future is None:
            return
        index, term = message["index"], message["term"]
        if index is None:
            settle(future, NotCommitted("no-leader", "the node that was asked leads no more"))
        elif index <= self.core.applied_index:
            settle(future, Unknown("the entry's place was passed before its outcome was known"))
        else:
            self._waiting.add(index, term, future)

    def _take_barrier(self, node: Node, number: int) -> None:
        core = self.core
        if core.is_open:
            self._begin_barrier(_Barrier(0, core.commit_index, None, node, number))
        else:
            core.wire.send(node, {"type": "read_index_reply", "number": number, "index": None})

    def _take_read_index(self, message: Message) -> None:
        future = self._forwarded.pop(message["number"], None)
        if future is None:
            return
        if message["index"] is None:
            settle(future, NotCommitted("no-leader", "the node that was asked leads no more"))
        else:
            self._wait_applied(message["index"], future)

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
        elif barrier.future is not None and index is not None:
            self._wait_applied(index, barrier.future)
        elif barrier.future is not None:
            settle(barrier.future, NotCommitted("no-leader", "this node leads no more"))

    # --- what the core tells ----------------------------------------------------------------------------

    def apply(self, index: int, term: int, command: bytes | None) -> None:
        """Apply a committed entry and decide what waited for it."""
        result = self._machine.apply(index, command) if command is not None else None
        self._waiting.applied(index, term, result)

    def take_piece(self, identity: str, offset: int, total: int, data: bytes) -> bool:
        """Take a piece of the leader's snapshot; see ``compaction``."""
        try:
            done = self.compaction.take_piece(identity, offset, total, data)
        except SnapshotDamaged as damage:
            logger.warning("snapshot.refused", detail=str(damage))
            return False
        if done:
            self._waiting.skipped_to(self.core.applied_index)
        return done

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
            settle(self._forwarded.pop(number), Unknown(detail))
        while self._barriers:
            self._answer_barrier(self._barriers.popleft(), None)
        self._wake.set()

    # --- status -----------------------------------------------------------------------------------------

    def _note_status(self) -> None:
        core, settings = self.core, self._settings
        self._note_ready()
        role = "leader" if core.role == LEADER else "candidate" if core.role == CANDIDATE else "follower"
        leader = None if core.leader is None else str(core.leader.id)
        self.status = ReplicaStatus(
            node=settings.node,
            role=role,  # type: ignore[arg-type]
            leader=leader,
            term=core.term,
            commit_index=core.commit_index,
            applied_index=core.applied_index,
            last_index=core.last_index,
            snapshot_index=self.compaction.index,
            log_bytes=int(self._journal.bytes_on_disk),
            has_quorum=core.is_open if role == "leader" else leader is not None and core.hears_leader(),
            ready=self._ready,
            members=tuple(settings.members),
            peers=tuple(self._peer(node) for node in sorted(core.voters, key=lambda each: str(each.id))),
        )

    def _note_ready(self) -> None:
        """A node is ready once it has applied what the first leader it met had committed."""
        core = self.core
        if self._ready:
            return
        if self._ready_index is None and core.role == LEADER:
            self._ready_index = core.opened_index
        elif self._ready_index is None and core.leader is not None and core.leader_commit_index > 0:
            self._ready_index = core.leader_commit_index
        self._ready = self._ready_index is not None and core.applied_index >= self._ready_index

    def _peer(self, node: Node) -> PeerStatus:
        core = self.core
        heard = self._transport.last_contact(node)
        return PeerStatus(
            name=str(node.id),
            address=str(node.address),
            connected=node in core.connected,
            last_contact_s=None if heard is None else max(0.0, self._loop.time() - heard),
            match_index=core.match_index.get(node) if core.role == LEADER else None,
        )
