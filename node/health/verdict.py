"""What the cluster says of an endpoint: the majority of the configured voters, or what it said before.

An election here has three results, as votes can be missing: up, down, and no decision. A voter
that is silent is on no side. Raft's elections have nothing to do with these.
"""

from collections.abc import Collection, Mapping
from typing import Literal

VerdictWord = Literal["up", "down", "undecided"]


def quorum(voters: int) -> int:
    """Return the smallest majority: 1 of 1, 2 of 2 or 3, 3 of 4 or 5."""
    return voters // 2 + 1


def decide(votes: Mapping[str, bool], voters: Collection[str], last: VerdictWord) -> VerdictWord:
    """Return the verdict of the voters' votes (name to up), or ``last`` when no side has a majority.

    Votes of others than the voters do not count. Without voters nothing is ever decided.
    """
    if not voters:
        return last
    counted = [votes[voter] for voter in voters if voter in votes]
    needed = quorum(len(voters))
    up = sum(counted)
    if up >= needed:
        return "up"
    if len(counted) - up >= needed:
        return "down"
    return last
