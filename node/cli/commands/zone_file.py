"""``qdns zone import``, ``export``, ``check`` and ``diff``: whole zones as files."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli import terminal
from node.cli.addresses import segment
from node.cli.changes import Json, report
from node.cli.completing import complete_zones
from node.cli.faults import ExitCode, Failure, usage
from node.cli.group import Command
from node.cli.options import client_options, reason_option, yes_option
from node.cli.progress import Progress
from node.cli.session import Session
from node.cli.zone_text import bad_lines, has_includes, parse_file, read_text, zone_of
from node.counted import counted

if TYPE_CHECKING:
    from node.zone.check import Finding

DIFF_SHOWN_MAX = 60
MASTER_FILE = "text/dns"
_IMPORT = """\
qdns zone import example.org ./example.org.zone
qdns zone import example.org.zone --dry-run
qdns zone import --etcd http://127.0.0.1:4001 --yes"""

zone_option = click.option(
    "--zone", "zone", metavar="ZONE", help="Which zone; else $ORIGIN or the file's name says."
)


@click.command("import", cls=Command, example=_IMPORT)
@click.argument("what", metavar="[ZONE] FILE", nargs=-1)
@zone_option
@click.option(
    "--etcd", metavar="URL|FILE", help="Take HelixDNS' tree from etcd's v2 API, or from a dump of it."
)
@click.option("--dry-run", is_flag=True, help="Only show what would change; exit code 12 if anything would.")
@yes_option
@reason_option
@client_options
@click.pass_obj
def import_zone(
    session: Session,
    what: tuple[str, ...],
    zone: str | None,
    etcd: str | None,
    dry_run: bool,
    yes: bool,
    reason: str,
) -> None:
    """Make a zone what a master file says, all of it at one log index.

    Shows the difference and asks first. What the file does not name goes, but for what a service or a
    lease decides. A zone that does not exist is made, with the file's SOA and NS. Large files travel in
    parts that nobody sees before the last one. $INCLUDE reads files below the file's own directory.
    """
    if etcd is not None:
        if what:
            raise usage("--etcd says what to import; leave FILE out", _IMPORT.splitlines()[-1])
        from node.cli.etcd_import import import_tree

        import_tree(session, etcd, zone, dry_run=dry_run, yes=yes, reason=reason)
        return
    path, text, name = _named(what, zone)
    import_text(session, name, path, _whole(session, path, text, name), dry_run=dry_run, yes=yes, reason=reason)


@click.command("diff", cls=Command, example="qdns zone diff example.org ./example.org.zone")
@click.argument("what", metavar="[ZONE] FILE", nargs=-1)
@zone_option
@client_options
@click.pass_obj
def diff_zone(session: Session, what: tuple[str, ...], zone: str | None) -> None:
    """Show what importing a master file would change; exit code 12 if anything would."""
    path, text, name = _named(what, zone)
    import_text(session, name, path, _whole(session, path, text, name), dry_run=True, yes=True, reason="")


def _named(what: tuple[str, ...], zone: str | None) -> tuple[Path, str, str]:
    """Return the file, its text and its zone. Raises ``Failure``."""
    if len(what) not in (1, 2) or (len(what) == 2 and zone):
        raise usage("say which file, and perhaps of which zone", "qdns zone import ZONE FILE")
    path = Path(what[-1])
    text = read_text(path)
    return path, text, zone_of(path, text, what[0] if len(what) == 2 else zone)


def _whole(session: Session, path: Path, text: str, zone: str) -> str:
    """Return the text with what it includes in place, which a node would not read."""
    if not has_includes(text):
        return text
    from node.zone.master_file import write
    from node.zone.name import from_text

    known = session.client.find(_path(zone)) or {}
    origin = from_text(zone)
    return write(parse_file(path, text, origin, int(known.get("default_ttl") or 5)).rrsets, origin)


def import_text(
    session: Session, zone: str, path: Path, text: str, *, dry_run: bool, yes: bool, reason: str
) -> None:
    """Show what a text would make of a zone, ask, and do it. Raises ``Failure``."""
    octets = text.encode()
    if yes and not dry_run:  # nobody looks first, so the file need not be read twice
        reply = _put(session, zone, path, octets, {}, reason)
        if session.out.is_for_people:
            _show(session, zone, reply)
        report(session.out, "imported", f"{zone}  {counted(reply['records'], 'record')}", reply)
        return
    plan = _put(session, zone, path, octets, {"dry_run": "true"}, "")
    found = plan["rrsets_added"] + plan["rrsets_changed"] + plan["rrsets_removed"]
    is_for_people = session.out.is_for_people
    if is_for_people:
        _show(session, zone, plan)
    if dry_run:
        if not is_for_people:
            session.out.document(plan)
        if found:
            raise click.exceptions.Exit(ExitCode.DIFFERENT)
        return
    if found or plan["is_new"]:
        _ask(zone)
    bound = {} if plan["base_serial"] is None else {"if_serial": str(plan["base_serial"])}
    reply = _put(session, zone, path, octets, bound, reason)
    report(session.out, "imported", f"{zone}  {counted(plan['records'], 'record')}", reply)


