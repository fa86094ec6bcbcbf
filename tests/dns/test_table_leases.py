"""What is leased is answered from the table only while somebody looks after the leases."""

import time

import pytest

from node.dns import table_layout as layout
from node.dns.answerer_cache import AnswerCache
from node.dns.table_reader import Reader
from node.dns.table_writer import TableWriter
from node.state.state import Changed
from node.zone.lease import LeaseKey
from node.zone.name import Name, from_text
from node.zone.rrset import make
from node.zone.zone import Replacement, with_changes
from tests.dns.tables import Twin, packet, refusal
from tests.dns.zones import zones

APEX, WWW, ALIAS, OTHER = (
    from_text(text) for text in ("example.", "www.example.", "al.example.", "other.example.")
)
KEY = LeaseKey(APEX, WWW, 1)
pytestmark = pytest.mark.usefixtures("reader")


class Leases:
    """Names on leases, by hand."""

    def __init__(self) -> None:
        self.names: set[Name] = set()

    def is_leased(self, name: Name) -> bool:
        """Say whether something at a name is on a lease."""
        return name in self.names

    def names_of(self, key: LeaseKey) -> tuple[Name, ...]:
        """Return the names that a lease is on."""
        return (key.name,) if key.name in self.names else ()


class LeasedTwin(Twin):
    """A table that knows of leases."""

    def __init__(self) -> None:
        super().__init__(zones({"example.": "www A 192.0.2.1\nal CNAME www\nother A 192.0.2.3\n"}))
        self.leases = Leases()
        self.writer = TableWriter(1232, refusal, self.leases)
        self.writer.publish(self.zones, None)
        self.cache = AnswerCache(Reader(self.writer.heap.buffer), self.cache.line)

    def hold(self, seconds: float) -> None:
        """Say for how long leased answers hold."""
        until = int((time.monotonic() + seconds) * 1000)
        self.writer.heap.publish(layout.WORD_LEASES, max(0, until))

    def is_answered(self, name: Name) -> bool:
        """Say whether a name is answered from the table, as it is every time it is asked between two batches."""
        self.cache.catch_up()
        found = {self.answer(packet(name, 1)) is not None for _ in range(4)}
        assert 1 == len(found)
        return found.pop()


@pytest.fixture
def twin() -> LeasedTwin:
    """Build a table."""
    return LeasedTwin()


def test_a_lease_granted_without_another_change_is_seen(twin: LeasedTwin) -> None:
    """Its name and what leads to it are handed up once nobody looks after leases; the rest is not."""
    assert twin.is_answered(WWW)
    assert twin.is_answered(ALIAS)
    twin.leases.names.add(WWW)
    twin.change(twin.zones, Changed(leases=(KEY,)))
    assert [False, False, True] == [twin.is_answered(name) for name in (WWW, ALIAS, OTHER)]
    twin.hold(60)
    assert [True, True, True] == [twin.is_answered(name) for name in (WWW, ALIAS, OTHER)]
    twin.hold(-1)
    assert [False, False, True] == [twin.is_answered(name) for name in (WWW, ALIAS, OTHER)]


def test_what_is_leased_when_the_table_is_made_is_marked(twin: LeasedTwin) -> None:
    """A table made anew knows what is leased from the beginning."""
    twin.leases.names.add(WWW)
    twin.writer = TableWriter(1232, refusal, twin.leases)
    twin.writer.publish(twin.zones, None)
    twin.cache = AnswerCache(Reader(twin.writer.heap.buffer), twin.cache.line)
    assert [False, False, True] == [twin.is_answered(name) for name in (WWW, ALIAS, OTHER)]
    twin.hold(60)
    assert twin.is_answered(WWW)
    assert twin.allows(packet(WWW, 1), twin.answer(packet(WWW, 1)) or b"")


def test_a_renewal_makes_nothing_anew(twin: LeasedTwin) -> None:
    """Leases are renewed all the time; that costs the table nothing."""
    twin.leases.names.add(WWW)
    twin.change(twin.zones, Changed(leases=(KEY,)))
    before = twin.writer.heap.words[layout.WORD_NOTICES]
    for _ in range(10):
        twin.change(twin.zones, Changed(leases=(KEY,)))
    assert before == twin.writer.heap.words[layout.WORD_NOTICES]


def test_a_lease_that_ended_leaves_no_mark(twin: LeasedTwin) -> None:
    """With the next change of the name its answers hold without anybody's care again."""
    twin.leases.names.add(WWW)
    twin.change(twin.zones, Changed(leases=(KEY,)))
    twin.leases.names.clear()
    rrset = make(WWW, 1, 60, [b"\x0a\x00\x00\x01"])
    after = with_changes(twin.zones[APEX], [Replacement(WWW, 1, rrset)], 2)
    twin.change({APEX: after}, Changed(names=((APEX, WWW), (APEX, APEX)), zones=(APEX,), leases=(KEY,)))
    assert [True, True, True] == [twin.is_answered(name) for name in (WWW, ALIAS, OTHER)]
    assert twin.allows(packet(ALIAS, 1), twin.answer(packet(ALIAS, 1)) or b"")
