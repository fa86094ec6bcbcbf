"""When an endpoint that is up again comes back into DNS: after it was down, and after it was up and down. Pure.

Both are waits. An endpoint that waits is up and not recommended: it is published where nothing better is left.
Apply knows no clock, so a wait begins without an end; the leader's clock gives it one (``KeepSchedule``), and ends it.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

FailbackKind = Literal["auto", "after", "manual"]
WaitKind = Literal["flapping", "failback"]
CHANGES_MAX = 100
TIME_MS_MAX = 7 * 86_400_000


class FlapLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint whose verdict changes so often stays out of DNS until it has been steady for ``hold_ms``."""

    changes: int = 6
    per_ms: int = 600_000
    hold_ms: int = 300_000


class Failback(msgspec.Struct, frozen=True, omit_defaults=True):
    """When an endpoint that was withdrawn as down comes back: at once, after a time of being up, or when told."""

    kind: FailbackKind = "auto"
    after_ms: int = 0


class Wait(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint is out of DNS though nothing says that it is down."""

    kind: WaitKind
    index: int
    """Log index of the verdict from which on it waits."""
    at_ms: int
    until_ms: int = 0
    """Wall clock at which it ends, milliseconds since 1970 UTC; 0 until the leader has measured it, or for good."""


def changes_within(limit: FlapLimit, changes: Sequence[int], at_ms: int) -> tuple[int, ...]:
    """Return when the verdict changed lately, with this change; milliseconds since 1970 UTC, at most the limit's.

    A change told by a clock that is behind counts as one of now: changes never go back in time.
    """
    now_ms = max(at_ms, *changes, 0) if changes else at_ms
    recent = [each for each in changes if now_ms - each < limit.per_ms]
    return (*recent, now_ms)[-limit.changes :]


def is_flapping(limit: FlapLimit, changes: Sequence[int]) -> bool:
    """Say whether the verdict changed as often as the limit says."""
    return len(changes) >= limit.changes


def span_ms(wait: Wait, limit: FlapLimit | None, failback: Failback) -> int:
    """Return how long a wait lasts in milliseconds, 0 for one that ends when somebody says so."""
    if wait.kind == "flapping":
        return limit.hold_ms if limit is not None else 1
    return failback.after_ms if failback.kind == "after" else 0


def is_wanted(wait: Wait, limit: FlapLimit | None, failback: Failback) -> bool:
    """Say whether a service with these settings knows such a wait at all."""
    return limit is not None if wait.kind == "flapping" else failback.kind != "auto"


def read_failback(text: str, milliseconds: int | None) -> Failback:
    """Read ``auto``, ``manual``, or a time that was read as ``milliseconds``. Raises ``ValueError`` with a sentence."""
    if text in ("auto", "manual"):
        return Failback("auto" if text == "auto" else "manual")
    if milliseconds is None:
        raise ValueError(f'"{text}" is no failback: auto, manual, or a time like 10m')
    return Failback("after", milliseconds)


def problem(limit: FlapLimit | None, failback: Failback) -> str | None:
    """Return a sentence that says why these cannot be accepted, or None."""
    if (failback.kind == "after") != (failback.after_ms > 0) or failback.after_ms > TIME_MS_MAX:
        return "failback is auto, manual, or after a time of at most 7 days"
    if limit is None:
        return None
    if not 2 <= limit.changes <= CHANGES_MAX:
        return f"flap_limit takes 2 to {CHANGES_MAX} changes"
    if not 1_000 <= limit.per_ms <= TIME_MS_MAX or not 1_000 <= limit.hold_ms <= TIME_MS_MAX:
        return "the times of flap_limit are between 1 second and 7 days"
    return None
