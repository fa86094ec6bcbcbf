"""PUT, POST and DELETE on keys. Conditions are checked when the command is applied."""

import msgspec

from node.api.context import ApiContext
from node.api.etcd.answers import answered, before_entry, previous_node, written_node
from node.api.etcd.directories import delete_directory, put_directory
from node.api.etcd.errors import (
    COMPARE_FAILED,
    EXISTS,
    NOT_FILE,
    NOT_FOUND,
    EtcdProblem,
    tell,
)
from node.api.etcd.form import Form, read_form
from node.api.etcd.keys import Key, read_key
from node.api.etcd.member_writes import delete_member, put_member, refresh_member
from node.api.etcd.place import action, find_place, lease_wishes, require_record
from node.api.etcd.tree import Node, is_directory, tree_of
from node.api.etcd.values import read_value, write_records, write_value
from node.api.message import Proposal, Request, Response
from node.api.names import closest_zone
from node.api.problem import of_refused
from node.state.command import ChangeZone, DeleteRRset, Prerequisite, PutRRset
from node.state.state import Accepted, Refused, State
from node.zone.rrset import make


def put_key(context: ApiContext, request: Request) -> Proposal:
    """Make a key this value."""
    key, form = read_key(request.values["key"]), read_form(request)
    if form.dir:
        return put_directory(context, key, form)
    if form.refresh and key.type is None:
        return put_directory(context, key, form)
    require_record(key)
    if key.member is None:
        return _refresh_whole(context, key, form) if form.refresh else _put_whole(context, key, form)
    return (refresh_member if form.refresh else put_member)(context, key, form)


def post_key(context: ApiContext, request: Request) -> Proposal:
    """Add a record under a key that follows those there are (etcd's in-order keys)."""
    key, form = read_key(request.values["key"]), read_form(request)
    require_record(key)
    if key.member is not None:
        raise EtcdProblem(NOT_FILE, f"{key}: post to the key of the type")
    number = f"{context.state().index + 1:020d}"
    return put_member(context, Key(key.name, key.type, number), form, "create")


def delete_key(context: ApiContext, request: Request) -> Proposal:
    """Delete a key, or with ``recursive=true`` a directory with all below it."""
    key, form = read_key(request.values["key"]), read_form(request)
    node = tree_of(context, context.state()).find(key)
    if node.get("dir"):
        return delete_directory(context, key, form, is_empty=not node.get("nodes"))
    if key.member is not None:
        return delete_member(context, key, form)
    return _delete_whole(context, key, form)


# --- a key with one value ---------------------------------------------------------------------------


def _put_whole(context: ApiContext, key: Key, form: Form) -> Proposal:
    assert key.type is not None
    place = find_place(context, key)
    rdatas = read_value(key.type, form.value or "")
    if place.present is not None and is_directory(place.present):
        raise EtcdProblem(NOT_FILE, f"{key}: it holds several records; write {key}/1, or delete it first")
    rrset = make(key.name, key.type, place.ttl, rdatas)
    if place.present is not None:
        rrset = msgspec.structs.replace(rrset, comment=place.present.comment)
    wishes = lease_wishes(form, place.zone, key)
    command = ChangeZone(place.zone, (PutRRset(rrset),), create=place.create, leases=wishes)
    command = _conditional(key, form, command)
    done = action(form, "set", "compareAndSwap")

    def answer(state: State, accepted: Accepted) -> Response:
        node = written_node(context, state, key, write_value(rrset), accepted.index)
        return _changed(context, state, key, done, accepted.index, node)

    return Proposal(command, answer, lambda refused, state: _refused(context, key, form, refused, state))


def _refresh_whole(context: ApiContext, key: Key, form: Form) -> Proposal:
    """Renew the lease of a key and leave its value alone; what is gone cannot be renewed."""
    assert key.type is not None
    place = find_place(context, key)
    exists = Prerequisite("rrset-exists", key.name, key.type)
    command = ChangeZone(place.zone, (), (exists,), leases=lease_wishes(form, place.zone, key))
    command = _conditional(key, form, command)
    if form.prev_index is not None:
        if form.prev_index != place.index:
            raise EtcdProblem(COMPARE_FAILED, f"[{form.prev_index} != {place.index}]")
        found = () if place.present is None else place.present.rdatas
        same = Prerequisite("rrset-equals", key.name, key.type, found)
        command = msgspec.structs.replace(command, prerequisites=(*command.prerequisites, same))
    done = action(form, "set", "compareAndSwap")

    def answer(state: State, accepted: Accepted) -> Response:
        node = written_node(context, state, key, "", accepted.index)
        body: dict[str, object] = {"action": done, "node": node}
        if place.present is not None:
            body["prevNode"] = previous_node(place.present, place.index)
        return answered(context, body)

    return Proposal(command, answer, lambda refused, state: _refused(context, key, form, refused, state))


def _delete_whole(context: ApiContext, key: Key, form: Form) -> Proposal:
    assert key.type is not None
    zone = closest_zone(context.state(), key.name)
    if zone is None:
        raise EtcdProblem(NOT_FOUND, str(key))
    exists = Prerequisite("rrset-exists", key.name, key.type)
    command = ChangeZone(zone.name, (DeleteRRset(key.name, key.type),), (exists,))
    command = _conditional(key, form, command)
    done = action(form, "delete", "compareAndDelete")

    def answer(state: State, accepted: Accepted) -> Response:
        node = {"key": str(key), "createdIndex": accepted.index, "modifiedIndex": accepted.index}
        return _changed(context, state, key, done, accepted.index, node)

    return Proposal(command, answer, lambda refused, state: _refused(context, key, form, refused, state))


def _conditional(key: Key, form: Form, command: ChangeZone) -> ChangeZone:
    """Add etcd's conditions to a command, as the log's own."""
    assert key.type is not None
    prerequisites = list(command.prerequisites)
    if form.prev_exist is not None:
        prerequisites.append(
            Prerequisite("rrset-exists" if form.prev_exist else "rrset-absent", key.name, key.type)
        )
    if form.prev_value is not None:
        try:
            rdatas = tuple(read_value(key.type, form.prev_value))
        except EtcdProblem:
            raise EtcdProblem(COMPARE_FAILED, f"[{form.prev_value} != the present value]") from None
        prerequisites.append(Prerequisite("rrset-equals", key.name, key.type, rdatas))
    return msgspec.structs.replace(command, prerequisites=tuple(prerequisites), if_index=form.prev_index)


def _changed(context: ApiContext, state: State, key: Key, done: str, index: int, node: Node) -> Response:
    """Answer a write with the key as it is now and as it was."""
    assert key.type is not None
    before = before_entry(state, key.name, key.type, index)
    body: dict[str, object] = {"action": done, "node": node}
    if before is not None:
        body["prevNode"] = previous_node(before, index)
    return answered(context, body, 200 if before is not None else 201)


def _refused(context: ApiContext, key: Key, form: Form, refused: Refused, state: State) -> Response:
    """Tell of a condition that did not hold with the code that etcd has for it."""
    if refused.code != "precondition":
        return tell(of_refused(refused), state)
    rrset, index = tree_of(context, state).rrset(key)
    if rrset is None:
        return tell(EtcdProblem(NOT_FOUND, str(key)), state)
    if form.prev_exist is False:
        return tell(EtcdProblem(EXISTS, str(key)), state)
    given = form.prev_value if form.prev_value is not None else form.prev_index
    present = write_records(rrset.type, rrset.rdatas) if form.prev_value is not None else index
    return tell(EtcdProblem(COMPARE_FAILED, f"[{given} != {present}]"), state)
