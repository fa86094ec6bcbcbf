"""How a backup comes into an empty cluster: piece by piece through the log, there at once with the last.

What has come stands apart, in ``State.restoring``, and is served to nobody; with the last piece it takes
its place and the cluster is seeded. All nodes have one history of it, and none forges a file of the log.

What is restored is zones, records, services, push targets, tokens (their hashes), leases, and what may still have to be taken
away from targets. Every zone's serial goes on beyond the one in the backup, so that secondaries which saw
later ones follow. Log indexes begin anew with the log. Votes are not restored: they are what nodes say
now; the verdicts stay until a majority says otherwise. The nodes are those of this cluster.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from immutables import Map

from node.counted import counted
from node.health import service as services
from node.state import tokens
from node.state.command import BeginRestore, RestorePieces
from node.state.draft import Draft
from node.state.pushes import Target
from node.state.snapshot import SNAPSHOT_FORMAT, BadState, ZoneHead
from node.state.state import Delivery, EndpointState, KnownToken, Lease, Restoring, Result, ServiceState, State
from node.state.zones import settings_problem
from node.zone import rrset as rrsets
from node.zone import serial as serials
from node.zone.lease import LeaseKey
from node.zone.name import Name, is_canonical, is_within, to_text
from node.zone.rrset import SOA, RRset
from node.zone.zone import Zone, filled_zone, soa_with_serial

SERIAL_STEP_MAX = 2**30
PIECE_OCTETS = 64 * 1024
"""So large the pieces of a backup are made for the log; one with a single row may be larger."""
_ROWS = ("rrsets", "services", "targets", "deliveries", "leases", "serial-policies", "tokens")
_LEFT_OUT = ("head", "events", "receivers", "import", "staged", "books", "tries", "keys")
"""What begins anew; a further kind of piece must be put in one of the two."""

T = TypeVar("T")


def pieces_for_log(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what the log carries of a backup: without history, events and tickets, in bounded pieces.

    Raises ``BadState``.
    """
    for piece in pieces:
        kind, value = _split(piece)
        if kind in ("format", "end"):
            yield piece
        elif kind == "zone":
            yield _encode([kind, msgspec.structs.replace(_decode(value, ZoneHead), history=())])
        elif kind in _ROWS:
            yield from _batches(kind, _decode(value, list[msgspec.Raw]))
        elif kind not in _LEFT_OUT:
            raise BadState(f"it holds a part {kind!r} that cannot be restored; upgrade this node")


def _batches(kind: str, rows: list[msgspec.Raw]) -> Iterator[bytes]:
    batch: list[msgspec.Raw] = []
    octets = 0
    for row in rows:
        batch.append(row)
        octets += len(bytes(row))
        if octets >= PIECE_OCTETS:
            yield _encode([kind, batch])
            batch, octets = [], 0
    if batch:
        yield _encode([kind, batch])


# --- at apply -------------------------------------------------------------------------------------


def begin(draft: Draft, command: BeginRestore) -> Result:
    """Make room for a backup, in a cluster where nothing was ever written."""
    state = draft.state
    if state.seeded:
        return _refuse_seeded(draft, command.restore)
    if state.restoring is not None:
        if state.restoring.restore == command.restore:
            return draft.accepted()
        return draft.refused("conflict", f"another backup ({state.restoring.source}) is being restored already")
    if state.zones or state.services or state.targets or state.tokens:
        return draft.refused("conflict", "the cluster was written to already; a backup goes into an empty one")
    if command.format > state.format:
        text = f"the backup's state has format {command.format}, and this cluster has {state.format}"
        return draft.refused("conflict", text)
    if not command.members or not 0 < command.serial_step <= SERIAL_STEP_MAX:
        return draft.refused("invalid", "a backup needs nodes and a step for the serials")
    restoring = Restoring(command.restore, command.members, command.serial_step, command.source, State())
    draft.update(restoring=restoring)
    draft.tell("restore.begun", "cluster", command.source, restore=command.restore)
    return draft.accepted()


def add(draft: Draft, command: RestorePieces) -> Result:
    """Take the next pieces; those that are there already are passed over."""
    restoring = draft.state.restoring
    if restoring is None or restoring.restore != command.restore:
        return (
            _refuse_seeded(draft, command.restore)
            if draft.state.seeded
            else draft.refused("conflict", "this backup is not being restored")
        )
    if command.first > restoring.next:
        return draft.refused("conflict", f"piece {restoring.next} of the backup is missing")
    try:
        for piece in command.pieces[restoring.next - command.first :]:
            restoring = _Taking(draft, restoring).take(piece)
    except (BadState, msgspec.DecodeError, ValueError, KeyError, RecursionError) as error:
        return draft.refused("invalid", f"the backup cannot be restored: {error}")
    draft.update(restoring=restoring)
    return draft.accepted()


