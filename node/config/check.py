"""The tables of healthchecks as checks: what stands in the file, handed to the one reader of ``node.health``."""

from collections.abc import Iterator
from typing import Any

from node.config.check_schema import CheckTable, PartTable, TlsCheckTable
from node.health.check_options import composed, with_options
from node.health.check_text import BadCheck, read_check
from node.health.service import Check, Part

_DAY_MS = 86_400_000
_TEXTS = ("url", "tcp", "dns", "udp", "grpc", "exec")
_FIELDS = {
    "service": "grpc_service",
    "method": "method",
    "host": "host",
    "expect_status": "expect_status",
    "expect_body": "expect_body",
    "headers": "headers",
    "send": "send",
    "expect": "expect",
    "query_name": "query_name",
    "query_type": "query_type",
    "expect_rcodes": "expect_rcodes",
    "verify": "verify",
}
"""The keys of the file that are options, and the fields of ``Check`` that they set."""
_KEYS = {field: key for key, field in _FIELDS.items()} | {"warn_expiry_days": "tls/warn_expiry"}


def build_check(table: CheckTable) -> Check:
    """Make the check that the table describes. Raises ``BadCheck`` whose key is a path in the table."""
    kinds = list(_kinds(table))
    if len(kinds) != 1:
        wrong = f"says both {' and '.join(kinds)}" if kinds else "does not say what to probe"
        suggestion = 'add: url = "http://{}:80/" or tcp = "{}:5432"'
        raise BadCheck(f"the healthcheck {wrong}", suggestion=suggestion)
    if kinds == ["parts"]:
        return _composite(table)
    if "needed" in table.model_fields_set:
        raise BadCheck("needed has no meaning without parts", "needed")
    check = _base(table, kinds[0])
    try:
        return with_options(check, dict(_options(table)))
    except BadCheck as bad:
        raise BadCheck(str(bad).replace(bad.key, _key(bad.key), 1), _key(bad.key), bad.suggestion) from None


def _key(field: str) -> str:
    return _KEYS.get(field, field) if field else ""


def _kinds(table: CheckTable) -> Iterator[str]:
    """Yield the keys that say what is done."""
    yield from (key for key in _TEXTS if getattr(table, key) is not None)
    if isinstance(table.tls, str):
        yield "tls"
    if table.icmp:
        yield "icmp"
    if table.parts is not None:
        yield "parts"


def _base(table: CheckTable, key: str) -> Check:
    if key == "icmp":
        return Check("icmp", 0)
    text = str(getattr(table, key))
    if key == "exec":
        return read_check(f"exec://{text}")
    try:
        check = read_check(text, "" if key == "url" else key)
    except BadCheck as bad:
        where = key if key in table.model_fields_set else ""
        raise BadCheck(str(bad), where, bad.suggestion) from None
    if key not in ("url", check.kind):
        raise BadCheck(f'{key} = "{text}" is a check of kind {check.kind}; write it as url', key)
    return check


def _options(table: CheckTable) -> Iterator[tuple[str, Any]]:
    """Yield the fields that the table sets, in the forms of ``Check``."""
    for key, field in _FIELDS.items():
        if key in table.model_fields_set:
            value = getattr(table, key)
            if key == "headers":
                value = tuple(value.items())
            yield field, tuple(value) if isinstance(value, list) else value
    if isinstance(table.tls, TlsCheckTable) and "tls" in table.model_fields_set:
        yield "verify", table.tls.verify
        if table.tls.warn_expiry is not None:
            yield "warn_expiry_days", -(-table.tls.warn_expiry // _DAY_MS)


def _composite(table: CheckTable) -> Check:
    """Make a composite check; what is wrong with a part is told at that part. Raises ``BadCheck``."""
    for key in _FIELDS:
        if key in table.model_fields_set:
            raise BadCheck(f"{key} belongs to one of the parts", key)
    parts = [_part(number, each) for number, each in enumerate(table.parts or ())]
    needed = {"all": 0, "any": 1}.get(str(table.needed), table.needed)
    return composed(parts, int(needed))


def _part(number: int, table: PartTable) -> Part:
    try:
        return Part(build_check(table), table.must_pass, table.observe_only)
    except BadCheck as bad:
        where = "/".join(filter(None, ("parts", str(number), bad.key)))
        raise BadCheck(str(bad), where, bad.suggestion) from None
