"""The names of a zone: what lies at each, and how many names lie below it.

An empty non-terminal (RFC 4592 section 2.2.2) is a node without RRsets: every node counts its direct children,
so that it exists exactly as long as something lies below it. Disabled RRsets stay in the zone but are not
answered; a second count tells which names an answer may see.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec
from immutables import Map

from node.zone.name import Name, parent
from node.zone.rrset import RRset


class Node(msgspec.Struct, frozen=True, gc=False):
    """One name of the zone: its RRsets by rising type, and how many direct children exist."""

    rrsets: tuple[RRset, ...] = ()
    children: int = 0
    index: int = 0
    """Log index of the latest change of an RRset here."""
    visible_children: int = 0
    """How many direct children exist for those who ask: see ``is_visible``."""

    @property
    def exists(self) -> bool:
        """Say whether there is an RRset here or below."""
        return bool(self.rrsets) or self.children > 0

    @property
    def is_visible(self) -> bool:
        """Say whether an answer may know the name: an RRset here or below is not disabled."""
        if self.visible_children > 0:
            return True
        for rrset in self.rrsets:  # noqa: SIM110  # twice as fast as any(), and asked for at every change
            if not rrset.disabled:
                return True
        return False

    def get(self, type_: int) -> RRset | None:
        """Return the RRset of this type, or None."""
        for rrset in self.rrsets:
            if rrset.type == type_:
                return rrset
        return None


NOWHERE = Node()
"""What stands at a name that does not exist."""


class NodeEdit:
    """The nodes of a zone's next version: what changes is laid beside the former version, and joined at the end.

    A thousand changes below one name touch that name once, and the large map is changed once.
    """

    def __init__(self, apex: Name, former: "Map[Name, Node]") -> None:
        self._apex = apex
        self._former = former
        self._touched: dict[Name, Node] = {}
        self._came: list[Name] = []
        """Names that were not there before, with an RRset that is not disabled: most of a thousand are such."""
        self._children: dict[Name, int] = {}
        """How many more or fewer children exist directly below a name than its node says."""
        self._visible: dict[Name, int] = {}
        """As many of those that are visible."""

    def get(self, name: Name) -> Node:
        """Return what stands at the name by now; what came or went below it is counted at the end."""
        node = self._touched.get(name)
        return self._former.get(name, NOWHERE) if node is None else node

    def put(self, name: Name, type_: int, rrset: RRset | None, index: int) -> None:
        """Put, replace or take away one RRset."""
        self.put_over(self.get(name), name, type_, rrset, index)

    def put_over(self, before: Node, name: Name, type_: int, rrset: RRset | None, index: int) -> None:
        """Do so where ``before`` is what ``get`` returns for the name."""
        if before is NOWHERE and rrset is not None:
            self._touched[name] = Node((rrset,), 0, index, 0)
            if rrset.disabled:
                self._count(name, 1, 0)
            elif name != self._apex:
                self._came.append(name)
            return
        rrsets = _with(before.rrsets, type_, rrset)
        after = Node(rrsets, before.children, index if rrsets else 0, before.visible_children)
        self._touched[name] = after
        if not before.visible_children:  # else it exists and is visible for those below, whatever lies here
            self._count(name, after.exists - before.exists, after.is_visible - before.is_visible)

    def _count(self, name: Name, children: int, visible: int) -> None:
        """Note what came, went, showed or hid for the name above."""
        if name == self._apex:
            return
        if children:
            above = parent(name)
            self._children[above] = self._children.get(above, 0) + children
        if visible:
            above = parent(name)
            self._visible[above] = self._visible.get(above, 0) + visible

    def _parents_of_came(self) -> Iterable[tuple[Name, int]]:
        if len(self._came) == 1:
            return ((parent(self._came[0]), 1),)
        return Counter([Name(name[1 + name[0] :]) for name in self._came]).items()

    def _carry_up(self, name: Name, children: int, visible: int) -> None:
        """Count at a name what came, went, showed or hid directly below, and then above it.

        A missing parent becomes an empty non-terminal; one that has lost its last child goes. The order in which
        names are counted makes no difference: what a name tells the one above is how it differs from before.
        """
        while children or visible:
            before = self.get(name)
            after = Node(
                before.rrsets, before.children + children, before.index, before.visible_children + visible
            )
            self._touched[name] = after
            if name == self._apex:
                return
            children, visible = after.exists - before.exists, after.is_visible - before.is_visible
            name = parent(name)

    def finish(self) -> "Map[Name, Node]":
        """Return the nodes of the next version; nothing is put any more."""
        for name, came in self._parents_of_came():
            self._carry_up(name, came, came)
        for name, children in self._children.items():
            self._carry_up(name, children, 0)
        for name, visible in self._visible.items():
            self._carry_up(name, 0, visible)
        gone = [name for name, node in self._touched.items() if not node.rrsets and node.children <= 0]
        if not gone:
            return self._former.update(self._touched)
        nodes = self._former.mutate()
        nodes.update(self._touched)
        for name in gone:
            del nodes[name]
        return nodes.finish()


def _with(rrsets: tuple[RRset, ...], type_: int, rrset: RRset | None) -> tuple[RRset, ...]:
    """Return RRsets by rising type with this one in the place of its type's, or without it."""
    if not rrsets:
        return () if rrset is None else (rrset,)
    for place, each in enumerate(rrsets):
        if each.type == type_:
            middle = () if rrset is None else (rrset,)
            return rrsets[:place] + middle + rrsets[place + 1 :]
    return rrsets if rrset is None else tuple(sorted((*rrsets, rrset), key=_by_type))


def _by_type(rrset: RRset) -> int:
    return rrset.type