def is_whole(command: RestorePieces) -> bool:
    """Say whether the last piece is among these."""
    return bool(command.pieces) and command.pieces[-1].startswith(_END)


def unfold(draft: Draft, restoring: Restoring) -> None:
    """Put what was restored in its place, all at once, in a cluster whose nodes are known by now."""
    content = restoring.content
    names = {member.name for member in draft.state.members}
    lost = sorted(_strangers(content, names))
    for name in sorted(content.zones):
        draft.put_zone(content.zones[name])
    for fqdn in sorted(content.services):
        draft.touch_service(fqdn)
    draft.update(
        zone_settings=content.zone_settings,
        zone_indexes=content.zone_indexes,
        services=Map({fqdn: _settled(draft, each, names) for fqdn, each in content.services.items()}),
        targets=content.targets,
        target_indexes=content.target_indexes,
        deliveries=content.deliveries,
        leases=content.leases,
        serial_policies=content.serial_policies,
        tokens=content.tokens,
        restoring=None,
        restored=restoring.restore,
    )
    note = f"; probe_from named {', '.join(lost)}, no nodes of this cluster: left out" if lost else ""
    counts = ", ".join(
        counted(len(each), word)
        for each, word in (
            (content.zones, "zone"),
            (content.services, "service"),
            (content.targets, "push target"),
        )
    )
    draft.tell("restore.done", "cluster", f"{restoring.source}: {counts}{note}", restore=restoring.restore)


def _refuse_seeded(draft: Draft, restore: str) -> Result:
    if draft.state.restored == restore:
        return draft.accepted()
    return draft.refused("conflict", "the cluster has been seeded already; a backup goes into an empty one")


class _Taking:
    """Takes one piece into the content. Raises ``BadState``, and what decoding raises."""

    def __init__(self, draft: Draft, restoring: Restoring) -> None:
        self._draft = draft
        self._restoring = restoring
        self._content = restoring.content

    def take(self, piece: bytes) -> Restoring:
        """Return the restoring with the piece in it."""
        kind, value = _split(piece)
        number = self._restoring.next
        if (number == 0) != (kind == "format"):
            raise BadState("its pieces are not in their order")
        actions: dict[str, Callable[[msgspec.Raw], None]] = {
            "format": self._format,
            "zone": self._zone,
            "rrsets": self._rrsets,
            "services": self._services,
            "targets": self._targets,
            "deliveries": self._deliveries,
            "leases": self._leases,
            "serial-policies": self._serial_policies,
            "tokens": self._tokens,
            "end": lambda _: None,
        }
        if kind not in actions:
            raise BadState(f"it holds a part {kind!r} that is not known here")
        actions[kind](value)
        return msgspec.structs.replace(self._restoring, content=self._content, next=number + 1)

    def _put(self, **fields: Any) -> None:
        self._content = msgspec.structs.replace(self._content, **fields)

    def _format(self, value: msgspec.Raw) -> None:
        if _decode(value, int) != SNAPSHOT_FORMAT:
            raise BadState(f"its pieces are not in format {SNAPSHOT_FORMAT}")

    def _zone(self, value: msgspec.Raw) -> None:
        head = _decode(value, ZoneHead)
        content, index = self._content, self._draft.index
        _require_names(head.name)
        if head.name in content.zones:
            raise BadState(f"the zone {to_text(head.name)} stands in it twice")
        serial = serials.add(head.serial % serials.MODULUS, self._restoring.serial_step)
        self._put(
            zones=content.zones.set(head.name, Zone(head.name, serial)),
            zone_indexes=content.zone_indexes.set(head.name, index),
        )
        if head.settings is not None:
            _require_names(*head.settings.nameservers, head.settings.contact)
            wrong = settings_problem(self._draft, head.settings)
            if wrong is not None:
                raise BadState(wrong.detail)
            self._put(zone_settings=content.zone_settings.set(head.name, head.settings))
        self._restoring = msgspec.structs.replace(self._restoring, zone=head.name)

    def _rrsets(self, value: msgspec.Raw) -> None:
        name = self._restoring.zone
        if name is None:
            raise BadState("records stand before their zone")
        zone = self._content.zones[name]
        seen: set[tuple[Name, int]] = set()
        found = []
        for _, rrset in _decode(value, list[tuple[int, RRset]]):
            _require_fit(zone, rrset, seen)
            found.append(soa_with_serial(rrset, zone.serial) if rrset.type == SOA else rrset)
        self._put(zones=self._content.zones.set(name, filled_zone(zone, found, self._draft.index)))

    def _services(self, value: msgspec.Raw) -> None:
        kept = self._content.services.mutate()
        for each in _decode(value, list[ServiceState]):
            _require_names(each.service.fqdn, each.service.zone)
            wrong = services.problem(each.service)
            if wrong is not None or [row.address for row in each.service.endpoints] != [
                address for address, _ in each.endpoints
            ]:
                raise BadState(f"{to_text(each.service.fqdn)}: {wrong or 'its endpoints do not fit'}")
            kept[each.service.fqdn] = each
        self._put(services=kept.finish())

    def _targets(self, value: msgspec.Raw) -> None:
        targets, indexes = self._content.targets.mutate(), self._content.target_indexes.mutate()
        for target, _ in _decode(value, list[tuple[Target, int]]):
            _require_names(*target.zones)
            targets[target.name] = target
            indexes[target.name] = self._draft.index
        self._put(targets=targets.finish(), target_indexes=indexes.finish())

    def _deliveries(self, value: msgspec.Raw) -> None:
        """Keep what is to be taken away; what stands on the targets is found out anew."""
        kept = self._content.deliveries.mutate()
        for name, delivery in _decode(value, list[tuple[str, Delivery]]):
            leftovers = tuple(
                msgspec.structs.replace(each, index=self._draft.index) for each in delivery.leftovers
            )
            _require_names(*(part for each in leftovers for part in (each.zone, each.fqdn)))
            if leftovers:
                kept[name] = Delivery(leftovers=leftovers)
        self._put(deliveries=kept.finish())

    def _leases(self, value: msgspec.Raw) -> None:
        """Let what is leased stay for the whole of its time from here on."""
        kept, index = self._content.leases.mutate(), self._draft.index
        for key, lease in _decode(value, list[tuple[LeaseKey, Lease]]):
            _require_names(key.zone, key.name)
            kept[key] = Lease(lease.ttl_s, index, index)
        self._put(leases=kept.finish())

    def _serial_policies(self, value: msgspec.Raw) -> None:
        kept = self._content.serial_policies.mutate()
        for name, policy in _decode(value, list[tuple[Name, serials.Policy]]):
            _require_names(name)
            kept[name] = policy
        self._put(serial_policies=kept.finish())

    def _tokens(self, value: msgspec.Raw) -> None:
        kept = self._content.tokens.mutate()
        for each in _decode(value, list[KnownToken]):
            wrong = tokens.problem(each.token)
            if wrong is not None:
                raise BadState(f"the token {each.token.name}: {wrong}")
            kept[each.token.name] = msgspec.structs.replace(each, index=self._draft.index)
        self._put(tokens=kept.finish())


