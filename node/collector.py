"""Python's garbage collector, kept from stopping the whole node.

A full collection walks every container of the process while no thread runs: with a million names half a
second, in which neither a sign of life nor an answer leaves. What a long one has walked is not walked again:
the State is freed by counting references, which needs no collector.
"""

import gc
import time

LONG_S = 0.03


def keep_collections_short() -> None:
    """Set aside what is alive after every full collection that took long; for the life of the process."""
    gc.callbacks.append(_Watch())


class _Watch:
    """Called by the collector, in whichever thread it runs, before and after each collection."""

    def __init__(self) -> None:
        self._begun_s = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] != 2:
            return
        if phase == "start":
            self._begun_s = time.perf_counter()
        elif time.perf_counter() - self._begun_s > LONG_S:
            gc.freeze()
