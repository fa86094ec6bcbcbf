"""Which of the State's events a receiver is told of next. Pure."""

from bisect import bisect_right
from collections.abc import Iterator

from node.counted import counted
from node.notify.names import SEVERITIES, matches, name_of, severity_of
from node.notify.notice import of_our_own
from node.notify.settings import Receiver, Wish
from node.state.state import Event, State
from node.zone.name import BadName, from_text

_HUSHED = (
    "endpoint.down",
    "endpoint.up",
    "endpoint.undecided",
    "service.down",
    "service.up",
    "service.fail_open",
    "service.fail_open_ended",
    "vote.cast",
    "vote.withdrawn",
)
"""Not told while their service is in maintenance."""
_OWN = ("notice.failed", "notice.given_up")


class Maintenances:
    """When which service was in maintenance, as the State's events tell; every event is looked at once."""

    def __init__(self) -> None:
        self._next = 0
        self._turns: dict[str, list[tuple[int, bool]]] = {}

    def covers(self, state: State, service: str, number: int) -> bool:
        """Say whether the service was in maintenance at the event with this running number."""
        self._follow(state)
        turns = self._turns.get(service, [])
        position = bisect_right(turns, (number, True))
        if position:
            return turns[position - 1][1]
        if turns:
            return not turns[0][1]  # what ends had begun
        return self._is_now(state, service)

    def _follow(self, state: State) -> None:
        first = first_number(state)
        if self._next > state.events_next:
            self._next, self._turns = 0, {}
        for number in range(max(self._next, first), state.events_next):
            event = state.events.get(number)
            if event is not None and event.kind in ("maintenance.begun", "maintenance.ended"):
                is_begun = event.kind == "maintenance.begun"
                self._turns.setdefault(event.subject, []).append((number, is_begun))
        self._next = state.events_next
        self._forget(first)

    def _forget(self, first: int) -> None:
        """Keep of what is older than every event only how it ended."""
        for service, turns in list(self._turns.items()):
            while len(turns) > 1 and turns[1][0] < first:
                del turns[0]
            if turns[0][0] < first and not turns[0][1]:
                del turns[0]
            if not turns:
                del self._turns[service]

    @staticmethod
    def _is_now(state: State, service: str) -> bool:
        try:
            known = state.services.get(from_text(service))
        except BadName:
            return False
        return known is not None and known.maintenance is not None and known.maintenance.active


def first_number(state: State) -> int:
    """Return the running number of the oldest event that the State still has."""
    return max(0, state.events_next - len(state.events))


def wants(wish: Wish, event: Event) -> bool:
    """Say whether an event is one of those."""
    if SEVERITIES.index(severity_of(event)) < SEVERITIES.index(wish.severity):
        return False
    if wish.services and not matches(wish.services, event.data.get("service", "").rstrip(".")):
        return False
    return matches(wish.events, name_of(event))


def chosen(state: State, receiver: Receiver, since: int, quiet: Maintenances) -> Iterator[tuple[int, Event]]:
    """Yield what the receiver is to be told of from running number ``since`` on."""
    for number in range(max(since, first_number(state)), state.events_next):
        event = state.events.get(number)
        if event is not None and wants(receiver.wish, event) and not _is_hushed(state, event, number, quiet):
            if event.kind in _OWN and event.data.get("receiver") == receiver.name:
                continue  # whom it is about learns it by itself
            yield number, event


def missed(state: State, since: int) -> Event | None:
    """Return an event that tells of those from ``since`` on that are forgotten by now; None when none are."""
    first = first_number(state)
    if since >= first:
        return None
    oldest = state.events[first]
    were = "was" if first - since == 1 else "were"
    text = f"{counted(first - since, 'event')} {were} forgotten before anybody could be told of them"
    return of_our_own("events.missed", oldest.index, oldest.at_ms, "cluster", text, str(since))


def _is_hushed(state: State, event: Event, number: int, quiet: Maintenances) -> bool:
    service = event.data.get("service")
    return service is not None and name_of(event) in _HUSHED and quiet.covers(state, service, number)
