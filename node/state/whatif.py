"""What would have been withdrawn under other settings: the votes of the past, played again. Pure.

What is played are the events that the State still holds, by the same ``apply`` as the log's entries, once with the
service as it is and once as it might be. Probes are not in the log, votes are: a higher ``fall`` or ``rise`` puts a
vote off and may undo it, a lower one only moves it, since what never came to a vote is not known.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from immutables import Map

from node.counted import counted
from node.health.override import OverrideKind
from node.health.service import Service
from node.state.command import (
    Ballot,
    CastVotes,
    Command,
    DropVotes,
    Entry,
)
from node.state.draft import Draft
from node.state.judging import judge
from node.state.machine import apply_entry
from node.state.operations import ClearOverrides, EndWaits, KeepSchedule, Place, SetMaintenance, SetOverrides
from node.state.overrides import next_due_ms
from node.state.state import EndpointState, Event, ServiceState, State, Vote
from node.state.telling import selection_of
from node.state.votes import Abstention, WithdrawVotes
from node.zone.name import to_text

PLAYED_MAX = 2_000
"""Events of a service that are played, the newest: a play takes the time of so many entries, twice."""
_STEPS_MAX = 10_000
_OVERRIDES: Mapping[str, OverrideKind] = {
    "endpoint.drained": "drain",
    "endpoint.forced_up": "up",
    "endpoint.forced_down": "down",
}


class Cast(NamedTuple):
    """One vote of the past."""

    at_ms: int
    node: str
    address: str
    up: bool
    number: int
    """Its place among the events."""


class Withdrawal(msgspec.Struct, frozen=True):
    """An endpoint that was out of DNS for a time, and the word for why; ``back_ms`` is 0 where it still is."""

    address: str
    out_ms: int
    back_ms: int
    reason: str


class Comparison(msgspec.Struct, frozen=True):
    """The same absence in both plays, or in one of them."""

    address: str
    present: Withdrawal | None
    other: Withdrawal | None


class WhatIf(msgspec.Struct, frozen=True):
    """What was compared; times in milliseconds since 1970 UTC."""

    begins_ms: int
    """From when on the events are known, at most as far back as was asked."""
    votes: int
    rows: tuple[Comparison, ...]
    notes: tuple[str, ...]


def compare(state: State, known: ServiceState, other: Service, since_ms: int, now_ms: int) -> WhatIf:
    """Play what is known of a service up to now, once as it is and once with the other definition."""
    events = [state.events[number] for number in sorted(state.events)]
    all_own = [each for each in events if _is_about(each, known)]
    own = all_own[-PLAYED_MAX:]
    votes = [_cast(number, each) for number, each in enumerate(own) if each.kind == "vote.cast"]
    present = _play(state, known, known.service, own, votes, now_ms)
    moved = list(_moved(votes, known.service, other))
    different = _play(state, known, other, own, moved, now_ms)
    begins_ms = since_ms
    if len(own) < len(all_own):
        begins_ms = max(since_ms, own[0].at_ms)
    elif events and state.events_next > len(events):
        begins_ms = max(since_ms, events[0].at_ms)
    rows = _matched(
        [each for each in present if each.out_ms >= begins_ms],
        [each for each in different if each.out_ms >= begins_ms],
    )
    return WhatIf(begins_ms, sum(each.at_ms >= begins_ms for each in votes), tuple(rows), _notes(known, other))


def _is_about(event: Event, known: ServiceState) -> bool:
    return event.kind == "votes.dropped" or event.data.get("service") == to_text(known.service.fqdn)


def _cast(number: int, event: Event) -> Cast:
    data = event.data
    return Cast(event.at_ms, data.get("node", ""), data.get("endpoint", ""), data.get("vote") == "up", number)


def _notes(known: ServiceState, other: Service) -> tuple[str, ...]:
    now = known.service
    notes = []
    for word, before, after in (("bad", now.fall, other.fall), ("good", now.rise, other.rise)):
        if after < before:
            notes.append(
                f"fewer than {counted(before, f'{word} probe')} in a row were never voted on: what these would have made is not known"
            )
    if now.check != other.check or (now.interval_ms, now.timeout_ms) != (other.interval_ms, other.timeout_ms):
        notes.append("checks, intervals and timeouts cannot be played again: probes are not in the log")
    return tuple(notes)


# --- votes under other thresholds -----------------------------------------------------------------


def _moved(votes: Sequence[Cast], now: Service, other: Service) -> Iterator[Cast]:
    """Yield the votes as they would have been cast, each node's and endpoint's in their order."""
    if (now.rise, now.fall, now.recheck_ms) == (other.rise, other.fall, other.recheck_ms):
        yield from votes
        return
    by_voter: dict[tuple[str, str], list[Cast]] = {}
    for each in votes:
        by_voter.setdefault((each.node, each.address), []).append(each)
    found = (each for casts in by_voter.values() for each in _moved_of_one(casts, now, other))
    yield from sorted(found, key=lambda each: (each.at_ms, each.number))


def _moved_of_one(casts: list[Cast], now: Service, other: Service) -> Iterator[Cast]:
    """Move each vote to the end of its streak under the other thresholds, unless the next streak begins before."""
    starts = [each.at_ms - ((now.rise if each.up else now.fall) - 1) * now.recheck_ms for each in casts]
    last: bool | None = None
    for number, each in enumerate(casts):
        needed = other.rise if each.up else other.fall
        at_ms = starts[number] + (needed - 1) * other.recheck_ms
        is_over = number + 1 < len(casts) and at_ms >= starts[number + 1]
        if not is_over and each.up != last:
            last = each.up
            yield each._replace(at_ms=at_ms)


# --- playing --------------------------------------------------------------------------------------


class _Stage:
    """A State with one service, the time, and the absences so far."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.fqdn = next(iter(state.services))
        self.withdrawals: list[Withdrawal] = []
        self._out: dict[str, Withdrawal] = {}
        self._steps = 0

    @property
    def known(self) -> ServiceState:
        return self.state.services[self.fqdn]

    def do(self, command: Command, at_ms: int) -> None:
        before = self.known.published
        self.state = apply_entry(self.state, self.state.index + 1, Entry(command, at_ms)).state
        if before != self.known.published:
            self._note(before, at_ms)

    def advance(self, at_ms: int) -> None:
        """Let the leader do what is due until then."""
        while self._steps < _STEPS_MAX:
            due_ms = next_due_ms(self.known)
            if due_ms is None or due_ms > at_ms:
                return
            self._steps += 1
            now_ms = due_ms or at_ms
            self.do(KeepSchedule(now_ms), now_ms)
            if due_ms and next_due_ms(self.known) == due_ms:
                return

    def finish(self) -> list[Withdrawal]:
        return sorted((*self.withdrawals, *self._out.values()), key=lambda each: (each.out_ms, each.address))

    def _note(self, before: tuple[str, ...], at_ms: int) -> None:
        after = self.known.published
        reasons = dict(selection_of(self.known).reasons)
        for address, reason in reasons.items():
            if address in before and address not in after:
                self._out[address] = Withdrawal(address, at_ms, 0, reason)
            elif address in after and address in self._out:
                gone = self._out.pop(address)
                self.withdrawals.append(msgspec.structs.replace(gone, back_ms=at_ms))


