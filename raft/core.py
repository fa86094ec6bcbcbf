"""The log of one replica without thread or clock of its own: ticks and messages in, applied entries out.

``Core`` is PySyncObj with its corrections (``elections``, ``appending``) and with our journal, snapshots
and transport in place of its own. Nothing is promised before it is durable: messages leave through a gate, which
syncs the journal first for all but a leader's entries.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
import structlog

from raft.elections import Message
from raft.gate import Gate
from raft.library import LEADER, NO_OPERATION, REGULAR, Node, SyncObjConf, check_version, now_s
from raft.membership import MEMBERSHIP, Membership, Seat, decode_membership, encode_membership
from raft.sending import Sending
from raft.settings import RaftSettings

logger = structlog.get_logger()

APPLIED_AT_ONCE_MAX = 1_000
APPLYING_S_MAX = 0.02
"""So long entries are applied before others get their turn."""
UNCOMMITTED_OCTETS_MAX = 128 * 1024 * 1024
"""Octets of commands in a leader's log that no majority holds yet; beyond that it takes none."""
_NEVER_S = 1e9
_SEAL_S = 1.0
"""From a write to the proof on the medium that it was whole, at most."""


class Host(Protocol):
    """Who drives the core and hears of what it decides."""

    def apply(self, index: int, term: int, command: bytes | None) -> None:
        """An entry is committed; None stands for one without effect."""

    def apply_membership(self, index: int, term: int, membership: Membership) -> None:
        """A membership is committed."""

    def entries_cut(self, index: int) -> None:
        """The entries from this index on are gone from the log."""

    def leader_changed(self) -> None:
        """Another node leads, or none."""

    def take_piece(self, identity: str, offset: int, total: int, data: bytes) -> None:
        """A piece of the leader's snapshot came."""

    def on_request(self, node: Node, message: Message) -> None:
        """A message that is not about the log itself."""

    def peer_lost(self, node: Node) -> None:
        """The connection with a node ended, with what was on its way."""

    def wake(self) -> None:
        """A message came: a tick may be due."""


