"""From the text of a master file to the commands that make a zone of it. Pure; to be run in a thread."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from node.api.body import faulty
from node.api.names import default_settings, plain
from node.api.problem import Problem
from node.state.command import (
    Change,
    ChangeZone,
    Command,
    CommitImport,
    DeleteRRset,
    PutRRset,
    PutZone,
    StageImport,
    ZoneSettings,
)
from node.state.state import State
from node.zone.check import check
from node.zone.diff import Difference, differences, iter_diff_lines
from node.zone.lease import SUBTREE, LeaseKey
from node.zone.master_file import BadMasterFile, parse
from node.zone.name import Name, from_wire, iter_ancestors
from node.zone.release import release
from node.zone.rrset import AAAA, NS, SOA, A, RRset
from node.zone.serial import is_newer
from node.zone.zone import Zone

FILE_OCTETS_MAX = 256 * 1024 * 1024
DIFF_LINES_MAX = 1_000
FINDINGS_SHOWN_MAX = 100
AT_ONCE_CHANGES_MAX = 2_000
"""A smaller import is one ordinary change, with history; a larger one is staged."""
PART_CHANGES = 500
PART_OCTETS = 512 * 1024

Pause = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import comes to."""

    zone: Name
    create: ZoneSettings | None
    """Of a zone that does not exist yet."""
    base_serial: int | None
    serial: int | None
    """The file's own."""
    found: list[Difference]
    records: int
    findings: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Show what would change."""
        lines = list(islice(iter_diff_lines(self.found, self.zone, DIFF_LINES_MAX + 1), DIFF_LINES_MAX + 1))
        return {
            "zone": plain(self.zone),
            "is_new": self.create is not None,
            "base_serial": self.base_serial,
            "records": self.records,
            "rrsets_added": sum(each.before is None for each in self.found),
            "rrsets_changed": sum(each.before is not None and each.after is not None for each in self.found),
            "rrsets_removed": sum(each.after is None for each in self.found),
            "diff": lines[:DIFF_LINES_MAX],
            "diff_is_cut": len(lines) > DIFF_LINES_MAX,
            "findings": list(self.findings),
        }

    def at_once(self) -> Command | None:
        """Return the one command that does it, or None when that would be too large."""
        changes = [_change(each) for each in self.found]
        if len(changes) > AT_ONCE_CHANGES_MAX or sum(map(_octets, changes)) > PART_OCTETS:
            return None
        if self.create is None:
            return ChangeZone(self.zone, tuple(changes), if_serial=self.base_serial, serial=self.serial)
        rrsets = tuple(each.after for each in self.found if each.after is not None)
        return PutZone(self.zone, self.create, rrsets, if_index=0)

    def parts(self, id_: str) -> Iterator[StageImport]:
        """Yield the commands that stage it."""
        part: list[Change] = []
        number = octets = 0
        for each in self.found:
            change = _change(each)
            size = _octets(change)
            if part and (len(part) >= PART_CHANGES or octets + size > PART_OCTETS):
                yield self._part(id_, number, part)
                part, number, octets = [], number + 1, 0
            part.append(change)
            octets += size
        yield self._part(id_, number, part)

    def _part(self, id_: str, number: int, changes: list[Change]) -> StageImport:
        return StageImport(id_, self.zone, number, tuple(changes), self.base_serial, self.create)

    def commit(self, id_: str, parts: int) -> CommitImport:
        """Return the command that shows what was staged."""
        return CommitImport(id_, self.zone, parts, self.serial)


def plan_text(state: State, apex: Name, text: str, pause: Pause) -> Plan:
    """Read a master file and hold it against the zone. Raises ``Problem`` with every bad line."""
    settings = state.zone_settings.get(apex)
    ttl = settings.default_ttl if settings is not None else default_settings(apex).default_ttl
    try:
        contents = parse(text, apex, ttl, pause=pause)
    except BadMasterFile as bad:
        raise faulty([(str(each.place), each.text) for each in bad.problems]) from None
    release(contents.places, pause)
    return plan_rrsets(state, apex, contents.rrsets, pause)


def plan_rrsets(state: State, apex: Name, rrsets: tuple[RRset, ...], pause: Pause) -> Plan:
    """Hold the RRsets of a whole zone against it. Raises ``Problem``."""
    zone = state.zones.get(apex)
    soa = next((each for each in rrsets if each.type == SOA and each.name == apex), None)
    serial = int.from_bytes(soa.rdatas[0][-20:-16], "big") if soa is not None else None
    create = None if zone is not None else settings_of(rrsets, apex)
    is_left_alone = _left_alone(state, apex)
    found = differences(zone or Zone(apex, 0), rrsets, is_left_alone, pause)
    if zone is not None and found:
        _require_newer(state, zone, serial)
    findings = tuple(str(each) for each in check(rrsets, apex, pause)[:FINDINGS_SHOWN_MAX])
    records = sum(len(each.rdatas) for each in rrsets)
    return Plan(apex, create, None if zone is None else zone.serial, serial, found, records, findings)


def _require_newer(state: State, zone: Zone, serial: int | None) -> None:
    """A zone that keeps the serials of its files needs a newer one for another content. Raises ``Problem``."""
    if state.serial_policies.get(zone.name) != "keep" or (serial is not None and is_newer(serial, zone.serial)):
        return
    raise Problem(
        "invalid",
        f"the file's serial {serial} is not newer than {zone.serial}, and this zone keeps the serials of its files; "
        "nothing was changed",
        "raise the serial in the file's SOA",
    )


def _left_alone(state: State, apex: Name) -> Callable[[Name, int], bool]:
    """Return what tells the RRsets that no file decides: those of services, and what is leased."""
    leased = {(key.name, key.type) for key in state.leases if key.zone == apex and key.type != SUBTREE}
    has_leases = bool(state.leases)

    def is_left_alone(name: Name, type_: int) -> bool:
        if type_ in (A, AAAA) and name in state.services:
            return True
        if not has_leases:
            return False
        if (name, type_) in leased:
            return True
        leases = (state.leases.get(LeaseKey(apex, above)) for above in iter_ancestors(name))
        return any(lease is not None and lease.ttl_s > 0 for lease in leases)

    return is_left_alone


def settings_of(rrsets: tuple[RRset, ...], apex: Name) -> ZoneSettings:
    """Return a new zone's settings from its own SOA and NS. Raises ``Problem`` without name servers."""
    by_type = {each.type: each for each in rrsets if each.name == apex}
    soa, servers = by_type.get(SOA), by_type.get(NS)
    if servers is None:
        text = f"{plain(apex)} does not exist yet, and the file has no NS records for it; nothing was changed"
        raise Problem("invalid", text, f"qdns zone create {plain(apex)} --ns NAME, or add NS records")
    names = tuple(from_wire(rdata) for rdata in servers.rdatas)
    settings = msgspec.structs.replace(default_settings(apex), nameservers=names, default_ttl=servers.ttl)
    if soa is None:
        return settings
    rdata = soa.rdatas[0]
    end = _name_end(rdata)
    refresh, retry, expire, negative = (
        int.from_bytes(rdata[len(rdata) - 16 + at : len(rdata) - 12 + at], "big") for at in range(0, 16, 4)
    )
    primary, contact = from_wire(rdata[:end]), from_wire(rdata[end:-20])
    if primary in names:
        names = (primary, *(name for name in names if name != primary))
    return msgspec.structs.replace(
        settings,
        nameservers=names,
        contact=contact,
        refresh_s=refresh,
        retry_s=retry,
        expire_s=expire,
        negative_ttl=negative,
    )


def _name_end(rdata: bytes) -> int:
    position = 0
    while rdata[position]:
        position += 1 + rdata[position]
    return position + 1


def _change(difference: Difference) -> Change:
    if difference.after is not None:
        return PutRRset(difference.after)
    name, type_ = difference.place
    return DeleteRRset(name, type_)


def _octets(change: Change) -> int:
    if isinstance(change, DeleteRRset):
        return len(change.name) + 20
    rrset = change.rrset
    return len(rrset.name) + 4 * len(rrset.comment) + 40 + sum(len(rdata) + 5 for rdata in rrset.rdatas)
