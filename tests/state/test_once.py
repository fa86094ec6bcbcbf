"""A ticket is used once: whatever is repeated, overtaken or forgotten, no command takes effect twice."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.state import once
from node.state.command import (
    ChangeZone,
    Command,
    Decline,
    DeleteZone,
    Entry,
    PutRRset,
    PutZone,
    Ticket,
    encode,
)
from node.state.machine import apply, apply_entry
from node.state.snapshot import BadState, digest, dump, load
from node.state.state import Accepted, Applied, Book, Changed, Refused, State, advanced
from node.zone.name import from_text
from tests.state.conftest import SETTINGS, WWW, ZONE, Cluster, rrset
from tests.state.test_snapshot import commands, seeded

GOLDEN = Path(__file__).parent.parent / "golden" / "state-v1.bin"


def put(address: str) -> Command:
    return ChangeZone(ZONE, (PutRRset(rrset("a", "A", address)),))


def ticket(key: int | str = 1, asks: bytes = b"one", since: int = 0) -> Ticket:
    return Ticket("ns1", key, asks, since)


def do(state: State, command: Command, used: Ticket | None) -> Applied:
    return apply(state, state.index + 1, encode(Entry(command, 1_000, "test", "", used)))


def without_books(state: State) -> State:
    return msgspec.structs.replace(state, tries=Book(), keys=Book())


@pytest.mark.parametrize("key", [1, "a key of a user"])
def test_a_repetition_gets_the_first_result_and_changes_nothing(key: int | str) -> None:
    """The result is that of the first entry, index and serial included, however often it is repeated."""
    first = do(seeded().state, put("192.0.2.1"), ticket(key))
    assert isinstance(first.result, Accepted)
    other = do(first.state, put("192.0.2.2"), None)
    again = do(other.state, put("192.0.2.1"), ticket(key))
    third = do(again.state, put("192.0.2.1"), ticket(key, since=2))
    assert first.result == again.result == third.result
    assert (Changed(), Changed()) == (again.changed, third.changed)
    assert advanced(other.state, third.state.index) == third.state


def test_a_refusal_is_kept_too() -> None:
    """Who was told of a refusal never finds its command carried out later."""
    command = PutZone(from_text("new.test"), SETTINGS, if_index=7)
    refused = do(seeded().state, command, ticket())
    assert isinstance(refused.result, Refused)
    unconditional = PutZone(from_text("new.test"), SETTINGS)
    again = do(refused.state, unconditional, ticket())
    assert refused.result == again.result
    assert from_text("new.test") not in again.state.zones


def test_a_declined_ticket_is_used() -> None:
    """What was refused before the log stays refused when an earlier try of it arrives."""
    declined = do(seeded().state, Decline("not-found", "there is no such thing", "look"), ticket("k"))
    assert Refused(2, "not-found", "there is no such thing", "look") == declined.result
    late = do(declined.state, put("192.0.2.1"), ticket("k"))
    assert declined.result == late.result
    assert advanced(declined.state, 3) == late.state


def test_a_key_of_another_request_is_refused() -> None:
    """A reused key is told as such, and the first result stays what it is."""
    first = do(seeded().state, put("192.0.2.1"), ticket("k"))
    other = do(first.state, put("192.0.2.2"), ticket("k", b"two"))
    assert isinstance(other.result, Refused)
    assert ("key-reused", 3) == (other.result.code, other.result.index)
    assert first.result == do(other.state, put("192.0.2.1"), ticket("k")).result


def test_clients_and_books_do_not_meet() -> None:
    """The same number of another process, and the same text as a key, are other tickets."""
    state = seeded().state
    for used in (ticket(1), ticket("1"), Ticket("ns2", 1, b"one", 0), Ticket("ns2", "1", b"one", 0)):
        applied = do(state, put("192.0.2.1"), used)
        assert applied.result.index == applied.state.index
        state = applied.state
    assert (2, 2) == (len(state.tries.rows), len(state.keys.rows))


def test_without_a_ticket_nothing_is_kept() -> None:
    """Votes and reports cost no row."""
    state = do(seeded().state, put("192.0.2.1"), None).state
    assert (Book(), Book()) == (state.tries, state.keys)


def test_the_oldest_row_goes_first_and_its_repetition_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A book keeps its bound; what may be a repetition of a lost row is refused, what began later is not."""
    monkeypatch.setattr(once, "TRIES_MAX", 3)
    state = seeded().state
    for number in range(1, 6):
        state = do(state, put(f"192.0.2.{number}"), ticket(number, since=state.index)).state
    assert (3, 5, 3) == (len(state.tries.rows), state.tries.next, state.tries.forgotten_index)
    assert {("ns1", 3), ("ns1", 4), ("ns1", 5)} == set(state.tries.numbers)
    late = do(state, put("192.0.2.1"), ticket(1, since=1))
    assert isinstance(late.result, Refused)
    assert "stale" == late.result.code
    assert advanced(state, late.state.index) == late.state
    assert isinstance(do(state, put("192.0.2.9"), ticket(9, since=3)).result, Accepted)
    assert isinstance(do(state, put("192.0.2.9"), ticket("k", since=1)).result, Accepted)


