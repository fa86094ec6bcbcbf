"""Durations in queries: ``30s``, ``5m``, ``500ms``, or a plain number of seconds."""

import re

from node.api.problem import Problem

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def read_duration_s(text: str) -> float:
    """Read a duration. Raises ``Problem``."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Problem("bad_request", f"{text} is not a duration, such as 30s")
    return float(match[1]) * _SECONDS[match[2]]
