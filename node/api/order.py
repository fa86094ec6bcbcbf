"""The names of zones in canonical DNS order, as lists show them.

A zone keeps its names in a hash map. The order (RFC 4034 section 6.1) is worked out once and then
carried along with the zone's changes, so that a page costs what it shows.
"""

import threading
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator
from heapq import merge

from node.api.going_on import go_on
from node.zone.name import Name, sort_key
from node.zone.zone import Delta, Zone

ORDERS_MAX = 64
HEAVY_ROWS = 2_000
"""A zone with more RRsets is listed in threads."""
_RUN_NAMES = 5_000
_BEHIND_ALL_LABELS = b"\xff" * 64


class NameOrder:
    """Remembers the ordered names of the zones that were listed last."""

    def __init__(self) -> None:
        self._orders: OrderedDict[Name, tuple[Zone, list[Name]]] = OrderedDict()
        self._lock = threading.Lock()
        self._sorting = threading.Lock()

    def after(self, zone: Zone, name: Name | None) -> Iterator[Name]:
        """Yield the zone's names from ``name`` on (it included), or all of them."""
        names = self._names(zone)
        start = 0 if name is None else bisect_left(names, sort_key(name), key=sort_key)
        for position in range(start, len(names)):
            go_on()
            yield names[position]

    def below(self, zone: Zone, name: Name) -> Iterator[Name]:
        """Yield ``name`` and every name of the zone below it."""
        prefix = sort_key(name)
        for each in self.after(zone, name):
            if sort_key(each)[: len(prefix)] != prefix:
                return
            yield each

    def children(self, zone: Zone, name: Name) -> Iterator[Name]:
        """Yield the names directly below ``name``, passing over what lies below each of them."""
        names, prefix = self._names(zone), sort_key(name)
        position = bisect_right(names, prefix, key=sort_key)
        while position < len(names):
            key = sort_key(names[position])
            if key[: len(prefix)] != prefix:
                return
            go_on()
            yield names[position]
            position = bisect_left(names, (*key, _BEHIND_ALL_LABELS), key=sort_key)

    def _names(self, zone: Zone) -> list[Name]:
        """Return the zone's names in order; the list is never changed.

        Large zones are listed in threads, one at a time, so that the same names are not sorted twice at
        once; the event loop, which lists small ones, never waits for that.
        """
        if zone.rrset_count <= HEAVY_ROWS:
            return self._brought_up(zone)
        with self._sorting:
            return self._brought_up(zone)

    def _brought_up(self, zone: Zone) -> list[Name]:
        with self._lock:
            known, names = self._orders.get(zone.name, (None, []))
        if known is not zone:
            deltas = None if known is None else _deltas_since(zone, known)
            names = _sorted(list(zone.nodes)) if deltas is None else _carried(zone, names, deltas)
        with self._lock:
            self._orders[zone.name] = (zone, names)
            self._orders.move_to_end(zone.name)
            if len(self._orders) > ORDERS_MAX:
                self._orders.popitem(last=False)
        return names


def _sorted(names: list[Name]) -> list[Name]:
    """Sort names in runs that are merged: to sort a million at once would hold up every other thread."""
    runs = []
    for start in range(0, len(names), _RUN_NAMES):
        go_on()
        runs.append(sorted(names[start : start + _RUN_NAMES], key=sort_key))
    return runs[0] if len(runs) == 1 else list(merge(*runs, key=sort_key))


def _deltas_since(zone: Zone, known: Zone) -> list[Delta] | None:
    """Return what led from one version to the other, or None when the history does not say."""
    if not known.history:
        return None
    last = known.history[-1]
    for count, delta in enumerate(reversed(zone.history)):
        if delta is last or (delta.index, delta.serial_to) == (last.index, last.serial_to):
            return list(zone.history[len(zone.history) - count :])
    return None


def _carried(zone: Zone, names: list[Name], deltas: list[Delta]) -> list[Name]:
    """Bring an ordered list up to date: names that came or went, with the empty ones between."""
    touched = {rrset.name for delta in deltas for rrset in (*delta.removed, *delta.added)}
    names = list(names)
    for name in touched:
        for each in _up_to(name, zone.name):
            key = sort_key(each)
            position = bisect_left(names, key, key=sort_key)
            is_listed = position < len(names) and names[position] == each
            if is_listed and each not in zone.nodes:
                del names[position]
            elif not is_listed and each in zone.nodes:
                insort(names, each, key=sort_key)
    return names


def _up_to(name: Name, apex: Name) -> Iterator[Name]:
    while name != apex:
        yield name
        name = Name(name[1 + name[0] :])
    yield apex
