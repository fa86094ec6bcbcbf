"""What a replica tells of itself: read from its core, turn by turn."""

from collections.abc import Callable
from typing import Any

from raft.core import Core
from raft.library import CANDIDATE, LEADER, Node, now_s
from raft.settings import RaftSettings
from raft.status import PeerStatus, ReplicaRole, ReplicaStatus


class Report:
    """Describes one core; remembers whether it has become ready."""

    def __init__(self, settings: RaftSettings, core: Core, transport: Any, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._core = core
        self._transport = transport
        self._clock = clock
        self._ready_index: int | None = None
        self._ready = False

    def take(self, snapshot_index: int, log_bytes: int, refusals: tuple[tuple[str, str], ...]) -> ReplicaStatus:
        """Return what is so now."""
        core, settings = self._core, self._settings
        self._note_ready()
        leader = None if core.leader is None else str(core.leader.id)
        return ReplicaStatus(
            node=settings.node,
            role=self._role(),
            leader=leader,
            term=core.term,
            commit_index=max(core.commit_index, core.leader_commit_index),
            applied_index=core.applied_index,
            last_index=core.last_index,
            snapshot_index=snapshot_index,
            log_bytes=log_bytes,
            has_quorum=core.is_open if core.role == LEADER else leader is not None and core.hears_leader(),
            ready=self._ready,
            members=core.roster.current.voters,
            peers=tuple(self._peer(node) for node in sorted(core.voters, key=lambda each: str(each.id))),
            learners=tuple(self._peer(node) for node in sorted(core.learners, key=lambda each: str(each.id))),
            seats=core.roster.current.seats,
            stale_s=self._stale_s(),
            refusals=refusals,
            certificate=self._transport.certificate,
            elections=core.elections,
        )

    def _role(self) -> ReplicaRole:
        if self._core.role == LEADER:
            return "leader"
        if not self._core.is_voter:
            return "learner"
        return "candidate" if self._core.role == CANDIDATE else "follower"

    def _stale_s(self) -> float | None:
        """Return how long ago a leader was last heard; None for never."""
        if self._core.role == LEADER:
            return 0.0
        heard_s = self._core.leader_heard_s
        return None if heard_s == float("-inf") else max(0.0, now_s() - heard_s)

    def _note_ready(self) -> None:
        """A node is ready once it has applied what the first leader it met had committed.

        A new leader knows how far the log is committed only when an entry of its own term is.
        """
        core = self._core
        if self._ready:
            return
        if self._ready_index is None and core.role == LEADER:
            self._ready_index = core.opened_index
        elif self._ready_index is None and core.leader is not None:
            index = core.leader_commit_index
            self._ready_index = index if core.term_at(index) == core.term else None
        self._ready = self._ready_index is not None and core.applied_index >= self._ready_index

    def _peer(self, node: Node) -> PeerStatus:
        core = self._core
        heard = self._transport.last_contact(node)
        return PeerStatus(
            name=str(node.id),
            address=str(node.address),
            connected=node in core.connected,
            last_contact_s=None if heard is None else max(0.0, self._clock() - heard),
            match_index=core.match_index.get(node) if core.role == LEADER else None,
        )
