"""``qdns notify``: who is told of what the cluster decides."""

import click

from node.cli.addresses import segment
from node.cli.completing import complete_receivers
from node.cli.group import Group
from node.cli.listing import age_column, show_list, state_column
from node.cli.options import client_options
from node.cli.output import Column
from node.cli.session import Session

_STATES = {"ok": "● ok", "failing": "✕ failing", "new": "◐ new"}


COLUMNS = (
    Column("RECEIVER", lambda row: row["receiver"]),
    Column("KIND", lambda row: row["kind"]),
    Column("PLACE", lambda row: row["place"]),
    state_column(_STATES),
    age_column("LAST", "last_at"),
    Column("ACCEPTED", lambda row: row["accepted"], right=True),
    Column("FAILURES", lambda row: row["failures"], right=True),
    Column("GIVEN UP", lambda row: row["given_up"], right=True, wide=True),
    Column("NODE", lambda row: row["node"] or "-", wide=True),
    Column("DETAIL", lambda row: row["detail"] or "-", flexible=True),
)


@click.group(cls=Group, example="qdns notify list")
def notify() -> None:
    """Who is told of events: list, test. Each receiver is told once of every event that it wants to hear of."""


@notify.command("list", example="qdns notify list -o wide")
@client_options
@click.pass_obj
def list_notify(session: Session) -> None:
    """List the receivers and how each is."""
    show_list(session, "/v1/notify", COLUMNS, "receiver")


@notify.command("test", example="qdns notify test ops")
@click.argument("receiver", shell_complete=complete_receivers)
@client_options
@click.pass_obj
def test_notify(session: Session, receiver: str) -> None:
    """Send a receiver a test from the node that is asked, and say how it was taken."""
    reply = session.client.write("POST", f"/v1/notify/{segment(receiver)}/test")
    out = session.out
    if not out.is_for_people:
        out.document(reply)
        return
    out.line(f"{receiver} took a test from {reply['node']}: {reply['detail']}")
