"""The next State while an entry is being applied: what the command changed so far, and its events.

A ``Draft`` lives for one entry. It is dropped when the command is refused, so that nothing half-done
can remain.
"""

import functools
from typing import Any

import msgspec

from node.state.command import Entry
from node.state.state import (
    EVENTS_MAX,
    Accepted,
    Applied,
    Changed,
    Event,
    Import,
    Lease,
    Refused,
    Result,
    State,
    advanced,
)
from node.zone import serial as serials
from node.zone.lease import LeaseKey
from node.zone.name import Name, to_text
from node.zone.zone import Replacement, Zone, with_changes

_zone_text = functools.lru_cache(maxsize=1024)(to_text)


class Draft:
    """A State being built at one log index, with the circumstances of the entry."""

    def __init__(self, base: State, index: int, entry: Entry) -> None:
        self.base = base
        self.state = base
        self.index = index
        self.entry = entry
        self._events: list[Event] = []
        self._names: dict[tuple[Name, Name], None] = {}
        self._zones: dict[Name, None] = {}
        self._services: dict[Name, None] = {}
        self._leases: dict[LeaseKey, None] = {}

    def update(self, **fields: Any) -> None:
        """Replace fields of the State."""
        self.state = msgspec.structs.replace(self.state, **fields)

    def tell(self, kind: str, subject: str, text: str, **data: str) -> None:
        """Add an event, which stays only if the command is accepted; data without a text is left out."""
        entry = self.entry
        self._events.append(
            Event(
                index=self.index,
                number=len(self._events),
                at_ms=entry.at_ms,
                kind=kind,
                subject=subject,
                text=text,
                actor=entry.actor,
                reason=entry.reason,
                data={key: value for key, value in data.items() if value},
            )
        )

    def keep_undo(self, undo: bytes) -> None:
        """Add to the latest event the way back from what it tells of."""
        self._events[-1] = msgspec.structs.replace(self._events[-1], undo=undo)

    def touch_service(self, fqdn: Name) -> None:
        """Note that a service changed."""
        self._services[fqdn] = None

    def put_zone(self, zone: Zone) -> None:
        """Put a zone version that was made otherwise than by ``change_zone``."""
        self._zones[zone.name] = None
        self.update(zones=self.state.zones.set(zone.name, zone))

    def drop_zone(self, name: Name) -> None:
        """Take a zone away."""
        self._zones[name] = None
        self.update(zones=self.state.zones.delete(name))

    def put_lease(self, key: LeaseKey, lease: Lease | None) -> None:
        """Put a lease, or take it away."""
        if self.state.leases.get(key) == lease:
            return
        self._leases[key] = None
        leases = self.state.leases
        self.update(leases=leases.delete(key) if lease is None else leases.set(key, lease))

    def change_zone(
        self,
        zone: Zone,
        replacements: list[Replacement],
        expired: tuple[LeaseKey, ...] = (),
        serial: int | None = None,
    ) -> None:
        """Put the next version of a zone; without a real difference nothing happens."""
        next_serial = self.next_serial(zone, serial)
        after = with_changes(zone, replacements, self.index, serial=next_serial, expired=expired)
        if after is zone:
            return
        self.put_zone(after)
        latest = after.history[-1] if after.history else None
        touched = replacements if latest is None else (*latest.removed, *latest.added)
        for each in touched:  # a change too large for the history may have touched all it names
            self._names[(zone.name, each.name)] = None
        text = _zone_text(zone.name)
        self.tell("zone.changed", text, f"serial {after.serial}", zone=text, serial=str(after.serial))

    def next_serial(self, zone: Zone, given: int | None = None) -> int:
        """Return the serial that follows by the zone's policy; ``given`` came with the change."""
        policy = self.state.serial_policies.get(zone.name, "increment")
        return serials.after(zone.serial, policy, self.entry.at_ms, given)

    def put_import(self, id_: str, staged: Import | None) -> None:
        """Put what an import has come to, or forget it."""
        imports = self.state.imports
        self.update(imports=imports.delete(id_) if staged is None else imports.set(id_, staged))

    def finish(self, result: Result) -> Applied:
        """Close the entry: the new State with its events, or the old one when the command was refused."""
        if isinstance(result, Refused):
            return Applied(advanced(self.base, self.index), result, Changed())
        changed = Changed(
            names=tuple(self._names),
            zones=tuple(self._zones),
            services=tuple(self._services),
            events=tuple(self._events),
            leases=tuple(self._leases),
            imports=self.state.imports is not self.base.imports,
        )
        self.update(index=self.index, **self._kept_events())
        return Applied(self.state, result, changed)

    def accepted(self, serial: int | None = None) -> Accepted:
        """Say that the command was applied, and whether it made a difference."""
        return Accepted(self.index, self.state is not self.base, serial)

    def refused(self, code: Any, detail: str, hint: str = "") -> Refused:
        """Say that the command was not applied, with a sentence for whoever sent it."""
        return Refused(self.index, code, f"{detail}; nothing was changed", hint)

    def _kept_events(self) -> dict[str, Any]:
        """Return the State's fields of events with those of this entry, and without the oldest ones."""
        if not self._events:
            return {}
        events = self.state.events.mutate()
        number = self.state.events_next
        for event in self._events:
            events[number] = event
            events.pop(number - EVENTS_MAX, None)
            number += 1
        return {"events": events.finish(), "events_next": number}
