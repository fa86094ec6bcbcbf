"""Zones that note what is looked at while an answer is made. Pure.

``lookup`` is given these instead of the zones; whatever name it asks for is a name whose change may change the
answer. So the rules of invalidation follow the rules of answering by themselves.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from node.dns.additional import _targets
from node.dns.lookup import RRSIG, Answer
from node.dns.place import _is_hash, visible
from node.zone.name import ROOT, Name, is_wildcard, is_within, iter_ancestors, parent
from node.zone.nodes import Node
from node.zone.rrset import DNAME, NS, SOA
from node.zone.zone import Zone

_NSEC, _NSEC3PARAM = 47, 51


def is_signed(zone: Zone) -> bool:
    """Say whether the zone can prove what does not exist."""
    apex = zone.node(zone.name)
    return visible(apex, _NSEC) is not None or visible(apex, _NSEC3PARAM) is not None


def exists(zone: Zone, name: Name) -> bool:
    """Say whether the name exists for those who ask, were nothing above it delegated or renamed."""
    node = zone.node(name)
    return node is not None and node.is_visible and not _is_hash(node)


class WatchedZones(Mapping[Name, Zone]):
    """All zones, as seen from one name: nothing above the name is delegated or renamed."""

    def __init__(self, zones: Mapping[Name, Zone], home: Zone, name: Name) -> None:
        self._zones = zones
        self._name = name
        self._above = frozenset(iter_ancestors(name)) - {name}
        self._home = home.name
        self._seen: set[Name] = set()
        self._targets: set[Name] = set()
        self._serials: set[Name] = set()
        self._apexes = {home.name}
        self._last: Name | None = None
        self._watched: dict[Name, _WatchedZone] = {}
        self.saw_signatures = False
        self.zone = cast("Zone", self._watch(home))

    def begin(self) -> None:
        """Start with another question."""
        self.saw_signatures = False
        self._last = None

    def note(self, answer: Answer) -> None:
        """Note what the records of an answer point to."""
        for rrset in (*answer.answer, *answer.authority):
            self._targets.update(_targets(rrset))
            if rrset.type == SOA:
                self._serials.add(rrset.name)

    def depends(self) -> frozenset[Name]:
        """Return the names elsewhere that were looked at.

        What stands above the name itself is the readers' to check, and an apex counts only as a target. A wildcard above
        may also have been looked at for what it stands for elsewhere.
        """
        leads_on = bool(self._targets - {self._name})
        above = {name for name in self._above if not (leads_on and is_wildcard(name))}
        passed = self._seen - above - self._apexes
        return frozenset((passed | self._targets) - {self._name})

    def serials(self) -> frozenset[Name]:
        """Return the zones whose SOA was shown."""
        return frozenset(self._serials)

    def looked_at(self, name: Name, node: Node | None) -> Node | None:
        """Note a name and return what may be seen of it."""
        self._seen.add(name)
        if node is not None and name in self._apexes and name != self._home and node.get(DNAME) is not None:
            self._targets.add(name)  # an apex that renames all below it counts, whoever was looked for
        if node is not None and node.get(RRSIG) is not None:
            self.saw_signatures = True
        return node

    def shown_above(self, name: Name, node: Node | None) -> Node | None:
        """Hide delegation and renaming above the name."""
        if node is None or name not in self._above:
            return node
        hidden = (DNAME,) if name == self._home else (DNAME, NS)
        if not any(rrset.type in hidden for rrset in node.rrsets):
            return node
        return msgspec.structs.replace(
            node, rrsets=tuple(rrset for rrset in node.rrsets if rrset.type not in hidden)
        )

    def _watch(self, zone: Zone) -> "_WatchedZone":
        watched = self._watched.get(zone.name)
        if watched is None:
            self._apexes.add(zone.name)
            watched = self._watched[zone.name] = _WatchedZone(self, zone, is_home=zone.name == self._home)
        if watched.is_signed:
            self.saw_signatures = True
        return watched

    def __getitem__(self, name: Name) -> Zone:
        return cast("Zone", self._watch(self._zones[name]))

    def __contains__(self, name: object) -> bool:
        is_found = name in self._zones and not self._is_below_home(cast("Name", name))
        if self._last in (None, ROOT) or parent(self._last) != name:
            self._targets.add(cast("Name", name))
        self._last = None if is_found else cast("Name", name)
        return is_found

    def _is_below_home(self, name: Name) -> bool:
        """Say whether a zone stands between home and the name, or at it: readers look there first, as long as it is there.

        What is rendered here is answered when it is gone, which does not make it anew.
        """
        if name == self._home or not (name == self._name or name in self._above):
            return False
        return is_within(name, self._home)

    def __iter__(self) -> Iterator[Name]:
        return iter(self._zones)

    def __len__(self) -> int:
        return len(self._zones)


class _WatchedZone:
    """A zone as far as ``lookup`` looks at one without DNSSEC: by its name and its nodes."""

    __slots__ = ("_is_home", "_watcher", "_zone", "is_signed", "name")

    def __init__(self, watcher: WatchedZones, zone: Zone, *, is_home: bool) -> None:
        self._watcher = watcher
        self._zone = zone
        self._is_home = is_home
        self.name = zone.name
        self.is_signed = is_signed(zone)

    def node(self, name: Name) -> Node | None:
        node = self._watcher.looked_at(name, self._zone.node(name))
        return self._watcher.shown_above(name, node) if self._is_home else node

    def get(self, name: Name, type_: int) -> object:
        node = self.node(name)
        return None if node is None else node.get(type_)
