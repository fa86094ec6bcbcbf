"""Python's own pauses, kept short: one thread of a node must not wait long for another.

A thread that wants the interpreter while another computes waits for its turn, 5 ms unless told otherwise, and again
after everything that let go of it: a write to the disk, a message. The log's thread does ten such things a round.

The collector looks at what is new whenever so much more was made than freed. By default that is a handful of
changes of a zone, and an entry of a thousand is looked at nine times while it is applied; here it is rarely once.

A full collection walks every container of the process while no thread runs: with a million names half a
second, in which neither a sign of life nor an answer leaves. What a long one has walked is not walked again:
the State is freed by counting references, which needs no collector.
"""

import gc
import sys
import time

LONG_S = 0.03
TURN_S = 0.001
NEW_OBJECTS_MAX = 10_000
"""They are looked at within half a millisecond."""
YOUNG_COLLECTIONS_MAX = 5
"""Before what they left is looked at once more."""


def keep_pauses_short() -> None:
    """Shorten the turns of threads, and set aside what is alive after a long collection; for the process's life."""
    sys.setswitchinterval(TURN_S)
    gc.set_threshold(NEW_OBJECTS_MAX, YOUNG_COLLECTIONS_MAX)
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