class Core(Sending):
    """One replica of the log."""

    def __init__(
        self,
        settings: RaftSettings,
        node: Node,
        peers: Iterable[Node],
        journal: Any,
        transport: Any,
        host: Host,
    ) -> None:
        """Begin with what the journal holds. Raises ``RaftError`` for a library that is not the audited one."""
        check_version()
        self._host = host
        self._told_commit_index = 0
        self._handing_over_until_s = 0.0
        self._uncommitted: deque[tuple[int, int]] = deque()
        """Index and octets of each command taken in this lead that is not known to be committed."""
        self._uncommitted_octets = 0
        self._fault: Exception | None = None
        self._ticked_s = now_s()
        self._seal_due_s = now_s() + _SEAL_S
        self._was_still = False
        self._handlers: dict[str, Callable[[Node, Message], None]] = {
            "append_entries": self.on_append,
            "append_reply": self.on_append_reply,
            "pre_vote": self.on_pre_vote,
            "pre_vote_reply": self.on_pre_vote_reply,
            "request_vote": self.on_request_vote,
            "vote_reply": self.on_vote_reply,
            "timeout_now": self.on_timeout_now,
            "members": self.on_members,
        }
        super().__init__(
            node,
            list(peers),
            _configuration(settings, journal),
            transport=transport,
            founding=founding_membership(settings),
            directory=journal.directory,
        )
        self.wire = Gate(transport, self)
        self.known_commit_index = self.commit_index

    # --- driving ------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what time and messages have made due. Raises ``RaftError`` when the log cannot go on.

        Entries are applied last: the others have something to do meanwhile.
        """
        if self._fault is not None:
            raise self._fault
        if not self._stood_still():
            self.run_elections()
        if self.role == LEADER:
            self._lead()
        self.wire.flush()
        self.apply_committed()
        if now_s() >= self._seal_due_s:
            self._seal_due_s = now_s() + _SEAL_S
            self.log.onOneSecondTimer()
            self._spread_members(lambda node: not self.wire.history_of(node))

    def _lead(self) -> None:
        """Commit what a majority holds, and send what is new while this node's disk writes it, too."""
        self.commit_by_majority()
        if self._must_send():
            self.round += 1
            self._told_commit_index = self.commit_index
            self.send_entries()
        last = self.last_index  # what is sent with the flush may end a connection, and who waits for it acts
        self.wire.flush()
        self.durable_index = last
        self.commit_by_majority()  # a leader alone need not wait for another turn

    def _stood_still(self) -> bool:
        """Say, never twice in a row, that this process did not run: what others sent meanwhile comes first."""
        now = now_s()
        gap_s, self._ticked_s = now - self._ticked_s, now
        self._was_still = gap_s > self.conf.raftMinTimeout / 2 and not self._was_still
        return self._was_still

    def _must_send(self) -> bool:
        if now_s() >= self.append_due_s or self.commit_index > self._told_commit_index:
            return True
        return any(self.lacks_something(node) for node in self.connected if node in self.next_index)

    def on_snapshot_piece(self, node: Node, message: Message) -> None:
        """Take a piece of the leader's snapshot; it tells nothing of what is committed beyond it.

        What is applied here is committed, and so agrees with the leader: also when the answer to the last
        piece was lost and the snapshot comes again.
        """
        if message["serialized"] is not None:
            identity, offset, total, data = message["serialized"]
            self._host.take_piece(identity, offset, total, data)
        self._reply(node, message, matched=self.applied_index, hint=self.last_index + 1)

    def apply_committed(self) -> None:
        """Hand committed entries to the host, a bounded number and for a bounded time at once."""
        begin = self.applied_index + 1
        end = min(self.commit_index + 1, begin + APPLIED_AT_ONCE_MAX)
        if begin >= end:
            return
        base, until_s = self.base_index, now_s() + APPLYING_S_MAX
        entries = self.log[begin - base : end - base]
        if len(entries) != end - begin:
            self.give_up(f"entry {end - 1} is committed, and the log ends with {self.last_index}")
        for command, index, term in entries:
            if now_s() >= until_s:
                return
            self.applied_index = index
            if command[:1] == MEMBERSHIP:
                self._host.apply_membership(index, term, decode_membership(command))
                self.reconfigure()  # who was removed by it may go now
                self._spread_members()
            else:
                self._host.apply(index, term, command[1:] if command[:1] == REGULAR else None)

    @property
    def is_behind(self) -> bool:
        """Whether committed entries still wait to be applied."""
        return self.applied_index < self.commit_index

    @property
    def next_due_s(self) -> float:
        """When the next tick is due at the latest, on the library's clock."""
        return self.append_due_s if self.role == LEADER else self.election_deadline_s

    def append(self, command: bytes) -> tuple[int, int]:
        """Put a command into the leader's log; return its index and term."""
        index, term = self.last_index + 1, self.term
        self.log.add(REGULAR + command, index, term)
        self._uncommitted.append((index, len(command)))
        self._uncommitted_octets += len(command)
        return index, term

    def append_membership(self, membership: Membership) -> tuple[int, int]:
        """Put a membership into the leader's log, from where it rules at once; return its index and term."""
        index = self.last_index + 1
        membership = msgspec.structs.replace(membership, at_ms=wall_clock_ms())
        removed = {seat.name for seat in self.roster.current.seats} - {seat.name for seat in membership.seats}
        self.log.add(encode_membership(membership), index, self.term)
        self.roster.take(index, membership)
        self.keep_leaving(removed)
        self.reconfigure()
        self.append_due_s = 0.0
        return index, self.term

    @property
    def has_room(self) -> bool:
        """Whether this leader can take a command, or waits for a majority to hold what it took."""
        while self._uncommitted and self._uncommitted[0][0] <= self.commit_index:
            self._uncommitted_octets -= self._uncommitted.popleft()[1]
        return self._uncommitted_octets < UNCOMMITTED_OCTETS_MAX

    @property
    def is_open(self) -> bool:
        """Whether this leader's term has begun for good: its first entry is committed."""
        return self.role == LEADER and self.opened_index is not None and self.commit_index >= self.opened_index

    def round_is_heard(self, number: int) -> bool:
        """Say whether a majority has acknowledged this round or a later one."""
        heard = sum(1 for node in self.voters if self.rounds_heard.get(node.id, 0) >= number)
        return heard + self.is_voter >= self.majority

    def hand_over(self, to: str | None = None) -> bool:
        """Ask a follower that has all to stand at once, this one if named; False when none has caught up.

        Meanwhile nothing new is to be appended: whoever lacks it would stand in vain (Raft thesis, section 3.10).
        """
        ready = [
            node
            for node in self.voters
            if node in self.connected and self._has_all(node) and to in (None, str(node.id))
        ]
        if self.role != LEADER or not ready:
            return False
        chosen = min(ready, key=lambda node: str(node.id))
        is_asked = bool(self.wire.send(chosen, {"type": "timeout_now", "term": self.term}))
        self._handing_over_until_s = now_s() + self.conf.raftMinTimeout if is_asked else 0.0
        return is_asked

    @property
    def is_handing_over(self) -> bool:
        """Whether a follower was asked to take over so lately that it may yet do so."""
        return self.role == LEADER and now_s() < self._handing_over_until_s

    def _has_all(self, node: Node) -> bool:
        return self.match_index.get(node, 0) == self.last_index

    # --- being told -----------------------------------------------------------------------------------

    def become_leader(self) -> None:
        """Lead: forget the followers' positions and open the term with an entry of its own."""
        self.leader = self.selfNode
        self.set_role(LEADER)
        self.heard_s.clear()
        self.rounds_heard.clear()
        self.forget_ways()
        self._uncommitted.clear()
        self._uncommitted_octets = 0
        self._handing_over_until_s = 0.0
        self.durable_index = 0  # what stands in the log may not be written yet
        for node in self.voters | self.learners:
            self.begin_following(node)
        self.log.add(NO_OPERATION, self.last_index + 1, self.term)
        self.opened_index = self.last_index
        if self.roster.is_founding and self.directory:
            self.append_membership(self._founded())
        self.append_due_s = 0.0
        self.leader_changed()

    def _founded(self) -> Membership:
        """Return the first membership: the configuration's, with the data directories of those who are here."""
        known = {str(node.id): self.wire.directory_of(node) for node in self.voters & self.connected}
        known[str(self.selfNode.id)] = self.directory
        seats = tuple(
            Seat(seat.name, seat.address, seat.role, known.get(seat.name, ""))
            for seat in self.roster.current.seats
        )
        return Membership(self.draw_history(), seats)

    def on_members(self, node: Node, message: Message) -> None:
        """Learn from another node who the members are."""
        if self.is_elector(node):
            self.take_hint(message["index"], decode_membership(message["membership"]))

    def _tell_members(self, node: Node) -> None:
        """Tell a node that has just connected who the members are, as far as that is committed."""
        committed = self.roster.at(self.commit_index)
        if committed is not None:
            octets = encode_membership(committed)
            self.wire.send(
                node,
                {"type": "members", "index": self.roster.index_at(self.commit_index), "membership": octets},
            )

    def _spread_members(self, to: Callable[[Node], bool] = lambda _node: True) -> None:
        """Tell all of new members: one who hears no leader may have to look for him among them.

        Who came without a past is told again and again, as nobody else may reach it.
        """
        for node in sorted(self.connected, key=lambda each: str(each.id)):
            if to(node):
                self._tell_members(node)

    def on_timeout_now(self, node: Node, message: Message) -> None:
        """Stand at once: the leader wishes to hand over."""
        if node is self.leader and message["term"] == self.term and self.may_stand():
            self.stand(transfer=True)

    def leader_changed(self) -> None:
        """Pass on that the leader changed."""
        self._host.leader_changed()

    def entries_cut(self, index: int) -> None:
        """Pass on that entries are gone."""
        self._host.entries_cut(index)

    def on_message(self, node: Node, message: Message) -> None:
        """Take one message; one without the right shape is told and dropped, whoever sent it.

        What ends the log is raised by the next tick: whoever calls this would only close a connection.
        """
        if self._fault is not None:
            return
        try:
            self._handlers.get(message["type"], self._host.on_request)(node, message)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            logger.warning("message.malformed", peer=node.id, kind=str(message.get("type")), detail=repr(error))
        except Exception as error:
            self._fault = error
        self._host.wake()

    # --- what the library calls by its own names --------------------------------------------------------

    def _SyncObj__onMessageReceived(self, node: Node, message: Message) -> None:  # noqa: N802
        self.on_message(node, message)

    def _SyncObj__onNodeDisconnected(self, node: Node) -> None:  # noqa: N802
        self.connected.discard(node)
        self.forget_way(node)
        self._host.peer_lost(node)

    def _SyncObj__onNodeConnected(self, node: Node) -> None:  # noqa: N802
        self.connected.add(node)
        self.note_directory(node)
        self._tell_members(node)
        if self.role == LEADER and node in self.next_index:
            self.next_index[node] = max(
                self.match_index[node] + 1, min(self.next_index[node], self.last_index + 1)
            )
            self.append_due_s = 0.0

    _SyncObj__onReadonlyNodeConnected = _SyncObj__onNodeConnected
    _SyncObj__onReadonlyNodeDisconnected = _SyncObj__onNodeDisconnected


def wall_clock_ms() -> int:
    """Return the wall clock in milliseconds since 1970 UTC, for people to read."""
    return time.time_ns() // 1_000_000


def founding_membership(settings: RaftSettings) -> Membership:
    """Return the membership that the configuration gives a cluster with nothing in its log."""
    seats = (
        Seat(name, address, "replica" if name in settings.replicas else "voter")
        for name, address in settings.members.items()
    )
    return Membership("", tuple(sorted(seats, key=lambda seat: seat.name)))


def _configuration(settings: RaftSettings, journal: Any) -> SyncObjConf:
    low, high = settings.election_timeout_s
    return SyncObjConf(
        autoTick=False,
        journalFile=journal,
        raftMinTimeout=low,
        raftMaxTimeout=high,
        appendEntriesPeriod=settings.heartbeat_s,
        appendEntriesUseBatch=True,
        leaderFallbackTimeout=high,
        connectionTimeout=_NEVER_S,
        commandsWaitLeader=False,
        useFork=False,
        dynamicMembershipChange=False,
        logCompactionMinTime=_NEVER_S,
    )
