"""What a snapshot holds, read piece by piece without keeping its records: a million cost no memory."""

from collections.abc import Iterable

import msgspec

from node.state.snapshot import Reader, ZoneHead
from node.state.state import State
from node.zone.rrset import RRset
from node.zone.zone import Zone, digest_with


class Survey(msgspec.Struct, frozen=True):
    """A State whose zones know their serial, count and digest, but hold nothing; and what was counted."""

    state: State
    rrsets: int
    records: int


def survey(pieces: Iterable[bytes]) -> Survey:
    """Read a whole snapshot, and compare its digest as ``snapshot.load`` does. Raises ``BadState``."""
    reader = _Surveyor()
    state = reader.read(pieces)
    return Survey(state, sum(reader.counts), reader.records)


class _Surveyor(Reader):
    """Counts and hashes RRsets where its parent keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []
        self.digests: list[int] = []
        self.records = 0

    def take_zone(self, head: ZoneHead) -> None:
        """Begin to count another zone."""
        super().take_zone(head)
        self.counts.append(0)
        self.digests.append(0)

    def take_rrsets(self, rows: list[tuple[int, RRset]]) -> None:
        """Count RRsets of the latest zone."""
        self.counts[-1] += len(rows)
        self.digests[-1] = digest_with(self.digests[-1], (rrset for _, rrset in rows))
        self.records += sum(len(rrset.rdatas) for _, rrset in rows)

    def zone(self, number: int) -> Zone:
        """Return a zone without its contents."""
        head = self.zones[number]
        return Zone(head.name, head.serial, rrset_count=self.counts[number], digest=self.digests[number])