def _play(
    state: State,
    known: ServiceState,
    service: Service,
    events: Sequence[Event],
    votes: Sequence[Cast],
    now_ms: int,
) -> list[Withdrawal]:
    stage = _Stage(_beginning(state, known, service, events))
    steps: list[tuple[int, int, Event | Cast]] = [(each.at_ms, each.number, each) for each in votes]
    steps += [(each.at_ms, number, each) for number, each in enumerate(events) if each.kind != "vote.cast"]
    steps.sort(key=lambda each: each[:2])
    for at_ms, _, step in steps:
        stage.advance(at_ms)
        command = _command(stage, step)
        if command is not None:
            stage.do(command, at_ms)
            stage.advance(at_ms)
    stage.advance(now_ms)
    return stage.finish()


def _command(stage: _Stage, step: Event | Cast) -> Command | None:
    """Return what brought an event about; what follows from votes comes by itself."""
    if isinstance(step, Cast):
        ballot = Ballot(stage.fqdn, step.address, step.up)
        return CastVotes(step.node, (ballot,), stage.state.drops.get(step.node, 0))
    place = Place(stage.fqdn, step.data.get("endpoint", ""))
    if step.kind in _OVERRIDES:
        return SetOverrides((place,), _OVERRIDES[step.kind], allow_empty=True)
    match step.kind:
        case "vote.withdrawn":
            node = step.data.get("node", "")
            return WithdrawVotes(node, (Abstention(place.fqdn, place.address),), stage.state.drops.get(node, 0))
        case "votes.dropped":
            return DropVotes(step.data.get("node", ""))
        case "endpoint.released":
            return ClearOverrides((place,))
        case "endpoint.hold_ended" if step.data.get("cause") == "operator":
            return EndWaits((place,))
        case "maintenance.begun" | "maintenance.ended":
            return SetMaintenance(stage.fqdn, step.kind == "maintenance.begun")
        case _:
            return None


def _beginning(state: State, known: ServiceState, service: Service, events: Sequence[Event]) -> State:
    """Return the State before the first event: what stands now, but for what changed since."""
    endpoints = tuple((address, _endpoint(address, each, events)) for address, each in known.endpoints)
    start = ServiceState(service, endpoints, (), fail_open=False, index=0)
    services = Map({service.fqdn: start})
    draft = Draft(State(seeded=True, members=state.members, services=services), 1, Entry(KeepSchedule(0), 0))
    judge(draft, service.fqdn)
    return draft.finish(draft.accepted()).state


def _endpoint(address: str, now: EndpointState, events: Sequence[Event]) -> EndpointState:
    own = [each for each in events if each.data.get("endpoint") == address]
    votes = {name: vote.up for name, vote in now.votes}
    for event in reversed(own):
        if event.kind == "vote.cast":
            votes[event.data.get("node", "")] = event.data.get("vote") != "up"
        elif event.kind == "vote.withdrawn":
            votes[event.data.get("node", "")] = event.data.get("before") == "up"
    verdict = next((each.data.get("before") for each in own if each.kind == "verdict.changed"), now.verdict)
    found = tuple((name, Vote(up, 0, 0)) for name, up in sorted(votes.items()) if verdict != "undecided")
    return EndpointState(found, "up" if verdict == "up" else "down" if verdict == "down" else "undecided")


# --- comparing ------------------------------------------------------------------------------------


def _matched(present: list[Withdrawal], other: list[Withdrawal]) -> Iterator[Comparison]:
    """Pair what overlaps; yield all by the time of the first."""
    left = list(other)
    rows: list[Comparison] = []
    for each in present:
        twin = next((one for one in left if _overlaps(each, one)), None)
        if twin is not None:
            left.remove(twin)
        rows.append(Comparison(each.address, each, twin))
    rows += [Comparison(each.address, None, each) for each in left]
    yield from sorted(rows, key=lambda row: ((row.present or row.other or _NONE).out_ms, row.address))


_NONE = Withdrawal("", 0, 0, "")


def _overlaps(one: Withdrawal, two: Withdrawal) -> bool:
    if one.address != two.address:
        return False
    return (not one.back_ms or two.out_ms <= one.back_ms) and (not two.back_ms or one.out_ms <= two.back_ms)
