"""What a probe comes to, and how its kinds tell why it failed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One try to reach an endpoint: its outcome, how long it took, and one short sentence of evidence."""

    up: bool
    latency_ms: int
    evidence: str
    answered: bool = False
    """Something came back, be it a refusal: the network between is alive, whatever the endpoint's state."""
    tried: bool = True
    """False when this node could not even try (no permission, no descriptor left): that is evidence of
    nothing, and counts as neither good nor bad."""
    warning: str = ""
    """What will be wrong soon: a certificate that is about to end."""


class Failed(Exception):
    """The endpoint is not well; the message is the evidence, the rest as in ``ProbeResult``."""

    def __init__(self, evidence: str, *, answered: bool = True, tried: bool = True) -> None:
        self.answered = answered
        self.tried = tried
        super().__init__(evidence)


@dataclass(slots=True)
class Progress:
    """How far a probe has come, so that its deadline can say what was missing."""

    missing: str = "no connection"
    answered: bool = False
    warning: str = ""

    def await_next(self, missing: str) -> None:
        """Note that the endpoint answered, and what has to come next."""
        self.missing = missing
        self.answered = True
