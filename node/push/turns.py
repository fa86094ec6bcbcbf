"""Whose turn it is to push to a target. Pure.

Every node works this out from the replicated State, so no election is needed: who delivered last goes
first, the others follow in an order that differs from target to target (rendezvous hashing, Thaler and
Ravishankar 1998). Two nodes that disagree for a moment do no harm: pushes are idempotent, and each
replaces only what it has read.
"""

import hashlib
from collections.abc import Collection, Iterable

from node.state.state import Delivery


def rank(members: Iterable[str], target: str) -> tuple[str, ...]:
    """Return the nodes in the order in which they push to the target when none has yet."""
    return tuple(sorted(members, key=lambda member: _weight(member, target)))


def order(members: Collection[str], target: str, delivery: Delivery) -> tuple[str, ...]:
    """Return the nodes in the order of their turns: who carried the newest plan goes first."""
    ranked = rank(members, target)
    tries = dict(delivery.tries)
    carried = {name: tries[name].plan for name in ranked if name in tries and tries[name].ok}
    if not carried:
        return ranked
    newest = max(carried.values())
    first = next(name for name in ranked if carried.get(name) == newest)
    return (first, *(name for name in ranked if name != first))


def has_failed(delivery: Delivery, node: str) -> bool:
    """Say whether the node has failed since the plan that now stands was delivered."""
    last = dict(delivery.tries).get(node)
    return last is not None and not last.ok and last.plan >= delivery.plan


def waits_for(
    node: str, ordered: tuple[str, ...], delivery: Delivery, reachable: Collection[str] | None
) -> tuple[str, ...]:
    """Return the nodes that this one lets go first: earlier in the order, alive as far as it knows, not failing."""
    return tuple(
        name
        for name in ordered[: ordered.index(node)]
        if not has_failed(delivery, name) and (reachable is None or name in reachable)
    )


def _weight(member: str, target: str) -> bytes:
    return hashlib.blake2b(f"{target}\x00{member}".encode(), digest_size=16).digest()
