"""``qdns record``: RRsets, one at a time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from node.cli.addresses import segment
from node.cli.changes import Json, report
from node.cli.completing import complete_zones
from node.cli.faults import ExitCode, Failure
from node.cli.group import Group
from node.cli.options import Duration, client_options, reason_option
from node.cli.output import Column, Printer
from node.cli.session import Session

if TYPE_CHECKING:
    from node.cli.client import Client

_SET = "qdns record set www.example.org A 192.0.2.1 192.0.2.2 --ttl 60"


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a zone: a record with the RRset it belongs to."""

    rrset: Json
    rdata: str


def note(rrset: Json) -> str:
    """Write what else there is to say of an RRset: who manages it, whether it is off, its comment."""
    managed = f"service {rrset['managed_by']}" if rrset.get("managed_by") else ""
    disabled = "disabled" if rrset.get("disabled") else ""
    lease = _lease(rrset)
    return "; ".join(part for part in (managed, disabled, lease, rrset.get("comment") or "") if part)


def _lease(row: Json) -> str:
    """Write what is left of a lease, empty without one."""
    if not row.get("lease_s"):
        return ""
    return f"lease {row['lease_s']} s, {int(row.get('lease_left_s') or 0)} s left"


def _record_note(record: "Record") -> str:
    """Write what there is to say of the RRset, and of this record's own lease."""
    own = [each for each in record.rrset.get("record_leases") or () if each["rdata"] == record.rdata]
    return "; ".join(part for part in (*map(_lease, own), note(record.rrset)) if part)


COLUMNS = (
    Column("NAME", lambda row: row.rrset["name"]),
    Column("TTL", lambda row: row.rrset["ttl"], right=True),
    Column("TYPE", lambda row: row.rrset["type"]),
    Column("DATA", lambda row: row.rdata, flexible=True),
    Column("NOTE", _record_note),
    Column("INDEX", lambda row: row.rrset["index"], right=True, wide=True),
)


@click.group(cls=Group, aliases={"remove": "rm"}, example=_SET)
def record() -> None:
    """Records: list, get, set, add, rm. A set replaces all records of one name and type."""


@record.command("list", example="qdns record list example.org --type MX")
@click.argument("zone", required=False, shell_complete=complete_zones)
@click.option("--name", metavar="PATTERN", help="Only names like this; * stands for anything.")
@click.option("--type", "type_", metavar="TYPE", help="Only records of this type.")
@client_options
@click.pass_obj
def list_records(session: Session, zone: str | None, name: str | None, type_: str | None) -> None:
    """List the records of a zone, or of all zones."""
    zones = [zone] if zone else [each["zone"] for each in session.client.items("/v1/zones")]
    found = (rrset for each in zones for rrset in _iter_rrsets(session.client, each, name, type_))
    _write(session.out, found)


@record.command("get", example="qdns record get www.example.org")
@click.argument("name")
@click.argument("type_", metavar="[TYPE]", required=False)
@client_options
@click.pass_obj
def get_record(session: Session, name: str, type_: str | None) -> None:
    """Show the records of a name, of one type or of all."""
    client = session.client
    found = [client.get(_path(name, type_))] if type_ else list(_iter_of_name(client, name))
    if not found:
        raise Failure(f"{name} has no records", ExitCode.NOT_FOUND, hint="qdns record list")
    _write(session.out, found)


