"""The journal: what was committed, filtered, newest first; each index has a page with all about its entry."""

from collections.abc import Iterator
from shlex import quote

from node.api.context import ApiContext
from node.api.dash.frame import framed
from node.api.going_on import while_wanted
from node.api.handlers.events import entry_row, read_patterns
from node.api.listing import read_count
from node.api.message import Compute, Reply, Request, Response, heavy
from node.api.views import event_row
from node.glob import Glob
from node.state.events import matches, oldest_number
from node.state.state import Event, State

SHOWN = 100


def list_events(context: ApiContext, request: Request) -> Reply:
    """Show events by kind and subject or those before an index, newest first; with ``at`` all about one entry."""
    index = read_count(request, "at", 0)
    if index:
        return Compute(lambda: _entry(context, request, index), kind="past")
    state, kind = context.state(), request.query.get("kind", "").strip()
    patterns = read_patterns(kind)
    return heavy(len(state.events) * len(patterns), lambda: _shown(context, state, request, kind, patterns))


def _shown(context: ApiContext, state: State, request: Request, kind: str, patterns: list[Glob]) -> Response:
    of, before = request.query.get("of", "").strip(), read_count(request, "before", 0)
    found: list[Event] = []
    for event in while_wanted(_newest_first(state)):
        if _is_wanted(event, before, of) and matches(event, patterns):
            found.append(event)
            if len(found) > SHOWN:
                break
    command = f"qdns event list --kind {quote(kind)}" if kind else "qdns event list --follow"
    return framed(
        "events.html.j2", context, request, part="events", command=command,
        events=[event_row(event) for event in found[:SHOWN]], kind=kind, of=of, before=before,
        older=found[SHOWN].index + 1 if len(found) > SHOWN else None,
        kinds=sorted({event.kind for event in state.events.values()}),
    )  # fmt: skip


def _entry(context: ApiContext, request: Request, index: int) -> Response:
    entry = entry_row(context, context.state(), index)
    return framed(
        "event.html.j2", context, request, part="events", command=f"qdns event show {index}", entry=entry
    )


def _newest_first(state: State) -> Iterator[Event]:
    for number in range(state.events_next - 1, oldest_number(state) - 1, -1):
        yield state.events[number]


def _is_wanted(event: Event, before: int, of: str) -> bool:
    return (not before or event.index < before) and (not of or of.lower() in event.subject.lower())
