"""What the cluster said of each endpoint during the last hour, minute by minute, from committed events. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from node.state.events import oldest_number
from node.state.state import EndpointState, Event, State
from node.zone.name import Name, to_text

CELLS = 60
CELL_MS = 60_000
_WORST = {"down": 2, "up": 1, "undecided": 0}


def verdict_cells(state: State, now_ms: int, fqdns: Iterable[Name]) -> dict[tuple[Name, str], list[str]]:
    """Return for every endpoint of some services the worst verdict of each minute of the last hour, oldest first.

    The times are those of the entries, as people see them; nothing is decided by them.
    """
    changes = _recent_changes(state, now_ms - CELLS * CELL_MS)
    return {
        (fqdn, address): _cells(changes.get((to_text(fqdn), address), []), known, now_ms)
        for fqdn in fqdns
        if fqdn in state.services
        for address, known in state.services[fqdn].endpoints
    }


def _recent_changes(state: State, since_ms: int) -> dict[tuple[str, str], list[Event]]:
    """Return the changes of verdicts since a time, newest first, by service and endpoint."""
    changes: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for number in range(state.events_next - 1, oldest_number(state) - 1, -1):
        event = state.events[number]
        if event.at_ms < since_ms:
            break
        if event.kind == "verdict.changed":
            changes[event.data["service"], event.data["endpoint"]].append(event)
    return changes


def _cells(changes: list[Event], known: EndpointState, now_ms: int) -> list[str]:
    """Walk back from now: the present verdict holds until its change, the one before until the next."""
    cells: list[str] = []
    verdict: str = known.verdict
    left = list(reversed(changes))
    for cell in range(CELLS):
        begins_ms = now_ms - (cell + 1) * CELL_MS
        worst = verdict
        while left and left[-1].at_ms >= begins_ms:
            verdict = left.pop().data["before"]
            worst = max(worst, verdict, key=lambda word: _WORST.get(word, 0))
        cells.append(worst)
    return cells[::-1]
