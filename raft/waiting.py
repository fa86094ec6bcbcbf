"""Who waits for what in the log's thread: proposals for their entry, barriers for an index.

Every pending here gets exactly one outcome: by the entry that is applied at its index, by the log that cut
it, by the loss of the leader, or by its deadline.
"""

from dataclasses import dataclass, field

from raft.pending import Pending
from raft.proposal import Committed, NotCommitted, Outcome, Unknown


@dataclass(slots=True)
class Waiting:
    """Outcomes to be, by the index of the log that decides them."""

    by_index: dict[int, list[tuple[int, Pending]]] = field(default_factory=dict)
    """Term of the awaited entry, and the pending; term 0 for a barrier, which any entry satisfies."""

    def add(self, index: int, term: int, pending: Pending) -> None:
        """Let a caller wait for the entry."""
        self.by_index.setdefault(index, []).append((term, pending))

    def applied(self, index: int, term: int, result: object) -> None:
        """Decide what waited for this index."""
        for expected, pending in self.by_index.pop(index, ()):
            if expected == term:
                pending.settle(Committed(index, result))
            elif expected == 0:
                pending.settle(Committed(index, None))
            else:
                pending.settle(NotCommitted("no-leader", "another leader's entry took the place of this one"))

    def skipped_to(self, index: int) -> None:
        """Decide what waited for entries that a snapshot replaced."""
        for passed in [each for each in self.by_index if each <= index]:
            for expected, pending in self.by_index.pop(passed):
                if expected == 0:
                    pending.settle(Committed(passed, None))
                else:
                    pending.settle(Unknown("a snapshot took the place of the entry"))

    def cut_from(self, index: int) -> None:
        """Entries from here on left this node's log, yet another node may still hold and commit them."""
        self._end(index, Unknown("the leader changed while the entry was on its way"))

    def end_all(self, detail: str) -> None:
        """Decide everything that waits for an entry: its fate is no longer this node's to tell."""
        self._end(0, Unknown(detail))

    def _end(self, index: int, outcome: Outcome) -> None:
        """End the proposals; barriers go on waiting, whoever leads, for as long as they may."""
        for later in [each for each in self.by_index if each >= index]:
            waiting = self.by_index.pop(later)
            for expected, pending in waiting:
                if expected != 0:
                    pending.settle(outcome)
            left = [(expected, pending) for expected, pending in waiting if not pending.done()]
            if left:
                self.by_index[later] = left
