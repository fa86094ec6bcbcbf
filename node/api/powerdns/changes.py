"""From PowerDNS' changes to ours: REPLACE, DELETE, EXTEND, PRUNE, all of a request in one entry.

A change of a service's RRset is taken for what it means: the set of the service's endpoints. It goes
alone, as it is a command of its own.
"""

from collections.abc import Sequence

import msgspec

from node.api.access import require_scope
from node.api.body import faulty
from node.api.message import Identity
from node.api.names import plain, read_name, read_type
from node.api.powerdns.models import RRsetChange
from node.api.problem import Problem
from node.health.service import Endpoint, Service, canonical_address
from node.state.command import (
    AddRdatas,
    Change,
    ChangeZone,
    Command,
    DeleteRRset,
    PutRRset,
    PutService,
    RemoveRdatas,
)
from node.state.state import ServiceState, State
from node.zone.name import ROOT, Name, to_text
from node.zone.rrset import AAAA, A, BadRdata, RRset, make, rdata_from_text, type_to_text

COMMENT_CHARACTERS_MAX = 255


def command_of(state: State, zone: Name, given: Sequence[RRsetChange], identity: Identity) -> Command | None:
    """Return the one command that the changes come to, None when they come to nothing. Raises ``Problem``."""
    changes: list[Change] = []
    endpoints: dict[Name, Service] = {}
    for position, each in enumerate(given):
        name, type_ = read_name(each.name), _read_type(each)
        known = state.services.get(name) if type_ in (A, AAAA) else None
        if known is None:
            changes.append(_change(state, zone, each, name, type_, f"/rrsets/{position}"))
            continue
        service = _with_addresses(endpoints.get(name, known.service), each, type_)
        if service != known.service:
            endpoints[name] = service
    if not endpoints:
        return ChangeZone(zone, tuple(changes)) if changes else None
    return _service_command(state, endpoints, changes, identity)


def rrset_of(state: State, zone: Name, each: RRsetChange, position: int) -> RRset:
    """Return the RRset that a new zone starts with. Raises ``Problem``."""
    change = _change(state, zone, each, read_name(each.name), _read_type(each), f"/rrsets/{position}")
    if isinstance(change, PutRRset):
        return change.rrset
    raise Problem("invalid", f"{each.name} {each.type}: a new zone starts with records, not with changes")


def _read_type(each: RRsetChange) -> int:
    """Read a type. Raises ``Problem``, also for those that are none of DNS and mean work for PowerDNS itself."""
    if each.type.upper() == "ALIAS":
        raise Problem(
            "invalid",
            f"{each.name} ALIAS: a server that looks names up makes an address of it, this one does not; "
            "nothing was changed",
            "a CNAME, where the name has no other records, or the addresses themselves",
        )
    return read_type(each.type)


def _change(state: State, zone: Name, each: RRsetChange, name: Name, type_: int, where: str) -> Change:
    word = each.changetype.upper()
    records = each.records or []
    if word == "DELETE" or (word == "REPLACE" and not records):
        return DeleteRRset(name, type_)
    if word not in ("REPLACE", "EXTEND", "PRUNE"):
        raise Problem(
            "invalid", f"{where}/changetype {each.changetype} is none of REPLACE, DELETE, EXTEND, PRUNE"
        )
    rrset = make(name, type_, _ttl(state, zone, each, name, type_), _rdatas(each, type_, where))
    if word == "EXTEND":
        return AddRdatas(rrset)
    if word == "PRUNE":
        return RemoveRdatas(rrset)
    return PutRRset(msgspec.structs.replace(rrset, comment=_comment(each), disabled=_is_disabled(each, where)))


def _ttl(state: State, zone: Name, each: RRsetChange, name: Name, type_: int) -> int:
    """Return the ttl given, else the present one, else the zone's default."""
    if each.ttl is not None:
        return each.ttl
    known = state.zones.get(zone)
    present = known.get(name, type_) if known is not None else None
    settings = state.zone_settings.get(zone)
    if present is not None:
        return present.ttl
    return settings.default_ttl if settings is not None else 5


def _rdatas(each: RRsetChange, type_: int, where: str) -> list[bytes]:
    rdatas, faults = [], []
    for position, record in enumerate(each.records or []):
        try:
            rdatas.append(rdata_from_text(type_, record.content, ROOT))
        except BadRdata as error:
            faults.append((f"{where}/records/{position}", str(error)))
    if faults:
        raise faulty(faults)
    return rdatas


def _comment(each: RRsetChange) -> str:
    """Return the comments as one; some programs send an empty one for every record."""
    texts = [comment.content for comment in each.comments or [] if comment.content]
    return "; ".join(texts)[:COMMENT_CHARACTERS_MAX]


def _is_disabled(each: RRsetChange, where: str) -> bool:
    words = {record.disabled for record in each.records or []}
    if len(words) > 1:
        raise Problem("invalid", f"{where}/records: either all records of an RRset are disabled or none is")
    return words == {True}


# --- services -----------------------------------------------------------------------------------------


def _with_addresses(service: Service, each: RRsetChange, type_: int) -> Service:
    """Return the service with these addresses of the type's family; what is known of each stays."""
    given = [_address(record.content) for record in each.records or []]
    present = {endpoint.address: endpoint for endpoint in service.endpoints if _is_of(endpoint.address, type_)}
    word = each.changetype.upper()
    if word == "EXTEND":
        wanted = [*present, *given]
    elif word == "PRUNE":
        wanted = [address for address in present if address not in given]
    else:
        wanted = [] if word == "DELETE" else given
    kept = [each for each in service.endpoints if not _is_of(each.address, type_) or each.address in wanted]
    added = [Endpoint(address) for address in dict.fromkeys(wanted) if address not in present]
    ttl = each.ttl if each.ttl is not None and word == "REPLACE" else service.ttl
    return msgspec.structs.replace(service, endpoints=(*kept, *added), ttl=ttl)


def _is_of(address: str, type_: int) -> bool:
    return (":" in address) == (type_ == AAAA)


def _address(text: str) -> str:
    try:
        return canonical_address(text)
    except ValueError as error:
        raise Problem("invalid", str(error)) from None


def _service_command(
    state: State, endpoints: dict[Name, Service], changes: list[Change], identity: Identity
) -> PutService:
    name, service = next(iter(endpoints.items()))
    known: ServiceState = state.services[name]
    if changes or len(endpoints) > 1:
        text = f"{to_text(name)} {'/'.join(type_to_text(t) for t in (A, AAAA))} belongs to the service {plain(name)}"
        raise Problem("invalid", f"{text}: change its endpoints in a request of their own; nothing was changed")
    try:
        require_scope(identity, "services:write")
    except Problem as problem:
        text = f"{to_text(name)} belongs to the service {plain(name)}: {problem.detail}; nothing was changed"
        raise Problem("invalid", text) from None
    return PutService(service, known.index)
