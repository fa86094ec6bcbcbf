"""How far the nodes were behind the leader of late, and who led since when: in memory, as this node saw it.

A node knows how far itself is behind; while it leads it knows that of the others, too, also of those that are dead.
Whoever shows the whole asks every node and takes the most that any of them tells. Times are those of the wall clock, so
that what several nodes tell can be laid side by side.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.api.context import ReplicaView

Lags = dict[str, list[int | None]]
"""By node, the most entries it was behind in each step, oldest first; None where nothing is known."""

STEP_S = 10
CELLS = 90
"""A quarter of an hour."""
LEADERS_MAX = 50
LOOK_EVERY_S = 0.25
"""A leader for a shorter time may go unseen."""


@dataclass(frozen=True, slots=True)
class Reign:
    """Somebody led in a term."""

    term: int
    leader: str
    at_ms: int
    """When this node saw it first, by its wall clock, in ms since 1970."""
    began: bool
    """Whether it was seen to begin; else this node found it so at its own start."""


@dataclass(slots=True)
class _Cell:
    """The most entries that each node was behind during one step."""

    step: int = -1
    lags: dict[str, int] = field(default_factory=dict)


class Course:
    """The last quarter of an hour of lags, and the last leaders; one writer, which looks at the log now and then."""

    def __init__(self) -> None:
        self._cells = [_Cell() for _ in range(CELLS)]
        self._reigns: deque[Reign] = deque(maxlen=LEADERS_MAX)
        self._looked = False

    @property
    def reigns(self) -> tuple[Reign, ...]:
        """Who led, oldest first."""
        return tuple(self._reigns)

    def look(self, replica: "ReplicaView", now_ms: int) -> None:
        """Remember what the log says of itself now."""
        last = self._reigns[-1] if self._reigns else None
        if replica.leader is not None and (last is None or replica.term > last.term):
            self._reigns.append(Reign(replica.term, replica.leader, now_ms, began=self._looked))
        self._looked = self._looked or replica.ready
        step = step_at(now_ms)
        cell = self._cells[step % CELLS]
        if cell.step != step:
            cell.step, cell.lags = step, {}
        for name, lag in _lags(replica):
            cell.lags[name] = max(lag, cell.lags.get(name, 0))

    def lags(self, now_ms: int) -> Lags:
        """Return what is known of the last steps, of which the last one goes on."""
        last = step_at(now_ms)
        cells = [
            cell.lags if (cell := self._cells[step % CELLS]).step == step else {}
            for step in range(last - CELLS + 1, last + 1)
        ]
        names = dict.fromkeys(name for lags in cells for name in sorted(lags))
        return {name: [lags.get(name) for lags in cells] for name in names}


def step_at(now_ms: int) -> int:
    """Return the number of the step that a time is in."""
    return now_ms // (1000 * STEP_S)


def _lags(replica: "ReplicaView") -> Iterator[tuple[str, int]]:
    if replica.leader is None:
        return  # who hears no leader does not know how far there is to go
    yield replica.node, max(0, replica.commit_index - replica.applied_index)
    if replica.role == "leader":
        for peer in (*replica.peers, *replica.learners):
            if peer.match_index:  # a new leader knows nothing of a peer before its first reply, and says 0
                yield peer.name, max(0, replica.commit_index - peer.match_index)


def together(tellers: Iterable[Lags]) -> Lags:
    """Return the most that any node tells of each node in each step; all have the same steps."""
    found: Lags = {}
    for told in tellers:
        for name, lags in told.items():
            known = found.get(name, [None] * CELLS)
            found[name] = [_more(one, other) for one, other in zip(known, lags, strict=True)]
    return found


def _more(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def first_seen(reigns: Iterable[Reign]) -> Sequence[Reign]:
    """Return one reign a term, newest first: as the first node saw it begin, else as the first found it."""
    found: dict[int, Reign] = {}
    for each in sorted(reigns, key=lambda each: (each.term, not each.began, each.at_ms, each.leader)):
        found.setdefault(each.term, each)
    return sorted(found.values(), key=lambda each: each.term, reverse=True)
