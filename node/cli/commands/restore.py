"""``qdns restore``: what a backup would change, and how a cluster begins with it."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from node.cli import backup_file
from node.cli.commands.backup import Fetch, moment
from node.cli.faults import ExitCode, Failure
from node.cli.group import Command
from node.cli.options import client_options
from node.cli.session import Session
from node.cli.times import grouped

if TYPE_CHECKING:
    from node.state.backup import Header
    from node.state.difference import Difference

LINES = 100
TEXT_CHARACTERS_MAX = 160
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_NOUNS = {"zone": "zones", "rrset": "RRsets", "service": "services", "target": "push targets"}


@click.command(cls=Command, example="qdns restore /var/backups/quorumdns/today.qdns --dry-run")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--dry-run", is_flag=True, help="Show what is otherwise in FILE than in the cluster. Exit 12 if so."
)
@click.option(
    "--lines", type=click.IntRange(0), default=LINES, metavar="N", help=f"Show the first N ({LINES})."
)
@click.option("--node", metavar="NAME", help="Which node to ask; else the first that answers.")
@click.option("--stale", is_flag=True, help="Compare with the node's own copy, as when there is no quorum.")
@client_options
@click.pass_obj
def restore(session: Session, file: Path, dry_run: bool, lines: int, node: str | None, stale: bool) -> int:
    """Compare a backup with the running cluster.

    A cluster that runs is never replaced by a backup: what was committed since, and served to the world,
    would be gone at once. An empty one begins with it: qdns run --restore FILE
    """
    with backup_file.opened(file) as reader:
        header, survey = reader.header, reader.survey()
    if not dry_run:
        raise _explained(file)
    with backup_file.fetched(Fetch(session, node, stale=stale)) as there:
        return _compare(session, file, header, set(survey.state.services), there, lines)


def _explained(file: Path) -> Failure:
    return Failure(
        "a running cluster is not replaced by a backup; nothing was changed",
        ExitCode.USAGE,
        facts=(
            "what was committed since, and served to the world, would be gone at once",
            "to give that up: stop all nodes, empty their data directories, then",
            f"                 qdns run --restore {file}",
        ),
        hint=f"what is otherwise in it: qdns restore {file} --dry-run",
    )


def _compare(
    session: Session, file: Path, header: "Header", services: set[Any], there: BinaryIO, lines: int
) -> int:
    from node.state.backup import BackupReader
    from node.state.difference import differences

    running = BackupReader(there)
    known = services | set(running.survey().state.services)
    there.seek(0)
    with backup_file.opened(file) as backup:
        found = differences(BackupReader(there).pieces(), backup.pieces(), known)
        shown = list(islice(found, lines))
        counts: Counter[tuple[str, str]] = Counter((each.kind, each.change) for each in shown)
        counts.update((each.kind, each.change) for each in found)
    if session.out.is_for_people:
        _write(session, file, header, running.header, shown, counts)
    else:
        session.out.document(_document(file, header, running.header, shown, counts))
    return ExitCode.DIFFERENT if counts else ExitCode.DONE


def _write(
    session: Session,
    file: Path,
    header: "Header",
    running: "Header",
    shown: list["Difference"],
    counts: "Counter[tuple[str, str]]",
) -> None:
    out = session.out
    out.line(f"cluster  {running.cluster}   index {grouped(running.index)}   now, from {running.node}")
    out.line(f"backup   {header.cluster}   index {grouped(header.index)}   {moment(header)}, {file}")
    for each in shown:
        out.line(f"{_SIGNS[each.change]} {each.name}  {_values(each)}".rstrip())
    rest = counts.total() - len(shown)
    if rest:
        out.line(f"  and {grouped(rest)} more: --lines {counts.total()}")
    out.line(
        "; ".join(_summaries(counts)) if counts else "no difference: the backup holds what the cluster does"
    )


def _values(each: "Difference") -> str:
    texts = [_cut(text) for text in (each.before, each.after) if text]
    return " -> ".join(texts)


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS_MAX else f"{text[: TEXT_CHARACTERS_MAX - 3]}..."


def _summaries(counts: "Counter[tuple[str, str]]") -> Iterable[str]:
    from node.state.difference import CHANGES, KINDS

    for kind in KINDS:
        parts = [f"{grouped(counts[kind, change])} {change}" for change in CHANGES if counts[kind, change]]
        if parts:
            yield f"{_NOUNS[kind]}: {', '.join(parts)}"


def _document(
    file: Path,
    header: "Header",
    running: "Header",
    shown: list["Difference"],
    counts: "Counter[tuple[str, str]]",
) -> dict[str, object]:
    import msgspec

    from node.state.difference import CHANGES, KINDS

    return {
        "backup": {"file": str(file), **_head(header)},
        "cluster": _head(running),
        "counts": {kind: {change: counts[kind, change] for change in CHANGES} for kind in KINDS},
        "differences": [msgspec.to_builtins(each) for each in shown],
        "more": counts.total() - len(shown),
    }


def _head(header: "Header") -> dict[str, object]:
    return {
        "name": header.cluster,
        "index": header.index,
        "state_digest": header.digest,
        "taken_at": moment(header),
    }
