"""Dynamic UPDATE (RFC 2136): from a message to one command of the log, and from its outcome to an answer. Pure.

Prerequisites are judged where the command is applied; here only the form is judged, and who asks. What
the RFC tells a server to ignore in silence because of the message alone is ignored here.
"""

from collections.abc import Mapping

from node.dns import message
from node.dns.grants import Access
from node.dns.message import ExtendedError, Response
from node.dns.records import PREREQUISITE, UPDATE, BadRecord, Record, iter_records
from node.state.command import AddRdatas, Change, ChangeZone, DeleteRRset, Prerequisite, PutRRset, RemoveRdatas
from node.state.state import Accepted, Refused
from node.state.zones import unmet
from node.zone.name import Name, is_within, to_text
from node.zone.rrset import ANY, CNAME, DNAME, NS, SOA, RRset, make, rdata_problem, type_to_text
from node.zone.zone import Zone
from raft.proposal import Committed, NotCommitted, Outcome

RECORDS_MAX = 10_000
YXRRSET, NXRRSET, NOTZONE = 7, 8, 10
_CLASS_IN, _CLASS_NONE, _CLASS_ANY = 1, 254, 255
_OTHER_ERROR, _PROHIBITED, _NOT_READY = 0, 18, 14
_PREREQUISITE_RCODES = {
    "name-exists": message.NXDOMAIN,
    "name-absent": message.YXDOMAIN,
    "rrset-exists": NXRRSET,
    "rrset-equals": NXRRSET,
    "rrset-absent": YXRRSET,
}


class BadUpdate(Exception):
    """The message asks for what cannot be done; ``rcode`` tells, the sentence and the extended error explain."""

    def __init__(self, rcode: int, sentence: str, code: int = _OTHER_ERROR) -> None:
        super().__init__(sentence)
        self.rcode = rcode
        self.code = code

    def response(self) -> Response:
        """Return the answer."""
        return Response(self.rcode, error=ExtendedError(self.code, str(self)))


def read_update(packet: bytes, zone: Zone, access: Access, key: Name) -> ChangeZone:
    """Read an UPDATE of a zone signed with a key. Raises ``BadUpdate``."""
    try:
        records = list(iter_records(packet))
    except BadRecord as bad:
        raise BadUpdate(message.FORMERR, str(bad)) from None
    if len(records) > RECORDS_MAX:
        raise BadUpdate(message.REFUSED, f"an update can have at most {RECORDS_MAX} records")
    wanted = [record for record in records if record.section == PREREQUISITE]
    asked = [record for record in records if record.section == UPDATE]
    for record in (*wanted, *asked):
        if not is_within(record.name, zone.name):
            raise BadUpdate(NOTZONE, f"{to_text(record.name)} is not inside {to_text(zone.name)}")
    prerequisites = _prerequisites(wanted)
    changes: list[Change] = []
    for record in asked:
        _check_form(record)
    for record in asked:
        sentence = access.update_problem(key, record.name, record.type)
        if sentence:
            raise BadUpdate(message.REFUSED, sentence, _PROHIBITED)
        changes += _changes(record, zone)
    return ChangeZone(zone.name, tuple(changes), prerequisites)


def finished(command: ChangeZone, outcome: Outcome, zones: Mapping[Name, Zone]) -> Response:
    """Say what became of an UPDATE; ``zones`` are those after it was applied here."""
    if isinstance(outcome, NotCommitted):
        return Response(message.SERVFAIL, error=ExtendedError(_NOT_READY, outcome.detail))
    if not isinstance(outcome, Committed):
        return Response(
            message.SERVFAIL, error=ExtendedError(_OTHER_ERROR, f"unknown outcome: {outcome.detail}")
        )
    result = outcome.result
    if isinstance(result, Accepted):
        return Response(message.NOERROR)
    if not isinstance(result, Refused):
        return Response(message.SERVFAIL)
    rcode = {"precondition": _unmet_rcode(command, zones), "not-found": message.NOTAUTH}.get(
        result.code, message.REFUSED
    )
    return Response(rcode, error=ExtendedError(_OTHER_ERROR, result.detail))


