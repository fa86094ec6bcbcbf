"""Reading the ring of committed events: from a log index on, and the gap a late reader has. Pure."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from node.glob import Glob
from node.state.state import Event, State


def oldest_number(state: State) -> int:
    """Return the running number of the oldest event that is still kept."""
    return state.events_next - len(state.events)


def iter_after(state: State, index: int, number: int | None = None) -> Iterator[Event]:
    """Yield the events after a log index, or after one event of it, oldest first."""
    place = (index, float("inf") if number is None else number)
    numbers = range(oldest_number(state), state.events_next)
    start = bisect_right(numbers, place, key=lambda each: _place(state, each))
    for each in numbers[start:]:
        yield state.events[each]


def newest(state: State, count: int) -> list[Event]:
    """Return the newest events, oldest first."""
    first = max(oldest_number(state), state.events_next - count)
    return [state.events[each] for each in range(first, state.events_next)]


def has_gap(state: State, index: int) -> bool:
    """Say whether events after this log index may have been forgotten already."""
    oldest = oldest_number(state)
    return oldest > 0 and bool(state.events) and state.events[oldest].index > index


def matches(event: Event, patterns: Sequence[Glob]) -> bool:
    """Say whether an event's kind is among the patterns, such as ``verdict.*``; without any all are."""
    return not patterns or any(each.fits(event.kind) for each in patterns)


def time_of(state: State, index: int) -> int:
    """Return when the entry at this log index was proposed, in ms since 1970, 0 when no event tells."""
    event = next(iter_after(state, index - 1), None)
    return event.at_ms if event is not None and event.index == index else 0


def _place(state: State, number: int) -> tuple[int, float]:
    event = state.events[number]
    return event.index, event.number
