"""What events are called outside, and how grave they are. Pure.

A verdict that changes is an event of its endpoint: ``endpoint.down``, ``endpoint.up``, ``endpoint.undecided``.
All others keep their kind.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal, get_args

from node.state.state import Event

Severity = Literal["info", "warning", "critical"]
Phase = Literal["problem", "resolved", "change"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_PROBLEMS: dict[str, tuple[Severity, str]] = {
    "service.down": ("critical", "service.up"),
    "endpoint.down": ("warning", "endpoint.up"),
    "endpoint.undecided": ("warning", "endpoint.up"),
    "service.fail_open": ("warning", "service.fail_open_ended"),
    "push.failed": ("warning", ""),
    "push.held": ("warning", "push.released"),
    "votes.dropped": ("warning", ""),
    "notice.failed": ("warning", ""),
    "notice.given_up": ("warning", ""),
    "events.missed": ("warning", ""),
}
"""How grave, and the event that ends it; an end is as grave as what it ends."""
_ENDS: dict[str, Severity] = {end: severity for severity, end in _PROBLEMS.values() if end}
_CHANGES = (
    "cluster.seeded",
    "endpoint.drained",
    "endpoint.held",
    "endpoint.hold_ended",
    "endpoint.forced_down",
    "endpoint.forced_up",
    "endpoint.released",
    "format.changed",
    "import.dropped",
    "lease.expired",
    "lease.granted",
    "maintenance.begun",
    "maintenance.ended",
    "maintenance.planned",
    "node.added",
    "node.changed",
    "node.moved",
    "node.removed",
    "notice.test",
    "push.done",
    "push.paused",
    "push.refreshed",
    "push.resumed",
    "restore.begun",
    "restore.done",
    "service.changed",
    "service.created",
    "service.deleted",
    "service.published",
    "target.changed",
    "target.created",
    "target.deleted",
    "token.changed",
    "token.created",
    "token.revoked",
    "vote.cast",
    "vote.withdrawn",
    "zone.changed",
    "zone.created",
    "zone.deleted",
    "zone.imported",
    "zone.numbered",
)
NAMES: tuple[str, ...] = tuple(sorted({*_PROBLEMS, *_ENDS, *_CHANGES}))
"""The names of all events that there are."""


def name_of(event: Event) -> str:
    """Return what the event is called outside."""
    return f"endpoint.{event.data.get('after', '')}" if event.kind == "verdict.changed" else event.kind


def severity_of(event: Event) -> Severity:
    """Return how grave the event is; what is not known to be grave is not."""
    name = name_of(event)
    if name in _PROBLEMS:
        return _PROBLEMS[name][0]
    return "warning" if _leaves_endpoints_down(event) else _ENDS.get(name, "info")


def phase_of(event: Event) -> Phase:
    """Say whether the event begins something bad, ends it, or neither."""
    name = name_of(event)
    if name in _PROBLEMS or _leaves_endpoints_down(event):
        return "problem"
    return "resolved" if name in _ENDS else "change"


def _leaves_endpoints_down(event: Event) -> bool:
    return event.kind == "maintenance.ended" and bool(event.data.get("down"))


def matches(patterns: Iterable[str], text: str) -> bool:
    """Say whether one of the patterns, with ``*`` and ``?``, fits the text."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)
