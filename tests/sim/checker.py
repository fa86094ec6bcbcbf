"""What must hold whatever happens: checked while the cluster runs, and at the end."""

import zlib
from collections import Counter
from collections.abc import Callable

from node.cluster import Machine
from node.state.command import BadCommand, Ticket, decode
from node.state.snapshot import digest
from node.state.state import State
from raft.membership import MEMBERSHIP, Membership, decode_membership, encode_membership
from raft.proposal import Committed, NotCommitted, Outcome
from tests.sim.records import index_of_value


class Violation(AssertionError):
    """A promise was broken; the message says which."""


class Ledger:
    """What all nodes together have shown so far."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        """Process that led, by term."""
        self.commands: dict[int, bytes] = {}
        """Applied command by index, the same everywhere."""
        self.digests: dict[int, str] = {0: digest(State())}
        """Digest of the state after an index, the same everywhere."""
        self.results: dict[int, object] = {}
        """What applying the entry gave, the same everywhere."""
        self.acknowledged_index = 0
        """Highest index of which any client was told that it is committed."""
        self.tries: Counter[bytes] = Counter()
        """How often a command was proposed and not refused."""
        self.places: Counter[bytes] = Counter()
        """How often a command stands in the log."""
        self._counted: set[int] = set()
        self.effects: dict[tuple[str, int | str], int] = {}
        """Index at which the entry with a ticket changed something."""
        self.repetitions = 0
        self.memberships: dict[int, Membership] = {}
        """Applied membership by index."""

    def leads(self, process: str, term: int) -> None:
        """At most one process leads in a term."""
        if self.leaders.setdefault(term, process) != process:
            raise Violation(f"{self.leaders[term]} and {process} both lead in term {term}")

    # --- what nodes apply -----------------------------------------------------------------------------

    def applied(self, node: str, index: int, command: bytes, after: State, result: object) -> None:
        """Every node applies the same commands at the same indexes, with the same effect and result."""
        if self.commands.setdefault(index, command) != command:
            raise Violation(
                f"{node} applies {told(command)} at {index}, where {told(self.commands[index])} was applied"
            )
        if self.digests.setdefault(index, digest(after)) != digest(after):
            raise Violation(f"the state of {node} after {index} differs from that of others")
        if self.results.setdefault(index, result) != result:
            raise Violation(f"{index} gives {result} on {node}, and {self.results[index]} on others")

    def counted(self, index: int, command: bytes, before: State, after: State) -> None:
        """A command stands in the log once for each try that was not refused, at most."""
        if index not in self._counted:
            self._counted.add(index)
            self.places[command] += 1
            self._check_count(command)
            self._note_effect(index, command, before, after)

    def _note_effect(self, index: int, command: bytes, before: State, after: State) -> None:
        """A ticket has its effect once, however often its entry stands in the log."""
        ticket = ticket_of(command)
        if ticket is None:
            return
        self.repetitions += self.places[command] > 1
        if after.zones is not before.zones and self.effects.setdefault(ticket, index) != index:
            raise Violation(f"{ticket} has its effect at {self.effects[ticket]} and at {index}")

    def _check_count(self, command: bytes) -> None:
        if self.places[command] > self.tries[command]:
            raise Violation(
                f"{told(command)} is applied {self.places[command]} times, of {self.tries[command]} tries not refused"
            )

    # --- who belongs to the cluster -------------------------------------------------------------------

    @property
    def membership(self) -> Membership | None:
        """The newest that any node has applied."""
        return self.memberships[max(self.memberships)] if self.memberships else None

    def membership_at(self, index: int) -> Membership:
        """Return the one in force at an index."""
        return self.memberships[max(each for each in self.memberships if each <= index)]

    def seats(self) -> dict[str, str]:
        """Return the part of each node, by name."""
        membership = self.membership
        return {} if membership is None else {seat.name: seat.role for seat in membership.seats}

    def members_changed(self, index: int, membership: Membership) -> None:
        """One membership follows from the one before by one voter at most (Raft thesis, section 4.1)."""
        if index in self.memberships:
            return
        before = [each for each in self.memberships if each < index]
        if before and len({*self.memberships[max(before)].voters} ^ {*membership.voters}) > 1:
            raise Violation(f"at {index} more than one voter changes: {membership.voters}")
        self.memberships[index] = membership

    def check_electors(self, node: str, state: State) -> None:
        """Whose vote on health counts is whose vote in an election counts, at every index."""
        before = [each for each in self.memberships if each <= state.index]
        electors = sorted(self.memberships[max(before)].voters) if before else []
        voters = sorted(member.name for member in state.members)
        if electors != voters:
            raise Violation(f"at {state.index} {electors} elect and on {node} {voters} vote on health")

    # --- what clients are told ------------------------------------------------------------------------

    def tried(self, command: bytes) -> None:
        """A command is proposed, once more or for the first time."""
        self.tries[command] += 1

    def try_ended(self, command: bytes, outcome: Outcome) -> None:
        """What a proposer is told of one try is true."""
        if isinstance(outcome, Committed):
            if self.commands.get(outcome.index) != command:
                raise Violation(
                    f"{told(command)} is called committed at {outcome.index}, where it is not applied"
                )
            if outcome.result != self.results[outcome.index]:
                raise Violation(f"{told(command)} gave {outcome.result}, not {self.results[outcome.index]}")
            self.acknowledged_index = max(self.acknowledged_index, outcome.index)
        elif isinstance(outcome, NotCommitted):
            self.tries[command] -= 1
            self._check_count(command)

    def has_all(self, node: str, applied_index: int, state: State) -> None:
        """A node that has caught up holds every acknowledged write and the state of all others."""
        if applied_index < self.acknowledged_index:
            raise Violation(
                f"{node} has applied {applied_index}, but {self.acknowledged_index} is acknowledged"
            )
        last = max(index for index in self.digests if index <= applied_index)
        if self.digests[last] != digest(state):
            raise Violation(f"the state of {node} at {applied_index} differs from that of others")


def ticket_of(command: bytes) -> tuple[str, int | str] | None:
    """Return client and key of the ticket that a command has, if it has one."""
    try:
        ticket: Ticket | None = decode(command).ticket
    except BadCommand:
        return None
    return None if ticket is None else (ticket.client, ticket.key)


class WatchedMachine(Machine):
    """The machine of the real node, with everything that it does held against what others did."""

    def __init__(self, ledger: Ledger, node: str, on_restore: Callable[[], None]) -> None:
        super().__init__(lambda _changed: None)
        self._ledger = ledger
        self._on_restore = on_restore
        self._node = node

    def apply(self, index: int, command: bytes) -> object:
        before = self.state
        if index <= before.index:
            raise Violation(f"{self._node} applies {index} after {before.index}")
        result = super().apply(index, command)
        if self.failures:
            raise Violation(f"{self._node} cannot apply {told(command)} at {index}")
        self._ledger.applied(self._node, index, command, self.state, result)
        self._ledger.counted(index, command, before, self.state)
        self._ledger.check_electors(self._node, self.state)
        return result

    def change_members(self, index: int, membership: Membership) -> object:
        before = self.state
        if index <= before.index:
            raise Violation(f"{self._node} applies {index} after {before.index}")
        result = super().change_members(index, membership)
        self._ledger.applied(self._node, index, encode_membership(membership), self.state, result)
        self._ledger.members_changed(index, membership)
        self._ledger.check_electors(self._node, self.state)
        return result

    def install(self, prepared: State) -> None:
        super().install(prepared)
        if self._ledger.digests.get(self.state.index) != digest(self.state):
            raise Violation(f"{self._node} restores a state after {self.state.index} that no node had")
        self._ledger.check_electors(self._node, self.state)
        self._on_restore()


def told(command: bytes) -> str:
    """Return a command in few words, for the message of a violation."""
    if command[:1] == MEMBERSHIP:
        return f"the members {decode_membership(command).voters}"
    try:
        entry = decode(command)
    except BadCommand:
        return repr(command[:40])
    return f"{type(entry.command).__name__} ({entry.reason or entry.at_ms}) {zlib.crc32(command):08x}"


class Values:
    """What clients saw: a value of a key has one index, and an index one value."""

    def __init__(self) -> None:
        self._indexes: dict[tuple[str, str], int] = {}

    def seen(self, state: State, key: str, value: str | None) -> int:
        """Return the index of the value that stands at the key now; 0 for none."""
        index = index_of_value(state, key)
        if value is None:
            return 0
        if self._indexes.setdefault((key, value), index) != index:
            raise Violation(f"{value} at {key} has the indexes {self._indexes[key, value]} and {index}")
        return index
