"""What must hold whatever happens: checked while the cluster runs, and at the end."""

import zlib
from collections.abc import Callable, Iterable, Iterator

import msgspec

from raft.machine import BadSnapshot
from raft.membership import Membership, encode_membership
from raft.proposal import Committed, NotCommitted, Outcome


class Violation(AssertionError):
    """A promise was broken; the message says which."""


class Ledger:
    """What all nodes together have shown so far."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        """Process that led, by term."""
        self.commands: dict[int, bytes] = {}
        """Applied command by index, the same everywhere."""
        self.digests: dict[int, int] = {}
        """Digest of the state after an index, the same everywhere."""
        self.places: dict[bytes, int] = {}
        self.acknowledged_index = 0
        """Highest index of which any client was told that it is committed."""
        self.refused: dict[bytes, NotCommitted] = {}

    def leads(self, process: str, term: int) -> None:
        """At most one process leads in a term."""
        if self.leaders.setdefault(term, process) != process:
            raise Violation(f"{self.leaders[term]} and {process} both lead in term {term}")

    def applied(self, node: str, index: int, command: bytes, digest: int) -> None:
        """Every node applies the same commands at the same indexes, with the same effect, each command once."""
        if self.commands.setdefault(index, command) != command:
            raise Violation(
                f"{node} applies {command!r} at {index}, where {self.commands[index]!r} was applied"
            )
        if self.digests.setdefault(index, digest) != digest:
            raise Violation(f"the state of {node} after {index} differs from that of others")
        if self.places.setdefault(command, index) != index:
            raise Violation(f"{command!r} is applied at {self.places[command]} and at {index}")
        if command in self.refused:
            raise Violation(f"{command!r} was refused ({self.refused[command]}) and is applied at {index}")

    def proposal_ended(self, command: bytes, outcome: Outcome, expected_result: object) -> None:
        """What a client is told of a proposal is true."""
        if isinstance(outcome, Committed):
            if self.commands.get(outcome.index) != command:
                raise Violation(f"{command!r} is called committed at {outcome.index}, where it is not applied")
            if outcome.result != expected_result:
                raise Violation(f"{command!r} gave {outcome.result!r}, not {expected_result!r}")
            self.acknowledged_index = max(self.acknowledged_index, outcome.index)
        elif isinstance(outcome, NotCommitted):
            if command in self.places:
                raise Violation(f"{command!r} is called not committed ({outcome}), and it is applied")
            self.refused[command] = outcome

    def has_all(self, node: str, applied_index: int, digest: int) -> None:
        """A node that has caught up holds every acknowledged write and the state of all others."""
        if applied_index < self.acknowledged_index:
            raise Violation(
                f"{node} has applied {applied_index}, but {self.acknowledged_index} is acknowledged"
            )
        last = max((index for index in self.digests if index <= applied_index), default=0)
        if last and self.digests[last] != digest:
            raise Violation(f"the state of {node} at {applied_index} differs from that of others")


class Registers:
    """The machine: a few registers, and a digest of everything that ever happened to them."""

    def __init__(self, ledger: Ledger, node: str, on_restore: Callable[[], None]) -> None:
        self._ledger = ledger
        self._on_restore = on_restore
        self._node = node
        self.values: dict[str, str] = {}
        self.index = 0
        self.digest = 0

    def apply(self, index: int, command: bytes) -> object:
        digest = self._take(index, command)
        key, _, value = command.decode().partition("=")
        self.values[key] = value
        return digest

    def _take(self, index: int, command: bytes) -> int:
        if index <= self.index:
            raise Violation(f"{self._node} applies {index} after {self.index}")
        self.index = index
        self.digest = zlib.crc32(command + index.to_bytes(8, "big"), self.digest)
        self._ledger.applied(self._node, index, command, self.digest)
        return self.digest

    def change_members(self, index: int, membership: Membership) -> object:
        return self._take(index, encode_membership(membership))

    def snapshot(self) -> Iterator[bytes]:
        octets = msgspec.json.encode([self.index, self.digest, self.values])
        return iter([octets[start : start + 50] for start in range(0, len(octets), 50)])

    def prepare(self, pieces: Iterable[bytes]) -> tuple[int, int, dict[str, str]]:
        try:
            return msgspec.json.decode(b"".join(pieces), type=tuple[int, int, dict[str, str]])
        except msgspec.DecodeError as error:
            raise BadSnapshot(str(error)) from error

    def install(self, prepared: tuple[int, int, dict[str, str]]) -> None:
        index, digest, values = prepared
        if index and self._ledger.digests.get(index) != digest:
            raise Violation(f"{self._node} restores a state after {index} that no node had")
        self.index, self.digest, self.values = index, digest, values
        self._on_restore()
