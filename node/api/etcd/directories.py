"""PUT and DELETE on directories: names with all below them, and RRsets of several records.

In DNS a name is there as long as something lies at it or below it. A directory that was made, or that
has a lease, is there besides, and dies with all in it when its lease runs out.
"""

from node.api.context import ApiContext
from node.api.etcd.answers import answered
from node.api.etcd.errors import (
    DIR_NOT_EMPTY,
    INVALID_FIELD,
    NOT_FILE,
    NOT_FOUND,
    ROOT_READ_ONLY,
    EtcdProblem,
    tell,
)
from node.api.etcd.form import Form
from node.api.etcd.keys import Key
from node.api.etcd.place import find_place, lease_wishes
from node.api.etcd.tree import Node, is_directory, tree_of
from node.api.message import Proposal, Response
from node.api.names import closest_zone
from node.api.problem import of_refused
from node.state.command import ChangeZone, DeleteRRset, LeaseWish, Prerequisite
from node.state.state import Accepted, Refused, State
from node.zone.lease import SUBTREE, LeaseKey
from node.zone.name import ROOT, is_within, to_text
from node.zone.rrset import NS, SOA


def put_directory(context: ApiContext, key: Key, form: Form) -> Proposal:
    """Make a directory, or give one that is there another lease."""
    if key.name == ROOT and key.type is None:
        raise EtcdProblem(ROOT_READ_ONLY, str(key))
    if form.prev_value is not None or form.prev_index is not None:
        raise EtcdProblem(NOT_FILE, f"{key}: a directory has no value to compare")
    if key.type is not None:
        return _put_rrset_directory(context, key, form)
    place = find_place(context, key)
    is_update = form.refresh or form.prev_exist is True
    condition = Prerequisite("directory-exists" if is_update else "directory-absent", key.name)
    lease = LeaseKey(place.zone, key.name)
    is_apex = key.name == place.zone and not form.ttl_s
    wishes = () if is_apex else (LeaseWish(lease, form.ttl_s or 0),)
    prerequisites = () if is_apex and place.create is not None else (condition,)
    command = ChangeZone(place.zone, (), prerequisites, create=place.create, leases=wishes)
    done = "update" if is_update else "create" if form.prev_exist is False else "set"

    def answer(state: State, accepted: Accepted) -> Response:
        body: dict[str, object] = {"action": done, "node": _head(context, state, key, accepted.index)}
        if is_update:
            body["prevNode"] = {"key": str(key), "dir": True} | _indexes(accepted.index)
        return answered(context, body, 200 if is_update else 201)

    def refuse(refused: Refused, state: State) -> Response:
        if refused.code != "precondition":
            return tell(of_refused(refused), state)
        code = NOT_FOUND if is_update else NOT_FILE
        return tell(EtcdProblem(code, str(key)), state)

    return Proposal(command, answer, refuse)


def _put_rrset_directory(context: ApiContext, key: Key, form: Form) -> Proposal:
    """Give an RRset of several records another lease; one without a record cannot be."""
    place = find_place(context, key)
    if key.member is not None or place.present is None:
        text = f"{key}: a directory of records is there with its first record; write {key}/1"
        raise EtcdProblem(NOT_FOUND if form.prev_exist or form.refresh else INVALID_FIELD, text)
    if not is_directory(place.present) or not (form.prev_exist or form.refresh):
        raise EtcdProblem(NOT_FILE, str(key))
    assert key.type is not None
    exists = Prerequisite("rrset-exists", key.name, key.type)
    command = ChangeZone(place.zone, (), (exists,), leases=lease_wishes(form, place.zone, key))

    def answer(state: State, accepted: Accepted) -> Response:
        node = _head(context, state, key, accepted.index)
        previous = {"key": str(key), "dir": True} | _indexes(place.index)
        return answered(context, {"action": "update", "node": node, "prevNode": previous})

    def refuse(refused: Refused, state: State) -> Response:
        wrong = EtcdProblem(NOT_FOUND, str(key)) if refused.code == "precondition" else of_refused(refused)
        return tell(wrong, state)

    return Proposal(command, answer, refuse)


def _head(context: ApiContext, state: State, key: Key, index: int) -> Node:
    """Show a directory without what is in it, also when another writer has taken it away since."""
    try:
        node = tree_of(context, state).find(key)
    except EtcdProblem:
        node = {"key": str(key), "dir": True} | _indexes(index)
    return {field: value for field, value in node.items() if field != "nodes"} | _indexes(index)


def _indexes(index: int) -> Node:
    return {"createdIndex": index, "modifiedIndex": index}


def delete_directory(context: ApiContext, key: Key, form: Form, *, is_empty: bool) -> Proposal:
    """Delete an empty directory, or with ``recursive=true`` one with all below it."""
    if form.prev_value is not None or form.prev_index is not None:
        raise EtcdProblem(NOT_FILE, f"{key}: a directory has no value to compare")
    if not form.recursive and not (form.dir and is_empty):
        code = DIR_NOT_EMPTY if form.dir else NOT_FILE
        raise EtcdProblem(code, f"{key}: it holds other keys; recursive=true deletes them all")
    return _delete_tree(context, key)


def _delete_tree(context: ApiContext, key: Key) -> Proposal:
    """Delete everything below a key in one entry; a zone's own SOA and NS records stay."""
    state = context.state()
    zone = closest_zone(state, key.name)
    if zone is None or key.name == ROOT:
        text = f"{key}: it holds whole zones; delete those with DELETE /v1/zones/NAME"
        raise EtcdProblem(ROOT_READ_ONLY, text)
    wishes: tuple[LeaseWish, ...] = ()
    if key.type is not None:
        changes: tuple[DeleteRRset, ...] = (DeleteRRset(key.name, key.type),)
    else:
        changes = tuple(
            DeleteRRset(name, rrset.type)
            for name in context.order.below(zone, key.name)
            for rrset in zone.nodes[name].rrsets
            if name != zone.name or rrset.type not in (SOA, NS)
        )
        made = (each for each in state.leases if each.type == SUBTREE and each.zone == zone.name)
        wishes = tuple(LeaseWish(each, None) for each in sorted(made) if is_within(each.name, key.name))
    if not changes and not wishes:
        raise EtcdProblem(ROOT_READ_ONLY, f"{key}: the zone {to_text(zone.name)} has only its own records")

    def answer(_state: State, accepted: Accepted) -> Response:
        node = {"key": str(key), "dir": True} | _indexes(accepted.index)
        return answered(context, {"action": "delete", "node": node, "prevNode": {"key": str(key), "dir": True}})

    return Proposal(ChangeZone(zone.name, changes, leases=wishes), answer)
