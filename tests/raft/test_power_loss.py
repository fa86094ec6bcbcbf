"""A journal whose machine loses power between any two calls of the disk, again and again."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from raft.journal import JournalIdentity, WalJournal
from tests.sim.disk import SimDisk

PATH = Path("/data/journal")
IDENTITY = JournalIdentity("c1", "a")
LIVES = 6
CALLS_MAX = 60

Entries = list[tuple[bytes, int, int]]
Contents = tuple[Entries, int, str | None]
"""Entries, term and vote."""


class PowerLost(Exception):
    """The machine stopped before this call."""


class FusedDisk(SimDisk):
    """Loses power after a number of calls that change something."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.calls_left = CALLS_MAX * LIVES

    def _check_space(self) -> None:  # before a file is made or written
        self._burn()

    def _check_broken(self) -> None:  # before anything is synced
        self._burn()

    def replace(self, source: Path, target: Path) -> None:
        self._burn()
        super().replace(source, target)

    def truncate(self, path: Path, size: int) -> None:
        self._burn()
        super().truncate(path, size)

    def _burn(self) -> None:
        if self.calls_left == 0:
            raise PowerLost
        self.calls_left -= 1


class Writer:
    """Does what a node does to its journal, and knows what may be found after a power loss."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.entries: Entries = []
        self.term = 0
        self.vote: str | None = None
        self.possible: list[Contents] = []
        """What the last sync promised, and all that was asked for since then."""

    @property
    def contents(self) -> Contents:
        return list(self.entries), self.term, self.vote

    def work(self, journal: WalJournal) -> None:
        """Go on until the power is lost."""
        self.possible = [self.contents]
        acts = (
            [self.add] * 8
            + [self.sync] * 3
            + [self.seal]
            + [self.vote_for, self.cut, self.compact, self.compact, self.begin_anew]
        )
        while True:
            for _ in self.rng.choice(acts)(journal):
                self.possible.append(self.contents)

    def add(self, journal: WalJournal) -> Iterator[None]:
        index = self.entries[-1][1] + 1 if self.entries else self.rng.randint(1, 9)
        entry = (self.rng.randbytes(self.rng.choice([0, 3, 50, 400, 3000])), index, self.term)
        self.entries.append(entry)
        yield
        journal.add(*entry)

    def sync(self, journal: WalJournal) -> Iterator[None]:
        journal.sync()
        self.possible = []
        yield

    def seal(self, journal: WalJournal) -> Iterator[None]:
        journal.onOneSecondTimer()
        yield

    def vote_for(self, journal: WalJournal) -> Iterator[None]:
        self.term, self.vote = self.term + 1, self.rng.choice([None, "a", "b"])
        yield
        journal.setCurrentTerm(self.term, self.vote)
        yield from self.sync(journal)

    def cut(self, journal: WalJournal) -> Iterator[None]:
        position = self.rng.randint(0, len(self.entries))
        del self.entries[position:]
        yield
        journal.deleteEntriesFrom(position)

    def compact(self, journal: WalJournal) -> Iterator[None]:
        position = self.rng.randint(0, len(self.entries))
        if self.rng.random() < 0.5:
            journal.prepare_cut(position)()
            yield from self.add(journal)
        del self.entries[:position]
        yield
        journal.deleteEntriesTo(position)
        if position:
            yield from self.sync(journal)

    def begin_anew(self, journal: WalJournal) -> Iterator[None]:
        last = self.entries[-1][1] + 5 if self.entries else 7
        self.entries = [(b"\1", last - 1, self.term), (b"\1", last, self.term)]
        yield
        journal.reset(self.entries)
        yield from self.sync(journal)


@pytest.mark.parametrize("seed", range(150))
def test_nothing_promised_is_lost_with_the_power(seed: int) -> None:
    """What a sync, a vote, a compaction or a reset promised is there, whichever call was the last; and no mixture."""
    rng = random.Random(seed)
    disk, writer = FusedDisk(rng), Writer(rng)
    journal = WalJournal(PATH, IDENTITY, disk)
    for _ in range(LIVES):
        disk.calls_left = rng.randint(0, CALLS_MAX)
        with pytest.raises(PowerLost):
            writer.work(journal)
        disk.lose_power()
        disk.calls_left = CALLS_MAX
        journal = WalJournal(PATH, IDENTITY, disk)
        found = (list(journal[:]), journal.getCurrentTerm(), journal.getVotedForNodeId())
        assert found in writer.possible
        writer.entries, writer.term, writer.vote = found
