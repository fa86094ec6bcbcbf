"""``/v1/events``: what the cluster committed, in pages or as a stream."""

from itertools import islice

from node.api.access import may_still
from node.api.context import ApiContext
from node.api.going_on import while_wanted
from node.api.handlers.explain import line_row, too_far
from node.api.listing import read_limit
from node.api.message import Compute, Follow, Reply, Request, Response, heavy, shown
from node.api.names import plain
from node.api.problem import Problem
from node.api.views import Row, event_row, moment
from node.glob import Glob
from node.state.entry_story import tell_entry
from node.state.events import has_gap, iter_after, matches, newest
from node.state.past import NotHeld
from node.state.state import EVENTS_MAX, State

PATTERNS_MAX = 20
PATTERNS_CHARACTERS_MAX = 1_000


def list_events(context: ApiContext, request: Request) -> Reply:
    """List events, oldest first: those after a cursor, or the newest; stream them where SSE is accepted."""
    state = context.state()
    if "text/event-stream" in request.headers.get("accept", ""):
        last = request.headers.get("last-event-id") or request.query.get("after")
        index, number = _read_cursor(last) if last else (state.index, None)
        return Follow(index, number, lambda: may_still(context, request, "read"))
    limit, patterns = read_limit(request), read_patterns(request.query.get("kind", ""))
    tries = len(state.events) * len(patterns)
    return heavy(tries, lambda: _shown(state, request.query.get("after"), patterns, limit))


def _shown(state: State, after: str | None, patterns: list[Glob], limit: int) -> Response:
    if after is None:
        found = [event for event in while_wanted(newest(state, EVENTS_MAX)) if matches(event, patterns)][
            -limit:
        ]
        return shown({"items": [event_row(each) for each in found], "next": None}, state.index)
    return _page(state, after, patterns, limit)


def _page(state: State, after: str, patterns: list[Glob], limit: int) -> Response:
    index, number = _read_cursor(after)
    following = (event for event in while_wanted(iter_after(state, index, number)) if matches(event, patterns))
    found = list(islice(following, limit + 1))
    cut = found[:limit]
    cursor = f"{cut[-1].index}.{cut[-1].number}" if len(found) > limit else None
    items = [event_row(each) for each in cut]
    return shown({"items": items, "next": cursor, "gap": has_gap(state, index)}, state.index)


def get_entry(context: ApiContext, request: Request) -> Compute:
    """Tell of one entry of the log: its events, what was in DNS before and after, and why."""
    index, _ = _read_cursor(request.values["index"])
    state = context.state()
    return Compute(lambda: shown(entry_row(context, state, index), state.index), kind="past")


def entry_row(context: ApiContext, state: State, index: int) -> Row:
    """Show one entry of the log. Raises ``Problem``."""
    try:
        story = tell_entry(state, index)
    except NotHeld as error:
        raise too_far(error) from None
    return {
        "index": index,
        "node": context.node,
        "at": moment(story.at_ms),
        "actor": story.actor,
        "reason": story.reason,
        "events": [event_row(each) for each in story.events],
        "services": [
            {
                "service": plain(each.service),
                "before": list(each.before) if each.before is not None else None,
                "after": list(each.after),
                "lines": [line_row(line) for line in each.lines],
            }
            for each in story.services
        ],
        "records": [
            {
                "zone": plain(each.zone),
                "serial_from": each.serial_from,
                "serial_to": each.serial_to,
                "removed": list(each.removed),
                "added": list(each.added),
                "more": each.more,
            }
            for each in story.records
        ],
        "notes": list(story.notes),
    }


def read_patterns(text: str) -> list[Glob]:
    """Read ``verdict.*,push.failed``; each pattern is tried on each event. Raises ``Problem``."""
    patterns = [each.strip() for each in text.split(",") if each.strip()]
    if len(patterns) > PATTERNS_MAX or len(text) > PATTERNS_CHARACTERS_MAX:
        raise Problem("bad_request", f"kind holds at most {PATTERNS_MAX} patterns")
    return [Glob(each) for each in patterns]


def _read_cursor(text: str) -> tuple[int, int | None]:
    """Read ``INDEX`` (all of that entry's events were seen) or ``INDEX.NUMBER``. Raises ``Problem``."""
    index, dot, number = text.partition(".")
    parts = (index, number) if dot else (index,)
    if not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in parts):
        raise Problem("bad_request", f"{text} is not a place among the events, which is a log index")
    return int(index), int(number) if dot else None
