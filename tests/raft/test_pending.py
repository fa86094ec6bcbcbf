"""Outcomes to be, and the deadlines of those who wait for them."""

import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from raft.deadlines import _FORGET_FROM, Deadlines
from raft.pending import Pending
from raft.proposal import Committed, NotCommitted, Outcome, Unknown
from tests.sim.clock import VirtualLoop

LATE = Unknown("late")
END = NotCommitted("stopped", "the end")


class Time:
    """A loop of virtual time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.loop = VirtualLoop(lambda: self.now_s, lambda: 0.0)

    def turn(self, now_s: float) -> None:
        self.now_s = now_s
        self.loop.turn()


@pytest.fixture(name="time")
def _time() -> Iterator[Time]:
    time = Time()
    yield time
    time.loop.close()


def test_the_first_outcome_counts() -> None:
    pending, told = Pending(), list[Outcome]()
    pending.add_done_callback(lambda done: told.append(done.result()))
    assert not pending.done()
    pending.settle(Committed(1, None))
    pending.settle(LATE)
    pending.add_done_callback(lambda done: told.append(done.result()))
    assert [Committed(1, None)] * 2 == told
    assert pending.done()


def test_a_callback_that_fails_keeps_nobody_from_hearing() -> None:
    """It runs in the log's thread, which must go on."""
    pending, told = Pending(), list[Outcome]()
    with structlog.testing.capture_logs() as lines:
        pending.add_done_callback(lambda _: 1 / 0)
        pending.add_done_callback(lambda done: told.append(done.result()))
        pending.settle(LATE)
        pending.add_done_callback(lambda _: 1 / 0)
    assert [LATE] == told
    assert ["outcome.callback-failed"] * 2 == [line["event"] for line in lines]


def test_another_thread_waits_for_it() -> None:
    pending = Pending()
    with pytest.raises(TimeoutError):
        pending.result(0)
    threading.Timer(0.01, pending.settle, [LATE]).start()
    assert LATE == pending.result(10)


def _telling(told: list[int], number: int) -> Callable[[Pending], object]:
    return lambda _: told.append(number)


def test_callbacks_given_while_it_is_settled_are_each_called_once() -> None:
    """Whoever comes at that very moment is told by one of the two threads, not by both, not by none."""
    for _ in range(200):
        pending, told = Pending(), list[int]()
        settling = threading.Thread(target=pending.settle, args=(LATE,))
        settling.start()
        for number in range(50):
            pending.add_done_callback(_telling(told, number))
        settling.join()
        assert list(range(50)) == sorted(told)


def test_each_is_told_at_its_own_deadline(time: Time) -> None:
    """In whatever order they come, also two of one moment."""
    deadlines, waiting = Deadlines(time.loop), [Pending() for _ in range(4)]
    for pending, timeout_s in zip(waiting, (3.0, 1.0, 2.0, 2.0), strict=True):
        deadlines.add(pending, timeout_s, LATE, END)
    for now_s, expected in ((0.9, []), (1.0, [1]), (1.9, [1]), (2.0, [1, 2, 3]), (3.5, [0, 1, 2, 3])):
        time.turn(now_s)
        assert expected == [number for number, pending in enumerate(waiting) if pending.done()]
    assert {LATE} == {pending.result() for pending in waiting}


def test_who_was_told_before_keeps_what_it_was_told(time: Time) -> None:
    deadlines, first, second = Deadlines(time.loop), Pending(), Pending()
    deadlines.add(first, 1.0, LATE, END)
    deadlines.add(second, 2.0, LATE, END)
    first.settle(Committed(7, None))
    time.turn(1.5)
    assert not second.done()
    time.turn(2.0)
    assert [Committed(7, None), LATE] == [first.result(), second.result()]
    assert time.loop.next_due() == float("inf")  # no timer is left behind


def test_the_end_tells_all_who_still_wait(time: Time) -> None:
    """Who was told before keeps that."""
    deadlines, first, second = Deadlines(time.loop), Pending(), Pending()
    deadlines.add(first, 1.0, LATE, END)
    deadlines.add(second, 2.0, LATE, END)
    first.settle(Committed(7, None))
    deadlines.end()
    assert [Committed(7, None), END] == [first.result(), second.result()]


def test_those_who_were_told_do_not_pile_up(time: Time) -> None:
    """A long deadline keeps nothing of the many that were answered at once."""
    deadlines, waiting = Deadlines(time.loop), Pending()
    deadlines.add(waiting, 3_600.0, LATE, END)
    for _ in range(10 * _FORGET_FROM):
        pending = Pending()
        deadlines.add(pending, 5_000.0, LATE, END)
        pending.settle(Committed(1, None))
        assert len(deadlines._due) <= _FORGET_FROM
    time.turn(3_600.0)
    assert waiting.result() == LATE


def test_a_deadline_in_the_loop_of_a_node(time: Time) -> None:
    """A callback of one that is told may bring the next one."""
    deadlines, first, second = Deadlines(time.loop), Pending(), Pending()
    first.add_done_callback(lambda _: deadlines.add(second, 0.0, LATE, END))
    deadlines.add(first, 1.0, LATE, END)
    time.turn(1.0)
    time.turn(1.0)
    assert second.done()
