"""``qdns node``: the members of the cluster."""

import os
import time

import click

from node.cli.addresses import segment
from node.cli.changes import Json, confirm, confirm_word, report
from node.cli.completing import complete_nodes
from node.cli.faults import ExitCode, Failure, usage
from node.cli.group import Group
from node.cli.loading import load_config
from node.cli.options import CONFIG, client_options
from node.cli.session import Session
from node.cli.status_view import NODE_STATES, node_columns
from node.cli.times import age_s, clock, span
from node.counted import counted

LEAD_S_MAX = 5.0
LOOK_AGAIN_S = 0.1


@click.group(cls=Group, example="qdns node show ns3")
def node() -> None:
    """Nodes: list, show, add, remove, replace, lead, force-new-cluster."""


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


@node.command("add", example="qdns node add ns4 --raft 10.0.3.1:7300 --url https://10.0.3.1:7380")
@click.argument("name", metavar="NODE")
@click.option("--raft", required=True, metavar="IP:PORT", help="Where the other nodes reach its log.")
@click.option("--url", metavar="URL", help="Where the other nodes and qdns reach its API.")
@click.option("--site", metavar="NAME", help="Shown beside each of its votes.")
@click.option("--replica", is_flag=True, help="It serves from the log and never votes.")
@client_options
@click.pass_obj
def add_node(
    session: Session, name: str, raft: str, url: str | None, site: str | None, *, replica: bool
) -> None:
    """Let a node in. It votes by itself once it has caught up.

    Naming a node that is there changes where it is reached.
    """
    body = {"raft": raft, "api": _api_url(url), "site": site, "role": "replica" if replica else "voter"}
    answer = session.client.request("PUT", _path(name), body={k: v for k, v in body.items() if v is not None})
    note = "start it now" if replica else "start it now; it votes once it has caught up"
    report(session.out, "added", f"node {name}", answer.value, note=note)


@node.command("remove", example="qdns node remove ns3")
@click.argument("name", metavar="NODE", shell_complete=complete_nodes)
@click.option("--yes", is_flag=True, help="Do not ask.")
@client_options
@click.pass_obj
def remove_node(session: Session, name: str, *, yes: bool) -> None:
    """Take a node out of the cluster. Refused where the others would have no majority."""
    confirm("node", name, yes=yes)
    report(session.out, "removed", f"node {name}", session.client.request("DELETE", _path(name)).value)


@node.command("replace", example="qdns node replace ns3")
@click.argument("name", metavar="NODE", shell_complete=complete_nodes)
@click.option("--raft", metavar="IP:PORT", help="Where its log is reached now, if that changed.")
@click.option("--url", metavar="URL", help="Where its API is reached now, if that changed.")
@client_options
@click.pass_obj
def replace_node(session: Session, name: str, raft: str | None, url: str | None) -> None:
    """Let a node begin anew that has lost its data directory."""
    body = {key: value for key, value in (("raft", raft), ("api", _api_url(url))) if value is not None}
    answer = session.client.request("POST", f"{_path(name)}/replace", body=body)
    note = "start it with an empty data directory; it votes once it has caught up"
    report(session.out, "replaced", f"node {name}", answer.value, note=note)


@node.command("lead", example="qdns node lead ns2")
@click.argument("name", metavar="NODE", shell_complete=complete_nodes)
@client_options
@click.pass_obj
def lead(session: Session, name: str) -> None:
    """Hand leadership over to a node, before the leader's machine is taken down."""
    before = session.client.get("/v1/status")
    find_node(before, name)
    session.client.request("POST", f"{_path(name)}/lead", body={})
    ends_s = time.monotonic() + LEAD_S_MAX
    while (status := session.client.get("/v1/status"))["leader"] != name:
        if time.monotonic() > ends_s:
            raise Failure(
                f"{name} does not lead: {status['leader'] or 'nobody'} does",
                ExitCode.CONFLICT,
                hint=f"qdns node show {name}",
            )
        time.sleep(LOOK_AGAIN_S)
    session.out.line(f"{name} leads since term {status['term']}")


