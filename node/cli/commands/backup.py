"""``qdns backup``: the whole state in one verified file."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli import backup_file, terminal
from node.cli.faults import usage
from node.cli.group import Command
from node.cli.options import client_options
from node.cli.output import Printer
from node.cli.progress import Progress, size
from node.cli.session import Session
from node.cli.times import grouped

if TYPE_CHECKING:
    from node.state.backup import Header
    from node.state.survey import Survey

_EXAMPLE = """\
qdns backup /var/backups/quorumdns/today.qdns
qdns backup - | ssh vault 'cat > prod.qdns'
qdns backup --check /var/backups/quorumdns/today.qdns"""


@click.command(cls=Command, example=_EXAMPLE)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--node", metavar="NAME", help="Which node to ask; else the first that answers.")
@click.option("--stale", is_flag=True, help="Take the node's own copy, without asking what else is committed.")
@click.option("--check", is_flag=True, help="Read FILE again and say what it holds; asks no node.")
@client_options
@click.pass_obj
def backup(session: Session, file: Path, node: str | None, stale: bool, check: bool) -> None:
    """Write the whole state to a file, verified.

    It is the cluster's state at one log index; - writes it to standard output. FILE is replaced only
    by a backup that was read back and fits its digest. Its mode is 0600. The token needs the scope
    admin. Into an empty cluster it goes with: qdns run --restore FILE
    """
    if check:
        _check(session, file, given=bool(node or stale))
        return
    to_pipe = str(file) == "-"
    fetch = Fetch(session, node, stale=stale)
    header, survey, octets = backup_file.pass_on(fetch) if to_pipe else backup_file.keep(file, fetch)
    out = _error_printer(session) if to_pipe else session.out
    show(out, str(file), header, survey, octets)


def _check(session: Session, file: Path, *, given: bool) -> None:
    if given or str(file) == "-":
        raise usage("--check reads a file and asks no node", "qdns backup --check FILE")
    with backup_file.opened(file) as reader:
        survey = reader.survey()
        show(session.out, str(file), reader.header, survey, reader.octets)


class Fetch:
    """Asks a node for a backup."""

    def __init__(self, session: Session, node: str | None, *, stale: bool) -> None:
        self._client = session.client if node is None else session.client.at(_url_of(session, node))
        self._stale = stale

    def __call__(self, write: Callable[[bytes], object]) -> None:
        """Hand the octets on, and tell on a terminal how many there are. Raises ``Failure``."""
        _, stream = terminal.standard_streams()
        progress = Progress("fetching", stream)

        def take(octets: bytes) -> None:
            write(octets)
            progress.add(len(octets))

        try:
            self._client.download("/v1/backup", take, consistency=None if self._stale else "leader")
        finally:
            progress.end()


def _url_of(session: Session, node: str) -> str:
    from node.cli.commands.node import find_node

    url = find_node(session.client.get("/v1/status"), node).get("api")
    if not url:
        raise usage(f"the API address of {node} is not known here", "name it: --api URL")
    return str(url)


def show(out: Printer, name: str, header: "Header", survey: "Survey", octets: int) -> None:
    """Say what a verified backup holds."""
    if not out.is_for_people:
        out.document(row(name, header, survey, octets))
        return
    counts = (
        _count(header.zones, "zone"),
        f"{_count(survey.rrsets, 'RRset')} ({_count(survey.records, 'record')})",
        _count(header.services, "service"),
        _count(header.targets, "push target"),
    )
    out.line(f"{header.cluster}   index {grouped(header.index)}   {', '.join(counts)}   {size(octets)}")
    out.line(f"taken {moment(header)} from {header.node}, version {header.version}")
    out.line(f"verified: read back, and its contents fit the state digest {header.digest}")


def row(name: str, header: "Header", survey: "Survey", octets: int) -> dict[str, object]:
    """Return what a backup holds, for programs."""
    return {
        "file": name,
        "cluster": header.cluster,
        "node": header.node,
        "version": header.version,
        "taken_at": moment(header),
        "index": header.index,
        "state_digest": header.digest,
        "format": header.state_format,
        "zones": header.zones,
        "rrsets": survey.rrsets,
        "records": survey.records,
        "services": header.services,
        "targets": header.targets,
        "bytes": octets,
    }


def moment(header: "Header") -> str:
    """Write when a backup was taken: RFC 3339 in UTC."""
    return f"{datetime.fromtimestamp(header.taken_at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _count(number: int, noun: str) -> str:
    return f"{grouped(number)} {noun}{'' if number == 1 else 's'}"


def _error_printer(session: Session) -> Printer:
    """Return a printer for standard error: standard output is taken."""
    _, stream = terminal.standard_streams()
    show_ = terminal.detect(stream, session.environ, no_color=session.settings.no_color)
    return Printer(show_, session.out.format, write=lambda text: print(text, file=sys.stderr))
