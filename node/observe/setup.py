"""The way of a line: level, component, repeats, and then readable text, journal fields or JSON."""

import sys
from typing import Any, Literal, cast

import structlog
from structlog.typing import EventDict

from node.observe import journal
from node.observe.components import add_callsite, add_component, drop_callsite
from node.observe.levels import LogLevel, drop_below, set_level
from node.observe.repeats import repeats

LogFormat = Literal["auto", "console", "journal", "json"]

_EVENT_WIDTH = 26
_tracebacks = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
"""Traces go without local variables: those hold tokens, keys and whole states."""


def configure_logging(level: str = "info", log_format: LogFormat = "auto") -> None:
    """Send structlog's events to where they are read.

    ``auto`` is console on a terminal, the journal where standard error is systemd's, JSON elsewhere.
    """
    set_level(cast(LogLevel, level))
    chosen = _chosen() if log_format == "auto" else log_format
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            drop_below,
            structlog.processors.add_log_level,
            add_callsite,
            add_component,
            repeats,
            *_rendering(chosen),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=_factory(chosen),
        cache_logger_on_first_use=True,
    )


def _chosen() -> LogFormat:
    if sys.stderr.isatty():
        return "console"
    return "journal" if journal.is_ours() else "json"


def _factory(chosen: LogFormat) -> Any:
    if chosen == "journal":
        logger = journal.JournalLogger()
        return lambda *_: logger
    return structlog.PrintLoggerFactory(file=sys.stderr)


def _rendering(chosen: LogFormat) -> list[Any]:
    if chosen == "journal":
        return [structlog.processors.format_exc_info, journal.to_fields]
    timestamp = structlog.processors.TimeStamper(
        fmt="%H:%M:%S" if chosen == "console" else "iso", utc=chosen != "console", key="timestamp"
    )
    if chosen == "console":
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=_EVENT_WIDTH,
            exception_formatter=structlog.dev.plain_traceback,
        )
        return [drop_callsite, timestamp, _tag, console]
    return [drop_callsite, timestamp, _tracebacks, structlog.processors.JSONRenderer(sort_keys=True)]


def _tag(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Put the component in front of the event, as rrdnsd does."""
    event["event"] = f"[{event.pop('component')}] {event['event']}"
    return event
