"""What became of a proposal, and what its caller may do next."""

from dataclasses import dataclass
from typing import Literal

NotCommittedReason = Literal["no-leader", "no-quorum", "busy", "too-large", "stopped", "refused", "read-only"]


@dataclass(frozen=True, slots=True)
class Committed:
    """The command is in the log for good and applied on the node that answers."""

    index: int
    result: object
    """What ``StateMachine.apply`` returned here."""


@dataclass(frozen=True, slots=True)
class NotCommitted:
    """The command is not in the log and never will be; nothing was changed."""

    reason: NotCommittedReason
    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The command may or may not be, or become, part of the log; only reading can tell."""

    detail: str


Outcome = Committed | NotCommitted | Unknown
