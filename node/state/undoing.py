"""The way back from a service's definition to the one before it, in few octets. Pure."""

from typing import Any

import msgspec

from node.health.service import Endpoint, Service
from node.health.verdict import VerdictWord
from node.state.state import ServiceState

UNDO_OCTETS_MAX = 4096
"""Events hold it, so a way back that is longer is not kept."""


class Undo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was otherwise before a definition changed, or went."""

    fields: dict[str, Any]
    """The former values of what changed but the endpoints; None for one that was as it is by default."""
    first: int = 0
    """So many endpoints at the beginning are the same,"""
    last: int = 0
    """so many at the end,"""
    between: tuple[Endpoint, ...] | None = None
    """and these stood between them; None when no endpoint changed."""
    gone: dict[str, VerdictWord] = {}
    """The verdicts on endpoints that are no more."""
    fail_open: bool = False
    is_unsettled: bool = False
    is_down: bool = False


def undo_of(before: ServiceState, after: Service | None) -> bytes:
    """Return the way back from a definition to the one before it; nothing when it would be too long."""
    old = _row(before.service)
    new = _row(after) if after is not None else {}
    fields = {key: old.get(key) for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)}
    fields.pop("endpoints", None)
    olds, news = before.service.endpoints, after.endpoints if after is not None else ()
    first = _common(olds, news)
    last = _common(olds[first:][::-1], news[first:][::-1])
    left = {each.address for each in news}
    gone: dict[str, VerdictWord] = {
        address: each.verdict
        for address, each in before.endpoints
        if address not in left and each.verdict != "undecided"
    }
    between = olds[first : len(olds) - last] if olds != news or after is None else None
    undo = Undo(fields, first, last, between, gone, before.fail_open, before.is_unsettled, before.is_down)
    data = msgspec.msgpack.encode(undo)
    return data if len(data) <= UNDO_OCTETS_MAX else b""


def read_undo(data: bytes) -> Undo | None:
    """Read what ``undo_of`` wrote; None where nothing was kept."""
    try:
        return msgspec.msgpack.decode(data, type=Undo) if data else None
    except msgspec.DecodeError:
        return None


def undone(after: Service | None, undo: Undo) -> Service | None:
    """Return the definition that a change replaced, None where the way does not lead to one."""
    row = _row(after) if after is not None else {}
    row |= undo.fields
    row = {key: value for key, value in row.items() if value is not None}
    endpoints = after.endpoints if after is not None else ()
    if undo.between is not None:
        endpoints = (
            *endpoints[: undo.first],
            *undo.between,
            *(endpoints[len(endpoints) - undo.last :] if undo.last else ()),
        )
    try:
        service = msgspec.convert(row | {"endpoints": []}, Service, builtin_types=(bytes,))
    except msgspec.ValidationError:
        return None
    return msgspec.structs.replace(service, endpoints=endpoints)


def _row(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(
        msgspec.structs.replace(service, endpoints=()), builtin_types=(bytes,)
    )
    return found


def _common(one: tuple[Endpoint, ...], two: tuple[Endpoint, ...]) -> int:
    count = 0
    for left, right in zip(one, two, strict=False):
        if left != right:
            break
        count += 1
    return count
