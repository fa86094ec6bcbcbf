"""Dynamic UPDATE (RFC 2136): from a message to one command of the log, and from its outcome to an answer. Pure.

Prerequisites are judged where the command is applied; here the form is judged, and who asks. What the RFC tells a
server to ignore is ignored here, by the zone as this node knows it, and told in an extended error; where
another change comes between, the state refuses instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from node.dns import message
from node.dns.grants import Access
from node.dns.message import ExtendedError, Response
from node.dns.records import PREREQUISITE, UPDATE, BadRecord, Record, iter_records
from node.state.command import AddRdatas, Change, ChangeZone, DeleteRRset, Prerequisite, PutRRset, RemoveRdatas
from node.state.state import Accepted, Refused
from node.state.zones import unmet
from node.zone.name import Name, is_within, to_text
from node.zone.rrset import ANY, CNAME, DNAME, NS, SOA, RRset, make, rdata_problem, type_to_text
from node.zone.serial import is_newer
from node.zone.zone import Zone
from raft.proposal import Committed, NotCommitted, Outcome

RECORDS_MAX = 10_000
YXRRSET, NXRRSET, NOTZONE = 7, 8, 10
BESIDE_CNAME = frozenset({CNAME, 46, 47, 50, 25})
"""CNAME itself, RRSIG, NSEC, NSEC3 and KEY (RFC 4034 section 2.5, RFC 2181 section 10.1)."""
_SINGLE = (SOA, CNAME, DNAME)
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What an UPDATE comes to: one command of the log, and a sentence for every record that was ignored."""

    command: ChangeZone
    ignored: tuple[str, ...] = ()


def read_update(packet: bytes, zone: Zone, access: Access, key: Name) -> Asked:
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
    for record in asked:
        _check_form(record)
    draft = _Draft(zone)
    for record in asked:
        sentence = access.update_problem(key, record.name, record.type)
        if sentence:
            raise BadUpdate(message.REFUSED, sentence, _PROHIBITED)
        draft.take(record)
    command = ChangeZone(zone.name, tuple(draft.changes), prerequisites)
    return Asked(command, tuple(draft.ignored))


def finished(asked: Asked, outcome: Outcome, zones: Mapping[Name, Zone]) -> Response:
    """Say what became of an UPDATE; ``zones`` are those after it was applied here."""
    command = asked.command
    if isinstance(outcome, NotCommitted):
        return Response(message.SERVFAIL, error=ExtendedError(_NOT_READY, outcome.detail))
    if not isinstance(outcome, Committed):
        return Response(
            message.SERVFAIL, error=ExtendedError(_OTHER_ERROR, f"unknown outcome: {outcome.detail}")
        )
    result = outcome.result
    if isinstance(result, Accepted):
        error = ExtendedError(_OTHER_ERROR, asked.ignored[0]) if asked.ignored else None
        return Response(message.NOERROR, error=error)
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


class _Draft:
    """The changes of one message, and the zone as they would leave it, for the rules that ignore a record."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.changes: list[Change] = []
        self.ignored: list[str] = []
        self._rdatas: dict[Name, dict[int, set[bytes]]] = {}

    def take(self, record: Record) -> None:
        """Carry out one record, or ignore it (section 3.4.2)."""
        present = self._present(record.name)
        match record.class_:
            case 255:  # ANY
                self._delete(record, present)
            case 254:  # NONE
                self._remove(record, present)
            case _:
                self._add(record, present)

    def _present(self, name: Name) -> dict[int, set[bytes]]:
        """Return what stands at a name now, by type."""
        if name not in self._rdatas:
            node = self.zone.node(name)
            rrsets = () if node is None else node.rrsets
            self._rdatas[name] = {rrset.type: set(rrset.rdatas) for rrset in rrsets}
        return self._rdatas[name]

    def _delete(self, record: Record, present: dict[int, set[bytes]]) -> None:
        """Delete an RRset, or all at a name; the apex keeps SOA and NS (section 3.4.2.3)."""
        kept = (SOA, NS) if record.name == self.zone.name else ()
        if record.type in kept:
            self._ignore(record, "a zone keeps its SOA and NS")
            return
        for type_ in [record.type] if record.type != ANY else [each for each in present if each not in kept]:
            present.pop(type_, None)
        self.changes.append(DeleteRRset(record.name, record.type))

    def _remove(self, record: Record, present: dict[int, set[bytes]]) -> None:
        """Remove one record; neither an SOA nor the last NS of the apex (section 3.4.2.4)."""
        left = present.get(record.type, set()) - {record.rdata}
        if record.type == SOA or (record.type == NS and record.name == self.zone.name and not left):
            self._ignore(record, "a zone keeps its SOA and one NS")
            return
        present[record.type] = left
        if not left:
            del present[record.type]
        self.changes.append(RemoveRdatas(_one(record)))

    def _add(self, record: Record, present: dict[int, set[bytes]]) -> None:
        """Add a record; no CNAME beside other data, no SOA that is not newer (section 3.4.2.2)."""
        others = set(present) - BESIDE_CNAME
        if record.type == CNAME and others:
            self._ignore(record, "a CNAME cannot stand beside other data")
        elif record.type not in BESIDE_CNAME and CNAME in present:
            self._ignore(record, "no other data can stand beside a CNAME")
        elif record.type == SOA and not self._is_newer(record):
            self._ignore(record, "an SOA stands at the apex, with a newer serial")
        elif record.type in _SINGLE:
            present[record.type] = {record.rdata}
            self.changes.append(PutRRset(_one(record)))
        else:
            present.setdefault(record.type, set()).add(record.rdata)
            self.changes.append(AddRdatas(_one(record)))

    def _is_newer(self, record: Record) -> bool:
        serial = int.from_bytes(record.rdata[-20:-16], "big")
        return record.name == self.zone.name and is_newer(serial, self.zone.serial)

    def _ignore(self, record: Record, why: str) -> None:
        self.ignored.append(f"{to_text(record.name)} {type_to_text(record.type)} was ignored: {why}")


def _one(record: Record) -> RRset:
    return make(record.name, record.type, record.ttl, [record.rdata])
