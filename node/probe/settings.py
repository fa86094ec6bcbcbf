"""What the prober is told besides the State."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProberSettings:
    """Local matters of probing: this node's trust, its reference targets and its limits."""

    ca_file: Path | None = None
    """Trusted in addition to the system's store."""
    exec_checks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The argv of every exec check by its name; ``{}`` as a word of it stands for the address."""
    references: tuple[str, ...] = ()
    """``ip:port`` of targets beyond this node's uplink; when none answers, the node is isolated."""
    flights_max: int = 1_000
    """Probes in the air at a time; more wait, and are told as late."""
    batch_s: float = 0.05
    """Changes of votes within this time go into one entry of the log."""
    isolation_hold_s: float = 15.0
    """For so long at least this node doubts itself when nothing answers it; see ``guard``."""
