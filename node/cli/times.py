"""Times and numbers as people read and write them: ages, clock times, durations, grouped digits."""

import re
from datetime import UTC, datetime, timedelta
from time import time

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")


def now_s() -> float:
    """Return the time in seconds since 1970. The one clock of the command line."""
    return time()


def utc_now() -> str:
    """Return the time as the API writes it: RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(now_s(), UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def parse(text: str) -> datetime:
    """Read an RFC 3339 time. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no offset from UTC")
    return moment


def age_s(text: str | None) -> float | None:
    """Return how many seconds ago a time was; None when there is none."""
    if not text:
        return None
    try:
        return max(0.0, now_s() - parse(text).timestamp())
    except ValueError:
        return None


def span(seconds: float) -> str:
    """Write a length of time with its two largest units: ``3d 4h``, ``2m 10s``, ``41 s``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    for size, big, small_size, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // small_size
            return f"{whole // size}{big} {rest}{small}" if rest else f"{whole // size}{big}"
    raise AssertionError("a minute or more has a largest unit")


def short_span(seconds: float) -> str:
    """Write a length of time with its largest unit: ``3d``, ``4m``, ``41s``."""
    whole = int(seconds)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def ago(text: str | None) -> str:
    """Write how long ago a time was, ``4m ago``; ``-`` when there is none."""
    seconds = age_s(text)
    return "-" if seconds is None else f"{short_span(seconds)} ago"


def until(text: str) -> str:
    """Write how far off a time is, ``in 3d``; ``now`` when it has come."""
    seconds = parse(text).timestamp() - now_s()
    return f"in {short_span(seconds)}" if seconds > 0 else "now"


def clock(text: str | None) -> str:
    """Write a time of today as ``14:01:02``, of another day with the date, both in local time."""
    if not text:
        return "-"
    try:
        local = parse(text).astimezone()
    except ValueError:
        return text
    today = datetime.fromtimestamp(now_s()).astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def duration_s(text: str) -> float:
    """Read ``250ms``, ``5s``, ``2m``, ``1h``, ``7d`` or a number of seconds. Raises ``ValueError``."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a duration such as 250ms, 5s, 2m, 1h or 7d')
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def since(text: str) -> datetime:
    """Read a point in time: an RFC 3339 time, or a duration back from now. Raises ``ValueError``."""
    try:
        return parse(text)
    except ValueError:
        return datetime.fromtimestamp(now_s()).astimezone() - timedelta(seconds=duration_s(text))


def begin(text: str) -> str:
    """Read a point in time to come: an RFC 3339 time, or a duration from now; write it as the API does.

    Raises ``ValueError``.
    """
    try:
        moment = parse(text)
    except ValueError:
        moment = datetime.fromtimestamp(now_s() + duration_s(text), UTC)
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def grouped(number: int) -> str:
    """Write a number with its digits in groups of three: ``48 211``."""
    return f"{number:,}".replace(",", " ")
