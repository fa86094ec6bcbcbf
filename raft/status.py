"""What a replica tells of itself and its peers."""

from dataclasses import dataclass
from typing import Literal

from raft.membership import Seat

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
class CertificateStatus:
    """The certificate of this node as it is in use. Times in seconds since 1970."""

    begins_at_s: float
    ends_at_s: float
    problem: str
    """Why newer files are not in use; empty if they are."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A replica at one moment."""

    node: str
    role: ReplicaRole
    leader: str | None
    term: int
    commit_index: int
    """The newest entry known to be committed, be it not here yet."""
    applied_index: int
    last_index: int
    snapshot_index: int
    log_bytes: int
    has_quorum: bool
    """A leader is known that hears a majority, as far as this node can tell."""
    ready: bool
    """What was known to be committed when the cluster was first met is applied here."""
    members: tuple[str, ...]
    """Names of the nodes that vote."""
    peers: tuple[PeerStatus, ...]
    learners: tuple[PeerStatus, ...] = ()
    """The other nodes that do not vote."""
    seats: tuple[Seat, ...] = ()
    """All nodes of the membership in force."""
    refusals: tuple[tuple[str, str], ...] = ()
    """By name of the other node: why it and this one do not come together."""
    stale_s: float | None = None
    """How long ago a leader was last heard; 0 on the leader, None for never."""
    certificate: CertificateStatus | None = None
    """None where nodes have no certificates."""
    elections: int = 0
    """How often this node has asked to be elected since its start."""
