"""The first change of a key after an index, read from the zones' histories. Pure."""

from bisect import bisect_left

from node.api.etcd.errors import CLEARED, EtcdProblem
from node.api.etcd.keys import Key, key_text
from node.api.etcd.members import members
from node.api.etcd.tree import Node, is_directory, rrset_node
from node.state.state import State
from node.zone.lease import SUBTREE
from node.zone.name import is_within
from node.zone.rrset import SOA, RRset
from node.zone.zone import Delta, Zone

Change = dict[str, object]


def find_change(state: State, key: Key, since: int, *, recursive: bool) -> Change | None:
    """Return the first change of the key at this log index or later, None when there was none.

    Raises ``EtcdProblem`` when changes from that index on may have been forgotten.
    """
    found: tuple[int, Change] | None = None
    for name in sorted(state.zones):
        zone = state.zones[name]
        if not is_within(key.name, zone.name) and not (recursive and is_within(zone.name, key.name)):
            continue
        change = _in_zone(zone, key, since, recursive)
        if change is not None and (found is None or change[0] < found[0]):
            found = change
    return found[1] if found is not None else None


def _in_zone(zone: Zone, key: Key, since: int, recursive: bool) -> tuple[int, Change] | None:
    if not zone.history or zone.history[-1].index < since:
        return None
    if zone.history[0].index > since and zone.history[0].serial_from != 1:
        raise EtcdProblem(CLEARED, f"the history of this zone does not reach back to {since}; read it again")
    start = bisect_left(zone.history, since, key=lambda delta: delta.index)
    for delta in zone.history[start:]:
        change = _in_delta(delta, key, recursive)
        if change is not None:
            return delta.index, change
    return None


def _in_delta(delta: Delta, key: Key, recursive: bool) -> Change | None:
    """Return a change's first RRset that the watch is about; the SOA's own steps are no news."""
    if delta.expired:
        return _expired(delta, key, recursive)
    removed = {(rrset.name, rrset.type): rrset for rrset in delta.removed}
    for rrset in delta.added:
        if _is_watched(rrset, key, recursive):
            before = removed.get((rrset.name, rrset.type))
            return _change("set", rrset_node(rrset, delta.index, with_children=True), before, delta.index)
    added = {(rrset.name, rrset.type) for rrset in delta.added}
    for rrset in delta.removed:
        if (rrset.name, rrset.type) not in added and _is_watched(rrset, key, recursive):
            node: Node = {"key": key_text(rrset.name, rrset.type)}
            node |= {"createdIndex": delta.index, "modifiedIndex": delta.index}
            return _change("delete", node, rrset, delta.index)
    return None


def _expired(delta: Delta, key: Key, recursive: bool) -> Change | None:
    """Return the first end of a lease that the watch is about: of a key, or once of a directory above or below it."""
    before = {(rrset.name, rrset.type): rrset for rrset in delta.removed}
    for lease in delta.expired:
        if lease.type == SUBTREE:
            is_watched = is_within(key.name, lease.name) or (recursive and is_within(lease.name, key.name))
            if is_watched and (key.type is None or (key.name, key.type) in before):
                return _change(
                    "expire", _gone(key_text(lease.name), delta.index) | {"dir": True}, None, delta.index
                )
            continue
        rrset = before.get((lease.name, lease.type))
        if rrset is None or not _is_watched(rrset, key, recursive):
            continue
        by_key = {rdata: member for member, rdata in members(rrset).items()} if is_directory(rrset) else {}
        member = by_key.get(lease.rdata)
        if key.member is None or key.member == member or not lease.rdata:
            node = _gone(key_text(lease.name, lease.type, member), delta.index)
            return _change("expire", node, rrset if member is None else None, delta.index)
    return None


def _gone(key: str, index: int) -> Node:
    return {"key": key, "createdIndex": index, "modifiedIndex": index}


def _is_watched(rrset: RRset, key: Key, recursive: bool) -> bool:
    if key.type is not None:
        return (rrset.name, rrset.type) == (key.name, key.type)
    if rrset.type == SOA:
        return False
    return is_within(rrset.name, key.name) if recursive else rrset.name == key.name


def _change(action: str, node: Node, before: RRset | None, index: int) -> Change:
    change: Change = {"action": action, "node": node}
    if before is not None:
        change["prevNode"] = rrset_node(before, index, with_children=False)
    return change
