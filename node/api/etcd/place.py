"""What writes of keys have in common: where a key's RRset lives, and the word for what is done."""

from dataclasses import dataclass

from node.api.context import ApiContext
from node.api.etcd.errors import INVALID_FIELD, EtcdProblem
from node.api.etcd.form import Form
from node.api.etcd.keys import Key, srv_order_problem
from node.api.etcd.members import is_key
from node.api.etcd.tree import tree_of
from node.api.names import zone_for_write
from node.state.command import LeaseWish, ZoneSettings
from node.zone.lease import LeaseKey
from node.zone.name import Name
from node.zone.rrset import RRset

DELETIONS = ("delete", "compareAndDelete")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key's RRset lives and what it is now, as this node sees it."""

    zone: Name
    create: ZoneSettings | None
    present: RRset | None
    index: int
    ttl: int


def require_record(key: Key) -> None:
    """Refuse a key that cannot hold a record. Raises ``EtcdProblem``."""
    if key.type is None:
        raise EtcdProblem(
            INVALID_FIELD, f"{key}: the last step must be a record type in upper case, such as {key}/A"
        )
    if key.member is not None and not is_key(key.member):
        raise EtcdProblem(INVALID_FIELD, f"{key}: {key.member!r} cannot be a key; letters, digits, _ . : - can")
    wrong = srv_order_problem(key)
    if wrong:
        raise EtcdProblem(INVALID_FIELD, wrong)


def lease_wishes(form: Form, zone: Name, key: Key, rdata: bytes = b"") -> tuple[LeaseWish, ...]:
    """Return the lease that a request asks for; an empty ttl asks for none."""
    assert key.type is not None
    return (LeaseWish(LeaseKey(zone, key.name, key.type, rdata), form.ttl_s or 0),)


def find_place(context: ApiContext, key: Key) -> Place:
    """Find the zone of a key. Raises ``Problem`` when there is none."""
    state = context.state()
    apex, create = zone_for_write(context, "-", key.name)
    settings = create or state.zone_settings.get(apex)
    rrset, index = tree_of(context, state).rrset(key)
    ttl = settings.default_ttl if settings is not None else 5
    if rrset is not None and LeaseKey(apex, rrset.name, rrset.type) not in state.leases:
        ttl = rrset.ttl  # a leased one has a ttl that fits its lease, not the next one
    return Place(apex, create, rrset, index, ttl)


def action(form: Form, plain: str, compared: str) -> str:
    """Return etcd's word for what a request does."""
    if form.prev_value is not None or form.prev_index is not None:
        return compared
    if form.prev_exist is None or plain != "set":
        return plain
    return "update" if form.prev_exist else "create"
