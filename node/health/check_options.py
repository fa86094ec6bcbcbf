"""What a check can say beside its one line, kind by kind. Pure.

The one place that knows which option means something to which kind, for the file and the API alike.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from node.health.check_text import BadCheck
from node.health.service import CHECK_KINDS, Check, Part, problem_of_check

_HTTP = ("path", "method", "host", "expect_status", "expect_body", "headers")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "http": _HTTP,
    "https": (*_HTTP, "verify", "warn_expiry_days"),
    "tcp": ("send", "expect"),
    "tls": ("host", "verify", "warn_expiry_days"),
    "dns": ("query_name", "query_type", "expect_rcodes", "expect"),
    "udp": ("send", "expect"),
    "icmp": (),
    "grpc": ("host", "tls", "verify", "grpc_service"),
    "exec": ("command",),
    "composite": ("parts", "needed"),
    "push": ("lease_s",),
}
"""The fields of ``Check`` that each kind reads, beside ``port``."""
assert set(OPTIONS) == set(CHECK_KINDS)


def has_meaning(kind: str, option: str) -> bool:
    """Say whether a field of ``Check`` means something to checks of this kind."""
    return option in ("kind", "port") or option in OPTIONS[kind]


def with_options(check: Check, options: Mapping[str, Any]) -> Check:
    """Return the check with these fields set. Raises ``BadCheck`` that names the field."""
    for option in options:
        if not has_meaning(check.kind, option):
            raise BadCheck(f"{option} has no meaning in a check of kind {check.kind}", option)
    if "expect_body" in options:
        require_pattern(options["expect_body"])
    made = msgspec.structs.replace(check, **options)
    sentence = problem_of_check(made)
    if sentence:
        raise BadCheck(sentence)
    return made


def composed(parts: Sequence[Part], needed: int) -> Check:
    """Return the check that is made of these; ``needed`` good ones make it good, 0 for all. Raises ``BadCheck``."""
    return with_options(Check("composite", 0), {"parts": tuple(parts), "needed": needed})


def require_pattern(text: str) -> None:
    """Refuse what is no regular expression. Raises ``BadCheck``."""
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadCheck(f"expect_body is not a regular expression: {error}", "expect_body") from None
