"""What is known of the push targets, for people: rows made from State and this node's own memory."""

from dataclasses import dataclass
from typing import Literal

from node.push.lane import Lane
from node.push.targets import wanted, zones_of
from node.push.turns import has_failed, order
from node.state.pushes import Target
from node.state.state import Delivery, State, Try
from node.zone.name import Name

Word = Literal["synced", "behind", "failing", "idle", "paused", "held"]


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target: how far it is, who tried, and when this node tries next."""

    target: str
    kind: str
    server: str
    zones: tuple[Name, ...]
    state: Word
    plan: int
    wanted: int
    done_at_ms: int
    detail: str
    tries: tuple[tuple[str, Try], ...]
    next_try_s: float | None
    """Seconds until this node tries again, when it is this node's turn."""
    behind_s: float = 0.0
    """For how long the target has been behind without progress, as far as this node knows."""


def describe(state: State, target: Target, lane: Lane | None, now: float) -> TargetStatus:
    """Describe a target; ``lane`` is this node's memory of it, ``now`` the event loop's time."""
    delivery = state.deliveries.get(target.name, Delivery())
    goal = wanted(state, target)
    word = judge(state, target, delivery, goal)
    next_s = None if lane is None or lane.next_at is None else max(0.0, lane.next_at - now)
    return TargetStatus(
        target=target.name,
        kind=target.kind,
        server=target.server or target.url,
        zones=target.zones,
        state=word,
        plan=delivery.plan,
        wanted=goal,
        done_at_ms=delivery.at_ms,
        detail=_detail(state, target, delivery, lane, word),
        tries=delivery.tries,
        next_try_s=next_s,
        behind_s=0.0 if lane is None or lane.behind_since is None else max(0.0, now - lane.behind_since),
    )


def judge(state: State, target: Target, delivery: Delivery, goal: int) -> Word:
    """Say in one word how the target is: failing when the node whose turn it is failed last."""
    if delivery.held:
        return "held"
    if delivery.paused:
        return "paused"
    if not zones_of(state, target):
        return "idle"
    nodes = order(tuple(member.name for member in state.members), target.name, delivery)
    if nodes and has_failed(delivery, nodes[0]):
        return "failing"
    return "behind" if delivery.plan < goal else "synced"


def _detail(state: State, target: Target, delivery: Delivery, lane: Lane | None, word: Word) -> str:
    if word == "idle":
        return "nothing to push"
    if word in ("held", "paused"):
        return delivery.held or "paused by a person"
    if word != "synced" and lane is not None and lane.problem is not None:
        return str(lane.problem)
    nodes = order(tuple(member.name for member in state.members), target.name, delivery)
    last = dict(delivery.tries).get(nodes[0]) if nodes else None
    return last.detail if last is not None else ""
