"""The parameters of etcd v2 requests: of the query and of a form body together, all checked."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from node.api.etcd.errors import INDEX_NOT_NUMBER, INVALID_FIELD, INVALID_FORM, TTL_NOT_NUMBER, EtcdProblem
from node.api.message import Request

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


def read_form(request: Request) -> Form:
    """Read the parameters. Raises ``EtcdProblem``."""
    try:
        pairs = parse_qsl(
            request.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX
        )
    except ValueError as error:
        raise EtcdProblem(INVALID_FORM, f"the body is not a form: {error}; nothing was changed") from None
    fields = {**request.query, **dict(pairs)}
    _refuse_lease(fields)
    return Form(
        value=fields.get("value"),
        dir=_flag(fields, "dir") or False,
        recursive=_flag(fields, "recursive") or False,
        prev_exist=_flag(fields, "prevExist"),
        prev_index=_number(fields, "prevIndex"),
        prev_value=fields.get("prevValue"),
        wait=_flag(fields, "wait") or False,
        wait_index=_number(fields, "waitIndex"),
    )


def _refuse_lease(fields: dict[str, str]) -> None:
    """An empty ``ttl`` takes a lease away, and there is none; anything else asks for one."""
    ttl = fields.get("ttl", "")
    if ttl and not (ttl.isascii() and ttl.isdigit()):
        raise EtcdProblem(TTL_NOT_NUMBER, f"ttl={ttl} is not a number; nothing was changed")
    if ttl or _flag(fields, "refresh"):
        raise EtcdProblem(
            INVALID_FIELD,
            "ttl: this version keeps no leases, a record stays until it is deleted; nothing was changed",
        )


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
