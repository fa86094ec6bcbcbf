"""Whether this node may believe what it sees: the guard against its own dead uplink.

A node that reaches nothing at all would vote everything down. What tells its own misfortune from that
of the endpoints is *silence*: a refusal, a reset, an HTTP 503, even an accepted connection shows that the
network is alive; a timeout or a missing route does not. The rule:

1. It applies when this node probes remote endpoints of at least two services at two addresses or more,
   or when it has reference targets. With a single service and no reference nobody can tell an outage
   from a dead uplink, and down votes are cast as they come. Addresses of this node itself (loopback too)
   prove nothing and are never doubted.
2. A down vote on a silent endpoint needs a *proof of life*: something remote that answered after the vote
   had turned. While there is none, it is held back and others are probed at once; where the network is
   alive this costs one round trip.
3. The node is *isolated* when a vote is held back and the latest result of every remote endpoint (and
   reference) is silence, or when every reference has been voted down. Then it casts no vote, and its
   standing ones are dropped: an abstention, which never counts as down.
4. It ends when something answers (with references: one of them). All opinions start afresh, as what was
   counted in isolation is evidence of nothing; up or down is said after ``rise`` or ``fall`` new results.
5. Without references the doubt is bounded: after ``hold_s``, and when no other node holds an up vote on
   any of the endpoints, there is nobody who sees more, and the node believes what it sees. So a true
   outage of everything is voted down at last, also in a cluster of one, while a node whose peers do
   reach the endpoints stays isolated as long as it takes. References are an operator's explicit word:
   their silence has no end.
"""

from collections.abc import Callable
from itertools import chain, islice

from node.probe.slot import Slot


class Guard:
    """Watches the results of all slots; ``is_isolated`` is the answer."""

    def __init__(self, hold_s: float) -> None:
        self.is_isolated = False
        self._hold_s = hold_s
        self._since_s = 0.0
        self._believes = False
        self._last_answer_s = float("-inf")
        self._endpoints: set[Slot] = set()
        self._references: set[Slot] = set()
        self._silent = 0
        """How many of all these slots did not answer last time."""
        self._applies: bool | None = None

    def watch(self, slot: Slot, *, is_reference: bool = False) -> None:
        """Take a slot into account from now on; one that is not remote has no say."""
        if slot.is_remote or is_reference:
            (self._references if is_reference else self._endpoints).add(slot)
            self._silent += slot.is_silent
            self._applies = None

    def forget(self, slot: Slot) -> None:
        """Take a slot out of account."""
        if slot in self._endpoints or slot in self._references:
            self._endpoints.discard(slot)
            self._references.discard(slot)
            self._silent -= slot.is_silent
            self._applies = None

    def applies(self) -> bool:
        """Say whether there is enough to compare (rule 1)."""
        if self._applies is None:
            services = {slot.fqdn for slot in self._endpoints}
            addresses = {slot.target for slot in self._endpoints}
            self._applies = bool(self._references) or (len(services) > 1 and len(addresses) > 1)
        return self._applies

    def observe(self, slot: Slot, was_silent: bool, now_s: float) -> bool:
        """Take note of the slot's new result; say whether isolation has just begun or ended."""
        if slot not in self._endpoints and slot not in self._references:
            return False
        self._silent += slot.is_silent - was_silent
        if slot.is_answering:
            return self._hear(slot, now_s)
        if self.is_isolated or self._believes or not self._is_cut_off(slot):
            return False
        self.is_isolated = True
        self._since_s = now_s
        return True

    def holds_back(self, slot: Slot) -> bool:
        """Say whether a down vote on this slot has to wait for a proof of life (rule 2)."""
        return (
            slot in self._endpoints
            and self.applies()
            and slot.is_silent
            and not self._believes
            and self._last_answer_s <= slot.turned_s
        )

    def doubts_long_enough(self, now_s: float, others_see_more: Callable[[], bool]) -> bool:
        """End the isolation when its time is over (rule 5); say whether it just did."""
        if not self.is_isolated or self._references or now_s - self._since_s < self._hold_s:
            return False
        if others_see_more():
            return False
        self.is_isolated, self._believes = False, True
        return True

    def witnesses(self, count_max: int) -> list[Slot]:
        """Return slots to probe at once for a proof of life: references, then those not known as silent."""
        rest = (slot for slot in self._endpoints if not slot.is_silent)
        idle = (slot for slot in chain(self._references, rest) if slot.flight is None)
        return list(islice(idle, count_max))

    def _hear(self, slot: Slot, now_s: float) -> bool:
        self._last_answer_s = now_s
        self._believes = False
        if not self.is_isolated or (self._references and slot not in self._references):
            return False
        self.is_isolated = False
        return True

    def _is_cut_off(self, slot: Slot) -> bool:
        if self._references and all(each.opinion.vote is False for each in self._references):
            return all(each.is_silent for each in self._references)
        everything_is_silent = self._silent == len(self._endpoints) + len(self._references)
        return everything_is_silent and slot.opinion.vote is False and self.holds_back(slot)
