"""What is wrong between the nodes themselves: certificates, refused connections, clocks. Pure.

Every node's row tells of its own certificate and of whom it has no connection with; the offset of a clock is
measured by the node that asks for the row.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from node.api.context import TrustSummary
from node.api.views import Row, moment
from node.counted import counted

CERTIFICATE_DAYS: Final = 30
"""A certificate that ends sooner is told of."""
CLOCK_OFFSET_MAX_S: Final = 5.0
"""Clocks that differ by more are told of. Leases and votes do not hang on it, what people read does."""
_DAY_MS: Final = 86_400_000

Told = tuple[str, Literal["critical", "warning"], str, tuple[str, ...]]
"""Code, severity, sentence, the next step."""


def trust_row(trust: TrustSummary, now_ms: int) -> Row:
    """Return what a node says of itself for the others to judge."""
    certificate = None
    if trust.certificate_ends_ms is not None:
        certificate = {
            "ends_at": moment(trust.certificate_ends_ms),
            "days_left": (trust.certificate_ends_ms - now_ms) // _DAY_MS,
            "problem": trust.problem,
        }
    return {"certificate": certificate, "refusals": dict(trust.refusals), "clock_ms": now_ms}


def find_trust_problems(own: str, rows: Sequence[Row]) -> Iterator[Told]:
    """Yield what the rows tell; ``own`` is the node that looks."""
    for row in rows:
        yield from _certificate(row["name"], row.get("certificate"))
    yield from _refusals(rows)
    yield from _clocks(own, rows)


def _certificate(name: str, certificate: Mapping[str, Any] | None) -> Iterator[Told]:
    if not certificate:
        return
    renew = ("qdns", "init", "--renew", name)
    days, day = certificate["days_left"], str(certificate["ends_at"])[:10]
    if days < 0:
        text = f"the certificate of {name} expired on {day}: no node accepts a new connection with it"
        yield "certificate_expired", "critical", text, renew
    elif days < CERTIFICATE_DAYS:
        yield (
            "certificate_ends_soon",
            "warning",
            f"the certificate of {name} ends in {counted(days, 'day')}, on {day}",
            renew,
        )
    if certificate["problem"]:
        text = f"{name} goes on with its old certificate files: {certificate['problem']}"
        yield "certificate_unusable", "warning", text, ("qdns", "config", "check", "--node", name)


def _refusals(rows: Sequence[Row]) -> Iterator[Told]:
    """Tell of each refusal once, with all nodes that see it."""
    seen_by: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        for name, reason in (row.get("refusals") or {}).items():
            seen_by[name, reason].append(row["name"])
    for (name, reason), observers in seen_by.items():
        text = f"{', '.join(observers)}: no connection with {name}, which {reason}"
        yield "node_refused", "warning", text, ("qdns", "node", "show", name)


def _clocks(own: str, rows: Sequence[Row]) -> Iterator[Told]:
    """Tell whose clock is off: this node's own if it differs from every other one, and these agree."""
    known = {row["name"]: row["clock_offset_s"] for row in rows if row.get("clock_offset_s") is not None}
    far = {name: offset_s for name, offset_s in known.items() if abs(offset_s) > CLOCK_OFFSET_MAX_S}
    agree = bool(far) and max(far.values()) - min(far.values()) <= CLOCK_OFFSET_MAX_S
    if len(far) > 1 and len(far) == len(known) and agree:
        offset_s = -sorted(far.values())[len(far) // 2]
        text = f"the clock of {own} is {_apart(offset_s)} the clocks of {', '.join(far)}"
        yield "clock_off", "warning", f"{text}; set it by NTP", ("qdns", "node", "show", own)
        return
    for name, offset_s in far.items():
        text = f"the clock of {name} is {_apart(offset_s)} the clock of {own}; set both by NTP"
        yield "clock_off", "warning", text, ("qdns", "node", "show", name)


def _apart(offset_s: float) -> str:
    return f"{abs(offset_s):.1f} s {'ahead of' if offset_s > 0 else 'behind'}"
