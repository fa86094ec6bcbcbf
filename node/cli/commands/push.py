"""``qdns push``: the outside servers that follow us, and how far each is."""

import click

from node.cli.addresses import segment
from node.cli.changes import Json
from node.cli.completing import complete_targets
from node.cli.group import Group
from node.cli.options import client_options
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


@click.group(cls=Group, example="qdns push list")
def push() -> None:
    """Push targets: list, show. What is decided here is also written there."""


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
            ("zones", " ".join(row["zones"]) or "-"),
            ("stands", f"plan {row['plan']}, {ago(row.get('done_at'))}" if row["plan"] else "nothing yet"),
            ("wanted", f"plan {row['wanted']}" if row["wanted"] else None),
        )
    )
    if row["tries"]:
        out.line()
        out.table(row["tries"], TRY_COLUMNS)
