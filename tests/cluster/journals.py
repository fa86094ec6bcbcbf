"""The journals of killed nodes: what was committed never changes, is the same everywhere, and is there once."""

import re
from pathlib import Path

from node.state.command import decode
from raft.library import NO_OPERATION, REGULAR
from raft.replay import read_header, replay
from tests.cluster.nodes import Nodes

WRITE = re.compile(rb"(w[0-9]+)\x07example\x03org")


class Committed:
    """The committed entries that were ever seen in a journal."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[bytes, int]] = {}
        self._last = 0

    def take(self, nodes: Nodes, committed: int) -> None:
        """Read the journals of nodes that do not run; entries up to ``committed`` are known to be so."""
        for number in nodes.numbers:
            name = f"ns{number}"
            for command, index, term in _entries(nodes.folder / "data" / name / "journal", name):
                if index <= committed:
                    self._compare(name, index, term, command)

    def _compare(self, node: str, index: int, term: int, command: bytes) -> None:
        known = self._entries.get(index)
        if known is None or known[0] == NO_OPERATION:
            self._entries[index] = (command, term)
        elif command != NO_OPERATION:  # which also stands for what a received snapshot holds
            assert known == (command, term), f"entry {index} of {node} is not what was committed"

    def duplicates(self) -> dict[str, int]:
        """Return the writes that were brought into the log under more than one ticket: carried out twice."""
        tickets: dict[str, set[object]] = {}
        for index, (command, _) in self._entries.items():
            for name, ticket in _writes(command):
                tickets.setdefault(name, set()).add(ticket or index)
        return {name: len(found) for name, found in tickets.items() if len(found) > 1}

    def __len__(self) -> int:
        return len(self._entries)


def _entries(path: Path, node: str) -> list[tuple[bytes, int, int]]:
    data = path.read_bytes()
    header, begin = read_header(path, data, "lab", node)
    return replay(path, data, begin, header.salt).entries


def _writes(command: bytes) -> list[tuple[str, tuple[str, int | str] | None]]:
    """Return the names of writes that a command holds, each with the ticket it is carried out once by."""
    names = {found.decode() for found in WRITE.findall(command)}
    if not names:
        return []
    ticket = decode(command.removeprefix(REGULAR)).ticket
    return [(name, ticket and (ticket.client, ticket.key)) for name in sorted(names)]
