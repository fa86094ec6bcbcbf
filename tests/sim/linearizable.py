"""Whether one register, asked by one caller after the other, could have given a history.

The search is that of Wing and Gong (1993) with the memory of dead ends of Lowe (2017): take any operation that
may come next, go on, go back when nothing fits. Operations of unknown outcome stay open for ever: they may have
their effect at any later moment, or never.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

FOREVER: Final = 1 << 60
STEPS_MAX: Final = 20_000_000
"""Positions looked at for one key. A search that needs more is given up: undecided, and told as such."""
_UNSEEN: Final = "\0unseen"
"""Stands for every value that nobody read or expected."""


class Undecided(Exception):
    """The search was given up: the history is too long, or too much of it is unknown."""


@dataclass
class Operation:
    """A call on one register; moments are numbers in the order in which things happened."""

    kind: Literal["write", "read", "swap"]
    key: str
    value: str | None
    """What is written, or was read; None for nothing there."""
    called: int
    returned: int = FOREVER
    """When its outcome was certain; for ever if nobody can tell."""
    expected: str | None = None
    """What must be there for a swap to write its value."""
    swapped: bool | None = None
    """Whether a swap wrote its value; None if nobody can tell."""


def find_unlinearizable_key(operations: Iterable[Operation], steps_max: int = STEPS_MAX) -> str | None:
    """Return a key whose operations no register explains, or None. Raises ``Undecided``."""
    by_key: dict[str, list[Operation]] = {}
    for each in operations:
        by_key.setdefault(each.key, []).append(each)
    return next((key for key, mine in sorted(by_key.items()) if not is_linearizable(mine, steps_max)), None)


def is_linearizable(operations: list[Operation], steps_max: int = STEPS_MAX) -> bool:
    """Search for an order that a register explains. Raises ``Undecided``."""
    return _Search(_simplified(operations), steps_max).succeeds()


def _simplified(operations: list[Operation]) -> list[Operation]:
    """Leave out what explains nothing; give all values that nobody looked for one name."""
    looked_for = {each.value for each in operations if each.kind == "read"}
    looked_for |= {each.expected for each in operations if each.kind == "swap"}
    has_failed_swap = any(each.swapped is False for each in operations)
    kept = []
    for each in sorted(operations, key=lambda each: each.called):
        is_unseen = each.kind != "read" and each.value is not None and each.value not in looked_for
        if is_unseen and each.returned == FOREVER and not has_failed_swap:
            continue  # that it never happened explains as much
        kept.append(replace(each, value=_UNSEEN) if is_unseen else each)
    return kept


def step(operation: Operation, value: str | None) -> tuple[bool, str | None]:
    """Say whether a register that holds the value could answer so, and what it holds then."""
    if operation.kind == "read":
        return operation.value == value, value
    if operation.kind == "write":
        return True, operation.value
    fits = operation.expected == value
    is_possible = operation.swapped is None or operation.swapped == fits
    return is_possible, operation.value if fits else value


class _Search:
    """Goes depth first through the orders in which the operations may have had their effect."""

    def __init__(self, operations: list[Operation], steps_max: int) -> None:
        self._operations = operations
        self._steps_left = steps_max
        self._owed = sum(1 << at for at, each in enumerate(operations) if each.returned < FOREVER)

    def succeeds(self) -> bool:
        dead_ends: set[tuple[int, str | None]] = set()
        stack: list[tuple[int, str | None]] = [(0, None)]
        while stack:
            done, value = self._take_what_changes_nothing(*stack.pop())
            if done & self._owed == self._owed:
                return True
            if (done, value) not in dead_ends:
                dead_ends.add((done, value))
                stack += self._steps_from(done, value)
        return False

    def _steps_from(self, done: int, value: str | None) -> list[tuple[int, str | None]]:
        """Return where the operations that may come next lead to; what is surely done comes last: it goes first."""
        certain, possible = [], []
        has_blind_write = False
        for at in self._next(done):
            each = self._operations[at]
            fits, after = step(each, value)
            if fits and each.returned < FOREVER:
                certain.append((done | 1 << at, after))
            elif fits and after != value:
                is_blind = each.kind == "write" and after is _UNSEEN
                if not (is_blind and has_blind_write):  # one blind write explains as much as another
                    possible.append((done | 1 << at, after))
                has_blind_write |= is_blind
        return possible[::-1] + certain[::-1]

    def _take_what_changes_nothing(self, done: int, value: str | None) -> tuple[int, str | None]:
        """Take reads and refused swaps as soon as they fit: waiting cannot make them fit better."""
        while True:
            fitting = [at for at in self._next(done) if self._is_idle(self._operations[at], value)]
            if not fitting:
                return done, value
            for at in fitting:
                done |= 1 << at

    @staticmethod
    def _is_idle(operation: Operation, value: str | None) -> bool:
        return (operation.kind == "read" or operation.swapped is False) and step(operation, value)[0]

    def _next(self, done: int) -> list[int]:
        """Return the operations that may come next: called before any other that is not done has returned."""
        self._steps_left -= 1
        if self._steps_left < 0:
            raise Undecided(f"{len(self._operations)} operations on {self._operations[0].key}")
        found, first_return = [], FOREVER
        for at in range((~done & (done + 1)).bit_length() - 1, len(self._operations)):
            if done >> at & 1:
                continue
            each = self._operations[at]
            if each.called > first_return:
                break
            found.append(at)
            first_return = min(first_return, each.returned)
        return found
