"""``qdns push``: the outside servers that follow us, and how far each is."""

import click

from node.cli.addresses import segment
from node.cli.changes import Json, report
from node.cli.completing import complete_targets
from node.cli.faults import ExitCode
from node.cli.group import Group
from node.cli.options import client_options, reason_option
from node.cli.output import Column
from node.cli.session import Session
from node.cli.status_view import PUSH_STATES
from node.cli.times import ago


def _state(row: Json) -> str:
    return PUSH_STATES.get(row["state"]) or str(row["state"])


COLUMNS = (
    Column("TARGET", lambda row: row["target"]),
    Column("KIND", lambda row: row["kind"]),
    Column("SERVER", lambda row: row["server"] or "-"),
    Column("ZONES", lambda row: ",".join(row["zones"]) or "-"),
    Column("STATE", _state, raw=lambda row: row["state"]),
    Column("DONE", lambda row: ago(row.get("done_at")), raw=lambda row: row.get("done_at")),
    Column("DETAIL", lambda row: row.get("detail") or "-", flexible=True),
    Column("PLAN", lambda row: row["plan"], right=True, wide=True),
    Column("WANTED", lambda row: row["wanted"], right=True, wide=True),
)

TRY_COLUMNS = (
    Column("NODE", lambda row: row["node"]),
    Column("RESULT", lambda row: "▲ done" if row["ok"] else "▼ failed"),
    Column("PLAN", lambda row: row["plan"], right=True),
    Column("WHEN", lambda row: ago(row.get("at"))),
    Column("DETAIL", lambda row: row.get("detail") or "-", flexible=True),
)


def _terms(row: Json) -> str:
    fence = ", fenced" if row["fence"] else ""
    return f"{row['what']}, own {row['own']}{fence}, held beyond {row['max_withdrawal_percent']}% withdrawn"


@click.group(cls=Group, example="qdns push list")
def push() -> None:
    """Push targets: list, show, diff, refresh, pause, resume, release. What is decided here is written there."""


@push.command("list", example="qdns push list -o wide")
@client_options
@click.pass_obj
def list_push(session: Session) -> None:
    """List the targets and whether they have what they should."""
    rows = list(session.client.items("/v1/push"))
    session.out.rows(rows, COLUMNS, lambda row: str(row["target"]))


@push.command("show", example="qdns push show knot-eu")
@click.argument("target", shell_complete=complete_targets)
@client_options
@click.pass_obj
def show_push(session: Session, target: str) -> None:
    """Show a target and what each node's last try came to."""
    row = session.client.get(f"/v1/push/{segment(target)}")
    out = session.out
    if not out.is_for_people:
        out.document(row)
        return
    out.heading("   ".join((row["target"], row["kind"], row["server"] or "-")))
    out.fields(
        (
            ("state", f"{_state(row)}" + (f": {row['detail']}" if row.get("detail") else "")),
            ("what", _terms(row) if "what" in row else None),
            ("zones", " ".join(row["zones"]) or "-"),
            ("stands", f"plan {row['plan']}, {ago(row.get('done_at'))}" if row["plan"] else "nothing yet"),
            ("wanted", f"plan {row['wanted']}" if row["wanted"] else None),
        )
    )
    if row["tries"]:
        out.line()
        out.table(row["tries"], TRY_COLUMNS)


DIFF_COLUMNS = (
    Column("NAME", lambda row: row["name"]),
    Column("TYPE", lambda row: row["type"]),
    Column("STANDS", lambda row: _records(row["before"]), flexible=True),
    Column("WANTED", lambda row: _records(row["after"]), flexible=True),
)


def _records(rrset: Json | None) -> str:
    return "-" if rrset is None else f"{rrset['ttl']} {' '.join(rrset['records'])}"


@push.command("diff", example="qdns push diff knot-eu")
@click.argument("target", shell_complete=complete_targets)
@client_options
@click.pass_obj
def diff_push(session: Session, target: str) -> int:
    """Read the target and show what a push would replace there. Nothing is sent: a dry run. Exit 12 if anything."""
    reply = session.client.get(f"/v1/push/{segment(target)}/diff")
    out = session.out
    if out.is_for_people and not reply["changes"]:
        out.line(f"{target} is as it should be")
        return ExitCode.DONE
    out.rows(reply["changes"], DIFF_COLUMNS, lambda row: f"{row['name']}/{row['type']}")
    return ExitCode.DIFFERENT if reply["changes"] else ExitCode.DONE


@push.command("refresh", example="qdns push refresh knot-eu")
@click.argument("target", shell_complete=complete_targets)
@reason_option
@client_options
@click.pass_obj
def refresh_push(session: Session, target: str, reason: str) -> None:
    """Have the whole target read and repaired, by the node whose turn it is."""
    _steer(session, target, "refresh", "refreshed", reason)


@push.command("pause", example="qdns push pause knot-eu --reason migration")
@click.argument("target", shell_complete=complete_targets)
@reason_option
@client_options
@click.pass_obj
def pause_push(session: Session, target: str, reason: str) -> None:
    """Push nothing to a target until it is resumed."""
    _steer(session, target, "pause", "paused", reason)


@push.command("resume", example="qdns push resume knot-eu")
@click.argument("target", shell_complete=complete_targets)
@reason_option
@client_options
@click.pass_obj
def resume_push(session: Session, target: str, reason: str) -> None:
    """Push to a paused target again; it gets all that changed meanwhile."""
    _steer(session, target, "resume", "resumed", reason)


@push.command("release", example="qdns push release knot-eu --reason 'the old site is gone'")
@click.argument("target", shell_complete=complete_targets)
@reason_option
@client_options
@click.pass_obj
def release_push(session: Session, target: str, reason: str) -> None:
    """Push what is held because it takes most of a zone's records away; see it first with diff."""
    _steer(session, target, "release", "released", reason)


def _steer(session: Session, target: str, action: str, verb: str, reason: str) -> None:
    reply = session.client.write("POST", f"/v1/push/{segment(target)}/{action}", reason=reason)
    report(session.out, verb, target, reply)
