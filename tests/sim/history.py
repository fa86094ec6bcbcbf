"""What clients did and saw, and whether one register could have answered so."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

FOREVER = 1 << 60


@dataclass
class Operation:
    """A write or read of one register; moments are numbers in the order in which things happened."""

    kind: Literal["write", "read"]
    key: str
    value: str | None
    """What is written, or was read; None for nothing yet."""
    called: int
    returned: int = FOREVER
    """When its effect was certain; for ever if nobody can tell."""


def find_unlinearizable_key(operations: Iterable[Operation]) -> str | None:
    """Return a key whose operations no single register can explain, or None."""
    by_key: dict[str, list[Operation]] = {}
    for each in operations:
        by_key.setdefault(each.key, []).append(each)
    return next((key for key, mine in sorted(by_key.items()) if not is_linearizable(mine)), None)


def is_linearizable(operations: list[Operation]) -> bool:
    """Search for an order that a register explains (Wing and Gong 1993, with Lowe's memory of dead ends).

    A write of unknown fate that nobody read may be left out: that it never happened explains as much. A
    read that fits the present value is taken at once: waiting cannot make it fit better.
    """
    seen = {each.value for each in operations if each.kind == "read"}
    needed = [each for each in operations if each.returned < FOREVER or each.value in seen]
    needed.sort(key=lambda each: each.called)
    everything = (1 << len(needed)) - 1
    dead_ends: set[tuple[int, str | None]] = set()
    stack: list[tuple[int, str | None]] = [(0, None)]
    while stack:
        done, value = _take_reads(needed, *stack.pop())
        if done == everything:
            return True
        if (done, value) in dead_ends:
            continue
        dead_ends.add((done, value))
        writes = [position for position in _next(needed, done) if needed[position].kind == "write"]
        stack += [(done | 1 << position, needed[position].value) for position in writes]
    return False


def _next(operations: list[Operation], done: int) -> list[int]:
    """Return the positions of the operations that may come next: called before any other has returned."""
    found, first_return = [], FOREVER
    for position, each in enumerate(operations):
        if done >> position & 1:
            continue
        if each.called > first_return:
            break
        found.append(position)
        first_return = min(first_return, each.returned)
    return [position for position in found if operations[position].called < first_return]


def _take_reads(operations: list[Operation], done: int, value: str | None) -> tuple[int, str | None]:
    while True:
        fitting = [
            position
            for position in _next(operations, done)
            if operations[position].kind == "read" and operations[position].value == value
        ]
        if not fitting:
            return done, value
        for position in fitting:
            done |= 1 << position


def play_register(rng: random.Random, count: int) -> list[Operation]:
    """Return a history that a true register gave to overlapping callers."""
    value: str | None = None
    moment = 0
    operations: list[Operation] = []
    open_operations: list[tuple[Operation, bool]] = []
    while len(operations) < count or open_operations:
        moment += 1
        if len(operations) < count and (not open_operations or rng.random() < 0.5):
            kind: Literal["write", "read"] = "write" if rng.random() < 0.5 else "read"
            each = Operation(kind, "k", str(len(operations)) if kind == "write" else None, moment)
            operations.append(each)
            open_operations.append((each, False))
            continue
        position = rng.randrange(len(open_operations))
        each, took_effect = open_operations[position]
        if not took_effect:
            if each.kind == "write":
                value = each.value
            else:
                each.value = value
            open_operations[position] = (each, True)
        else:
            each.returned = moment
            open_operations.pop(position)
    return operations
