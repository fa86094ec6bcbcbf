"""What a replica is told before it starts: who it is, who its peers are, where it keeps what it knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from raft.protection import TlsFiles


@dataclass(frozen=True, slots=True)
class RaftSettings:
    """One replica of one cluster. Addresses are ``IP:PORT``; times in seconds."""

    node: str
    members: Mapping[str, str]
    """Address by name, this node's own included."""
    bind: str
    cluster: str
    data_dir: Path | None
    """None keeps everything in memory: allowed for a cluster of one."""
    secret: bytes | None = field(repr=False)
    replicas: frozenset[str] = frozenset()
    """Those of the members that hold the log and serve from it, and never vote."""
    tls: TlsFiles | None = None
    """Certificates; they take the place of the secret where both are given."""
    election_timeout_s: tuple[float, float] = (0.25, 0.5)
    heartbeat_s: float = 0.05
    proposals_max: int = 10_000
    proposal_bytes_max: int = 4 * 1024 * 1024
    snapshot_entries: int = 20_000
    """Entries applied since the last snapshot that make a new one due."""

    @property
    def role(self) -> Literal["voter", "replica"]:
        """What this node is."""
        return "replica" if self.node in self.replicas else "voter"
