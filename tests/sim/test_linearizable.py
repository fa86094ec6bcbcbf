"""The judge of histories, judged: known histories, a twin that tries everything, and its patience."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.linearizable import (
    FOREVER,
    Operation,
    Undecided,
    find_unlinearizable_key,
    is_linearizable,
    step,
)


def write(value: str | None, called: int, returned: int = FOREVER) -> Operation:
    return Operation("write", "k", value, called, returned)


def read(value: str | None, called: int, returned: int) -> Operation:
    return Operation("read", "k", value, called, returned)


def swap(
    expected: str | None, value: str, called: int, returned: int = FOREVER, *, done: bool | None = None
) -> Operation:
    return Operation("swap", "k", value, called, returned, expected, done)


EXPLAINED = {
    "nothing happened": [],
    "one after the other": [write("1", 1, 2), read("1", 3, 4), write("2", 5, 6), read("2", 7, 8)],
    "a read beside a write sees either": [write("1", 1, 2), write("2", 3, 8), read("1", 4, 5), read("2", 6, 7)],
    "an unknown write that came late": [write("1", 1, 2), write("2", 3), read("1", 4, 5), read("2", 6, 7)],
    "an unknown write that never came": [write("1", 1, 2), write("2", 3), read("1", 4, 5), read("1", 6, 7)],
    "a swap of what is there": [write("1", 1, 2), swap("1", "2", 3, 4, done=True), read("2", 5, 6)],
    "a swap of nothing": [swap(None, "1", 1, 2, done=True), swap(None, "2", 3, 4, done=False), read("1", 5, 6)],
    "of two swaps one is refused": [
        write("0", 1, 2),
        swap("0", "1", 3, 6, done=True),
        swap("0", "2", 4, 5, done=False),
        read("1", 7, 8),
    ],
    "an unknown swap explains a refused one": [
        write("0", 1, 2),
        swap("0", "1", 3),
        swap("0", "2", 4, 5, done=False),
    ],
    "an unknown write that nobody saw explains a refused swap": [
        write("0", 1, 2),
        write("1", 3),
        swap("0", "2", 4, 5, done=False),
    ],
    "a deletion beside a write": [write("1", 1, 6), write(None, 2, 5), read(None, 7, 8)],
    "a deletion of nothing in between": [write(None, 1, 6), write("1", 2, 3), read(None, 7, 8)],
}
UNEXPLAINED = {
    "a stale read": [write("1", 1, 2), write("2", 3, 4), read("1", 5, 6)],
    "a lost write": [write("1", 1, 2), read(None, 3, 4)],
    "an invented value": [write("1", 1, 2), read("9", 3, 4)],
    "a read of what was not written yet": [read("1", 1, 2), write("1", 3, 4)],
    "back and forth": [write("1", 1, 2), write("2", 3), read("2", 4, 5), read("1", 6, 7)],
    "two reads that differ": [write("1", 1), write("2", 2), read("1", 3, 4), read("2", 5, 6), read("1", 7, 8)],
    "both of two swaps": [
        write("0", 1, 2),
        swap("0", "1", 3, 6, done=True),
        swap("0", "2", 4, 5, done=True),
    ],
    "a refusal without a reason": [write("0", 1, 2), swap("0", "1", 3, 4, done=False)],
    "an unknown swap that did not fit": [write("0", 1, 2), swap("9", "1", 3), read("1", 4, 5)],
    "a refused swap that wrote": [write("0", 1, 2), swap("9", "1", 3, 4, done=False), read("1", 5, 6)],
    "a swap of what was replaced long ago": [
        write("0", 1, 2),
        write("1", 3, 4),
        swap("0", "2", 5, 6, done=True),
    ],
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_a_register_could_have_done_is_accepted(name: str) -> None:
    """Histories with an order that explains them."""
    assert is_linearizable(EXPLAINED[name])


@pytest.mark.parametrize("name", UNEXPLAINED)
def test_what_no_register_could_have_done_is_refused(name: str) -> None:
    """Histories without one."""
    assert not is_linearizable(UNEXPLAINED[name])


def try_every_order(operations: list[Operation]) -> bool:
    """The twin: every choice of what took effect, in every order, against the plain rule."""
    known = [each for each in operations if each.returned < FOREVER]
    unknown = [each for each in operations if each.returned == FOREVER]
    return any(
        _explains(order)
        for count in range(len(unknown) + 1)
        for some in itertools.combinations(unknown, count)
        for order in itertools.permutations([*known, *some])
    )


def _explains(order: tuple[Operation, ...]) -> bool:
    if any(later.returned < each.called for each, later in itertools.combinations(order, 2)):
        return False
    value: str | None = None
    for each in order:
        fits, value = step(each, value)
        if not fits:
            return False
    return True


VALUES = st.sampled_from([None, "a", "b"])


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    count = draw(st.integers(1, 6))
    moments = draw(st.permutations(range(1, 2 * count + 1)))
    operations = []
    for number in range(count):
        called, returned = sorted(moments[2 * number : 2 * number + 2])
        kind = draw(st.sampled_from(["write", "read", "swap"]))
        is_known = kind == "read" or draw(st.integers(0, 3)) > 0
        each = Operation(kind, "k", draw(VALUES), called, returned if is_known else FOREVER)  # type: ignore[arg-type]
        if kind == "swap":
            each.expected = draw(VALUES)
            each.swapped = draw(st.booleans()) if is_known else None
        operations.append(each)
    return operations


@settings(max_examples=400, deadline=None)
@given(histories())
def test_the_judge_agrees_with_trying_every_order(operations: list[Operation]) -> None:
    """Small histories, true or not: the search finds an order exactly when there is one."""
    assert try_every_order(operations) == is_linearizable(operations)


def play(rng: random.Random, count: int, callers: int = 6) -> list[Operation]:
    """Return a history that a true register gave to overlapping callers, some of whom never got an answer."""
    value: str | None = None
    moment = 0
    operations: list[Operation] = []
    running: list[tuple[Operation, bool]] = []
    while len(operations) < count or running:
        moment += 1
        if len(operations) < count and len(running) < callers and rng.random() < 0.6:
            each = _begin(rng, len(operations), moment)
            operations.append(each)
            running.append((each, False))
        if not running:
            continue
        at = rng.randrange(len(running))
        each, took_effect = running.pop(at)
        if not took_effect:
            value = _take_effect(each, value)
            running.insert(at, (each, True))
        elif each.kind != "read" and rng.random() < 0.1:
            each.swapped = None
        else:
            each.returned = moment
    return operations


def _begin(rng: random.Random, number: int, moment: int) -> Operation:
    kind = rng.choice(["write", "read", "swap"])
    expected = str(rng.randrange(number + 1)) if kind == "swap" else None
    return Operation(kind, "k", str(number) if kind != "read" else None, moment, expected=expected)  # type: ignore[arg-type]


def _take_effect(operation: Operation, value: str | None) -> str | None:
    if operation.kind == "read":
        operation.value = value
    elif operation.kind == "swap":
        operation.swapped = operation.expected == value
    return step(operation, value)[1]


def test_a_true_register_is_never_accused() -> None:
    """Whatever overlaps, and whatever answers got lost."""
    for seed in range(100):
        assert is_linearizable(play(random.Random(seed), 60))


def test_an_altered_history_is_found_out() -> None:
    """One read of a true history changed to another value that was written: most are explained no more."""
    found = tried = 0
    for seed in range(100):
        rng = random.Random(seed)
        history = play(rng, 40)
        reads = [each for each in history if each.kind == "read" and each.value is not None]
        if reads:
            tried += 1
            altered = rng.choice(reads)
            altered.value = str((int(altered.value or 0) + 7) % 40)
            found += not is_linearizable(history)
    assert found > 0.8 * tried > 50


def test_keys_are_judged_one_by_one() -> None:
    """The key that cannot be explained is named."""
    good, bad = EXPLAINED["one after the other"], UNEXPLAINED["a stale read"]
    both = [*good, *(Operation(each.kind, "bad", each.value, each.called, each.returned) for each in bad)]
    assert find_unlinearizable_key(both) == "bad"
    assert find_unlinearizable_key(good) is None


def test_a_search_without_end_is_given_up() -> None:
    """Its patience is bounded, and giving up is no verdict."""
    writes = [write(str(number), number, 100 + number) for number in range(40)]
    with pytest.raises(Undecided):
        is_linearizable([*writes, read("7", 200, 201), read("never", 202, 203)], steps_max=1000)


def test_a_long_history_is_judged_fast() -> None:
    """A thousand operations of ten callers take a bounded number of looks."""
    assert is_linearizable(play(random.Random(1), 1000, callers=10), steps_max=20_000)
