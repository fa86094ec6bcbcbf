"""Keeping the serving table equal to the zones: what a change touches is made anew, nothing else.

A change at a name alters answers at that name, at names that were made by looking at it, and where a name
came or went. Everything is written beside what readers see and shown by single stores, each followed by a notice
that tells readers what to forget; only then is the room of what was there before handed back.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Protocol
from zlib import crc32

import structlog

from node.dns import table_layout as layout
from node.dns.query import Query
from node.dns.table_change import appearing, character, is_alike, is_same_soa, touched
from node.dns.table_heap import Heap, Slots
from node.dns.table_render import Choices, RenderedNode, Renderer
from node.state.state import Changed
from node.zone.lease import LeaseKey
from node.zone.name import Name, is_wildcard, is_within, to_text
from node.zone.zone import Zone

logger = structlog.get_logger()

_TOLD_MAX = 10
"""Names that cannot be rendered ahead are told of so often."""

Key = tuple[Name, Name]
"""Zone and name."""
Zones = Mapping[Name, Zone]
Pause = Callable[[], None]
"""Called often during long work, so that others get their turn."""


class Leases(Protocol):
    """Says what is on a lease, from any thread."""

    def is_leased(self, name: Name) -> bool:
        """Say whether something at a name is on a lease."""

    def names_of(self, key: LeaseKey) -> tuple[Name, ...]:
        """Return the names that a lease is on."""


class NoLeases:
    """Where nothing is leased."""

    def is_leased(self, name: Name) -> bool:
        """Say no."""
        del name
        return False

    def names_of(self, key: LeaseKey) -> tuple[Name, ...]:
        """Return none."""
        del key
        return ()


class TableWriter:
    """The one writer of one table."""

    def __init__(
        self, payload_octets: int, refusal: Callable[[Query], bytes], leases: Leases | None = None
    ) -> None:
        self._leases = leases or NoLeases()
        self._is_withdrawn = False
        self._marked: set[Key] = set()
        """Names whose answers are shown as leased."""
        self.heap = Heap()
        self.slots = Slots(self.heap)
        self._choices: Choices = {}
        self._renderer = Renderer(payload_octets, lambda zone: self._cells.get(zone, 0), lambda: self._choices)
        self._constants = self._renderer.constants(refusal)
        self._zones: dict[Name, Zone] = {}
        self._numbers: dict[Name, int] = {}
        self._next_number = 1
        self._cells: dict[Name, int] = {}
        self._rows: dict[Name, bytes] = {}
        self._failures = 0
        self._depends: dict[Key, frozenset[Name]] = {}
        self._dependents: dict[Name, set[Key]] = {}
        self._serials: dict[Key, frozenset[Name]] = {}
        self._serial_users: dict[Name, set[Key]] = {}

    @property
    def nodes(self) -> int:
        """How many names the table holds."""
        return self.slots.live

    def close(self) -> None:
        """Let go of the memory."""
        self.heap.close()

    def publish(
        self,
        zones: Zones,
        changed: Changed | None,
        pause: Pause = lambda: None,
        choices: Choices = MappingProxyType({}),
    ) -> None:
        """Show the zones; ``changed`` says where to look, None to look everywhere.

        Names in ``choices`` are left to ``respond``, as are answers that lead to them.
        """
        anew: dict[Key, None] = {}
        self._take_choices(choices, anew)
        rebuilt: list[Name] = []
        vanished: list[Name] = []
        for apex in self._candidates(zones, changed):
            before, after = self._zones.get(apex), zones.get(apex)
            if before is after:
                continue
            if after is None:
                vanished.append(apex)
            elif before is None or character(before) != character(after):
                rebuilt.append(apex)
            else:
                self._change(before, after, changed, anew)
        for key in () if changed is None else changed.leases:
            self._note_lease(key, anew)
        if vanished or rebuilt:
            self._restructure(zones, vanished, rebuilt, anew, pause)
        for apex, name in anew:
            if apex in self._zones:
                self._refresh(zones, apex, name)
                pause()
        if not self.heap.words[layout.WORD_CONSTANTS] and not self._is_withdrawn:
            self.heap.publish(layout.WORD_CONSTANTS, self.heap.put(self._constants))
            self._tell(layout.NOTICE_ALL)
        self.heap.advance()

    def cost(self, zones: Zones, changed: Changed | None) -> int:
        """Say how many names a change makes anew, roughly."""
        if changed is None:
            return sum(len(zone.nodes) for zone in zones.values()) + len(zones)
        total = len(changed.names) + sum(len(self._leases.names_of(key)) for key in changed.leases)
        for _, name in changed.names:
            total += len(self._dependents.get(name, ()))
        for apex in changed.zones:
            before, after = self._zones.get(apex), zones.get(apex)
            if before is None or after is None or character(before) != character(after):
                total += sum(len(each.nodes) for each in (before, after) if each is not None)
        return total

    def withdraw(self) -> None:
        """Let nothing more be answered from the table, until ``restore``."""
        self._is_withdrawn = True
        self.heap.publish(layout.WORD_CONSTANTS, 0)
        self._tell(layout.NOTICE_ALL)

    def restore(self) -> None:
        """Let the table be answered from again, with the next change."""
        self._is_withdrawn = False

    def is_wasteful(self, octets_min: int) -> bool:
        """Say whether most of the memory lies idle."""
        return self.heap.free_octets > max(octets_min, (self.heap.end - layout.HEAP_OFFSET) // 2)

    # --- what is to be made anew -----------------------------------------------------------------

    def _candidates(self, zones: Zones, changed: Changed | None) -> Iterable[Name]:
        if changed is None:
            return dict.fromkeys((*self._zones, *zones))
        return changed.zones

    def _change(self, before: Zone, after: Zone, changed: Changed | None, anew: dict[Key, None]) -> None:
        """Note what a zone's change makes anew, and show its new serial."""
        apex = after.name
        names = touched(before, after, changed)
        affected = [name for name in names if not is_alike(before, after, name)]
        for name in names:
            affected += appearing(before, after, name)
        for name in affected:
            anew[apex, name] = None
            anew.update(dict.fromkeys(self._dependents.get(name, ())))
        self._zones[apex] = after
        if before.serial != after.serial:
            self.heap.publish(self._cells[apex], after.serial)
            self._tell(layout.NOTICE_SERIAL, self._cells[apex].to_bytes(8, "little"))
        if not is_same_soa(before, after):
            self._rows[apex] = self._render_row(self._numbers[apex], after)
            self._show_zones()
            anew.update(dict.fromkeys(self._serial_users.get(apex, ())))

    def _note_lease(self, key: LeaseKey, anew: dict[Key, None]) -> None:
        """Note names that have come to be leased; their answers must show it. Others may go on being shown so."""
        for name in self._leases.names_of(key):
            if (key.zone, name) not in self._marked:
                anew[key.zone, name] = None
                anew.update(dict.fromkeys(self._dependents.get(name, ())))

    def _take_choices(self, choices: Choices, anew: dict[Key, None]) -> None:
        """Note names whose answers come to depend on more than the name, or no longer do."""
        before, self._choices = self._choices, choices
        if before is choices:
            return
        for name in sorted(before.keys() ^ choices.keys()):
            anew[(choices.get(name) or before[name]).zone, name] = None
            anew.update(dict.fromkeys(self._dependents.get(name, ())))

    def _mark(self, key: Key, rendered: RenderedNode) -> bytes:
        """Return a name's block, marked when something in its answers is on a lease."""
        if not any(map(self._leases.is_leased, (key[1], *rendered.depends))):
            self._marked.discard(key)
            return rendered.block
        self._marked.add(key)
        place = layout.NODE_KEY_HEAD.size + len(key[1])
        flags = rendered.block[place] | layout.NODE_LEASED
        return rendered.block[:place] + bytes((flags,)) + rendered.block[place + 1 :]

    def _restructure(
        self, zones: Zones, vanished: list[Name], rebuilt: list[Name], anew: dict[Key, None], pause: Pause
    ) -> None:
        """Take zones away and build others, each shown at once when all its names are written."""
        gone = [
            (self._zones[apex], self._numbers[apex]) for apex in (*vanished, *rebuilt) if apex in self._zones
        ]
        for apex in vanished:
            del self._zones[apex], self._numbers[apex], self._rows[apex]
        for apex in rebuilt:
            self._build(zones, zones[apex], pause)
        self._show_zones()
        for name in [
            each for each in self._dependents if any(is_within(each, apex) for apex in (*vanished, *rebuilt))
        ]:
            anew.update(dict.fromkeys(self._dependents[name]))
            pause()
        for zone, number in gone:
            for name in zone.nodes:
                if zone.name not in self._zones:
                    self._marked.discard((zone.name, name))
                self._delete(number, name)
                pause()

    def _build(self, zones: Zones, zone: Zone, pause: Pause) -> None:
        """Write all names of a zone under a new number, which nobody knows yet."""
        number = self._next_number
        self._next_number += 1
        cell = self._cells.get(zone.name)
        if cell is None:
            cell = self._cells[zone.name] = self.heap.take_empty(layout.UNIT_OCTETS) >> 3
        self.heap.publish(cell, zone.serial)
        self._zones[zone.name] = zone
        self._numbers[zone.name] = number
        self.slots.reserve(len(zone.nodes))
        for name in zone.nodes:
            rendered = self._render(zones, number, zone, name)
            self._register((zone.name, name), rendered)
            if rendered is not None:
                key = _key(number, name)
                hash_ = crc32(key)
                self.slots.insert(
                    self.slots.find(key, hash_)[0],
                    hash_,
                    self.heap.put(self._mark((zone.name, name), rendered)),
                )
            pause()
        self._rows[zone.name] = self._render_row(number, zone)

    def _render(self, zones: Zones, number: int, zone: Zone, name: Name) -> RenderedNode | None:
        """Make a name's block; a name that this fails for is left to ``respond``, and keeps nobody from the table."""
        try:
            return self._renderer.node(zones, number, zone, name)
        except Exception as error:
            self._note_failure(name, error)
            return self._renderer.unprepared_node(number, zone, name)

    def _render_row(self, number: int, zone: Zone) -> bytes:
        """Make a zone's row; a zone that this fails for is left to ``respond``."""
        try:
            return self._renderer.zone(number, zone)
        except Exception as error:
            self._note_failure(zone.name, error)
            return self._renderer.unprepared_zone(number, zone)

    def _note_failure(self, name: Name, error: Exception) -> None:
        self._failures += 1
        if self._failures <= _TOLD_MAX:
            logger.error("table.unprepared", name=to_text(name), exc_info=error)

    # --- showing ---------------------------------------------------------------------------------

    def _refresh(self, zones: Zones, apex: Name, name: Name) -> None:
        """Make a name's block anew and show it by one store."""
        number = self._numbers[apex]
        rendered = self._render(zones, number, zones[apex], name)
        self._register((apex, name), rendered)
        self.slots.reserve(1)
        key = _key(number, name)
        hash_ = crc32(key)
        place, old = self.slots.find(key, hash_)
        if rendered is None:
            self._marked.discard((apex, name))
            if old:
                self._remove(place, old, name)
            return
        block = self._mark((apex, name), rendered)
        if old and self.heap.buffer[old + 4 : old + 4 + len(block)] == block:
            return
        offset = self.heap.put(block)
        if old:
            flags = self._flags(old, name)
            self.heap.publish(place, layout.slot_word(hash_, offset))
            self._tell_change(name, flags, rendered.flags, is_new=False)
            self.heap.retire(old)
        else:
            self.slots.insert(place, hash_, offset)
            self._tell_change(name, 0, rendered.flags, is_new=True)

    def _remove(self, place: int, old: int, name: Name) -> None:
        flags = self._flags(old, name)
        self.slots.delete(place)
        self._tell_change(name, flags, 0, is_new=True)
        self.heap.retire(old)

    def _delete(self, number: int, name: Name) -> None:
        """Take away a name of a zone that is no longer shown."""
        key = _key(number, name)
        place, old = self.slots.find(key, crc32(key))
        if old:
            self.slots.delete(place)
            self.heap.retire(old)

    def _flags(self, offset: int, name: Name) -> int:
        return self.heap.buffer[offset + 9 + len(name)] & ~layout.NODE_LEASED

    def _show_zones(self) -> None:
        old = self.heap.words[layout.WORD_ZONES]
        rows = b"".join(self._rows.values())
        self.heap.publish(layout.WORD_ZONES, self.heap.put(layout.ZONES_HEAD.pack(len(self._rows)) + rows))
        self._tell(layout.NOTICE_ALL)
        if old:
            self.heap.retire(old)

    def _tell_change(self, name: Name, before: int, after: int, *, is_new: bool) -> None:
        """Say what readers must forget: more the more answers hang on the name."""
        if before != after:
            self._tell(layout.NOTICE_ALL)
        elif is_new or after or is_wildcard(name):
            self._tell(layout.NOTICE_SHAPE, name)
        else:
            self._tell(layout.NOTICE_NAME, name)

    def _tell(self, kind: int, data: bytes = b"") -> None:
        count = self.heap.words[layout.WORD_NOTICES]
        place = layout.NOTICES_OFFSET + count % layout.NOTICES * layout.NOTICE_OCTETS
        notice = layout.NOTICE_HEAD.pack(kind, len(data)) + data
        self.heap.buffer[place : place + len(notice)] = notice
        self.heap.publish(layout.WORD_NOTICES, count + 1)

    # --- who looked at what ----------------------------------------------------------------------

    def _register(self, key: Key, rendered: RenderedNode | None) -> None:
        _rewrite(key, rendered.depends if rendered else frozenset(), self._depends, self._dependents)
        _rewrite(key, rendered.serials if rendered else frozenset(), self._serials, self._serial_users)


def _rewrite(
    key: Key, now: frozenset[Name], forward: dict[Key, frozenset[Name]], backward: dict[Name, set[Key]]
) -> None:
    """Keep both directions of a relation."""
    before = forward.get(key, frozenset())
    if before == now:
        return
    for name in before - now:
        users = backward[name]
        users.discard(key)
        if not users:
            del backward[name]
    for name in now - before:
        backward.setdefault(name, set()).add(key)
    if now:
        forward[key] = now
    else:
        del forward[key]


def _key(number: int, name: Name) -> bytes:
    return layout.NODE_KEY_HEAD.pack(number, len(name)) + name
