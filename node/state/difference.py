"""What differs between two States, from their pieces: both are in one order, so neither is held whole.

Zones, RRsets, services and push targets are compared as people define them. What follows from votes (the
addresses of services) and serials are left out: they are the cluster's own.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, TypeVar

import msgspec

from node.health.service import Service
from node.state.pushes import Target
from node.state.snapshot import ZoneHead
from node.state.state import ServiceState
from node.zone.name import Name, sort_key, to_text
from node.zone.rrset import AAAA, SOA, A, RRset, rdata_to_text, type_to_text
from node.zone.zone import soa_with_serial

Kind = Literal["zone", "rrset", "service", "target"]
Change = Literal["added", "removed", "changed"]
KINDS: tuple[Kind, ...] = ("zone", "rrset", "service", "target")
CHANGES: tuple[Change, ...] = ("added", "removed", "changed")

T = TypeVar("T")


class Difference(msgspec.Struct, frozen=True):
    """One thing that is otherwise; ``before`` and ``after`` are texts, empty where it is not."""

    change: Change
    kind: Kind
    name: str
    before: str
    after: str


class _Row(msgspec.Struct, frozen=True):
    key: tuple[object, ...]
    kind: Kind
    name: str
    value: object


def differences(
    before: Iterable[bytes], after: Iterable[bytes], managed: Collection[Name]
) -> Iterator[Difference]:
    """Yield what the second State has otherwise than the first, in order.

    ``managed`` are the names of services. Raises ``msgspec.DecodeError`` for pieces that are none.
    """
    olds, news = _rows(before, managed), _rows(after, managed)
    old, new = next(olds, None), next(news, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.key < new.key):
            assert old is not None
            yield Difference("removed", old.kind, old.name, _text(old.value), "")
            old = next(olds, None)
        elif old is None or new.key < old.key:
            yield Difference("added", new.kind, new.name, "", _text(new.value))
            new = next(news, None)
        else:
            if old.value != new.value:
                yield Difference("changed", new.kind, new.name, _text(old.value), _text(new.value))
            old, new = next(olds, None), next(news, None)


def _rows(pieces: Iterable[bytes], managed: Collection[Name]) -> Iterator[_Row]:
    zone = b""
    for piece in pieces:
        kind, value = msgspec.msgpack.decode(piece, type=tuple[str, msgspec.Raw])
        if kind == "zone":
            head = _decode(value, ZoneHead)
            zone = head.name
            yield _Row((0, zone), "zone", to_text(head.name), head.settings)
        elif kind == "rrsets":
            for _, rrset in _decode(value, list[tuple[int, RRset]]):
                if rrset.type not in (A, AAAA) or rrset.name not in managed:
                    yield _rrset_row(zone, rrset)
        elif kind == "services":
            for each in _decode(value, list[ServiceState]):
                yield _Row((1, each.service.fqdn), "service", to_text(each.service.fqdn), each.service)
        elif kind == "serial-policies":
            for name, policy in _decode(value, list[tuple[Name, str]]):
                yield _Row((3, name), "zone", f"{to_text(name)} serial policy", policy)
        elif kind == "targets":
            for target, _ in _decode(value, list[tuple[Target, int]]):
                yield _Row((2, target.name), "target", target.name, target)


def _rrset_row(zone: bytes, rrset: RRset) -> _Row:
    name = f"{to_text(rrset.name)} {type_to_text(rrset.type)}"
    if rrset.type == SOA:
        return _Row((0, zone, 0), "rrset", name, soa_with_serial(rrset, 0))
    return _Row((0, zone, 1, sort_key(rrset.name), rrset.type), "rrset", name, rrset)


def _text(value: object) -> str:
    """Write a value in one line for people."""
    if isinstance(value, str):
        return value
    if isinstance(value, RRset):
        texts = ", ".join(rdata_to_text(value.type, rdata) for rdata in value.rdatas)
        return f"{value.ttl} {texts}" + (" (disabled)" if value.disabled else "")
    if isinstance(value, Service):
        addresses = " ".join(each.address for each in value.endpoints)
        return f"{value.check.kind} port {value.check.port}, {value.mode}, ttl {value.ttl}: {addresses}"
    if isinstance(value, Target):
        return f"{value.kind} {value.server or value.url}".strip()
    return "" if value is None else f"name servers {', '.join(to_text(each) for each in _nameservers(value))}"


def _nameservers(value: object) -> tuple[Name, ...]:
    found: tuple[Name, ...] = getattr(value, "nameservers", ())
    return found


def _decode(value: msgspec.Raw, type_: type[T]) -> T:
    return msgspec.msgpack.decode(value, type=type_)
