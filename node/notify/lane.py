"""One receiver as one node sees it: what is due there, whose turn it is, and when.

The decisions are plain functions of the replicated State, this record and the time.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from node.notify.choosing import Maintenances, chosen, missed
from node.notify.settings import Mail, NotifierSettings, Receiver
from node.state.ranking import rank
from node.state.state import Event, State
from node.state.state import Receiver as Progress

_UNKNOWN = Progress(0, 0)
Action = Literal["none", "begin", "report", "skip", "send"]


@dataclass(slots=True)
class Lane:
    """What this node remembers of one receiver. Times are the event loop's, in seconds."""

    receiver: Receiver
    looked: int = 0
    """No event from the receiver's progress up to here is for it."""
    turn: tuple[int, ...] | None = None
    """What is due now, and how often it has failed; None when nothing is."""
    turn_since: float = 0.0
    unreported: tuple[int, str] | None = None
    """What this node has had accepted while the log does not know it yet."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, and from when on."""

    action: Action
    at: float
    next: int = 0
    """Where the receiver is when the events are settled."""
    events: tuple[Event, ...] = ()
    progress: Progress = _UNKNOWN


def next_step(
    lane: Lane,
    state: State,
    node: str,
    reachable: Collection[str],
    settings: NotifierSettings,
    quiet: Maintenances,
    now: float,
) -> Step:
    """Decide what this node does about the receiver, and when."""
    members = tuple(member.name for member in state.members)
    if node not in members:
        return Step("none", now)
    progress = state.receivers.get(lane.receiver.name)
    waits_s = settings.takeover_s * _earlier(members, lane.receiver.name, progress, node, reachable)
    if progress is None:
        return Step("begin", _turn_since(lane, (-1,), now) + waits_s)
    if lane.unreported is not None:
        return Step("report", now)
    events, goal = _due(lane, state, progress, settings, quiet)
    if goal <= progress.next:
        lane.turn = None
        return Step("none", now)
    if not events:
        since = _turn_since(lane, (progress.next,), now)
        return Step("skip", since + waits_s + settings.skip_every_s, goal)
    since = _turn_since(lane, (progress.next, lane.looked, progress.failures), now)
    at = since + waits_s + back_off_s(progress.failures, settings)
    return Step("send", at, goal, events, progress)


def back_off_s(failures: int, settings: NotifierSettings) -> float:
    """Return how long to wait after so many failures in a row, of whichever nodes."""
    if not failures:
        return 0.0
    return float(min(settings.retry_first_s * 2 ** min(failures - 1, 30), settings.retry_max_s))


def order(members: Collection[str], receiver: str, failures: int) -> tuple[str, ...]:
    """Return the nodes in the order of their turns: each failure passes the turn on."""
    ranked = rank(members, receiver)
    shift = failures % len(ranked)
    return (*ranked[shift:], *ranked[:shift])


def _earlier(
    members: Collection[str], receiver: str, progress: Progress | None, node: str, reachable: Collection[str]
) -> int:
    """Return how many nodes go first that are alive as far as this one knows."""
    ordered = order(members, receiver, progress.failures if progress is not None else 0)
    return sum(name in reachable for name in ordered[: ordered.index(node)])


def _due(
    lane: Lane, state: State, progress: Progress, settings: NotifierSettings, quiet: Maintenances
) -> tuple[tuple[Event, ...], int]:
    """Return what is to be told together next, and where the receiver is when that is settled."""
    since = progress.next
    forgotten = missed(state, since)
    if forgotten is not None:
        return (forgotten,), state.events_next - len(state.events)
    lane.looked = min(max(lane.looked, since), state.events_next)
    most = settings.batch_max if isinstance(lane.receiver.way, Mail) else 1
    events: list[Event] = []
    goal = lane.looked
    for number, event in chosen(state, lane.receiver, lane.looked, quiet):
        events.append(event)
        goal = number + 1
        if len(events) == 1:
            lane.looked = number
        if len(events) == most:
            break
    if not events:
        goal = lane.looked = state.events_next
    return tuple(events), goal


def _turn_since(lane: Lane, turn: tuple[int, ...], now: float) -> float:
    """Return since when it is this turn, as far as this node knows."""
    if lane.turn != turn:
        lane.turn, lane.turn_since = turn, now
    return lane.turn_since