def test_the_books_are_in_the_snapshot_and_in_the_digest() -> None:
    """A restored state knows what was done already, and another row is another digest."""
    state = seeded().state
    seen = {digest(state)}
    for number, used in enumerate((ticket(1), ticket("k"), ticket(2, b"two"))):
        state = do(state, DeleteZone(from_text(f"n{number}.test")), used).state
        twin = load(dump(state))
        assert (state, digest(state)) == (twin, digest(twin))
        seen.add(digest(state))
    assert 4 == len(seen)
    assert (
        do(state, put("192.0.2.1"), ticket()).result == do(load(dump(state)), put("192.0.2.1"), ticket()).result
    )


def test_damaged_books_are_refused() -> None:
    """A changed row, a lost one, or one without a result never becomes a state."""
    state = do(seeded().state, put("192.0.2.1"), ticket("the key")).state
    pieces = list(dump(state))
    position = next(number for number, piece in enumerate(pieces) if b"the key" in piece)
    empty = msgspec.msgpack.encode(["keys", [["ns1", "the key", b"one", None, None]]])
    for broken in (
        [piece.replace(b"the key", b"the kex") for piece in pieces],
        pieces[:position] + pieces[position + 1 :],
        [*pieces[:position], empty, *pieces[position + 1 :]],
    ):
        with pytest.raises(BadState):
            load(broken)


@given(st.lists(st.tuples(st.integers(0, 9), commands), max_size=12), st.lists(st.integers(0, 9), max_size=30))
@settings(max_examples=150, deadline=None)
def test_duplicates_and_reorderings_do_each_command_once(
    asked: list[tuple[int, Command]], arrivals: list[int]
) -> None:
    """However copies arrive, the state is that of each command applied at its first arrival alone."""
    by_key = dict(asked)
    ours = twin = seeded().state
    results: dict[int, object] = {}
    for key in [each for each in arrivals if each in by_key]:
        index = ours.index + 1
        entry = Entry(by_key[key], 1_000, ticket=ticket(key))
        applied = apply(ours, index, encode(entry))
        ours = applied.state
        if key in results:
            twin = advanced(twin, index)
            assert results[key] == applied.result
        else:
            plain = apply_entry(twin, index, Entry(by_key[key], 1_000))
            twin = plain.state
            results[key] = applied.result
            assert plain.result == applied.result
    assert twin == without_books(ours)
    assert ours == load(dump(ours))


@given(st.lists(st.integers(0, 7), max_size=60), st.integers(1, 4), st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_nothing_is_done_twice_whatever_is_forgotten(arrivals: list[int], rows_max: int, lag: int) -> None:
    """With a book that forgets at once, a copy is told the first result or refused, and never carried out again."""
    done: Counter[int] = Counter()

    def first_time(state: State, index: int, entry: Entry) -> Applied:
        assert entry.ticket is not None
        done[int(entry.ticket.key)] += 1
        return Applied(advanced(state, index), Accepted(index, True), Changed())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(once, "TRIES_MAX", rows_max)
        state = State()
        begun: dict[int, int] = {}
        for key in arrivals:
            since = begun.setdefault(key, max(0, state.index - lag))
            entry = Entry(put("192.0.2.1"), 0, ticket=ticket(key, since=since))
            applied = once.carry_out(state, state.index + 1, entry, first_time)
            state = applied.state
            assert len(state.tries.rows) <= rows_max
    assert all(count == 1 for count in done.values())


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 5), st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_a_restored_book_goes_on_alike(keys: list[int], rows_max: int, cut: int) -> None:
    """A book that went through a snapshot forgets, refuses and digests as the one that did not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(once, "TRIES_MAX", rows_max)
        ours = seeded().state
        for number, key in enumerate(keys):
            if number == cut:
                ours = load(dump(ours))
            ours = do(ours, put(f"192.0.2.{key}"), ticket(key, since=ours.index)).state
        twin = seeded().state
        for key in keys:
            twin = do(twin, put(f"192.0.2.{key}"), ticket(key, since=twin.index)).state
    assert (twin, digest(twin)) == (ours, digest(ours))


def test_the_golden_state_is_still_read() -> None:
    """A log and a snapshot from before there were tickets give the state they always gave, but for how events put it."""
    golden = msgspec.msgpack.decode(GOLDEN.read_bytes())
    state = State()
    for index, data in enumerate(golden["log"], 1):
        applied = apply(state, index, data)
        state = applied.state
    assert (True, 12) == (WWW in state.services, state.index)
    assert golden["digest"] == digest(state)
    then = load(golden["snapshot"])
    worded = [msgspec.structs.replace(each, text="") for each in state.events.values()]
    assert worded == [msgspec.structs.replace(each, text="") for each in then.events.values()]
    assert msgspec.structs.replace(state, events=then.events) == then


def test_an_entry_without_a_ticket_is_as_short_as_ever() -> None:
    """What is not said costs nothing in the log."""
    cluster = Cluster()
    cluster.do(put("192.0.2.1"))
    assert b"ticket" not in cluster.log[-1]
    assert b"reason" not in cluster.log[-1]