def _unmet_rcode(command: ChangeZone, zones: Mapping[Name, Zone]) -> int:
    """Return the rcode of the first prerequisite that is not met (section 3.2.5)."""
    zone = zones.get(command.zone)
    failed = [each for each in command.prerequisites if zone is not None and unmet(zone, each)]
    first = next(iter([*failed, *command.prerequisites]), None)
    return NXRRSET if first is None else _PREREQUISITE_RCODES[first.kind]


# --- prerequisites (section 2.4) ------------------------------------------------------------------


def _prerequisites(records: list[Record]) -> tuple[Prerequisite, ...]:
    found: list[Prerequisite] = []
    equals: dict[tuple[Name, int], list[bytes]] = {}
    for record in records:
        if record.ttl:
            raise BadUpdate(message.FORMERR, "a prerequisite has a ttl of 0")
        if record.class_ == _CLASS_IN:
            _check_rdata(record)
            equals.setdefault((record.name, record.type), []).append(record.rdata)
            continue
        if record.class_ not in (_CLASS_ANY, _CLASS_NONE) or record.rdata:
            raise BadUpdate(message.FORMERR, "a prerequisite has another class, or data where none belong")
        is_wanted = record.class_ == _CLASS_ANY
        if record.type == ANY:
            found.append(Prerequisite("name-exists" if is_wanted else "name-absent", record.name))
        else:
            found.append(
                Prerequisite("rrset-exists" if is_wanted else "rrset-absent", record.name, record.type)
            )
    found += [
        Prerequisite("rrset-equals", name, type_, tuple(sorted(set(rdatas))))
        for (name, type_), rdatas in equals.items()
    ]
    return tuple(found)


# --- updates (section 2.5) ------------------------------------------------------------------------


def _check_form(record: Record) -> None:
    """Scan one record of the update section (section 3.4.1)."""
    is_meta = 128 <= record.type <= 255 or record.type == 41
    if record.class_ == _CLASS_IN:
        if is_meta:
            raise BadUpdate(message.FORMERR, f"{type_to_text(record.type)} cannot be added")
        _check_rdata(record)
    elif record.class_ == _CLASS_ANY:
        if record.ttl or record.rdata or (is_meta and record.type != ANY):
            raise BadUpdate(message.FORMERR, "a deletion has no ttl, no data and a type that zones hold")
    elif record.class_ == _CLASS_NONE:
        if record.ttl or is_meta:
            raise BadUpdate(message.FORMERR, "a deletion has no ttl and a type that zones hold")
    else:
        raise BadUpdate(message.FORMERR, f"class {record.class_} has no meaning in an update")


def _check_rdata(record: Record) -> None:
    sentence = rdata_problem(record.type, record.rdata)
    if sentence:
        raise BadUpdate(message.FORMERR, sentence)


def _changes(record: Record, zone: Zone) -> list[Change]:
    """Say what one record changes; nothing where the RFC ignores it (section 3.4.2)."""
    is_apex = record.name == zone.name
    if record.class_ == _CLASS_ANY:
        if is_apex and record.type in (SOA, NS):
            return []
        return [DeleteRRset(record.name, record.type)]
    rrset = make(record.name, record.type, record.ttl, [record.rdata])
    if record.class_ == _CLASS_NONE:
        return [] if record.type == SOA or _is_last_server(rrset, zone) else [RemoveRdatas(rrset)]
    if record.type == SOA and not is_apex:
        return []
    return [PutRRset(rrset) if record.type in (SOA, CNAME, DNAME) else AddRdatas(rrset)]


def _is_last_server(rrset: RRset, zone: Zone) -> bool:
    """Say whether a removal would leave the zone without name server (section 3.4.2.4)."""
    servers = zone.get(zone.name, NS)
    return rrset.name == zone.name and servers is not None and servers.rdatas == rrset.rdatas
