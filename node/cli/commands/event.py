"""``qdns event``: what the cluster committed."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from node.cli import event_view, service_view, times, watch
from node.cli.changes import Json
from node.cli.completing import complete_services
from node.cli.faults import ExitCode, Failure, usage
from node.cli.group import Group
from node.cli.options import LogIndex, client_options
from node.cli.session import Session

if TYPE_CHECKING:
    from node.cli.client import Answer

LIMIT_MAX = 1000
LIMIT = 50
PAUSE_S = 1.0
"""Between two tries while no node answers."""


@click.group(cls=Group, example="qdns event list --since 10m --kind 'verdict.*'")
def event() -> None:
    """What happened: list, follow, show. Events are part of the log and the same on every node."""


@event.command("list", example="qdns events --follow -o jsonl | jq 'select(.kind == \"verdict.changed\")'")
@click.option("--follow", is_flag=True, help="Go on with events as they happen.")
@click.option("--since", metavar="TIME", help="Back to this time: 10m, 2h, or 2026-11-22T14:00:00Z.")
@click.option("--kind", metavar="PATTERN", help="Only these kinds: verdict.*,push.failed")
@click.option("--service", metavar="FQDN", shell_complete=complete_services, help="Only of this service.")
@click.option("-n", "--limit", type=click.IntRange(0, LIMIT_MAX), default=LIMIT, help="How many at most (50).")
@client_options
@click.pass_obj
def list_events(
    session: Session, follow: bool, since: str | None, kind: str | None, service: str | None, limit: int
) -> None:
    """List the newest events, the oldest of them first."""
    is_wanted = _filter(since, service)
    answer = session.client.request("GET", "/v1/events", params=_params(limit=LIMIT_MAX, kind=kind))
    found = answer.value["items"]
    wanted = [each for each in found if is_wanted(each)]
    _write(session, wanted[max(0, len(wanted) - limit) :], line_by_line=follow)
    if follow:
        _follow(session, _cursor(found) or str(answer.index), answer.index, kind, is_wanted)


@event.command("show", example="qdns event show 48190")
@click.argument("index", metavar="INDEX", type=LogIndex())
@client_options
@click.pass_obj
def show_event(session: Session, index: int) -> None:
    """Show all about one entry of the log: who changed what, why, and what was in DNS before and after.

    INDEX is that of qdns event list, with or without the number of the event behind a dot.
    """
    found = session.client.get(f"/v1/events/{index}")
    if session.out.is_for_people:
        event_view.show(found, session.out)
    else:
        session.out.document(found)


def _params(**params: str | int | None) -> dict[str, str]:
    return {key: str(value) for key, value in params.items() if value is not None}


def _filter(since: str | None, service: str | None) -> Callable[[Json], bool]:
    """Return what decides whether an event was asked for. Raises ``Failure``."""
    try:
        earliest = times.since(since) if since else None
    except ValueError as error:
        raise usage(str(error), "qdns event list --since 10m") from None

    def is_wanted(each: Json) -> bool:
        if earliest is not None and (not each["at"] or times.parse(each["at"]) < earliest):
            return False
        return service is None or service_view.is_about(each, service)

    return is_wanted


def _cursor(events: list[Json]) -> str | None:
    """Return the place of the last event."""
    return f"{events[-1]['index']}.{events[-1]['number']}" if events else None


def _follow(
    session: Session, cursor: str, index: int, kind: str | None, is_wanted: Callable[[Json], bool]
) -> None:
    """Write events as they come; a node answers as soon as there is one, or after a while.

    Whichever node answers goes on behind the last event shown; while none does they are waited for.
    """
    wait_ms = int(session.timeout_s * 500)
    while True:
        session.out.flush()
        params = _params(after=cursor, limit=LIMIT_MAX, kind=kind, index=index, wait=f"{wait_ms}ms")
        answer = _ask_patiently(session, params)
        if answer.value.get("gap") and session.out.is_for_people:
            session.out.line("(some events are missing here: they are older than what the nodes keep)")
        found = answer.value["items"]
        _write(session, [each for each in found if is_wanted(each)], line_by_line=True)
        cursor = _cursor(found) or cursor
        index = 0 if answer.value.get("next") else answer.index


def _ask_patiently(session: Session, params: dict[str, str]) -> "Answer":
    """Return the page that the first node gives, however long all of them are away. Raises ``Failure``."""
    is_told = False
    while True:
        try:
            return session.client.request("GET", "/v1/events", params=params)
        except Failure as failure:
            if failure.code not in (ExitCode.UNREACHABLE, ExitCode.NO_QUORUM):
                raise
            if session.out.is_for_people and not is_told:
                session.out.line(f"({failure.message}; waiting for a node)")
                session.out.flush()
            is_told = True
            watch.pause(PAUSE_S)


def _write(session: Session, events: list[Json], *, line_by_line: bool) -> None:
    """Write events; those that are followed come one a line, as there is no end to wait for."""
    out = session.out
    if line_by_line and out.format in ("json", "csv"):
        out = replace(out, format="jsonl")
    if out.is_for_people and line_by_line:
        for each in events:
            out.line(line(each))
    else:
        out.rows(events, service_view.event_columns(), lambda row: f"{row['index']}.{row['number']}")


def line(event_: Json) -> str:
    """Write an event on a line of its own, in columns that fit most."""
    when, index = times.clock(event_["at"]), event_["index"]
    return f"{when}  {index:>7}  {event_['kind']:<16}  {event_['subject']:<28}  {event_['text']}"
