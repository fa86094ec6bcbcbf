"""``qdns cluster``: the nodes of a configuration as real processes of this machine."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

import click

from node.cli import local_cluster
from node.cli.completing import complete_nodes
from node.cli.faults import ExitCode, Failure
from node.cli.group import Group
from node.cli.local_cluster import LocalCluster, Member, Ready
from node.cli.options import CONFIG, daemon_options, output_options
from node.cli.output import Column
from node.cli.session import Session
from node.cli.times import now_s, span
from node.cli.watch import pause

FOLLOW_S = 0.2
LOG_LINES = 20


@click.group(cls=Group, example="qdns cluster up\nqdns cluster kill ns2\nqdns status -w")
def cluster() -> None:
    """Run all nodes of a configuration on this machine: real processes, one log and pid file each."""


def _cluster(session: Session) -> LocalCluster:
    return local_cluster.load(session.settings.config, os.environ, local_cluster.NODE_COMMAND)


@cluster.command(example="qdns cluster up --detach && qdns status")
@click.option("--detach", is_flag=True, help="Return when all are ready, and leave them running.")
@daemon_options
@click.pass_obj
def up(session: Session, detach: bool) -> int:
    """Start all nodes, wait until they are ready, and stop them at Ctrl-C."""
    nodes = _cluster(session)
    with _interrupts() as interrupts:
        with nodes.locked():
            _start(nodes)
            ready = _wait_or_stop(nodes)
        _announce(session, nodes, ready, detach=detach)
        if detach:
            return ExitCode.DONE
        try:
            nodes.watch(lambda text: _tell(session, text), lambda: bool(interrupts))
        finally:
            _tell(session, "stopping")
            nodes.stop()
    return ExitCode.INTERRUPTED if interrupts == [signal.SIGINT] else ExitCode.DONE


def _tell(session: Session, text: str) -> None:
    session.out.line(f"  {text}")
    session.out.flush()


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Note Ctrl-C, SIGTERM and a closed terminal instead of dying of them, so that no node is left behind."""
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if not seen:
            seen.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(nodes: LocalCluster) -> None:
    running = nodes.running()
    if running:
        names = ", ".join(member.name for member in running)
        hint = "qdns cluster status   qdns cluster restart NODE   qdns cluster down"
        raise Failure(f"already running: {names}", ExitCode.CONFLICT, hint=hint)
    nodes.start(nodes.members)


def _wait_or_stop(nodes: LocalCluster) -> Ready:
    """Wait for the nodes; when that comes to nothing leave none of them behind."""
    try:
        return nodes.wait_ready(nodes.members)
    except BaseException:
        nodes.stop()
        raise


def _announce(session: Session, nodes: LocalCluster, ready: Ready, *, detach: bool) -> None:
    """Say where everything is and what to try."""
    out = session.out
    names = "   ".join(f"{each.name} {_host(each)}" for each in nodes.members)
    out.line(f"  {names}      leader {ready.leader} after {ready.after_s:.1f} s")
    out.line(f"  dashboards {' '.join(each.api for each in nodes.members)}")
    served = [each for each in nodes.members if each.dns]
    if served:
        host, _, port = served[0].dns[0].rpartition(":")
        out.line(f"  DNS        {' '.join(each.dns[0] for each in served)}      dig NAME @{host} -p {port}")
    out.line(f"  logs       {nodes.directory}")
    victim = next((each.name for each in nodes.members if each.name == ready.leader), nodes.members[-1].name)
    out.line(f"  try:  qdns status     qdns cluster kill {victim}     qdns status -w")
    out.line("  stop: qdns cluster down" if detach else "  Ctrl-C stops everything.")
    out.flush()


def _host(member: Member) -> str:
    return member.api.partition("://")[2].rpartition(":")[0] or member.api


@cluster.command(example="qdns cluster down")
@daemon_options
@click.pass_obj
def down(session: Session) -> None:
    """Stop all nodes; what is in the log stays."""
    nodes = _cluster(session)
    with nodes.locked():
        stopped = nodes.stop()
    names = ", ".join(member.name for member in stopped)
    session.out.line(f"stopped {names}" if stopped else "nothing was running")


