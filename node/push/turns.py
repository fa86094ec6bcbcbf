"""Whose turn it is to push to a target. Pure.

Who delivered last goes first, the others follow by rank (``node.state.ranking``). Two nodes that disagree for a moment do no harm: pushes are idempotent, and each
replaces only what it has read.
"""

from collections.abc import Collection

from node.state.ranking import rank
from node.state.state import Delivery


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
