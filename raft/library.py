"""PySyncObj as we use it: one pinned version, its journal and poller replaced, its private state named.

The library builds its parts itself; the two factories it calls are replaced here once, so that a journal
of ours is taken as it is and no poller owns a file descriptor. Everything private that our subclass
reads or writes is named in ``LibraryState``, and nowhere else.
"""

import hashlib
import importlib.metadata
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import pysyncobj.syncobj as library
from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.journal import Journal, MemoryJournal
from pysyncobj.node import Node

from raft.errors import EXIT_WRONG_SETUP, RaftError

LIBRARY_VERSION: Final = "0.3.17"
DIGESTS: Final = {
    "config": "d083c5c03bdf0d6a7e8f91b42b169b55",
    "journal": "3c9216c67467689b3d6726c4158abfc8",
    "node": "7313d64ae08a8feafce2db7534ce798a",
    "syncobj": "4be4910923831ce9850716287356a7fa",
    "transport": "001143d05fae634d9e3cc383aa878660",
}
"""blake2b-128 of the modules whose code we override or build on, as published in that version."""
NO_OPERATION: Final = b"\x01"
"""The library's command without effect: it opens every term and every log."""
REGULAR: Final = b"\x00"
"""The library's mark in front of a command of its user."""

FOLLOWER, CANDIDATE, LEADER = 0, 1, 2


class VolatileJournal(MemoryJournal):  # type: ignore[misc]  # the library has no types
    """A journal in memory, for a cluster of one that need not survive its process."""

    bytes_on_disk = 0
    needs_sync = False
    directory = ""

    def sync(self) -> None:
        """Nothing is ever owed to a disk."""


class _NoPoller:
    """The transport has an event loop; the library's own poller has nothing to do."""

    def poll(self, _timeout: float) -> None:
        """Return at once."""


def check_version() -> None:
    """Refuse the library in every form but the audited one. Raises ``RaftError``."""
    found = importlib.metadata.version("pysyncobj")
    if found != LIBRARY_VERSION:
        raise RaftError(
            f"pysyncobj {found} is installed, but the replicated log is proven with {LIBRARY_VERSION} alone: "
            f"pip install pysyncobj=={LIBRARY_VERSION}",
            exit_code=EXIT_WRONG_SETUP,
        )
    folder = Path(library.__file__).parent
    changed = [name for name, digest in DIGESTS.items() if _digest(folder / f"{name}.py") != digest]
    if changed:
        raise RaftError(
            f"pysyncobj {found} is not as published: {', '.join(changed)} in {folder} differ, and what we correct may "
            f"not be what is there. Put it back: pip install --force-reinstall pysyncobj=={LIBRARY_VERSION}",
            exit_code=EXIT_WRONG_SETUP,
        )


def _digest(path: Path) -> str:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        return error.strerror or "missing"


def _take_journal(journal: Any) -> Journal:
    return journal if journal is not None else VolatileJournal()


library.createJournal = _take_journal
library.createPoller = lambda _kind: _NoPoller()


_hidden: list[str] = []


def _private(name: str) -> Any:
    """Return a property that stands for one private attribute of the library's class; read by C alone."""
    mangled = f"_SyncObj__{name}"
    _hidden.append(mangled)
    return property(attrgetter(mangled), lambda self, value: setattr(self, mangled, value), None, name)


class LibraryState(SyncObj):  # type: ignore[misc]  # the library has no types
    """The library's class with names for what it hides."""

    role: int = _private("raftState")
    term: int = _private("raftCurrentTerm")
    voted_for: str | None = _private("votedForNodeId")
    leader: Node | None = _private("raftLeader")
    log: Any = _private("raftLog")
    commit_index: int = _private("raftCommitIndex")
    applied_index: int = _private("raftLastApplied")
    next_index: dict[Node, int] = _private("raftNextIndex")
    match_index: dict[Node, int] = _private("raftMatchIndex")
    heard_s: dict[Node, float] = _private("lastResponseTime")
    election_deadline_s: float = _private("raftElectionDeadline")
    opened_index: int | None = _private("noopIDx")
    """Index of the entry that opened this leader's term."""
    voters: set[Node] = _private("otherNodes")
    """The other voters."""
    learners: set[Node] = _private("readonlyNodes")
    connected: set[Node] = _private("connectedNodes")
    wire: Any = _private("transport")
    append_due_s: float = _private("newAppendEntriesTime")

    @property
    def last_index(self) -> int:
        """Index of the last entry of the log."""
        return int(self.log[-1][1])

    @property
    def last_term(self) -> int:
        """Term of the last entry of the log."""
        return int(self.log[-1][2])

    @property
    def base_index(self) -> int:
        """Index of the first entry that the log still holds."""
        return int(self.log[0][1])

    def term_at(self, index: int) -> int | None:
        """Return the term of the entry, or None where the log does not hold it."""
        position = index - self.base_index
        return int(self.log[position][2]) if 0 <= position < len(self.log) else None

    def set_term(self, term: int, vote: str | None) -> None:
        """Enter a term, with a vote or none; on the medium before this returns."""
        self._SyncObj__setCurrentTerm(term, vote)

    def set_role(self, role: int) -> None:
        """Become follower, candidate or leader."""
        self._SyncObj__setState(role)

    def draw_election_timeout_s(self) -> float:
        """Return a random time between the two election timeouts."""
        return float(self._SyncObj__generateRaftTimeout())


for _mangled in _hidden:
    setattr(LibraryState, _mangled, None)  # the library's constructor calls us before it has set them all


def now_s() -> float:
    """Return the library's clock: monotonic, in seconds; a simulation replaces it there."""
    return float(library.monotonicTime())


__all__ = [
    "CANDIDATE",
    "FOLLOWER",
    "LEADER",
    "NO_OPERATION",
    "REGULAR",
    "Journal",
    "LibraryState",
    "Node",
    "SyncObjConf",
    "VolatileJournal",
    "check_version",
    "now_s",
]
