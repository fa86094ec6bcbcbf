"""The garbage collector never walks twice what took it long."""

import gc
from collections.abc import Iterator

import pytest

from node import collector


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    callbacks = list(gc.callbacks)
    yield
    gc.callbacks[:] = callbacks
    gc.unfreeze()


def test_what_took_long_to_walk_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a long full collection what is alive counts no more; a short one leaves all as it is."""
    collector.keep_collections_short()
    monkeypatch.setattr(collector, "LONG_S", 1e9)
    gc.collect()
    assert 0 == gc.get_freeze_count()
    monkeypatch.setattr(collector, "LONG_S", 0.0)
    gc.collect(1)
    assert 0 == gc.get_freeze_count()
    gc.collect()
    assert gc.get_freeze_count() > 1_000
    assert len(gc.get_objects()) < 1_000