def _require_fit(zone: Zone, rrset: RRset, seen: set[tuple[Name, int]]) -> None:
    """Check one RRset as a change of the zone would. Raises ``BadState``."""
    _require_names(rrset.name)
    if not is_within(rrset.name, zone.name):
        raise BadState(f"{to_text(rrset.name)} is not inside {to_text(zone.name)}")
    wrong = rrsets.problem(rrset)
    if wrong is not None:
        raise BadState(f"{to_text(rrset.name)}: {wrong}")
    key = (rrset.name, rrset.type)
    if key in seen or zone.get(*key) is not None:
        raise BadState(f"an RRset of {to_text(rrset.name)} stands in it twice")
    seen.add(key)


def _require_names(*names: Name) -> None:
    for name in names:
        if not is_canonical(name):
            raise BadState(f"{name[:20].hex()} is not a name in its canonical form")


def _settled(draft: Draft, known: ServiceState, names: set[str]) -> ServiceState:
    """Return a service as it begins here: nobody has voted, the last verdicts stand."""
    endpoints = tuple(
        msgspec.structs.replace(each, probe_from=tuple(name for name in each.probe_from if name in names))
        for each in known.service.endpoints
    )
    return msgspec.structs.replace(
        known,
        service=msgspec.structs.replace(known.service, endpoints=endpoints),
        endpoints=tuple(
            (address, EndpointState((), each.verdict, draft.index, each.at_ms))
            for address, each in known.endpoints
        ),
        index=draft.index,
    )


def _strangers(content: State, names: set[str]) -> set[str]:
    return {
        name
        for _, each in content.services.items()
        for endpoint in each.service.endpoints
        for name in endpoint.probe_from
        if name not in names
    }


def _split(piece: bytes) -> tuple[str, msgspec.Raw]:
    return msgspec.msgpack.decode(piece, type=tuple[str, msgspec.Raw])


def _decode(value: msgspec.Raw, type_: type[T]) -> T:
    return msgspec.msgpack.decode(value, type=type_)


_encode = msgspec.msgpack.Encoder().encode
_END = _encode(["end", ""])[:5]