@cluster.command(example="qdns cluster status")
@CONFIG
@output_options
@click.pass_obj
def status(session: Session) -> None:
    """Show the processes; how the cluster is says qdns status."""
    nodes = _cluster(session)
    rows = [_row(member) for member in nodes.members]
    columns = (
        Column("NODE", lambda row: row["name"]),
        Column("PROCESS", lambda row: "● runs" if row["pid"] else "✕ stopped"),
        Column("PID", lambda row: row["pid"] or "-", right=True),
        Column("UPTIME", lambda row: "-" if row["uptime_s"] is None else span(row["uptime_s"])),
        Column("API", lambda row: row["api"]),
        Column("DNS", lambda row: ",".join(row["dns"]) or "-"),
        Column("LOG", lambda row: row["log"]),
    )
    session.out.rows(rows, columns, lambda row: str(row["name"]))


def _row(member: Member) -> dict[str, object]:
    pid, started_s = member.program.pid(), member.program.started_s()
    uptime_s = max(0, int(now_s() - started_s)) if pid is not None and started_s is not None else None
    return {
        "name": member.name,
        "pid": pid,
        "uptime_s": uptime_s,
        "api": member.api,
        "dns": list(member.dns),
        "log": str(member.program.log_path),
    }


@cluster.command(example="qdns cluster kill ns2")
@click.argument("node", shell_complete=complete_nodes)
@daemon_options
@click.pass_obj
def kill(session: Session, node: str) -> None:
    """Kill a node as a power cut would (SIGKILL)."""
    nodes = _cluster(session)
    member = nodes.member(node)
    with nodes.locked():
        if not nodes.kill(member):
            raise Failure(f"{node} is not running", ExitCode.NOT_FOUND, hint=f"qdns cluster restart {node}")
    session.out.line(f"killed {node}      back with: qdns cluster restart {node}")


@cluster.command(example="qdns cluster restart ns2")
@click.argument("node", shell_complete=complete_nodes)
@daemon_options
@click.pass_obj
def restart(session: Session, node: str) -> None:
    """Stop a node if it runs, start it and wait until it is ready."""
    nodes = _cluster(session)
    member = nodes.member(node)
    with nodes.locked():
        nodes.stop([member])
        nodes.start([member])
        ready = nodes.wait_ready([member])
    session.out.line(f"{node} is ready after {ready.after_s:.1f} s      leader {ready.leader}")


@cluster.command(example="qdns cluster logs ns1 --follow")
@click.argument("node", required=False, shell_complete=complete_nodes)
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows.")
@click.option("-n", "--lines", type=click.IntRange(0, 10_000), default=LOG_LINES, help="How many lines (20).")
@daemon_options
@click.pass_obj
def logs(session: Session, node: str | None, follow: bool, lines: int) -> None:
    """Show what the nodes logged."""
    nodes = _cluster(session)
    members = [nodes.member(node)] if node else list(nodes.members)
    width = max(len(member.name) for member in members)
    places = {member.name: _log_size(member) for member in members}
    for member in members:
        for line in member.program.log_tail(lines):
            session.out.line(f"{member.name.ljust(width)}  {line}")
    while follow:
        for member in members:
            places[member.name] = _print_grown(session, member, places[member.name], width)
        session.out.flush()
        pause(FOLLOW_S)


def _log_size(member: Member) -> int:
    return member.program.log_path.stat().st_size if member.program.log_path.exists() else 0


def _print_grown(session: Session, member: Member, place: int, width: int) -> int:
    """Print the whole lines that came after a place in the log; return the new place."""
    if _log_size(member) <= place:
        return place
    with member.program.log_path.open("rb") as log:
        log.seek(place)
        grown = log.read()
    whole = grown[: grown.rfind(b"\n") + 1]
    for line in whole.decode("utf-8", "replace").splitlines():
        session.out.line(f"{member.name.ljust(width)}  {line}")
    return place + len(whole)
