"""What the committed events say of an endpoint's past: the share of time that it was up. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from node.api.views import DAY_MS
from node.state.events import oldest_number
from node.state.state import EndpointState, Event, State
from node.zone.name import Name, to_text

SPANS_MS = {"24 h": DAY_MS, "7 d": 7 * DAY_MS, "30 d": 30 * DAY_MS}


@dataclass(frozen=True, slots=True)
class Uptime:
    """Of the time that is known, how much an endpoint was up."""

    percent: float | None
    """None where no verdict is known of that time."""
    known_ms: int
    """How much of the span the events tell."""


def uptime(state: State, fqdn: Name, known: tuple[str, EndpointState], now_ms: int, span_ms: int) -> Uptime:
    """Return how much of the span before now an endpoint was up, by the verdicts that the events tell."""
    address, endpoint = known
    begins_ms = max(now_ms - span_ms, _known_since_ms(state))
    up_ms, judged_ms, until_ms, verdict = 0, 0, now_ms, str(endpoint.verdict)
    for event in _changes(state, to_text(fqdn), address):
        at_ms = min(max(event.at_ms, begins_ms), until_ms)
        up_ms += (until_ms - at_ms) * (verdict == "up")
        judged_ms += (until_ms - at_ms) * (verdict != "undecided")
        until_ms, verdict = at_ms, event.data["before"]
        if event.at_ms <= begins_ms:
            break
    up_ms += (until_ms - begins_ms) * (verdict == "up")
    judged_ms += (until_ms - begins_ms) * (verdict != "undecided")
    return Uptime(100 * up_ms / judged_ms if judged_ms > 0 else None, max(0, judged_ms))


def _known_since_ms(state: State) -> int:
    """Return since when the kept events tell everything, 0 for since the beginning."""
    oldest = oldest_number(state)
    return state.events[oldest].at_ms if oldest > 0 and state.events else 0


def _changes(state: State, service: str, address: str) -> Iterable[Event]:
    """Yield an endpoint's changes of verdict, newest first."""
    for number in range(state.events_next - 1, oldest_number(state) - 1, -1):
        event = state.events[number]
        if (
            event.kind == "verdict.changed"
            and event.data["service"] == service
            and event.data["endpoint"] == address
        ):
            yield event
