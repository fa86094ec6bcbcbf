"""What happens in the log's thread: ticks when they are due, proposals, barriers, and their deadlines."""

import asyncio
from typing import Any

import structlog

from raft.changing import Changes
from raft.compaction import Compaction
from raft.core import Core
from raft.desk import Desk
from raft.elections import Message
from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.feed import Feed
from raft.identity import Passport, peer_node
from raft.library import LEADER, Node, now_s
from raft.machine import StateMachine
from raft.membership import Change, Membership
from raft.opening import make_transport, open_journal
from raft.pending import Pending
from raft.refusal import PAST_WORDS, Refusal
from raft.report import Report
from raft.settings import RaftSettings
from raft.snapshots import SnapshotDamaged, SnapshotStore

logger = structlog.get_logger()

TICK_S = 0.01
"""The longest time between two ticks."""


class Driver:
    """Drives one core; every method runs in the log's thread."""

    def __init__(self, settings: RaftSettings, machine: StateMachine, loop: asyncio.AbstractEventLoop) -> None:
        self._settings = settings
        self._machine = machine
        self._loop = loop
        self._wake = asyncio.Event()
        self._stop_at_s: float | None = None
        self._handed_over = False
        self._refusals: dict[str, str] = {}
        self._is_checked = True
        """Whether this node is a member of the newest membership that it has applied, as far as it came."""
        self._core: Core | None = None
        self._changes: Changes | None = None
        self._desk: Desk | None = None
        self._compaction: Compaction | None = None
        self._report: Report | None = None
        self._status_s = float("-inf")
        self._status_of: tuple[Any, ...] = ()
        self._transport: Any = None
        self._journal: Any = None

    # --- life -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the journal and listen. Raises ``RaftError``."""
        settings = self._settings
        peers = [
            peer_node(name, address, "replica" if name in settings.replicas else "voter")
            for name, address in settings.members.items()
            if name != settings.node
        ]
        self._journal = open_journal(settings, alone=not peers)
        passport = Passport(
            self._journal.directory, self._history, self._founders, self._recorded_directory, self._note_refusal
        )
        self._transport = make_transport(settings, peers, self._loop, passport)
        own = peer_node(settings.node, settings.members[settings.node])
        self._core = Core(settings, own, peers, self._journal, self._transport, self)
        self._compaction = self._make_compaction()
        self._compaction.load()
        self._changes = Changes(self._core)
        self._desk = Desk(settings, self._loop, self._core, self._changes, self._wake.set)
        self._require_member()
        self._core.reconfigure()
        self._report = Report(settings, self._core, self._transport, self._loop.time)
        self._note_status()

    def _history(self) -> str:
        return "" if self._core is None else self._core.history

    def _founders(self) -> str:
        return "" if self._core is None else self._core.founders

    def _recorded_directory(self, name: str) -> str:
        return "" if self._core is None else self._core.recorded_directory(name)

    def _note_refusal(self, name: str, refusal: Refusal) -> None:
        """Remember why a node and this one do not come together."""
        self._refusals[name] = refusal.reason
        if self._core is not None and refusal.by_peer and refusal.word in PAST_WORDS:
            self._core.is_barred = True
        if self._core is not None and refusal.word == "founders" and not refusal.by_peer:
            self._core.note_dispute(name)

    def _require_member(self) -> None:
        """Refuse to be a node that the cluster has removed. Raises ``RaftError``."""
        core = self.core
        removed_at = core.roster.removal_of(self._settings.node, core.directory, core.commit_index)
        if removed_at is not None:
            self._journal.onOneSecondTimer()  # so that the next start knows it, too
            raise RaftError(
                f"{self._settings.node} was removed from the cluster at index {removed_at}. To let it come again, "
                f"empty its data directory and run `qdns node add {self._settings.node}` on a node of the cluster.",
                exit_code=EXIT_WRONG_SETUP,
            )

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
            settings.snapshot_entries,
            lambda: self.desk.waiting.skipped_to(self.core.applied_index),
        )

    @property
    def core(self) -> Core:
        """The core, once it is open."""
        assert self._core is not None
        return self._core

    @property
    def changes(self) -> Changes:
        """The leader's hand on the members, once the core is open."""
        assert self._changes is not None
        return self._changes

    @property
    def desk(self) -> Desk:
        """Where callers are served, once the core is open."""
        assert self._desk is not None
        return self._desk

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
            if not self._is_checked:
                self._is_checked = True
                self._require_member()
            self.desk.run()
            self.changes.tend()
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

    def reload(self) -> None:
        """Read the files that prove who the nodes are again."""
        self._transport.reload()

    @property
    def silent_s(self) -> float:
        """For how long the thread has not gone round; other threads may ask."""
        return max(0.0, now_s() - self._status_s)

    def stop(self, until_s: float) -> None:
        """Take nothing new, hand leadership over if this node leads, then end ``run``."""
        self._stop_at_s = until_s
        self.desk.is_leaving = True
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
        if self._desk is not None:
            self._desk.close()
        if self._transport is not None:
            self._transport.destroy()
            await self._transport.wait_closed()
        if self._compaction is not None:
            await self._compaction.close()
        if self._journal is not None:
            self._journal._destroy()  # noqa: SLF001  # the library's name for it

    # --- what callers ask ---------------------------------------------------------------------------------

    def propose(self, command: bytes, pending: Pending, timeout_s: float) -> None:
        """Append here, forward to the leader, or wait a little for one."""
        self.desk.propose(command, pending, timeout_s)

    def read_barrier(self, pending: Pending, timeout_s: float) -> None:
        """Ask the leader how far the log is committed, and wait until that is applied here."""
        self.desk.read_barrier(pending, timeout_s)

    def change_members(self, change: Change, pending: Pending, timeout_s: float) -> None:
        """Have the leader change who belongs to the cluster."""
        self.desk.change_members(change, pending, timeout_s)

    def on_request(self, node: Node, message: Message) -> None:
        """Take what a peer asks, or its answer to what was asked of it."""
        self.desk.on_request(node, message)

    # --- what the core tells ----------------------------------------------------------------------------

    def apply(self, index: int, term: int, command: bytes | None) -> None:
        """Apply a committed entry and decide what waited for it."""
        result = self._machine.apply(index, command) if command is not None else None
        self.desk.waiting.applied(index, term, result)

    def apply_membership(self, index: int, term: int, membership: Membership) -> None:
        """Tell the machine who belongs to the cluster from here on."""
        result = self._machine.change_members(index, membership)
        self._is_checked = False
        logger.info("members.changed", index=index, nodes=[seat.name for seat in membership.seats])
        self.desk.waiting.applied(index, term, result)

    def take_piece(self, identity: str, offset: int, total: int, data: bytes) -> None:
        """Take a piece of the leader's snapshot; see ``compaction``."""
        try:
            self.compaction.take_piece(identity, offset, total, data)
        except SnapshotDamaged as damage:
            logger.warning("snapshot.refused", detail=str(damage))

    def peer_lost(self, node: Node) -> None:
        """The connection with a node ended: its answers will not come."""
        self.desk.peer_lost(node)

    def wake(self) -> None:
        """Tick soon."""
        self._wake.set()

    def entries_cut(self, index: int) -> None:
        """Entries are gone from this log."""
        self.desk.waiting.cut_from(index)

    def leader_changed(self) -> None:
        """End what the former leader was to decide."""
        self.desk.leader_changed()
        self._wake.set()

    def _note_status(self) -> None:
        """Let others see how things stand, at once who leads and the rest within a turn of an idle log."""
        assert self._report is not None
        core, now = self.core, now_s()
        if now - self._status_s < TICK_S and self._status_of == (core.role, core.leader, core.term):
            return
        self._status_s, self._status_of = now, (core.role, core.leader, core.term)
        for node in self.core.connected:
            self._refusals.pop(str(node.id), None)
        known = {str(node.id) for node in self.core.voters | self.core.learners}
        refusals = tuple((name, reason) for name, reason in self._refusals.items() if name in known)
        self.status = self._report.take(self.compaction.index, int(self._journal.bytes_on_disk), refusals)
