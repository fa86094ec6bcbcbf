"""``qdns status``."""

import click

from node.cli import status_view
from node.cli.faults import ExitCode, Failure
from node.cli.group import Command
from node.cli.options import client_options, watch_option
from node.cli.output import Printer
from node.cli.session import Session
from node.cli.watch import watch

_HEALTH_CODES = {"healthy": ExitCode.DONE, "degraded": ExitCode.DEGRADED, "critical": ExitCode.CRITICAL}


@click.command(cls=Command, example="qdns status -w\nqdns status -q || page-somebody")
@click.option("--exit-code", is_flag=True, help="Exit 10 when degraded, 11 when critical.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code says it.")
@click.option("--nagios", is_flag=True, help="One line with performance data; exit 0, 1, 2 or 3.")
@watch_option
@client_options
@click.pass_obj
def status(session: Session, exit_code: bool, quiet: bool, nagios: bool, watch_s: float | None) -> int:
    """Is it well? Who leads, who lags, what is down, what to do.

    The star marks the node that answered. LAG counts log entries behind the leader.
    """
    if nagios:
        return _nagios(session)

    def fetch() -> status_view.Json:
        value: status_view.Json = session.client.get("/v1/status")
        return value

    if watch_s is not None:
        watch(session.out, watch_s, fetch, status_view.show, status_view.parts, session.wake())
    value = fetch()
    if not quiet:
        _write(value, session.out)
    return _HEALTH_CODES.get(value["health"], ExitCode.CRITICAL) if exit_code or quiet else ExitCode.DONE


def _write(value: status_view.Json, out: Printer) -> None:
    if out.is_for_people:
        status_view.show(value, out)
    elif out.format in ("json", "jsonl"):
        out.document(value)
    else:
        out.rows(value["nodes"], status_view.node_columns(""), lambda row: str(row["name"]))


def _nagios(session: Session) -> int:
    try:
        text, code = status_view.nagios(session.client.get("/v1/status"))
    except Failure as failure:
        text, code = f"QDNS UNKNOWN - {'; '.join((failure.message, *failure.facts))}", 3
    session.out.line(text)
    return code
