"""The zones as etcd's tree of directories and keys. Pure reading."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from node.api.context import ApiContext
from node.api.etcd.errors import INVALID_FIELD, NOT_DIR, NOT_FOUND, EtcdProblem
from node.api.etcd.keys import Key, key_text
from node.api.etcd.members import has_keys, members
from node.api.etcd.values import is_one_value, write_records, write_value
from node.api.leases import Leases, leases_of
from node.api.names import closest_zone
from node.api.order import NameOrder
from node.state.state import State
from node.zone.lease import SUBTREE, LeaseKey
from node.zone.name import ROOT, Name, from_labels, is_within, iter_labels, parent, sort_key
from node.zone.rrset import RRset

Node = dict[str, Any]

NODES_MAX = 50_000


class Tree:
    """One State seen as a tree; counts what it shows and stops at a limit."""

    def __init__(self, state: State, order: NameOrder, leases: Leases) -> None:
        self._state = state
        self._order = order
        self._leases = leases
        self._shown = 0

    def find(self, key: Key, *, recursive: bool = False) -> Node:
        """Return the node of a key, a directory with its children. Raises ``EtcdProblem``."""
        if key.type is None:
            node = self._directory(key.name, recursive=recursive)
            if not node["nodes"] and key.name != ROOT and not self.is_made(key.name):
                raise EtcdProblem(NOT_FOUND, str(key))
            return node
        rrset, index = self.rrset(key)
        if rrset is None:
            raise EtcdProblem(NOT_FOUND, str(key))
        zone = closest_zone(self._state, key.name)
        assert zone is not None
        if key.member is None:
            return self._rrset_node(zone.name, rrset, index)
        if not is_directory(rrset):
            raise EtcdProblem(NOT_DIR, key_text(key.name, key.type))
        by_key = members(rrset)
        if key.member not in by_key:
            raise EtcdProblem(NOT_FOUND, str(key))
        leaf = _leaf(str(key), write_records(rrset.type, (by_key[key.member],)), index)
        return leaf | self._leases.etcd_fields(LeaseKey(zone.name, key.name, key.type, by_key[key.member]))

    def is_made(self, name: Name) -> bool:
        """Say whether a directory was made, so that it is there with nothing in it."""
        zone = closest_zone(self._state, name)
        return zone is not None and LeaseKey(zone.name, name) in self._state.leases

    def _rrset_node(self, zone: Name, rrset: RRset, index: int) -> Node:
        """Show an RRset with what is left of its leases."""
        node = rrset_node(rrset, index, with_children=True)
        if not self._leases.any:
            return node
        node |= self._leases.etcd_fields(LeaseKey(zone, rrset.name, rrset.type))
        if "nodes" in node:
            keys = (LeaseKey(zone, rrset.name, rrset.type, rdata) for rdata in members(rrset).values())
            for child, key in zip(node["nodes"], keys, strict=True):
                child.update(self._leases.etcd_fields(key))
        else:
            node |= self._leases.etcd_fields(LeaseKey(zone, rrset.name, rrset.type, rrset.rdatas[0]))
        return node

    def rrset(self, key: Key) -> tuple[RRset | None, int]:
        """Return the RRset of a key and the index of its name's last change; a disabled one is not there."""
        zone = closest_zone(self._state, key.name)
        node = zone.node(key.name) if zone is not None else None
        rrset = node.get(key.type) if node is not None and key.type is not None else None
        if node is None or rrset is None or rrset.disabled:
            return None, 0
        return rrset, node.index

    def names_below(self, name: Name) -> Iterator[Name]:
        """Yield the name and all names below it, of every zone."""
        for zone in self._state.zones.values():
            if is_within(name, zone.name):
                yield from self._order.below(zone, name)
            elif is_within(zone.name, name):
                yield from self._order.after(zone, None)

    def _directory(self, name: Name, *, recursive: bool) -> Node:
        index, nodes = self._own_nodes(name)
        children = self._children(name)
        self._count(len(nodes) + len(children))  # before any of them is put together
        for child in children:
            if recursive:
                nodes.append(self._directory(child, recursive=True))
            else:
                nodes.append(self._head(child, self._index(child)))
        return self._head(name, index) | {"nodes": nodes}

    def _head(self, name: Name, index: int) -> Node:
        """Show a directory without what is in it."""
        zone = closest_zone(self._state, name) if self._leases.any else None
        fields = {} if zone is None else self._leases.etcd_fields(LeaseKey(zone.name, name))
        return {"key": key_text(name), "dir": True} | _indexes(index) | fields

    def _own_nodes(self, name: Name) -> tuple[int, list[Node]]:
        zone = closest_zone(self._state, name)
        node = zone.node(name) if zone is not None else None
        if node is None:
            return 0, []
        shown = [rrset for rrset in node.rrsets if not rrset.disabled]
        assert zone is not None
        return node.index, [self._rrset_node(zone.name, rrset, node.index) for rrset in shown]

    def _children(self, name: Name) -> list[Name]:
        """Return the names one label below, whether they hold records or only lead to such."""
        depth = len(sort_key(name)) + 1
        found = set(self._made_children.get(name, ()))
        for zone in self._state.zones.values():
            if is_within(name, zone.name):
                found.update(self._order.children(zone, name))
            elif is_within(zone.name, name):
                found.add(from_labels(list(iter_labels(zone.name))[-depth:]))
        return sorted(found, key=sort_key)

    @cached_property
    def _made_children(self) -> dict[Name, set[Name]]:
        """Return the directories that were made, and those above them, by what they are in."""
        children: dict[Name, set[Name]] = {}
        for key in self._state.leases:
            name = key.name
            while key.type == SUBTREE and name != ROOT:
                above = children.setdefault(parent(name), set())
                if name in above:
                    break
                above.add(name)
                name = parent(name)
        return children

    def _index(self, name: Name) -> int:
        zone = closest_zone(self._state, name)
        node = zone.node(name) if zone is not None else None
        return node.index if node is not None else 0

    def _count(self, nodes: int) -> None:
        self._shown += nodes
        if self._shown > NODES_MAX:
            raise EtcdProblem(INVALID_FIELD, f"more than {NODES_MAX} keys; ask for a part of the tree")


def tree_of(context: ApiContext, state: State) -> Tree:
    """Return a State as a tree."""
    return Tree(state, context.order, leases_of(context, state))


def is_directory(rrset: RRset) -> bool:
    """Say whether an RRset is shown as a directory of records."""
    return has_keys(rrset) or not is_one_value(rrset)


def rrset_node(rrset: RRset, index: int, *, with_children: bool) -> Node:
    """Show an RRset: a key with a value, or a directory of records."""
    text = key_text(rrset.name, rrset.type)
    if not is_directory(rrset):
        return _leaf(text, write_value(rrset), index)
    node = {"key": text, "dir": True} | _indexes(index)
    if with_children:
        node["nodes"] = [
            _leaf(f"{text}/{key}", write_records(rrset.type, (rdata,)), index)
            for key, rdata in members(rrset).items()
        ]
    return node


def _leaf(key: str, value: str, index: int) -> Node:
    return {"key": key, "value": value} | _indexes(index)


def _indexes(index: int) -> Node:
    return {"createdIndex": index, "modifiedIndex": index}
