"""Writing one of several records of an RRset. Planned again when another writer was faster."""

from collections.abc import Callable

import msgspec

from node.api.context import ApiContext
from node.api.etcd.answers import answered, written_node
from node.api.etcd.errors import COMPARE_FAILED, EXISTS, INVALID_FIELD, NOT_DIR, NOT_FOUND, EtcdProblem
from node.api.etcd.form import Form
from node.api.etcd.keys import Key, key_text
from node.api.etcd.members import members, with_members
from node.api.etcd.place import DELETIONS, Place, action, find_place, lease_wishes
from node.api.etcd.tree import Node, is_directory
from node.api.etcd.values import read_value, write_records
from node.api.message import Proposal, Response
from node.state.command import ChangeZone, DeleteRRset, PutRRset
from node.state.state import Accepted, State
from node.zone.rrset import make


def put_member(context: ApiContext, key: Key, form: Form, word: str = "set") -> Proposal:
    """Write one record."""
    assert key.type is not None
    assert key.member is not None
    rdatas = read_value(key.type, form.value or "")
    if len(rdatas) != 1:
        raise EtcdProblem(INVALID_FIELD, f"{key}: one record a key; nothing was changed")
    place = find_place(context, key)
    by_key = _by_key(key, place)
    before = by_key.get(key.member)
    _check_member(key, form, before, place.index)
    if rdatas[0] in (rdata for member, rdata in by_key.items() if member != key.member):
        raise EtcdProblem(INVALID_FIELD, f"{key}: the RRset has this record already; nothing was changed")
    base = place.present or make(key.name, key.type, place.ttl, rdatas)
    rrset = with_members(base, by_key | {key.member: rdatas[0]})
    wishes = lease_wishes(form, place.zone, key, rdatas[0])
    command = ChangeZone(place.zone, (PutRRset(rrset),), create=place.create, leases=wishes, keep_leases=True)
    done = action(form, word, "compareAndSwap")
    return _proposal(
        context, key, place, command, done, before, rdatas[0], lambda: put_member(context, key, form, word)
    )


def refresh_member(context: ApiContext, key: Key, form: Form) -> Proposal:
    """Renew the lease of one record and leave everything else alone."""
    assert key.type is not None
    assert key.member is not None
    place = find_place(context, key)
    before = _by_key(key, place).get(key.member)
    if before is None:
        raise EtcdProblem(NOT_FOUND, str(key))
    _check_member(key, form, before, place.index)
    command = ChangeZone(place.zone, (), leases=lease_wishes(form, place.zone, key, before))
    done = action(form, "set", "compareAndSwap")
    return _proposal(
        context, key, place, command, done, before, before, lambda: refresh_member(context, key, form)
    )


def delete_member(context: ApiContext, key: Key, form: Form) -> Proposal:
    """Delete one record; the RRset goes with its last."""
    assert key.type is not None
    assert key.member is not None
    place = find_place(context, key)
    by_key = _by_key(key, place)
    before = by_key.pop(key.member, None)
    if before is None or place.present is None:
        raise EtcdProblem(NOT_FOUND, str(key))
    _check_member(key, form, before, place.index)
    change = PutRRset(with_members(place.present, by_key)) if by_key else DeleteRRset(key.name, key.type)
    command = ChangeZone(place.zone, (change,), keep_leases=True)
    done = action(form, "delete", "compareAndDelete")
    return _proposal(
        context, key, place, command, done, before, None, lambda: delete_member(context, key, form)
    )


def _by_key(key: Key, place: Place) -> dict[str, bytes]:
    """Return the records by key. Raises ``EtcdProblem`` where there is one value and no directory."""
    if place.present is None:
        return {}
    if not is_directory(place.present):
        raise EtcdProblem(NOT_DIR, key_text(key.name, key.type))
    return members(place.present)


def _check_member(key: Key, form: Form, before: bytes | None, index: int) -> None:
    """Check conditions on one record; the command itself holds only if the RRset is still this one."""
    assert key.type is not None
    if before is None and (form.prev_exist or form.prev_value is not None or form.prev_index is not None):
        raise EtcdProblem(NOT_FOUND, str(key))
    if before is None:
        return
    if form.prev_exist is False:
        raise EtcdProblem(EXISTS, str(key))
    text = write_records(key.type, (before,))
    if form.prev_value is not None and form.prev_value != text:
        raise EtcdProblem(COMPARE_FAILED, f"[{form.prev_value} != {text}]")
    if form.prev_index is not None and form.prev_index != index:
        raise EtcdProblem(COMPARE_FAILED, f"[{form.prev_index} != {index}]")


def _proposal(
    context: ApiContext,
    key: Key,
    place: Place,
    command: ChangeZone,
    done: str,
    before: bytes | None,
    written: bytes | None,
    replan: Callable[[], Proposal],
) -> Proposal:
    assert key.type is not None
    key_type = key.type
    command = msgspec.structs.replace(command, if_index=place.index)
    previous = None if before is None else write_records(key.type, (before,))

    def answer(state: State, accepted: Accepted) -> Response:
        indexes = {"createdIndex": accepted.index, "modifiedIndex": accepted.index}
        node: Node = {"key": str(key)} | indexes
        if done not in DELETIONS:
            value = write_records(key_type, (written,)) if written is not None else ""
            node = written_node(context, state, key, value, accepted.index)
        body: dict[str, object] = {"action": done, "node": node}
        if previous is not None:
            body["prevNode"] = {"key": str(key), "value": previous} | {
                "createdIndex": place.index,
                "modifiedIndex": place.index,
            }
        return answered(context, body, 200 if previous is not None else 201)

    return Proposal(command, answer, replan=lambda _state: replan())