def _ask(zone: str) -> None:
    if not sys.stdin.isatty():
        raise usage(f"{zone} was not changed: nobody to ask", "add --yes, or --dry-run to only look")
    if not click.confirm(f"Change {zone} so?", err=True, default=False):
        raise usage(f"{zone} was not changed")


def _show(session: Session, zone: str, plan: Json) -> None:
    lines = plan["diff"]
    for line in lines[:DIFF_SHOWN_MAX]:
        session.out.line(line)
    if len(lines) > DIFF_SHOWN_MAX or plan["diff_is_cut"]:
        session.out.line(f"... and more: -o json shows {len(lines)} lines")
    for finding in plan["findings"]:
        session.out.line(f"# {finding}")
    state = "new" if plan["is_new"] else f"serial {plan['base_serial']}"
    counts = ", ".join(f"{plan[f'rrsets_{what}']} {what}" for what in ("added", "changed", "removed"))
    session.out.line(f"{zone}   {state}   {counted(plan['records'], 'record')} in the file; RRsets: {counts}")


def _put(
    session: Session, zone: str, path: Path, octets: bytes, params: dict[str, str], reason: str
) -> dict[str, Any]:
    _, stream = terminal.standard_streams()
    progress = Progress("sending" if "dry_run" in params else "importing", stream)
    try:
        return session.client.upload(
            f"{_path(zone)}/file", octets, MASTER_FILE, params=params, reason=reason, sent=progress.add
        )
    except Failure as failure:
        if failure.code is ExitCode.CONFIG:
            raise bad_lines(path, [f"{path}:{line}" for line in failure.facts]) from None
        raise
    finally:
        progress.end()


@click.command("export", cls=Command, example="qdns zone export example.org > example.org.zone")
@click.argument("zone", shell_complete=complete_zones)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@client_options
@click.pass_obj
def export_zone(session: Session, zone: str, file: Path) -> None:
    """Write a zone as a master file, to standard output or to FILE, which is replaced as a whole.

    Comments of RRsets stand behind their records; disabled ones are commented out, and import reads both
    back.
    """
    if str(file) == "-":
        stream = sys.stdout.buffer
        session.client.download(f"{_path(zone)}/file", stream.write, content_type=MASTER_FILE)
        stream.flush()
        return
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as opened:
            session.client.download(f"{_path(zone)}/file", opened.write, content_type=MASTER_FILE)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    session.out.line(f"exported  {zone}  to {file}")


@click.command("check", cls=Command, example="qdns zone check ./example.org.zone")
@click.argument("what", metavar="ZONE|FILE", shell_complete=complete_zones)
@zone_option
@client_options
@click.pass_obj
def check_zone(session: Session, what: str, zone: str | None) -> None:
    """Say what is wrong with a zone here, or with a master file before it is one.

    Missing glue, aliases where none may be, targets without addresses, what a delegation hides, times of
    the SOA. A file is read here and no node is asked. Exit code 3: the file cannot be taken; 10: errors.
    """
    path = Path(what)
    is_file = path.is_file()
    rows = _check_file(path, zone) if is_file else session.client.get(f"{_path(what)}/check")["items"]
    if not session.out.is_for_people:
        session.out.document(rows)
    else:
        for row in rows:
            kind = f" {row['type']}" if row["type"] else ""
            session.out.line(f"{row['level']}: {row['name']}{kind}: {row['text']}")
        session.out.line(f"{what}  {_counted(rows)}")
    if any(row["level"] == "error" for row in rows):
        raise click.exceptions.Exit(ExitCode.DEGRADED)


def _counted(rows: list[Json]) -> str:
    errors = sum(row["level"] == "error" for row in rows)
    counts = [
        f"{count} {word}{'s' * (count != 1)}"
        for count, word in ((errors, "error"), (len(rows) - errors, "warning"))
    ]
    return ", ".join(counts) if rows else "ok"


def _check_file(path: Path, zone: str | None) -> list[Json]:
    from node.zone.check import check
    from node.zone.name import from_text

    text = read_text(path)
    origin = from_text(zone_of(path, text, zone))
    return [_row(each) for each in check(parse_file(path, text, origin, 5).rrsets, origin)]


def _row(finding: "Finding") -> Json:
    from node.zone.name import to_text
    from node.zone.rrset import type_to_text

    name = to_text(finding.name).removesuffix(".") or "."
    kind = type_to_text(finding.type) if finding.type else None
    return {"level": finding.level, "name": name, "type": kind, "text": finding.text}


def _path(zone: str) -> str:
    return f"/v1/zones/{segment(zone)}"