@node.command("force-new-cluster", example="qdns node force-new-cluster -c cluster.toml --node ns1")
@click.option(
    "--node", "name", metavar="NAME", help="Which node of the file this is; else LOCAL_NODE, or by address."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@CONFIG
@click.pass_obj
def force_new_cluster(session: Session, name: str | None, *, yes: bool) -> None:
    """Begin anew with this node's data alone, when the majority is lost for good.

    Run it on the machine of the node, which must be stopped. What the lost nodes acknowledged without this one
    is gone; they can come back only with empty data directories.
    """
    from node.plan import plan_of
    from raft.forcing import force_new_cluster, inspect

    settings = plan_of(load_config(session.settings.config, os.environ, name)).raft
    out, found = session.out, inspect(settings)
    lost = ", ".join(found.lost) or "nobody"
    out.line(
        f"{settings.node} holds the log up to index {found.last_index}; {found.commit_index} is known to be committed."
    )
    out.line(f"Given up: {lost}. What they acknowledged after index {found.last_index} is lost for good.")
    confirm_word("begin anew with the data of", settings.node, yes=yes)
    force_new_cluster(settings)
    out.line(f"{settings.node} is a cluster of one from index {found.last_index + 1} on")
    out.line(f"  start it:            qdns run --node {settings.node}")
    for other in found.lost:
        out.line(
            f"  let {other} come back: empty its data directory, qdns node add {other} --raft IP:PORT, start it"
        )


def _path(name: str) -> str:
    return f"/v1/nodes/{segment(name)}"


def _api_url(text: str | None) -> str | None:
    """Read what --url says, with its scheme: which one a node has cannot be guessed. Raises ``Failure``."""
    from node.state.api_url import parse_api_url

    try:
        return parse_api_url(text, None) if text else text
    except ValueError as error:
        raise usage(f"--url: {error}") from None


def find_node(status: Json, name: str) -> Json:
    """Return the row of a node. Raises ``Failure``."""
    for row in status["nodes"]:
        if row["name"] == name:
            return dict(row)
    names = ", ".join(each["name"] for each in status["nodes"])
    raise Failure(f'no node "{name}" in this cluster', ExitCode.NOT_FOUND, hint=f"one of: {names}")


def _probes(probes: Json) -> str:
    """Say how the node's probing goes; a node of an older version tells less of it."""
    late_percent = probes.get("late_percent", 0)
    said = counted(probes["endpoints"], "endpoint")
    said += f", {probes['late']} overdue" if probes["late"] else ""
    said += f", {late_percent:g} % begin late" if late_percent else ""
    said += "" if probes["late"] or late_percent else ", on time"
    said += f", load {probes['load']:.2f}" if "load" in probes else ""
    said += f", {probes['stale']} without a result" if probes.get("stale") else ""
    return f"{said}, isolated" if probes.get("isolated") else said


def _fields(row: Json, status: Json) -> tuple[tuple[str, object], ...]:
    uptime_s = age_s(row.get("started_at"))
    started = f"{clock(row.get('started_at'))} ({span(uptime_s)} ago)" if uptime_s is not None else None
    probes = row.get("probes") or {}
    offset_s = row.get("clock_offset_s")
    return (
        ("state", f"{NODE_STATES.get(row['state'], row['state'])}{_because(row)}"),
        ("seen by", status["node"]),
        ("part", row.get("part")),
        ("term", row.get("term")),
        ("committed", row.get("commit_index")),
        ("applied", row.get("applied_index")),
        ("behind", None if row.get("lag_entries") is None else counted(row["lag_entries"], "entry", "entries")),
        ("digest", row.get("state_digest")),
        ("leader heard", None if row.get("stale_s") is None else f"{row['stale_s']:.1f} s ago"),
        ("probes", _probes(probes) if probes else None),
        ("DNS", ", ".join(row.get("dns") or ()) or None),
        ("API", row.get("api") or None),
        ("version", row.get("version")),
        ("format", f"reads {row['reads_format']}" if row.get("reads_format") else None),
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
    return f"until {found['ends_at'][:10]} ({counted(found['days_left'], 'day')})" if found else None


def _because(row: Json) -> str:
    away_s = age_s(row.get("since_at"))
    since = f" since {clock(row['since_at'])} ({span(away_s)})" if away_s is not None else ""
    return since + (f": {row['error']}" if row.get("error") else "")
