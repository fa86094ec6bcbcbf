"""A State as pieces of octets and back, and its digest.

Each piece is one msgpack array ``[kind, ...]``; the first names the snapshot's format, the last
carries the digest of the State, which the reader computes again. The order of the pieces is that of
the sorted keys, so equal States give equal octets.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from immutables import Map

from node.state import once
from node.state.command import Member, ZoneSettings
from node.state.pushes import Target
from node.state.state import (
    Book,
    Delivery,
    Event,
    Import,
    Kept,
    KnownToken,
    Learner,
    Lease,
    Receiver,
    Restoring,
    ServiceState,
    State,
)
from node.zone.builder import ZoneBuilder
from node.zone.lease import LeaseKey
from node.zone.name import ROOT, Name
from node.zone.rrset import RRset
from node.zone.serial import Policy
from node.zone.zone import Delta, Zone

SNAPSHOT_FORMAT = 1
_ROWS = 500

T = TypeVar("T")


class BadState(ValueError):
    """The pieces are not a snapshot this version can read; the message says why."""


class _Head(msgspec.Struct, frozen=True):
    index: int
    format: int
    seeded: bool
    members: tuple[Member, ...]
    events_next: int
    drops: dict[str, int]
    learners: tuple[Learner, ...] = ()
    restored: str = ""


class _Progress(msgspec.Struct, frozen=True):
    """A backup on its way in, without its contents."""

    restore: str
    members: tuple[Member, ...]
    serial_step: int
    source: str
    next: int
    zone: Name | None


class ZoneHead(msgspec.Struct, frozen=True):
    """What a snapshot says of a zone before its RRsets."""

    name: Name
    serial: int
    settings: ZoneSettings | None
    index: int
    history: tuple[Delta, ...]


_NO_ZONE = Zone(ROOT, 0)
_encode = msgspec.msgpack.Encoder().encode


def dump(state: State) -> Iterator[bytes]:
    """Yield the State as pieces; an iterator over an immutable value, to be walked at leisure."""
    yield _encode(["format", SNAPSHOT_FORMAT])
    drops = {name: state.drops[name] for name in sorted(state.drops)}
    head = _Head(
        state.index,
        state.format,
        state.seeded,
        state.members,
        state.events_next,
        drops,
        state.learners,
        state.restored,
    )
    yield _encode(["head", head])
    for name in sorted(state.zones):
        yield from _dump_zone(state, state.zones[name])
    yield from _dump_rows("services", (state.services[key] for key in sorted(state.services)))
    targets = ((state.targets[key], state.target_indexes.get(key, 0)) for key in sorted(state.targets))
    yield from _dump_rows("targets", targets)
    deliveries = ((key, state.deliveries[key]) for key in sorted(state.deliveries))
    yield from _dump_rows("deliveries", deliveries)
    yield from _dump_rows("events", ((key, state.events[key]) for key in sorted(state.events)))
    yield from _dump_rows("leases", ((key, state.leases[key]) for key in sorted(state.leases)))
    policies = ((name, state.serial_policies[name]) for name in sorted(state.serial_policies))
    yield from _dump_rows("serial-policies", policies)
    yield from _dump_rows("receivers", ((key, state.receivers[key]) for key in sorted(state.receivers)))
    yield from _dump_rows("tokens", (state.tokens[key] for key in sorted(state.tokens)))
    for id_ in sorted(state.imports):
        yield from _dump_import(id_, state.imports[id_])
    if _has_books(state):
        yield _encode(["books", [(book.next, book.forgotten_index) for book in (state.tries, state.keys)]])
        yield from _dump_rows("tries", once.rows_of(state.tries))
        yield from _dump_rows("keys", once.rows_of(state.keys))
    if state.restoring is not None:
        yield _encode(["restoring", _progress(state.restoring)])
        for piece in dump(state.restoring.content):
            yield _encode(["content", piece])
    yield _encode(["end", digest(state)])


def load(pieces: Iterable[bytes], former: State = State()) -> State:  # noqa: B008  # it is immutable
    """Read what ``dump`` wrote. Raises ``BadState`` on anything else, also on a digest that differs.

    The result shares with the former State the names whose RRsets are the same in both.
    """
    return Reader(former).read(pieces)


def digest(state: State) -> str:
    """Return 32 hexadecimal digits that are equal on nodes whose States are equal."""
    hasher = hashlib.blake2b(digest_size=16)
    hasher.update(_plainly((state.format, state.seeded, state.members, state.events_next)))
    if state.learners:
        hasher.update(_plainly(state.learners))
    hasher.update(_plainly([(key, state.drops[key]) for key in sorted(state.drops)]))
    for name in sorted(state.zones):
        zone = state.zones[name]
        settings, index = state.zone_settings.get(name), state.zone_indexes.get(name, 0)
        parts = (name, zone.serial, zone.rrset_count, zone.digest.to_bytes(16, "big"), settings, index)
        hasher.update(_plainly(parts))
    for fqdn in sorted(state.services):
        hasher.update(_plainly(state.services[fqdn]))
    for key in sorted(state.targets):
        hasher.update(_plainly((state.targets[key], state.target_indexes.get(key, 0))))
    for key in sorted(state.deliveries):
        hasher.update(_plainly((key, state.deliveries[key])))
    for lease in sorted(state.leases):
        hasher.update(_plainly((lease, state.leases[lease])))
    for name in sorted(state.serial_policies):
        hasher.update(_plainly(("serial-policy", name, state.serial_policies[name])))
    for receiver in sorted(state.receivers):
        hasher.update(_plainly(("receiver", receiver, state.receivers[receiver])))
    for key in sorted(state.tokens):
        hasher.update(_plainly(("token", state.tokens[key])))
    for id_ in sorted(state.imports):
        hasher.update(_plainly(_import_parts(id_, state.imports[id_])))
    if _has_books(state):
        for book in (state.tries, state.keys):
            hasher.update(_plainly((book.next, book.forgotten_index, book.digest.to_bytes(16, "big"))))
    if state.restored:
        hasher.update(_plainly(("restored", state.restored)))
    if state.restoring is not None:
        hasher.update(_plainly((_progress(state.restoring), digest(state.restoring.content))))
    return hasher.hexdigest()


def _plainly(value: object) -> bytes:
    """Write a value so that no octet tells how many fields its type has by now, only what is said."""
    return _encode(msgspec.to_builtins(value, builtin_types=(bytes,)))


def _has_books(state: State) -> bool:
    """Say whether any ticket was used: without, the octets are those of the time before tickets."""
    return state.tries.next > 0 or state.keys.next > 0


def _progress(restoring: Restoring) -> _Progress:
    known = {name: getattr(restoring, name) for name in _Progress.__struct_fields__}
    return _Progress(**known)


def _dump_zone(state: State, zone: Zone) -> Iterator[bytes]:
    settings = state.zone_settings.get(zone.name)
    index = state.zone_indexes.get(zone.name, 0)
    head = ZoneHead(zone.name, zone.serial, settings, index, tuple(zone.history))
    yield _encode(["zone", head])
    yield from _dump_rows("rrsets", ((zone.nodes[rrset.name].index, rrset) for rrset in zone.iter_rrsets()))


class _ImportHead(msgspec.Struct, frozen=True):
    id: str
    zone: Name
    serial: int
    base_serial: int | None
    settings: ZoneSettings | None
    parts: int
    index: int


def _import_head(id_: str, staged: Import) -> _ImportHead:
    zone = staged.zone
    return _ImportHead(
        id_, zone.name, zone.serial, staged.base_serial, staged.settings, staged.parts, staged.index
    )


def _import_parts(id_: str, staged: Import) -> tuple[Any, ...]:
    return _import_head(id_, staged), staged.zone.rrset_count, staged.zone.digest.to_bytes(16, "big")


def _dump_import(id_: str, staged: Import) -> Iterator[bytes]:
    zone = staged.zone
    yield _encode(["import", _import_head(id_, staged)])
    yield from _dump_rows("staged", ((zone.nodes[rrset.name].index, rrset) for rrset in zone.iter_rrsets()))


def _dump_rows(kind: str, rows: Iterable[Any]) -> Iterator[bytes]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _ROWS:
            yield _encode([kind, batch])
            batch = []
    if batch:
        yield _encode([kind, batch])


class Reader:
    """Collects the pieces of one snapshot."""

    def __init__(self, former: State = State()) -> None:  # noqa: B008  # it is immutable
        self._former = former
        self.head: _Head | None = None
        self.zones: list[ZoneHead] = []
        self._builders: list[ZoneBuilder] = []
        self.services: list[ServiceState] = []
        self.targets: list[tuple[Target, int]] = []
        self.deliveries: list[tuple[str, Delivery]] = []
        self.events: list[tuple[int, Event]] = []
        self.leases: list[tuple[LeaseKey, Lease]] = []
        self.serial_policies: list[tuple[Name, Policy]] = []
        self.receivers: list[tuple[str, Receiver]] = []
        self.tokens: list[KnownToken] = []
        self.imports: list[tuple[_ImportHead, ZoneBuilder]] = []
        self.books: list[tuple[int, int]] = [(0, 0), (0, 0)]
        self.tries: list[Kept] = []
        self.keys: list[Kept] = []
        self.restoring: _Progress | None = None
        self.content: list[bytes] = []
        self.digest: str | None = None

    def read(self, pieces: Iterable[bytes]) -> State:
        """Return the State. Raises ``BadState``."""
        try:
            return self._read(pieces)
        except (
            msgspec.DecodeError,
            msgspec.ValidationError,
            TypeError,
            UnicodeDecodeError,
            KeyError,
            IndexError,
            RecursionError,
        ) as error:
            raise BadState(f"the snapshot of the state cannot be read: {error}") from None

    def _read(self, pieces: Iterable[bytes]) -> State:
        for number, piece in enumerate(pieces):
            kind, value = msgspec.msgpack.decode(piece, type=tuple[str, msgspec.Raw])
            if (number == 0) != (kind == "format") or self.digest is not None:
                raise BadState("the pieces of the snapshot are not in their order")
            self._take(kind, value)
        if self.head is None or self.digest is None:
            raise BadState("the snapshot ends before its end")
        state = self._state(self.head)
        if digest(state) != self.digest:
            raise BadState("the snapshot's digest does not fit its contents")
        return state

    def _take(self, kind: str, value: msgspec.Raw) -> None:
        if kind == "format":
            found = _decode(value, int)
            if found != SNAPSHOT_FORMAT:
                raise BadState(
                    f"snapshot format {found} is not known here, {SNAPSHOT_FORMAT} is; upgrade this node"
                )
        elif kind == "head":
            self.head = _decode(value, _Head)
        elif kind == "zone":
            self.take_zone(_decode(value, ZoneHead))
        elif kind == "rrsets":
            self.take_rrsets(_decode(value, list[tuple[int, RRset]]))
        elif kind == "services":
            self.services.extend(_decode(value, list[ServiceState]))
        elif kind == "targets":
            self.targets.extend(_decode(value, list[tuple[Target, int]]))
        elif kind == "deliveries":
            self.deliveries.extend(_decode(value, list[tuple[str, Delivery]]))
        elif kind == "events":
            self.events.extend(_decode(value, list[tuple[int, Event]]))
        elif kind == "leases":
            self.leases.extend(_decode(value, list[tuple[LeaseKey, Lease]]))
        elif kind == "serial-policies":
            self.serial_policies.extend(_decode(value, list[tuple[Name, Policy]]))
        elif kind == "receivers":
            self.receivers.extend(_decode(value, list[tuple[str, Receiver]]))
        elif kind == "tokens":
            self.tokens.extend(_decode(value, list[KnownToken]))
        elif kind == "import":
            staged = _decode(value, _ImportHead)
            former = self._former.zones.get(staged.zone, _NO_ZONE)
            self.imports.append((staged, ZoneBuilder(staged.zone, staged.serial, (), former.nodes)))
        elif kind == "staged":
            self.imports[-1][1].take(_decode(value, list[tuple[int, RRset]]))
        elif kind == "books":
            self.books = _decode(value, list[tuple[int, int]])
        elif kind == "tries":
            self.tries.extend(_decode(value, list[Kept]))
        elif kind == "keys":
            self.keys.extend(_decode(value, list[Kept]))
        elif kind == "restoring":
            self.restoring = _decode(value, _Progress)
        elif kind == "content":
            self.content.append(_decode(value, bytes))
        elif kind == "end":
            self.digest = _decode(value, str)
        else:
            raise BadState(f"the snapshot holds a part {kind!r} that is not known here; upgrade this node")

    def take_zone(self, head: ZoneHead) -> None:
        """Begin another zone."""
        self.zones.append(head)
        former = self._former.zones.get(head.name, _NO_ZONE)
        self._builders.append(ZoneBuilder(head.name, head.serial, head.history, former.nodes))

    def take_rrsets(self, rows: list[tuple[int, RRset]]) -> None:
        """Keep RRsets of the latest zone, each with its index."""
        self._builders[-1].take(rows)

    def zone(self, number: int) -> Zone:
        """Build a zone of which all has been read."""
        return self._builders[number].finish()

    def _state(self, head: _Head) -> State:
        return State(
            index=head.index,
            format=head.format,
            seeded=head.seeded,
            members=head.members,
            learners=head.learners,
            zones=Map({each.name: self.zone(number) for number, each in enumerate(self.zones)}),
            zone_settings=Map({each.name: each.settings for each in self.zones if each.settings}),
            zone_indexes=Map({each.name: each.index for each in self.zones}),
            services=Map({each.service.fqdn: each for each in self.services}),
            targets=Map({each.name: each for each, _ in self.targets}),
            target_indexes=Map({each.name: index for each, index in self.targets}),
            deliveries=Map(dict(self.deliveries)),
            drops=Map(head.drops),
            events=Map(dict(self.events)),
            events_next=head.events_next,
            leases=Map(dict(self.leases)),
            serial_policies=Map(dict(self.serial_policies)),
            receivers=Map(dict(self.receivers)),
            imports=Map(
                {
                    head.id: Import(builder.finish(), head.base_serial, head.settings, head.parts, head.index)
                    for head, builder in self.imports
                }
            ),
            tries=self._book(self.tries, 0),
            keys=self._book(self.keys, 1),
            restoring=self._restoring(),
            restored=head.restored,
            tokens=Map({each.token.name: each for each in self.tokens}),
        )

    def _restoring(self) -> Restoring | None:
        if self.restoring is None:
            return None
        content = Reader().read(self.content)
        return Restoring(content=content, **msgspec.structs.asdict(self.restoring))

    def _book(self, rows: list[Kept], which: int) -> Book:
        if any((row.accepted is None) == (row.refused is None) for row in rows):
            raise BadState("the snapshot holds a ticket without one result")
        return once.book_of(rows, *self.books[which])


def _decode(value: msgspec.Raw, type_: type[T]) -> T:
    return msgspec.msgpack.decode(value, type=type_)
