"""What one node makes of its own probes: the rise and fall that turn results into a vote.

A single good or bad probe says little. Only ``rise`` good ones in a row make a node say *up*, and
``fall`` bad ones *down*; until either has happened since the node started it says nothing.
"""

import msgspec

STREAK_MAX = 1_000
"""Streaks are counted no further: no threshold is as high."""


class Opinion(msgspec.Struct, frozen=True):
    """A node's opinion of one endpoint: its vote, None without evidence, and the present streak."""

    vote: bool | None = None
    good: int = 0
    bad: int = 0


def observe(opinion: Opinion, up: bool, rise: int, fall: int) -> Opinion:
    """Return the opinion after one more probe; ``rise`` and ``fall`` are counts of at least 1."""
    good = min(opinion.good + 1, STREAK_MAX) if up else 0
    bad = 0 if up else min(opinion.bad + 1, STREAK_MAX)
    if good >= rise:
        return Opinion(True, good, bad)
    if bad >= fall:
        return Opinion(False, good, bad)
    return Opinion(opinion.vote, good, bad)


def wants_recheck(opinion: Opinion, up: bool) -> bool:
    """Say whether the latest result speaks against the vote, so that the next probe should come soon."""
    return opinion.vote is not up
