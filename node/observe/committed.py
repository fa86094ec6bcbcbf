"""One line for each change that the log has committed."""

from typing import Any

import structlog

from node.state.state import Event

logger = structlog.get_logger()

_QUIET = frozenset({"vote.cast", "vote.withdrawn"})
_ALARMING = frozenset({"service.down", "service.fail_open", "push.failed", "push.held", "votes.dropped"})


def log_events(events: tuple[Event, ...]) -> None:
    """Write one line for each committed change."""
    for event in events:
        details = {key: value for key, value in event.data.items() if key != "service"}
        write = logger.debug if event.kind in _QUIET else _writer(event.kind)
        write(
            event.kind,
            component="cluster",
            subject=event.subject,
            text=event.text,
            index=event.index,
            **details,
        )


def _writer(kind: str) -> Any:
    return logger.warning if kind in _ALARMING else logger.info
