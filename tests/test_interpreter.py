"""Threads take short turns, and the collector never walks twice what took it long."""

import gc
import sys
from collections.abc import Iterator

import pytest

from node import interpreter


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    callbacks, turn_s, threshold = list(gc.callbacks), sys.getswitchinterval(), gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    sys.setswitchinterval(turn_s)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


def test_what_took_long_to_walk_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a long full collection what is alive counts no more; a short one leaves all as it is."""
    interpreter.keep_pauses_short()
    monkeypatch.setattr(interpreter, "LONG_S", 1e9)
    gc.collect()
    assert 0 == gc.get_freeze_count()
    monkeypatch.setattr(interpreter, "LONG_S", 0.0)
    gc.collect(1)
    assert 0 == gc.get_freeze_count()
    gc.collect()
    assert gc.get_freeze_count() > 1_000
    assert len(gc.get_objects()) < 1_000


def test_a_thread_waits_a_millisecond_for_its_turn() -> None:
    """The interpreter changes hands five times as often as Python would by itself."""
    interpreter.keep_pauses_short()
    assert pytest.approx(0.001) == sys.getswitchinterval()


def test_a_thousand_new_objects_are_not_looked_at_again_and_again() -> None:
    """What an entry of the log makes is mostly gone before the collector comes."""
    interpreter.keep_pauses_short()
    gc.collect()
    before = gc.get_stats()[0]["collections"]
    kept = [[number] for number in range(5_000)]
    assert gc.get_stats()[0]["collections"] - before <= 1, len(kept)
