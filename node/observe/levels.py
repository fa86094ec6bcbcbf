"""From which level on lines are written; it can change while the node runs."""

import logging
from typing import Literal, get_args

import structlog
from structlog.typing import EventDict

LogLevel = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
_NUMBERS: dict[str, int] = {name: logging.getLevelNamesMapping()[name.upper()] for name in LEVELS}


_METHODS = {**_NUMBERS, "warn": logging.WARNING, "exception": logging.ERROR}


class _Threshold:
    """The level of this process."""

    name: LogLevel = "info"
    number = _NUMBERS["info"]


def set_level(name: LogLevel) -> None:
    """Write lines of this level and graver ones from now on."""
    _Threshold.name, _Threshold.number = name, _NUMBERS[name]


def level() -> LogLevel:
    """Return from which level on lines are written."""
    return _Threshold.name


def drop_below(_logger: object, method: str, event: EventDict) -> EventDict:
    """Leave a line out that is not grave enough."""
    if _METHODS.get(method, logging.CRITICAL) < _Threshold.number:
        raise structlog.DropEvent
    return event
