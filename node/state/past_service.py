"""A service as it was at an earlier log index: what it is now, and the way back that its events hold. Pure.

Every event holds what it changed and what was before. So a fact of then is the present one where it is not younger, else
what the latest event up to then says, else what the first one after it replaced.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, cast

import msgspec

from node.health.override import Maintenance, Override, OverrideKind
from node.health.service import Endpoint, Service
from node.health.steadiness import Wait, WaitKind, is_wanted
from node.health.verdict import VerdictWord
from node.state.command import Member
from node.state.state import EndpointState, Event, ServiceState, Vote
from node.state.undoing import Undo, read_undo, undone

_OVERRIDES: dict[str, OverrideKind | None] = {
    "endpoint.drained": "drain",
    "endpoint.forced_up": "up",
    "endpoint.forced_down": "down",
    "endpoint.released": None,
}
_DEFINITIONS = ("service.created", "service.changed", "service.deleted")
_WAITS = ("endpoint.held", "endpoint.hold_ended")
_VOTES = ("votes.dropped", "node.removed", "node.changed")


class Moment(NamedTuple):
    """When, who voted then, and from where on all events are held."""

    at: int
    """The log index."""
    members: tuple[Member, ...]
    oldest: int
    nodes: Sequence[Event]
    """The events of nodes, oldest first."""


class Found(NamedTuple):
    """The service of then, None where there was none, and sentences on what is not known of it."""

    known: ServiceState | None
    notes: tuple[str, ...] = ()


class _Age(NamedTuple):
    """A definition from the index on at which it came; ``ended`` is the way back to it from the next one."""

    begins: int
    service: Service | None
    ended: Undo | None


def service_at(now: ServiceState | None, own: Sequence[Event], moment: Moment) -> Found:
    """Return a service as it was at that index; ``own`` are its events, oldest first."""
    ages, lost = _ages(now, own)
    position = next((number for number, age in enumerate(ages) if age.begins <= moment.at), len(ages) - 1)
    notes = []
    if lost is not None and lost.index > moment.at:
        what = f"({lost.text}), what was before is not held"
        notes.append(f"its definition changed at index {lost.index} {what}: it is told with the one after that")
    if ages[position].service is None:
        return Found(None, tuple(notes))
    then = _Then(now, own, moment, ages, position)
    return Found(then.service(), (*notes, *then.notes()))


def _ages(now: ServiceState | None, own: Sequence[Event]) -> tuple[list[_Age], Event | None]:
    """Return the definitions, newest first, and the event behind which they are not known any more."""
    ages: list[_Age] = []
    service, ended = now.service if now is not None else None, None
    for event in reversed([each for each in own if each.kind in _DEFINITIONS]):
        ages.append(_Age(event.index, service, ended))
        ended = read_undo(event.undo)
        if event.kind == "service.created":
            service = None
            continue
        after = service if event.kind == "service.changed" else None
        service = undone(after, ended) if ended is not None else None
        if service is None:
            return ages, event
    return [*ages, _Age(0, service, ended)], None


class _Then:
    """One service at one index."""

    def __init__(
        self, now: ServiceState | None, own: Sequence[Event], moment: Moment, ages: list[_Age], position: int
    ) -> None:
        self._now, self._own, self._moment, self._ages, self._position = now, own, moment, ages, position
        definition = ages[position].service
        assert definition is not None
        self._definition = definition
        self._addresses = [
            {each.address for each in age.service.endpoints} if age.service is not None else None
            for age in ages
        ]
        self._endpoints = dict(now.endpoints) if now is not None else {}
        self._overrides = dict(now.overrides) if now is not None else {}
        self._own_of: dict[str, list[Event]] = {}
        for event in own:
            if "endpoint" in event.data:
                self._own_of.setdefault(event.data["endpoint"], []).append(event)
        begins, ends, self._ended = self._span(None)
        self._is_same = ends is None
        self._back = [each for each in own if begins <= each.index <= moment.at]
        self._later = [each for each in own if moment.at < each.index and (ends is None or each.index <= ends)]
        self._missing = False

    def service(self) -> ServiceState:
        """Return the whole of it."""
        definition, index = self._definition, self._moment.at
        endpoints = tuple((each.address, self._endpoint(each)) for each in definition.endpoints)
        overrides = ((each.address, self._override(each.address)) for each in definition.endpoints)
        published = self._events_of(self._back, "service.published")
        return ServiceState(
            definition,
            endpoints,
            self._published(),
            fail_open=self._flag("fail_open", "service.fail_open", "service.fail_open_ended"),
            index=self._ages[self._position].begins or (self._now.index if self._now is not None else 0),
            overrides=tuple(sorted((address, each) for address, each in overrides if each is not None)),
            maintenance=self._maintenance(),
            published_index=published[-1].index if published else min(index, getattr(self._now, "index", 0)),
            is_unsettled=self._is_unsettled(),
            is_down=self._flag("is_down", "service.down", "service.up"),
        )

    def notes(self) -> tuple[str, ...]:
        """Say what could not be found; asked after ``service``."""
        if not self._missing:
            return ()
        return (f"votes from before index {self._moment.oldest} that ended since are not held",)

    def _span(self, address: str | None) -> tuple[int, int | None, Undo | None]:
        """Return from which index to which the endpoint, or the service as a whole, was there, and how it ended."""
        ages, addresses = self._ages, self._addresses
        first = last = self._position
        while first + 1 < len(ages) and _has(addresses[first + 1], address):
            first += 1
        while last > 0 and _has(addresses[last - 1], address):
            last -= 1
        return ages[first].begins, ages[last - 1].begins if last else None, ages[last].ended

    @staticmethod
    def _events_of(events: Iterable[Event], *kinds: str) -> list[Event]:
        return [each for each in events if each.kind in kinds]

    # --- one endpoint -----------------------------------------------------------------------------

    def _about(self, address: str) -> tuple[list[Event], list[Event], EndpointState | None, Undo | None]:
        """Return an endpoint's events up to then and since, what it is now if it is the same one, how it ended."""
        begins, ends, ended = self._span(address)
        own = self._own_of.get(address, [])
        index = self._moment.at
        back = [each for each in own if begins <= each.index <= index]
        later = [each for each in own if index < each.index and (ends is None or each.index <= ends)]
        return back, later, self._endpoints[address] if ends is None else None, ended

    def _endpoint(self, endpoint: Endpoint) -> EndpointState:
        back, later, now, ended = self._about(endpoint.address)
        verdict, index, at_ms = self._verdict(endpoint.address, back, later, now, ended)
        votes = tuple(self._votes(endpoint, back, later, now))
        return EndpointState(votes, verdict, index, at_ms, wait=self._wait(verdict, back, later, now))

    def _verdict(
        self,
        address: str,
        back: list[Event],
        later: list[Event],
        now: EndpointState | None,
        ended: Undo | None,
    ) -> tuple[VerdictWord, int, int]:
        if now is not None and now.index <= self._moment.at:
            return now.verdict, now.index, now.at_ms
        last = next(reversed(self._events_of(back, "verdict.changed")), None)
        first = next(iter(self._events_of(later, "verdict.changed")), None)
        if last is not None:
            return cast(VerdictWord, last.data["after"]), last.index, last.at_ms
        if first is not None:
            return cast(VerdictWord, first.data["before"]), 0, 0
        return ended.gone.get(address, "undecided") if ended is not None and now is None else "undecided", 0, 0

    def _votes(
        self, endpoint: Endpoint, back: list[Event], later: list[Event], now: EndpointState | None
    ) -> Iterator[tuple[str, Vote]]:
        present = dict(now.votes) if now is not None else {}
        for name in sorted(each.name for each in self._moment.members):
            if endpoint.probe_from and name not in endpoint.probe_from:
                continue
            vote = self._vote(endpoint.address, name, back, later, present.get(name))
            if vote is not None:
                yield name, vote

    def _vote(
        self, address: str, name: str, back: list[Event], later: list[Event], now: Vote | None
    ) -> Vote | None:
        if now is not None and now.index <= self._moment.at:
            return now
        casts = [each for each in self._events_of(back, "vote.cast") if each.data["node"] == name]
        if casts:
            return None if self._is_over(casts[-1], back) else _vote_of(casts[-1])
        since = self._events_of(later, "vote.cast", "vote.withdrawn")
        first = next((each for each in since if each.data["node"] == name), None)
        if first is not None and first.data.get("before"):
            return Vote(first.data["before"] == "up", 0, 0)
        begins, ends, _ = self._span(address)
        is_whole = begins > self._moment.oldest or not self._moment.oldest
        ended = ends is not None or any(each.index > self._moment.at for each in self._ends_of(name))
        self._missing = self._missing or (ended and not is_whole)
        return None

    def _ends_of(self, name: str) -> list[Event]:
        return [each for each in self._moment.nodes if each.kind in _VOTES and each.data.get("node") == name]

    def _is_over(self, cast_: Event, back: list[Event]) -> bool:
        """Say whether a vote had ended by then: taken back, with its node's lease, or as another node heard a heartbeat."""
        index = self._moment.at
        node = cast_.data["node"]
        if any(cast_.index < each.index <= index for each in self._ends_of(node)):
            return True
        taken_back = self._events_of(back, "vote.withdrawn")
        if any(each.data["node"] == node and each.index > cast_.index for each in taken_back):
            return True
        if cast_.data["vote"] == "up":
            return False
        return any(
            each.index > cast_.index and each.data.get("vote") == "up" and self._is_told(each.index)
            for each in back
        )

    def _is_told(self, index: int) -> bool:
        """Say whether endpoints reported by themselves at that index."""
        service = next((age.service for age in self._ages if age.begins <= index), None)
        return service is not None and service.check.kind == "push"

    def _wait(
        self, verdict: VerdictWord, back: list[Event], later: list[Event], now: EndpointState | None
    ) -> Wait | None:
        if now is not None and now.wait is not None and now.wait.index <= self._moment.at:
            return now.wait
        last = next(reversed(self._events_of(back, *_WAITS)), None)
        first = next(iter(self._events_of(later, *_WAITS)), None)
        if last is not None:
            if last.kind == "endpoint.hold_ended":
                return None
            kind, index, at_ms = last.data.get("wait", ""), last.index, last.at_ms
        elif first is not None and first.kind == "endpoint.hold_ended":
            kind, index, at_ms = first.data.get("wait", ""), 0, 0
        else:
            return None
        if kind == "flapping":
            for each in self._events_of(back, "verdict.changed"):
                index, at_ms = max((index, at_ms), (each.index, each.at_ms))
        elif verdict == "down":
            return None
        wait, since = (
            Wait(cast(WaitKind, kind), index, at_ms),
            last.index if last is not None else self._moment.at,
        )
        return (
            wait
            if all(is_wanted(wait, each.flap_limit, each.failback) for each in self._since(since))
            else None
        )

    def _since(self, index: int) -> Iterator[Service]:
        """Yield the definitions that were in force from an index on up to then; one without a word for a wait ends it."""
        for age in self._ages[self._position :]:
            if age.service is not None:
                yield age.service
            if age.begins <= index:
                return

    def _override(self, address: str) -> Override | None:
        back, later, now, _ = self._about(address)
        present = self._overrides.get(address) if now is not None else None
        if present is not None and present.index <= self._moment.at:
            return present
        last = next(reversed(self._events_of(back, *_OVERRIDES)), None)
        if last is not None:
            kind = _OVERRIDES[last.kind]
            until_ms = int(last.data.get("until_ms", "0"))
            return kind and Override(kind, last.index, last.at_ms, last.actor, last.reason, until_ms)
        first = next(iter(self._events_of(later, *_OVERRIDES)), None)
        if first is None or not first.data.get("before"):
            return None
        return Override(cast(OverrideKind, first.data["before"]), 0, 0)

    # --- the whole --------------------------------------------------------------------------------

    def _maintenance(self) -> Maintenance | None:
        kinds = ("maintenance.planned", "maintenance.begun", "maintenance.ended")
        last = next(reversed(self._events_of(self._back, *kinds)), None)
        first = next(iter(self._events_of(self._later, *kinds)), None)
        now = self._now.maintenance if self._now is not None and self._is_same else None
        if now is not None and now.index <= self._moment.at:
            has_begun_since = first is not None and first.kind == "maintenance.begun"
            return msgspec.structs.replace(now, active=now.active and not has_begun_since)
        if last is not None:
            is_active = last.kind == "maintenance.begun"
            return None if last.kind == "maintenance.ended" else _maintenance_of(last, last.index, is_active)
        if first is None or not first.data.get("before"):
            return None
        return _maintenance_of(first, 0, first.data["before"] == "begun")

    def _published(self) -> tuple[str, ...]:
        standing = set(self._now.published) if self._now is not None else set()
        index = self._moment.at
        for event in reversed(self._events_of(self._own, "service.published")):
            if event.index <= index:
                break
            standing.difference_update(event.data.get("published", "").split())
            standing.update(event.data.get("withdrawn", "").split())
        order = chain((each.address for each in self._definition.endpoints), self._definition.fallback)
        return tuple(dict.fromkeys(each for each in order if each in standing))

    def _flag(self, field: str, begins: str, ends: str) -> bool:
        first = next(iter(self._events_of(self._later, begins, ends)), None)
        if first is not None:
            return first.kind == ends
        if self._is_same:
            return bool(getattr(self._now, field, False))
        return bool(getattr(self._ended, field, False))

    def _is_unsettled(self) -> bool:
        if not self._definition.ttl_min:
            return False
        ends = self._ages[self._position - 1].begins if self._position else None
        for event in self._events_of(self._later, "service.published"):
            if event.data.get("ttl_before") and (ends is None or event.index < ends):
                return int(event.data["ttl_before"]) == self._definition.ttl_min
        source = self._now if ends is None else self._ages[self._position].ended
        return source is not None and source.is_unsettled


def _has(addresses: Collection[str] | None, address: str | None) -> bool:
    """Say whether the service was there, and had the endpoint if one is named."""
    return addresses is not None and (address is None or address in addresses)


def _vote_of(event: Event) -> Vote:
    data = event.data
    latency_ms = int(data.get("latency_ms", "0"))
    return Vote(data["vote"] == "up", event.index, event.at_ms, latency_ms, data.get("evidence", ""))


def _maintenance_of(event: Event, index: int, is_active: bool) -> Maintenance:
    data = event.data
    return Maintenance(
        index,
        event.at_ms if index else 0,
        data.get("author", ""),
        data.get("why", ""),
        int(data.get("from_ms", "0")),
        int(data.get("until_ms", "0")),
        is_active,
    )
