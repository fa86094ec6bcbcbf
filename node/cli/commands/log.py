"""``qdns log``: what a node writes about itself."""

import click

from node.cli.group import Group
from node.cli.options import client_options
from node.cli.session import Session

LEVELS = ("debug", "info", "warning", "error")


@click.group(cls=Group, example="qdns log level debug")
def log() -> None:
    """The log of a node: level."""


@log.command("level", example="qdns log level debug")
@click.argument("level", required=False, type=click.Choice(LEVELS))
@client_options
@click.pass_obj
def log_level(session: Session, level: str | None) -> None:
    """Show or change from which level on the node that is asked logs, until it starts anew."""
    client, out = session.client, session.out
    reply = client.get("/v1/log") if level is None else client.write("PUT", "/v1/log", {"level": level})
    if not out.is_for_people:
        out.document(reply)
        return
    out.line(f"{reply['node']} logs from level {reply['level']} on")