@record.command("set", example=_SET)
@click.argument("name")
@click.argument("type_", metavar="TYPE")
@click.argument("values", nargs=-1, required=True)
@click.option(
    "--ttl", type=Duration(), metavar="TIME", help="Time to live; else as it was, or the zone's default."
)
@click.option("--comment", metavar="TEXT", help="Kept beside the records; never in DNS.")
@click.option("--disabled", is_flag=True, help="Keep the records, but not in DNS.")
@click.option(
    "--lease", type=Duration(), metavar="TIME", help="Gone everywhere after so long, unless set again."
)
@reason_option
@client_options
@click.pass_obj
def set_record(
    session: Session,
    name: str,
    type_: str,
    values: tuple[str, ...],
    ttl: float | None,
    comment: str | None,
    disabled: bool,
    lease: float | None,
    reason: str,
) -> None:
    """Make these the only records of a name and type.

    With --lease they are gone after that time, on all nodes at once, unless the same command is given
    again before: whoever registers himself cleans up after himself. Without --lease they stay.
    """
    before = session.client.find(_path(name, type_))
    kept_ttl = before["ttl"] if before is not None else None
    chosen_ttl = int(ttl) if ttl is not None else kept_ttl
    values = _rdatas(type_, values)
    body: Json = {"rdatas": list(values), "disabled": disabled}
    body["comment"] = comment if comment is not None else (before or {}).get("comment", "")
    if chosen_ttl is not None:
        body["ttl"] = chosen_ttl
    if lease is not None:
        body["lease_s"] = math.ceil(lease)
        chosen_ttl = None if chosen_ttl is None else min(chosen_ttl, max(1, math.ceil(lease) // 2))
    reply = session.client.write("PUT", _path(name, type_), body, reason=reason)
    shown = f"{_dotted(name)} {'' if chosen_ttl is None else chosen_ttl} {type_.upper()} {' '.join(values)}"
    was = f"(was: {' '.join(before['rdatas'])})" if before is not None and reply.get("changed", True) else ""
    was = "   ".join(part for part in (was, _lease_note(lease, before)) if part)
    report(session.out, "set", " ".join(shown.split()), reply, note=was)


def _lease_note(lease: float | None, before: Json | None) -> str:
    if lease is not None:
        return f"for {math.ceil(lease)} s unless set again"
    return "its lease has ended, it stays" if before is not None and before.get("lease_s") else ""


@record.command("add", example='qdns record add example.org TXT "v=spf1 mx -all"')
@click.argument("name")
@click.argument("type_", metavar="TYPE")
@click.argument("values", nargs=-1, required=True)
@click.option(
    "--ttl", type=Duration(), metavar="TIME", help="Time to live of all records of this name and type."
)
@click.option(
    "--lease", type=Duration(), metavar="TIME", help="Gone everywhere after so long, unless added again."
)
@reason_option
@client_options
@click.pass_obj
def add_record(
    session: Session,
    name: str,
    type_: str,
    values: tuple[str, ...],
    ttl: float | None,
    lease: float | None,
    reason: str,
) -> None:
    """Add records to those that are there.

    With --lease each of them is gone after that time unless it is added again before.
    """
    values = _rdatas(type_, values)
    body: Json = {"add": list(values)} | ({"ttl": int(ttl)} if ttl is not None else {})
    body |= {"lease_s": math.ceil(lease)} if lease is not None else {}
    reply = session.client.write("PATCH", _path(name, type_), body, reason=reason)
    report(session.out, "added", f"{_dotted(name)} {type_.upper()} {' '.join(values)}", reply)


@record.command("rm", example="qdns record rm www.example.org A 192.0.2.2")
@click.argument("name")
@click.argument("type_", metavar="TYPE")
@click.argument("values", nargs=-1)
@reason_option
@client_options
@click.pass_obj
def remove_record(session: Session, name: str, type_: str, values: tuple[str, ...], reason: str) -> None:
    """Remove the given records, or all of a name and type."""
    path, values = _path(name, type_), _rdatas(type_, values)
    if values:
        reply = session.client.write("PATCH", path, {"remove": list(values)}, reason=reason)
    else:
        reply = session.client.write("DELETE", path, reason=reason)
    report(session.out, "removed", f"{_dotted(name)} {type_.upper()} {' '.join(values)}".strip(), reply)


def _rdatas(type_: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """Put texts into the quotes that the shell has taken away; what is quoted already stays."""
    if type_.upper() not in ("TXT", "SPF"):
        return values
    return tuple(each if each.lstrip().startswith('"') else _quoted(each) for each in values)


def _quoted(text: str) -> str:
    """Write a text as character strings of at most 255 octets (RFC 1035 section 3.3.14)."""
    octets = text.encode()
    pieces = [octets[start : start + 255] for start in range(0, len(octets), 255)] or [b""]
    return " ".join(f'"{"".join(map(_escaped, piece))}"' for piece in pieces)


def _escaped(octet: int) -> str:
    if octet in b'"\\':
        return f"\\{octet:c}"
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}"


def _path(name: str, type_: str) -> str:
    return f"/v1/zones/-/rrsets/{segment(name)}/{segment(type_.upper())}"


def _dotted(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _iter_rrsets(client: "Client", zone: str, name: str | None, type_: str | None) -> Iterable[Json]:
    return client.items(f"/v1/zones/{segment(zone)}/rrsets", name=name, type=type_)


def _iter_of_name(client: "Client", name: str) -> Iterable[Json]:
    """Return the RRsets of a name, from the longest zone that holds it."""
    wanted = name.lower().rstrip(".")
    zones = [each["zone"] for each in client.items("/v1/zones")]
    holding = [each for each in zones if each in ("", wanted) or wanted.endswith(f".{each}")]
    if not holding:
        raise Failure(f"no zone here holds {name}", ExitCode.NOT_FOUND, hint="qdns zone list")
    return _iter_rrsets(client, max(holding, key=len), wanted, None)


def _write(out: Printer, rrsets: Iterable[Json]) -> None:
    """Write RRsets as they are for programs, record by record for people."""
    if out.format in ("json", "jsonl"):
        out.rows(list(rrsets), (), str)
        return
    records = [Record(rrset, rdata) for rrset in rrsets for rdata in rrset["rdatas"]]
    if out.format == "name":
        keys = dict.fromkeys(f"{each.rrset['name']} {each.rrset['type']}" for each in records)
        for key in keys:
            out.line(key)
    else:
        out.rows(records, COLUMNS, str)
