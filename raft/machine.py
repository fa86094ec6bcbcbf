"""The contract between the replicated log and what it drives."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from raft.membership import Membership


class BadSnapshot(Exception):
    """The octets are not a snapshot this machine can restore; the message says why."""


class StateMachine(Protocol):
    """What every replica drives with the same commands in the same order.

    ``apply`` is deterministic (no clock, random, set order, configuration) and total: whatever the
    octets, it returns a result and never raises.
    """

    def apply(self, index: int, command: bytes) -> object:
        """Apply the command at this log index and return its result; called in the log's own thread."""

    def change_members(self, index: int, membership: Membership) -> object:
        """Take note of who belongs to the cluster from this index on. Total, as ``apply``."""

    def snapshot(self) -> Iterator[bytes]:
        """Return the present state as pieces of at most 1 MiB.

        The call itself is cheap (it takes hold of an immutable version); the iterator is walked
        later in another thread while ``apply`` goes on.
        """

    def prepare(self, pieces: Iterable[bytes]) -> Any:
        """Return the state in the pieces, whole, for ``install``; change nothing. Raises ``BadSnapshot``.

        Called in another thread while ``apply`` goes on, in the log's own only at the start.
        """

    def install(self, prepared: Any) -> None:
        """Let a prepared state take the place of the present one: cheap, in the log's own thread."""
