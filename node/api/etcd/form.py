"""The parameters of etcd v2 requests: of the query and of a form body together, all checked."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from node.api.etcd.errors import (
    INDEX_NOT_NUMBER,
    INVALID_FIELD,
    INVALID_FORM,
    TTL_NOT_NUMBER,
    TTL_REQUIRED,
    VALUE_ON_REFRESH,
    EtcdProblem,
)
from node.api.message import Request
from node.state.leases import LEASE_S_MAX

_FIELDS_MAX = 100


@dataclass(frozen=True, slots=True)
class Form:
    """What a request asks for. None means that a field was not given."""

    value: str | None
    dir: bool
    recursive: bool
    prev_exist: bool | None
    prev_index: int | None
    prev_value: str | None
    wait: bool
    wait_index: int | None
    ttl_s: int | None = None
    """Seconds of a lease; 0 for an empty field, which takes a lease away."""
    refresh: bool = False


def read_form(request: Request) -> Form:
    """Read the parameters. Raises ``EtcdProblem``."""
    try:
        pairs = parse_qsl(
            request.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX
        )
    except ValueError as error:
        raise EtcdProblem(INVALID_FORM, f"the body is not a form: {error}; nothing was changed") from None
    fields = {**request.query, **dict(pairs)}
    refresh = _flag(fields, "refresh") or False
    if refresh and fields.get("value"):
        raise EtcdProblem(VALUE_ON_REFRESH, "a refresh leaves the value alone; nothing was changed")
    if refresh and not fields.get("ttl"):
        raise EtcdProblem(TTL_REQUIRED, "say for how long: ttl=SECONDS; nothing was changed")
    return Form(
        value=fields.get("value"),
        dir=_flag(fields, "dir") or False,
        recursive=_flag(fields, "recursive") or False,
        prev_exist=_flag(fields, "prevExist"),
        prev_index=_number(fields, "prevIndex"),
        prev_value=fields.get("prevValue"),
        wait=_flag(fields, "wait") or False,
        wait_index=_number(fields, "waitIndex"),
        ttl_s=_seconds(fields),
        refresh=refresh,
    )


def _seconds(fields: dict[str, str]) -> int | None:
    text = fields.get("ttl")
    if not text:
        return None if text is None else 0
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:12]) <= LEASE_S_MAX):
        raise EtcdProblem(
            TTL_NOT_NUMBER,
            f"ttl={text} is not a number of seconds from 1 to {LEASE_S_MAX}; nothing was changed",
        )
    return int(text)


def _flag(fields: dict[str, str], key: str) -> bool | None:
    text = fields.get(key)
    if text is None:
        return None
    if text not in ("true", "false", "1", "0"):
        raise EtcdProblem(INVALID_FIELD, f"{key}={text} is neither true nor false")
    return text in ("true", "1")


def _number(fields: dict[str, str], key: str) -> int | None:
    text = fields.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise EtcdProblem(INDEX_NOT_NUMBER, f"{key}={text} is not a number")
    return int(text)
