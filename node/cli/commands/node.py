"""``qdns node``: the members of the cluster."""

import click

from node.cli.changes import Json
from node.cli.completing import complete_nodes
from node.cli.faults import ExitCode, Failure
from node.cli.group import Group
from node.cli.options import client_options
from node.cli.session import Session
from node.cli.status_view import NODE_STATES, node_columns
from node.cli.times import age_s, clock, span


@click.group(cls=Group, example="qdns node show ns3")
def node() -> None:
    """Nodes: list, show."""


@node.command("list", example="qdns nodes -o wide")
@client_options
@click.pass_obj
def list_nodes(session: Session) -> None:
    """List the nodes as the one that answers sees them."""
    status = session.client.get("/v1/status")
    session.out.rows(status["nodes"], node_columns(status["node"]), lambda row: str(row["name"]))


@node.command("show", example="qdns node show ns3")
@click.argument("name", metavar="NODE", shell_complete=complete_nodes)
@client_options
@click.pass_obj
def show_node(session: Session, name: str) -> None:
    """Show all that is known of a node."""
    status = session.client.get("/v1/status")
    row = find_node(status, name)
    if session.out.is_for_people:
        session.out.heading(
            "   ".join(part for part in (row["name"], row.get("site"), row.get("role")) if part)
        )
        session.out.fields(_fields(row, status))
    else:
        session.out.document(row)


def find_node(status: Json, name: str) -> Json:
    """Return the row of a node. Raises ``Failure``."""
    for row in status["nodes"]:
        if row["name"] == name:
            return dict(row)
    names = ", ".join(each["name"] for each in status["nodes"])
    raise Failure(f'no node "{name}" in this cluster', ExitCode.NOT_FOUND, hint=f"one of: {names}")


def _fields(row: Json, status: Json) -> tuple[tuple[str, object], ...]:
    uptime_s = age_s(row.get("started_at"))
    started = f"{clock(row.get('started_at'))} ({span(uptime_s)} ago)" if uptime_s is not None else None
    probes = row.get("probes") or {}
    offset_s = row.get("clock_offset_s")
    return (
        ("state", f"{NODE_STATES.get(row['state'], row['state'])}{_because(row)}"),
        ("seen by", status["node"]),
        ("term", row.get("term")),
        ("committed", row.get("commit_index")),
        ("applied", row.get("applied_index")),
        ("behind", None if row.get("lag_entries") is None else f"{row['lag_entries']} entries"),
        ("digest", row.get("state_digest")),
        ("probes", f"{probes['endpoints']} endpoints, {probes['late']} late" if probes else None),
        ("DNS", ", ".join(row.get("dns") or ()) or None),
        ("API", row.get("api") or None),
        ("version", row.get("version")),
        ("started", started),
        ("certificate", _certificate(row)),
        ("clock", None if offset_s is None else f"{offset_s:+.1f} s beside that of {status['node']}"),
        (
            "refuses",
            "; ".join(f"{name}, which {why}" for name, why in (row.get("refusals") or {}).items()) or None,
        ),
    )


def _certificate(row: Json) -> str | None:
    found = row.get("certificate")
    return f"until {found['ends_at'][:10]} ({found['days_left']} days)" if found else None


def _because(row: Json) -> str:
    away_s = age_s(row.get("since_at"))
    since = f" since {clock(row['since_at'])} ({span(away_s)})" if away_s is not None else ""
    return since + (f": {row['error']}" if row.get("error") else "")
