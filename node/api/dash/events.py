"""The journal: what was committed, filtered, newest first; an index has an address of its own."""

from collections.abc import Iterator

from node.api.context import ApiContext
from node.api.dash.frame import framed
from node.api.handlers.events import read_patterns
from node.api.listing import read_count
from node.api.message import Request, Response
from node.api.views import event_row
from node.state.events import matches, oldest_number
from node.state.state import Event, State

SHOWN = 100


def list_events(context: ApiContext, request: Request) -> Response:
    """Show events by kind and subject, those of one index, or those before one."""
    state = context.state()
    kind, of = request.query.get("kind", "").strip(), request.query.get("of", "").strip()
    index, before = read_count(request, "at", 0), read_count(request, "before", 0)
    patterns = read_patterns(kind)
    found: list[Event] = []
    for event in _newest_first(state):
        if _is_wanted(event, index, before, of) and matches(event, patterns):
            found.append(event)
            if len(found) > SHOWN:
                break
    command = f"qdns event list --kind '{kind}'" if kind else "qdns event list --follow"
    return framed(
        "events.html.j2", context, request, part="events", command=command,
        events=[event_row(event) for event in found[:SHOWN]], kind=kind, of=of, at_index=index, before=before,
        older=found[SHOWN].index + 1 if len(found) > SHOWN else None,
        kinds=sorted({event.kind for event in state.events.values()}),
    )  # fmt: skip


def _newest_first(state: State) -> Iterator[Event]:
    for number in range(state.events_next - 1, oldest_number(state) - 1, -1):
        yield state.events[number]


def _is_wanted(event: Event, index: int, before: int, of: str) -> bool:
    in_place = (not index or event.index == index) and (not before or event.index < before)
    return in_place and (not of or of.lower() in event.subject.lower())
