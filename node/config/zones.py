"""From [[zones]] to the commands that create them: records parsed, settings completed."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import msgspec

from node.config.findings import Finding, Findings
from node.config.messages import Fault
from node.config.positions import Path as KeyPath
from node.config.schema import ZoneTable
from node.config.validate import Validated
from node.state.command import PutZone, ZoneSettings
from node.zone.master_file import BadMasterFile, Contents, Place, parse
from node.zone.name import Name, from_text, from_wire, to_text
from node.zone.rrset import NS, SOA, RRset

ZONE_FILE_BYTES_MAX = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BuiltZone:
    """A zone, its place in the file and the places of its records."""

    command: PutZone
    path: KeyPath
    places: dict[tuple[Name, int], Place]


def build_zones(valid: Validated, base: Path, findings: Findings) -> list[BuiltZone]:
    """Build every zone of the file; what is wrong with one becomes findings."""
    built = []
    for number, table in enumerate(valid.root.zones):
        path = valid.path("zones", number)
        contents = _contents(table, path, valid.root.dns.default_ttl, base, findings)
        if contents is None:
            continue
        settings = _settings(table, path, contents, valid.root.dns.default_ttl, findings)
        if settings is not None:
            command = PutZone(table.name, settings, contents.rrsets)
            built.append(BuiltZone(command, path, contents.places))
    return built


def report_record(findings: Findings, zone: BuiltZone, place: Place, message: str) -> None:
    """Note an error at a record of a zone, wherever its text stands."""
    _report(findings, zone.path, place, message)


def _contents(table: ZoneTable, path: KeyPath, dns_ttl: int, base: Path, findings: Findings) -> Contents | None:
    if table.records is not None and table.file is not None:
        findings.error((*path, "file"), "a zone has records or file, not both", code="conflict")
        return None
    # Lines that are all indented, for looks in the file, would all lack their owner.
    text, name = textwrap.dedent(table.records or ""), ""
    if table.file is not None:
        name = str(base / table.file)
        try:
            text = _read(Path(name), findings)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            findings.error((*path, "file"), f"cannot read {name}: {reason}", code="unreadable")
            return None
    ttl = table.default_ttl or dns_ttl
    include_base = base if table.file is None else Path(name).parent
    try:
        return parse(
            text, table.name, ttl, file=name, include=lambda wanted: _read(include_base / wanted, findings)
        )
    except BadMasterFile as bad:
        for each in bad.problems:
            _report(findings, path, each.place, each.text)
        return None


def _read(file: Path, findings: Findings) -> str:
    if "\x00" in str(file):
        raise OSError("a name of a file cannot hold a NUL")
    with file.open("rb") as opened:
        octets = opened.read(ZONE_FILE_BYTES_MAX + 1)
    if len(octets) > ZONE_FILE_BYTES_MAX:
        raise OSError(f"{file} is larger than {ZONE_FILE_BYTES_MAX // 1024**2} MiB")
    text = octets.decode("utf-8")
    findings.sources[str(file)] = text
    return text


def _report(findings: Findings, path: KeyPath, place: Place, message: str) -> None:
    if not place.file:
        findings.items.append(Finding((*path, "records"), message, "bad-record", text_line=place.line))
        return
    lines = findings.sources.get(place.file, "").split("\n")
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    findings.elsewhere.append(
        Fault(message, "bad-record", place.file, place.line, column=1, length=max(1, len(line.rstrip())))
    )


def _settings(
    table: ZoneTable, path: KeyPath, contents: Contents, dns_ttl: int, findings: Findings
) -> ZoneSettings | None:
    """Complete the settings from the records' own SOA and NS, where the keys say nothing."""
    by_type = {rrset.type: rrset for rrset in contents.rrsets if rrset.name == table.name}
    soa, ns = by_type.get(SOA), by_type.get(NS)
    for key in ("contact", "negative_ttl"):
        if soa is not None and getattr(table, key) is not None:
            findings.error(
                (*path, key),
                f"the records hold an SOA, which says it already; leave {key} out",
                code="conflict",
            )
    servers = tuple(table.nameservers or ())
    if ns is not None and servers and tuple(sorted(servers)) != ns.rdatas:
        findings.error(
            (*path, "nameservers"), "the NS records at the top of the zone name other servers", code="conflict"
        )
    servers = servers or (_names(ns) if ns is not None else ())
    zone = to_text(table.name)
    if not servers:
        findings.items.append(
            Finding(
                path,
                f"the zone {zone} has no name servers",
                "missing-key",
                f'add: nameservers = ["ns1.{zone[:-1]}"]',
                at="key",
            )
        )
        return None
    settings = ZoneSettings(
        nameservers=servers,
        contact=table.contact or from_text("hostmaster", table.name),
        default_ttl=table.default_ttl or dns_ttl,
        negative_ttl=60 if table.negative_ttl is None else table.negative_ttl,
    )
    return settings if soa is None else _with_soa(settings, soa)


def _names(ns: RRset) -> tuple[Name, ...]:
    return tuple(from_wire(rdata) for rdata in ns.rdatas)


def _with_soa(settings: ZoneSettings, soa: RRset) -> ZoneSettings:
    """Take what an SOA says (RFC 1035 section 3.3.13); its primary becomes the first name server."""
    rdata = soa.rdatas[0]
    numbers = [
        int.from_bytes(rdata[start : start + 4], "big") for start in range(len(rdata) - 16, len(rdata), 4)
    ]
    primary_end = _name_end(rdata)
    primary, contact = from_wire(rdata[:primary_end]), from_wire(rdata[primary_end:-20])
    others = tuple(each for each in settings.nameservers if each != primary)
    servers = (primary, *others) if primary in settings.nameservers else settings.nameservers
    return msgspec.structs.replace(
        settings,
        nameservers=servers,
        contact=contact,
        refresh_s=numbers[0],
        retry_s=numbers[1],
        expire_s=numbers[2],
        negative_ttl=numbers[3],
    )


def _name_end(rdata: bytes) -> int:
    position = 0
    while rdata[position]:
        position += 1 + rdata[position]
    return position + 1
