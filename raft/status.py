"""What a replica tells of itself and its peers."""

from dataclasses import dataclass
from typing import Literal

ReplicaRole = Literal["leader", "follower", "candidate", "learner"]


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What this node knows of another member."""

    name: str
    address: str
    connected: bool
    last_contact_s: float | None
    """Seconds since anything was heard from it; None for never."""
    match_index: int | None
    """How far its log agrees with the leader's; known on the leader only."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A replica at one moment."""

    node: str
    role: ReplicaRole
    leader: str | None
    term: int
    commit_index: int
    applied_index: int
    last_index: int
    snapshot_index: int
    log_bytes: int
    has_quorum: bool
    """A leader is known that hears a majority, as far as this node can tell."""
    ready: bool
    """What was known to be committed when the cluster was first met is applied here."""
    members: tuple[str, ...]
    peers: tuple[PeerStatus, ...]
