"""Whether most of a zone's service records went away at once: more likely a mistake than an outage. Pure.

``Withdrawals`` follows the published addresses of all services. What was withdrawn within the last minute
is compared with what stood there during that minute; an address that comes back, or one that another one
takes the place of, is no loss. Every node judges for itself, before anything is sent; the first that sees
it writes the hold into the log (``HoldPush``), and from there on all obey it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from node.health import publish
from node.state.pushes import Target
from node.state.state import Delivery, State
from node.state.targets import covers
from node.zone.name import Name

WINDOW_S = 60.0
RECORDS_MIN = 4
"""In a smaller zone a single outage is most of it."""
GONE_MAX = 100_000
"""So many withdrawals are remembered; the oldest are forgotten first."""

Record = tuple[Name, int, bytes]


@dataclass(frozen=True, slots=True)
class Mass:
    """Most of a zone's service records are gone."""

    zone: Name
    withdrawn: int
    of: int
    index: int
    """Of the newest State that was seen."""


@dataclass(slots=True)
class _Zone:
    standing: dict[Name, frozenset[Record]] = field(default_factory=dict)
    """By service."""
    gone: dict[Record, tuple[float, int]] = field(default_factory=dict)
    """When, and at which index, each was withdrawn; the oldest first."""


class Withdrawals:
    """What was withdrawn lately, by zone."""

    def __init__(self) -> None:
        self._zones: dict[Name, _Zone] = {}
        self._index = 0

    def observe(self, state: State, services: Iterable[Name] | None, now_s: float) -> None:
        """Take notice of a State in which these services may be other ones, None for any."""
        self._index = state.index
        names = self._all(state) if services is None else services
        for fqdn in names:
            known = state.services.get(fqdn)
            records: frozenset[Record] = frozenset()
            if known is not None:
                records = frozenset(
                    (fqdn, rrset.type, rdata)
                    for rrset in publish.rrsets(known.service, known.published, known.ttl)
                    for rdata in rrset.rdatas
                )
            home = None if known is None else known.service.zone
            for zone in {*self._homes(fqdn), *(() if home is None else (home,))}:
                self._note(zone, fqdn, records if zone == home else frozenset(), now_s)

    def mass(self, zone: Name, percent_max: int, since_index: int, now_s: float) -> Mass | None:
        """Return what was withdrawn from a zone when it is more than this share; up to ``since_index`` it is meant."""
        known = self._zones.get(zone)
        if known is None or percent_max >= 100:
            return None
        gone = sum(1 for at_s, index in known.gone.values() if index > since_index and now_s - at_s < WINDOW_S)
        of = gone + sum(len(records) for records in known.standing.values())
        if of < RECORDS_MIN or gone * 100 <= of * percent_max:
            return None
        return Mass(zone, gone, of, self._index)

    def judge(self, state: State, target: Target, now_s: float) -> Mass | None:
        """Return why a plan of this State must not go to the target now, or None."""
        since_index = state.deliveries.get(target.name, Delivery()).released_index
        found = (
            self.mass(zone, target.withdrawal_percent_max, since_index, now_s)
            for zone in sorted(self._zones)
            if covers(target, zone)
        )
        return next((each for each in found if each is not None), None)

    def _all(self, state: State) -> Iterator[Name]:
        yield from state.services
        yield from {
            fqdn for zone in self._zones.values() for fqdn in zone.standing if fqdn not in state.services
        }

    def _homes(self, fqdn: Name) -> list[Name]:
        return [name for name, zone in self._zones.items() if fqdn in zone.standing]

    def _note(self, name: Name, fqdn: Name, records: frozenset[Record], now_s: float) -> None:
        zone = self._zones.setdefault(name, _Zone())
        before = zone.standing.get(fqdn, frozenset())
        for record in sorted(before - records):
            zone.gone.pop(record, None)
            zone.gone[record] = (now_s, self._index)
        for record in records:
            zone.gone.pop(record, None)
        if records:
            zone.standing[fqdn] = records
        else:
            zone.standing.pop(fqdn, None)
        _forget(zone.gone, now_s)


def _forget(gone: dict[Record, tuple[float, int]], now_s: float) -> None:
    """Drop what was withdrawn longer ago, and the oldest when there is too much."""
    for record, (at_s, _) in list(gone.items()):
        if now_s - at_s < WINDOW_S and len(gone) <= GONE_MAX:
            return
        del gone[record]
