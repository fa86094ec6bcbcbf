"""What can go wrong, as one exception with the exit code it leads to.

Every error message has one shape: what did not happen and why, facts indented below it, and a hint
with the next command. It is built here and printed in ``main`` alone.
"""

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What scripts may rely on."""

    DONE = 0
    BUG = 1
    USAGE = 2
    CONFIG = 3
    UNREACHABLE = 4
    FORBIDDEN = 5
    NOT_FOUND = 6
    CONFLICT = 7
    NO_QUORUM = 8
    UNKNOWN = 9
    DEGRADED = 10
    CRITICAL = 11
    DIFFERENT = 12
    INTERRUPTED = 130


class Failure(Exception):
    """Something did not happen; carries the sentence, facts, a hint and the exit code."""

    def __init__(self, message: str, code: ExitCode, *, facts: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.facts = tuple(facts)
        self.hint = hint

    def render(self) -> str:
        """Return the lines for standard error."""
        lines = [f"error: {self.message}", *(f"  {fact}" for fact in self.facts)]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class ConfigFailure(Failure):
    """The configuration cannot be used; ``text`` shows every fault at its place."""

    def __init__(self, text: str) -> None:
        super().__init__(text, ExitCode.CONFIG)

    def render(self) -> str:
        """Return the faults as they were rendered."""
        return self.message


def usage(message: str, hint: str = "") -> Failure:
    """Return the failure for a command line that cannot be meant."""
    return Failure(message, ExitCode.USAGE, hint=hint)
