"""Logging, set up once: one line per event, for a terminal, the journal, or programs."""

from node.observe.committed import log_events
from node.observe.levels import LEVELS, LogLevel, level, set_level
from node.observe.repeats import tell_repeats
from node.observe.setup import LogFormat, configure_logging

__all__ = [
    "LEVELS",
    "LogFormat",
    "LogLevel",
    "configure_logging",
    "level",
    "log_events",
    "set_level",
    "tell_repeats",
]
