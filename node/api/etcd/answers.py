"""Answers in etcd's shape, with its headers."""

from node.api.context import ApiContext
from node.api.etcd.errors import EtcdProblem
from node.api.etcd.keys import Key
from node.api.etcd.tree import Node, rrset_node, tree_of
from node.api.message import Response, encode
from node.api.names import closest_zone
from node.state.state import State
from node.zone.name import Name
from node.zone.rrset import RRset

Answer = dict[str, object]


def answered(context: ApiContext, body: Answer, status: int = 200) -> Response:
    """Answer with a JSON body and the indexes that etcd tells of."""
    return Response(status, encode(body), headers=headers(context))


def headers(context: ApiContext) -> tuple[tuple[str, str], ...]:
    """Return etcd's headers."""
    replica = context.replica()
    return (
        ("X-Etcd-Index", str(context.state().index)),
        ("X-Raft-Index", str(replica.commit_index)),
        ("X-Raft-Term", str(replica.term)),
    )


def written_node(context: ApiContext, state: State, key: Key, value: str, index: int) -> Node:
    """Show what was written at this log index; another writer may have taken it away since."""
    try:
        return tree_of(context, state).find(key)
    except EtcdProblem:
        return {"key": str(key), "value": value, "createdIndex": index, "modifiedIndex": index}


def before_entry(state: State, name: Name, type_: int, index: int) -> RRset | None:
    """Return what an RRset was before the entry at this index; itself when that did not touch it."""
    zone = closest_zone(state, name)
    if zone is None:
        return None
    for delta in reversed(zone.history):
        if delta.index < index:
            break
        if delta.index == index:
            touched = [
                each for each in (*delta.removed, *delta.added) if (each.name, each.type) == (name, type_)
            ]
            removed = [each for each in delta.removed if (each.name, each.type) == (name, type_)]
            if touched:
                return removed[0] if removed else None
    return zone.get(name, type_)


def previous_node(rrset: RRset, index: int) -> Node:
    """Show what a key was before, without the index of its own last change, which is not kept."""
    return rrset_node(rrset, index, with_children=False)
