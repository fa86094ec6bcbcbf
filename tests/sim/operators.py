"""Operators who let nodes come and go while everything else goes wrong.

They do one thing after the other: a node joins, as a voter to be or as a replica, one is removed (the leader as
likely as any), one loses its disk and is replaced, leadership is moved. A name may come again later, with an empty
disk. Nobody wipes a second disk before the first node votes again: that would be more than the log promises to
survive.
"""

import random
from collections.abc import Callable

from raft.membership import Change
from raft.pending import Pending
from raft.proposal import Committed, Outcome, Unknown
from tests.sim.checker import Violation
from tests.sim.world import World

TIMEOUT_S = 2.0
VOTERS_MIN, SEATS_MAX = 3, 7
LINGERS_S = 1.0
"""So long the machine of a removed node may go on before somebody switches it off."""


class Operators:
    """Change the members now and then until told to stop."""

    def __init__(self, world: World, rng: random.Random, mean_gap_s: float) -> None:
        self._world = world
        self._rng = rng
        self._mean_gap_s = mean_gap_s
        self._over = False
        self._is_busy = False
        self._wiped: str | None = None
        self._lost_directory = ""
        self.count = 0
        self._kinds: list[tuple[int, Callable[[], None]]] = [
            (4, self._add),
            (1, self._add_replica),
            (5, self._remove),
            (2, self._lead),
            (2, self._wipe),
        ]
        self._next()

    def end(self) -> None:
        """Begin nothing any more."""
        self._over = True

    def mend(self) -> None:
        """Let the node without a memory be replaced, however often that must be asked."""
        if self._wiped is not None and not self._is_busy:
            self._replace(self._wiped)

    def _next(self) -> None:
        self._world.after(self._rng.expovariate(1 / self._mean_gap_s), self._act)

    def _act(self) -> None:
        if self._over:
            return
        if not self._is_busy and self._world.ledger.membership is not None:
            if self._wiped is not None:
                self._replace(self._wiped)
            else:
                weights = [weight for weight, _ in self._kinds]
                self._rng.choices([act for _, act in self._kinds], weights)[0]()
        self._next()

    # --- what they do ---------------------------------------------------------------------------------

    def _add(self) -> None:
        self._let_in("learner")

    def _add_replica(self) -> None:
        self._let_in("replica")

    def _let_in(self, role: str) -> None:
        world = self._world
        strangers = world.strangers()
        if not strangers or len(world.ledger.seats()) >= SEATS_MAX:
            return
        name = self._rng.choice(strangers)
        machine = world.fresh_machine(name, "replica" if role == "replica" else "voter")

        def joined(outcome: Outcome) -> None:
            if isinstance(outcome, Committed | Unknown) and machine.process is None:
                world.start(name)

        self._ask(Change("add", name, world.address(name), role), joined)  # type: ignore[arg-type]

    def _remove(self) -> None:
        roles = self._world.ledger.seats()
        voters = [name for name, role in roles.items() if role == "voter"]
        leader = self._world.leader()
        name = leader if leader is not None and self._rng.random() < 0.3 else self._rng.choice(sorted(roles))
        if roles.get(name) == "voter" and len(voters) <= VOTERS_MIN:
            return

        machine = self._world.machines[name]

        def removed(outcome: Outcome) -> None:
            if isinstance(outcome, Committed):
                self._world.after(LINGERS_S, lambda: self._world.switch_off(machine))

        self._ask(Change("remove", name), removed)

    def _lead(self) -> None:
        name = self._rng.choice(self._world.names)
        self._ask(Change("lead", name), lambda _outcome: None)

    def _wipe(self) -> None:
        """A disk is lost for good while all others are well known to the cluster."""
        membership = self._world.ledger.membership
        if membership is None or any(not seat.directory for seat in membership.seats):
            return
        voters = membership.voters
        if len(voters) != len(membership.seats) and self._rng.random() < 0.5:
            return
        name = self._rng.choice(voters)
        if not all(self._knows_its_past(other) for other in voters if other != name):
            return  # with one that never heard of the cluster it would found another, as new nodes do
        seat = membership.seat(name)
        assert seat is not None
        self._world.wipe(name)
        self._wiped, self._lost_directory = name, seat.directory
        self._world.after(self._rng.uniform(0.0, 0.5), lambda: self._world.start_again(name))

    def _knows_its_past(self, name: str) -> bool:
        process = self._world.machines[name].process
        return process is not None and process.driver.core.history != ""

    def _replace(self, name: str) -> None:
        membership = self._world.ledger.membership
        seat = membership.seat(name) if membership is not None else None
        if seat is None or (seat.role == "voter" and seat.directory not in ("", self._lost_directory)):
            self._wiped = None
        elif seat.role == "voter":
            self._ask(Change("replace", name), lambda _outcome: None)
        else:
            self._bring_up_to_date(name)

    def _bring_up_to_date(self, name: str) -> None:
        """Give an emptied node that knows nobody any more the configuration of now, as docs/nodes.md wants it."""
        world = self._world
        machine, members = world.machines[name], set(world.ledger.seats()) - {name}
        if machine.process is not None and not self._knows_its_past(name) and not members & {*machine.known}:
            machine.known = (*sorted(members), name)
            world.crash(name, power=False)
            world.start_again(name)

    # --- asking ---------------------------------------------------------------------------------------

    def _ask(self, change: Change, then: Callable[[Outcome], None]) -> None:
        """Ask a running member, as an operator on that machine would."""
        world = self._world
        asked = [name for name in world.running() if world.ledger.seats().get(name) == "voter"]
        asked = [name for name in asked if name != self._wiped]
        if not asked:
            return
        self._is_busy = True
        self.count += 1
        process = world.process(self._rng.choice(asked))
        future: Pending = Pending()

        def ended(outcome: Outcome) -> None:
            world.note("change", change.kind, change.name, type(outcome).__name__)
            self._is_busy = False
            self._check(change, outcome)
            then(outcome)

        guarded = world.guarded(ended)
        future.add_done_callback(lambda done: guarded(done.result()))
        world.in_node(process.name, lambda: process.driver.change_members(change, future, TIMEOUT_S))

        def give_up() -> None:
            if not future.done():
                future.settle(Unknown("the node died"))

        world.after(2 * TIMEOUT_S, give_up)

    def _check(self, change: Change, outcome: Outcome) -> None:
        """What is called done stands in the log."""
        if not isinstance(outcome, Committed) or change.kind not in ("add", "remove"):
            return
        membership = self._world.ledger.membership_at(outcome.index)
        if (membership.seat(change.name) is not None) != (change.kind == "add"):
            raise Violation(f"{change.kind} {change.name} is called done at {outcome.index}, and is not")
