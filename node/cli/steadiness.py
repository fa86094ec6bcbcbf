"""``--flap-limit`` and ``--failback`` of a service, as the API takes them."""

from node.cli.changes import Json
from node.cli.faults import Failure, usage
from node.cli.times import duration_s


def steadiness(flap_limit: object, failback: object) -> Json:
    """Return what was said of when an endpoint comes back. Raises ``Failure``."""
    body: Json = {} if flap_limit is None else {"flap_limit": _flap_limit(str(flap_limit))}
    if failback in ("auto", "manual"):
        body["failback"] = failback
    elif failback is not None:
        body |= {"failback": "after", "failback_after_ms": _milliseconds(str(failback), "--failback 10m")}
    return body


def _flap_limit(text: str) -> Json:
    changes, _, times = text.partition("/")
    per, _, hold = times.partition("/")
    hint = "--flap-limit 6/10m/5m"
    if not changes.isascii() or not changes.isdigit():
        raise _bad(text, hint)
    return {
        "changes": int(changes[:6]),
        "per_ms": _milliseconds(per, hint),
        "hold_ms": _milliseconds(hold, hint),
    }


def _milliseconds(text: str, hint: str) -> int:
    try:
        return round(duration_s(text) * 1000)
    except ValueError:
        raise _bad(text, hint) from None


def _bad(text: str, hint: str) -> Failure:
    return usage(f'"{text}" cannot be read', hint)
