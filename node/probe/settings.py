"""What the prober is told besides the State."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProberSettings:
    """Local matters of probing: this node's trust, its reference targets and its limits."""

    ca_file: Path | None = None
    """Trusted in addition to the system's store."""
    references: tuple[str, ...] = ()
    """``ip:port`` of targets beyond this node's uplink; when none answers, the node is isolated."""
    flights_max: int = 1_000
    """Probes in the air at a time; more wait, and are told as late."""
    batch_s: float = 0.05
    """Changes of votes within this time go into one entry of the log."""
    isolation_hold_s: float = 15.0
    """For so long at least this node doubts itself when nothing answers it; see ``guard``."""
