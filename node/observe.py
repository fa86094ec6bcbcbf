"""Logging, set up once: readable on a terminal, JSON elsewhere, one line per committed change."""

import logging
import sys
from typing import Any, Literal

import structlog

from node.state.state import Event

LogFormat = Literal["auto", "console", "json"]

logger = structlog.get_logger()

_QUIET = frozenset({"vote.cast"})
_tracebacks = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
"""Traces go without local variables: those hold tokens, keys and whole states."""


def configure_logging(level: str = "info", log_format: LogFormat = "auto") -> None:
    """Send structlog's events to standard error. ``auto`` is console on a terminal, JSON elsewhere."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    timestamp = structlog.processors.TimeStamper(
        fmt="%H:%M:%S" if console else "iso", utc=not console, key="timestamp"
    )
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=18, exception_formatter=structlog.dev.plain_traceback
        )
        if console
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            timestamp,
            *([] if console else [_tracebacks]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def log_events(events: tuple[Event, ...]) -> None:
    """Write one line for each committed change."""
    for event in events:
        details = {key: value for key, value in event.data.items() if key != "service"}
        write = logger.debug if event.kind in _QUIET else _writer(event.kind)
        write(event.kind, subject=event.subject, text=event.text, index=event.index, **details)


def _writer(kind: str) -> Any:
    alarming = kind in ("service.down", "service.fail_open", "push.failed", "votes.dropped")
    return logger.warning if alarming else logger.info
