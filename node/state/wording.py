"""What differs between two definitions, in words for people. Pure."""

from typing import Any

import msgspec

from node.health.check_text import write_check
from node.health.rule import Rule, write_rule
from node.health.service import Check, Endpoint, Service
from node.zone.name import Name, to_text

_ENDPOINTS_SHOWN_MAX = 4


def changes_of(before: Any, after: Any) -> str:
    """Write the fields of two values of one kind that differ: ``ttl 5 -> 10, rise 2 -> 3``."""
    if before is None or after is None:
        return ""
    fields = (field for field in after.__struct_fields__ if field != "endpoints")
    parts = (_field(field, getattr(before, field), getattr(after, field)) for field in fields)
    return ", ".join(part for part in parts if part)


def service_changes(before: Service, after: Service) -> str:
    """Write what another definition of a service has otherwise, its endpoints included."""
    old = {each.address: each for each in before.endpoints}
    new = {each.address: each for each in after.endpoints}
    parts = [changes_of(before, after)]
    parts.append(_counted([each for each in new if each not in old], "added"))
    parts.append(_counted([each for each in old if each not in new], "removed"))
    changed = [_endpoint(each, old[each], new[each]) for each in new if each in old and old[each] != new[each]]
    parts.append(_counted(changed, ""))
    text = "; ".join(part for part in parts if part)
    return text or "order of endpoints"


def shown(texts: list[str]) -> str:
    """Write some of many: ``a, b, c, d and 3 more``."""
    more = len(texts) - _ENDPOINTS_SHOWN_MAX
    return ", ".join(texts[:_ENDPOINTS_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")


def _counted(texts: list[str], word: str) -> str:
    return f"{shown(texts)} {word}".strip() if texts else ""


def _endpoint(address: str, before: Endpoint, after: Endpoint) -> str:
    return f"{address}: {changes_of(before, after)}"


def _field(field: str, before: Any, after: Any) -> str:
    if before == after:
        return ""
    old, new = _value(before), _value(after)
    return f"{field} {old} -> {new}" if old != new else f"options of {field}"


def _value(value: Any) -> str:
    if isinstance(value, Check):
        return write_check(value)
    if isinstance(value, Rule):
        return write_rule(value)
    if isinstance(value, bytes):
        return to_text(Name(value)).removesuffix(".") or "."
    if isinstance(value, tuple):
        return " ".join(map(_value, value)) or "-"
    if isinstance(value, msgspec.Struct):
        return "/".join(str(each) for each in msgspec.structs.astuple(value))
    return "-" if value is None or value == "" else str(value)
