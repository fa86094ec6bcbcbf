"""What became of every write, and whether all nodes agree with that."""

import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.cluster.nodes import Nodes
from tests.cluster.servers import wait_until

ZONE = "example.org"
SHOWN_MAX = 10
PATIENCE_S = 60.0
"""A machine with much else to do takes long; what is waited for mostly takes far less than a second."""
NOTHING_CHANGED = frozenset({"unsent", "no_leader", "no_quorum", "busy", "stopped", "not_ready"})
"""What a write may be refused with for reasons that are not its own."""


@dataclass
class Ledger:
    """The fates of writes, each with a name and a value of its own; safe to use from many threads."""

    acknowledged: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    """The code of the refusal by the write's name; ``unsent`` for a connection that was never made."""
    unknown: set[str] = field(default_factory=set)
    acknowledged_by: Counter[int] = field(default_factory=Counter)
    refused_by: Counter[tuple[int, str]] = field(default_factory=Counter)
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def new_name(self) -> str:
        """Return a name that no other write has."""
        with self._lock:
            self._number += 1
            return f"w{self._number}"

    def note(self, name: str, node: int, code: str) -> None:
        """Note what one node said of a write."""
        with self._lock:
            if code == "ok":
                self.acknowledged.add(name)
                self.acknowledged_by[node] += 1
            elif code == "outcome_unknown":
                self.unknown.add(name)
            else:
                self.refused[name] = code
                self.refused_by[node, code] += 1

    def wait_acknowledged(self, more: int, *nodes: int, timeout_s: float = PATIENCE_S) -> float:
        """Wait until each of these nodes (or all together) acknowledged so many more; return the seconds."""
        with self._lock:
            before = Counter(self.acknowledged_by)
        if nodes:
            return wait_until(
                lambda: all(self.acknowledged_by[node] >= before[node] + more for node in nodes),
                f"{more} more writes are acknowledged by each of {nodes}",
                timeout_s,
            )
        return wait_until(
            lambda: self.acknowledged_by.total() >= before.total() + more,
            f"{more} more writes are acknowledged",
            timeout_s,
        )

    def __str__(self) -> str:
        codes = Counter(self.refused.values())
        refused = ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
        return (
            f"{len(self.acknowledged)} writes acknowledged, {len(self.refused)} refused ({refused or 'none'}), "
            f"{len(self.unknown)} of unknown fate"
        )


def wait_agree(nodes: Nodes, *numbers: int, timeout_s: float = PATIENCE_S) -> int:
    """Wait until these nodes, or all, have applied the same entries; return the index. One digest, one index."""
    seen: set[tuple[int, str]] = set()

    def agree() -> bool:
        rows = [nodes.status(number) for number in numbers or nodes.numbers]
        seen.clear()
        seen.update((row["applied_index"], row["state_digest"]) for row in rows if row is not None)
        indexes = {index for index, _ in seen}
        same = len(indexes) == 1 and None not in rows
        assert not same or len(seen) == 1, f"digests differ at one index: {seen}"
        return same

    try:
        wait_until(agree, "all nodes are at one index", timeout_s)
    except AssertionError as error:
        raise AssertionError(f"{error}; {seen}") from None
    return next(iter(seen))[0]


def check(nodes: Nodes, ledger: Ledger, *numbers: int) -> int:
    """Compare these nodes, or all, with the ledger once nobody writes; return the index at which they agree.

    Every acknowledged write is there with its value, nothing refused is, nothing is there that nobody
    wrote, and they have one digest.
    """
    index = wait_agree(nodes, *numbers)
    for number in numbers or nodes.numbers:
        compare(f"ns{number} at index {index}", _held(nodes, number), ledger)
    strange = {code for code in ledger.refused.values() if code not in NOTHING_CHANGED}
    assert set() == strange, f"refused for no good reason: {strange}"
    return index


def compare(where: str, held: dict[str, list[str]], ledger: Ledger) -> None:
    """Compare the writes that are there, by name, with what became of them."""
    faults = {
        "lost": ledger.acknowledged - held.keys(),
        "refused but there": ledger.refused.keys() & held.keys(),
        "forged": held.keys() - ledger.acknowledged - ledger.unknown - ledger.refused.keys(),
        "wrong": {name for name, values in held.items() if values != [f'"{name}"']},
    }
    for what, names in faults.items():
        shown = ", ".join(sorted(names)[:SHOWN_MAX])
        assert not names, f"{where}: {len(names)} writes are {what}: {shown}"


def _held(nodes: Nodes, number: int) -> dict[str, list[str]]:
    """Return the values by name that a node holds."""
    held: dict[str, list[str]] = {}
    after = ""
    while True:
        path = f"/v1/zones/{ZONE}/rrsets?type=TXT&limit=1000{after}"
        page = nodes.api("GET", number, path).json()
        for item in page["items"]:
            name = item["name"].partition(".")[0]
            if name.startswith("w"):
                held[name] = item["rdatas"]
        if page["next"] is None:
            return held
        after = f"&after={page['next']}"
