"""What of a node's opinions the replicated State does not say yet. Pure."""

from collections.abc import Iterable

from node.probe.slot import Slot
from node.state.command import Ballot
from node.state.state import State
from node.state.votes import Abstention
from node.zone.name import Name

BALLOTS_MAX = 2_000
"""In one entry; far below what the state machine accepts and the log carries."""


def standing_votes(state: State, node: str, fqdn: Name) -> dict[str, bool] | None:
    """Return what the State holds of this node's votes on a service, by address; None without the service."""
    service = state.services.get(fqdn)
    if service is None:
        return None
    return {
        address: vote.up for address, known in service.endpoints for name, vote in known.votes if name == node
    }


def abstentions(state: State, node: str, slots: Iterable[Slot]) -> list[Abstention]:
    """Return the slots on which the State holds a vote of this node that is too old, with the reason."""
    return [
        Abstention(slot.fqdn, slot.address, _why_stale(slot))
        for slot in slots
        if slot.is_stale and not slot.is_gone and slot.address in (standing_votes(state, node, slot.fqdn) or ())
    ]


def _why_stale(slot: Slot) -> str:
    said = f"no result for more than {slot.plan.vote_s:g} s"
    return f"{said}: {slot.last.evidence}" if slot.last is not None and not slot.last.tried else said


def is_up_for_others(state: State, node: str, slots: Iterable[Slot]) -> bool:
    """Say whether another node holds an up vote on any of the slots."""
    for slot in slots:
        service = state.services.get(slot.fqdn)
        if service is None:
            continue
        for address, known in service.endpoints:
            if address == slot.address and any(vote.up and name != node for name, vote in known.votes):
                return True
    return False


def ballot_of(slot: Slot) -> Ballot:
    """Return the slot's vote with its evidence."""
    latency_ms = slot.last.latency_ms if slot.last else 0
    evidence = slot.last.evidence if slot.last else ""
    return Ballot(slot.fqdn, slot.address, slot.opinion.vote is True, latency_ms, evidence)
