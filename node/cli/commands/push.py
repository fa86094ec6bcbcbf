"""``qdns push``: the outside servers that follow us, and how far each is."""

import click

from node.cli.addresses import segment
from node.cli.changes import Json, report
from node.cli.completing import complete_targets
from node.cli.faults import ExitCode
from node.cli.group import Group
from node.cli.listing import age_column, show_list, state_column, state_of
from node.cli.options import client_options, reason_option
from node.cli.output import Column
from node.cli.session import Session
from node.cli.status_view import PUSH_STATES
from node.cli.times import ago

COLUMNS = (
    Column("TARGET", lambda row: row["target"]),
    Column("KIND", lambda row: row["kind"]),
    Column("SERVER", lambda row: row["server"] or "-"),
    Column("ZONES", lambda row: ",".join(row["zones"]) or "-"),
    state_column(PUSH_STATES),
    age_column("DONE", "done_at"),
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
    show_list(session, "/v1/push", COLUMNS, "target")


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
            ("state", state_of(row, PUSH_STATES) + (f": {row['detail']}" if row.get("detail") else "")),
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


def _steering(action: str, verb: str, about: str, example: str) -> None:
    """Make the command that asks one thing of a target."""

    @push.command(action, help=about, example=example)
    @click.argument("target", shell_complete=complete_targets)
    @reason_option
    @client_options
    @click.pass_obj
    def steer(session: Session, target: str, reason: str) -> None:
        reply = session.client.write("POST", f"/v1/push/{segment(target)}/{action}", reason=reason)
        report(session.out, verb, target, reply)


_steering(
    "refresh",
    "refreshed",
    "Have the whole target read and repaired, by the node whose turn it is.",
    "qdns push refresh knot-eu",
)
_steering(
    "pause",
    "paused",
    "Push nothing to a target until it is resumed.",
    "qdns push pause knot-eu --reason migration",
)
_steering(
    "resume",
    "resumed",
    "Push to a paused target again; it gets all that changed meanwhile.",
    "qdns push resume knot-eu",
)
_steering(
    "release",
    "released",
    "Push what is held because it takes most of a zone's records away; see it first with diff.",
    "qdns push release knot-eu --reason 'the old site is gone'",
)
