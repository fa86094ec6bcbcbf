"""Changes of the members as the leader makes them: one at a time, none that costs the quorum.

A node that comes is a learner. The leader notes the data directory it comes with, and lets it vote once it
has what is committed. A leader is never removed as such: it hands over first, and the next one does it.
"""

from typing import Final

from raft.core import Core
from raft.library import LEADER, Node
from raft.membership import Change, Membership, RefusedChange, changed

BEHIND_MAX: Final = 100
"""A learner that lacks no more entries than this votes from now on, unless a snapshot is among what it lacks: it
will have them with the next messages."""

Place = tuple[int, int]
"""Index and term of the entry that a change became; term 0 where the index alone says it."""


class Changes:
    """The leader's hand on the membership of one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def is_pending(self) -> bool:
        """Whether a change is on its way, or this lead has not begun for good."""
        core = self._core
        return not core.is_open or core.roster.index > core.commit_index

    def begin(self, change: Change) -> Place | None:
        """Make a change; None when it has to wait. Raises ``RefusedChange``."""
        if self.is_pending:
            return None
        if change.kind in ("promote", "record"):
            raise RefusedChange(f"{change.kind} is the leader's own to decide")
        if change.kind == "lead":
            return self._hand_over(change.name)
        wanted = changed(self._core.roster.current, change)
        if wanted is self._core.roster.current:
            return self._core.roster.index, 0
        if change.name == self._core.selfNode.id and change.kind in ("remove", "replace"):
            self._leave_lead(change.kind)
            return None
        self._require_protected(wanted)
        self._require_reachable(change, wanted)
        return self._core.append_membership(wanted)

    def _hand_over(self, name: str) -> Place:
        core = self._core
        if name != core.selfNode.id:
            if name not in core.roster.current.voters:
                raise RefusedChange(f"{name} does not vote in this cluster, and so cannot lead it")
            if not core.hand_over(name):
                raise RefusedChange(f"{name} is not connected or not up to date; try again when it is")
        return core.commit_index, 0

    def _leave_lead(self, kind: str) -> None:
        """Let another lead, who then does what was asked."""
        if not self._core.hand_over():
            raise RefusedChange(
                f"to {kind} the leader another node must take over, and none is connected and up to date; try again"
            )

    def _require_protected(self, wanted: Membership) -> None:
        """Raise ``RaftError`` for a seat that no node could connect with: what stands in the log ends all who try."""
        for seat in set(wanted.seats) - set(self._core.roster.current.seats):
            self._core.wire.check_member(seat.name, seat.address)

    def _require_reachable(self, change: Change, wanted: Membership) -> None:
        """Refuse what leaves a majority that cannot be reached now."""
        if change.kind not in ("remove", "replace"):
            return
        here = {str(self._core.selfNode.id), *(str(node.id) for node in self._core.connected)}
        voters = wanted.voters
        reached = [name for name in voters if name in here]
        if len(reached) < len(voters) // 2 + 1:
            missing = ", ".join(name for name in voters if name not in here)
            raise RefusedChange(
                f"the quorum would be lost: of the {len(voters)} nodes that would vote, {missing} cannot be reached. "
                f"Start {missing} first, or remove it instead"
            )

    def tend(self) -> None:
        """Note who came with which data directory, and let vote who has caught up; one thing at a time."""
        core = self._core
        core.let_leave()
        if core.role != LEADER or core.is_handing_over or self.is_pending or not core.directory:
            return
        change = next((found for node in self._nodes() if (found := self._due(node)) is not None), None)
        if change is not None:
            core.append_membership(changed(core.roster.current, change))

    def _nodes(self) -> list[Node]:
        core = self._core
        return sorted((core.voters | core.learners) & core.connected, key=lambda node: str(node.id))

    def _due(self, node: Node) -> Change | None:
        core, name = self._core, str(node.id)
        seat = core.roster.current.seat(name)
        if seat is None:
            return None
        if not seat.directory:
            directory = core.wire.directory_of(node)
            return Change("record", name, directory=directory) if directory else None
        matched = core.match_index.get(node, 0)
        if seat.role == "learner" and matched >= max(core.base_index, core.commit_index - BEHIND_MAX):
            return Change("promote", name)
        return None
