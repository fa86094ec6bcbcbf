"""A zone read back from a snapshot, RRset by RRset, over a version that may hold most of it already.

A million names are built in small steps, each of which lets other threads run. What the former version holds
is shared with it: to let go of a million names at once would stop every thread as long as to build them at once.
"""

from collections.abc import Iterable

from immutables import Map

from node.zone.chain import Chain
from node.zone.name import Name, parent
from node.zone.nodes import NOWHERE, Node
from node.zone.rrset import RRset
from node.zone.zone import Delta, Zone, digest_with

Row = tuple[int, RRset]
"""The index of the latest change at the name, and one of its RRsets."""


class ZoneBuilder:
    """Takes the RRsets of one zone in any order, each once, then makes the zone of them."""

    def __init__(
        self,
        name: Name,
        serial: int,
        history: Iterable[Delta],
        former: "Map[Name, Node]" = Map(),  # noqa: B008  # it is immutable
    ) -> None:
        self._name = name
        self._serial = serial
        self._history = tuple(history)
        self._former = former
        self._nodes = former.mutate()
        self._names: set[Name] = set()
        """Every name with an RRset."""
        self._count = 0
        self._digest = 0
        self._has_disabled = False

    def take(self, rows: list[Row]) -> None:
        """Take RRsets: some hundreds at once, since other threads wait while they are put into their place."""
        taken: dict[Name, Node] = {}
        for index, rrset in rows:
            name = rrset.name
            rrsets: tuple[RRset, ...] = (rrset,)
            if name in self._names:
                present = taken[name] if name in taken else self._nodes.get(name, NOWHERE)
                rrsets = tuple(sorted((*present.rrsets, rrset), key=_type))
            else:
                present = self._former.get(name, NOWHERE)
                self._names.add(name)
            taken[name] = Node(rrsets, present.children, index, present.visible_children)
            self._has_disabled = self._has_disabled or rrset.disabled
        if self._former:
            self._share(taken)
        self._nodes.update(taken)
        self._count += len(rows)
        self._digest = digest_with(self._digest, (rrset for _, rrset in rows))

    def _share(self, taken: dict[Name, Node]) -> None:
        """Put the former version's own node in the place of one that equals it."""
        for name, node in taken.items():
            former = self._former.get(name, NOWHERE)
            if former == node:
                taken[name] = former

    def finish(self) -> Zone:
        """Return the zone; nothing can be taken any more."""
        children = _counted(self._name, self._names)
        visible = children
        if self._has_disabled:
            enabled = {name for name in self._names if _is_enabled(self._nodes[name])}
            visible = _counted(self._name, enabled)
        for name, count in children.items():
            self._note_children(name, count, visible.get(name, 0))
        if self._former:
            self._forget_former(children)
        size = sum(len(delta.removed) + len(delta.added) for delta in self._history)
        nodes = self._nodes.finish()
        return Zone(self._name, self._serial, nodes, self._count, self._digest, Chain(self._history), size)

    def _note_children(self, name: Name, children: int, visible: int) -> None:
        node = self._nodes.get(name, NOWHERE)
        kept = node if name in self._names else NOWHERE
        after = Node(kept.rrsets, children, kept.index, visible)
        if after != node:
            self._nodes[name] = after

    def _forget_former(self, children: dict[Name, int]) -> None:
        """Take away what the former version held beyond this one."""
        for name, node in self._former.items():
            if name in children:
                continue
            if name not in self._names:
                del self._nodes[name]
            elif node.children:
                self._note_children(name, 0, 0)


def _counted(apex: Name, names: set[Name]) -> dict[Name, int]:
    """Return how many direct children the names give each of their ancestors up to the apex."""
    counts: dict[Name, int] = {}
    for start in names:
        name = start
        while name != apex:
            name = parent(name)
            count = counts.get(name, 0)
            counts[name] = count + 1
            if count or name in names:  # it is counted above already, or will be
                break
    return counts


def _is_enabled(node: Node) -> bool:
    return not all(rrset.disabled for rrset in node.rrsets)


def _type(rrset: RRset) -> int:
    return rrset.type
