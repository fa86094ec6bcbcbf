"""What one entry changed: who, why, and what was in DNS before and after."""

import pytest

from node.health.service import Check, Endpoint, Service
from node.state.command import (
    ChangeZone,
    Command,
    DeleteService,
    DropVotes,
    PutEndpoint,
    PutRRset,
    PutService,
)
from node.state.entry_story import RECORDS_SHOWN_MAX, EntryStory, tell_entry
from node.state.operations import KeepSchedule, Place, SetOverrides
from node.state.past import NotHeld
from tests.state.conftest import rrset
from tests.state.play import SEED, WWW, ZONE, Play

ONE, TWO = "192.0.2.1", "192.0.2.2"


class Cluster(Play):
    """A service of two endpoints, and what is told of its entries."""

    def __init__(self) -> None:
        super().__init__()
        self.do(SEED)
        self.do(PutService(Service(WWW, ZONE, Check("tcp", 80), (Endpoint(ONE), Endpoint(TWO)))))

    def tell(self, command: Command) -> EntryStory:
        """Apply a command as the next entry, and tell of it."""
        self.do(command)
        return tell_entry(self.state, self.state.index)

    def vote(self, node: str, address: str, *, up: bool) -> EntryStory:
        self.cast(address, up, node)
        return tell_entry(self.state, self.state.index)


def said(story: EntryStory) -> str:
    return "\n".join(line.text for each in story.services for line in each.lines)


def test_a_withdrawal() -> None:
    """The votes with what they saw, the rule, both answers and both serials; the endpoint that stays is left out."""
    cluster = Cluster()
    cluster.vote("n1", ONE, up=False)
    assert "has 192.0.2.1, 192.0.2.2 in DNS, as before" in said(tell_entry(cluster.state, cluster.state.index))
    story = cluster.vote("n3", ONE, up=False)
    (change,), (records,) = story.services, story.records
    assert ((ONE, TWO), (TWO,)) == (change.before, change.after)
    for sentence in (
        "www.example.org. had 192.0.2.1, 192.0.2.2 in DNS, and has 192.0.2.2",
        "192.0.2.1 is not published: it is down",
        "0 of 3 nodes say up, 2 down, 1 nothing; the rule is that a majority must say down",
        "▼ n1  HTTP 503",
        "▼ n3  HTTP 503",
    ):
        assert sentence in said(story), said(story)
    assert "192.0.2.2 is" not in said(story)
    assert (("www.example.org. 5 A 192.0.2.1",), ()) == (records.removed, records.added)
    assert 1 == records.serial_to - records.serial_from
    assert ("alice", "work", 1_700_000_000_000) == (story.actor, story.reason, story.at_ms)


def test_what_people_do() -> None:
    """A drain with its author, another definition, a service that comes and goes."""
    cluster = Cluster()
    assert "the service is new" in said(tell_entry(cluster.state, cluster.state.index))
    story = cluster.tell(SetOverrides((Place(WWW, ONE),), "drain"))
    assert "drained since 2023-11-14 22:13:20 UTC (index 3) by alice: work, until it is taken back" in said(
        story
    )
    story = cluster.tell(PutEndpoint(WWW, Endpoint("192.0.2.9")))
    assert "its definition changed: 192.0.2.9 added" in said(story)
    assert "192.0.2.9 is published: nothing says that it is down" in said(story)
    assert "192.0.2.2 is published" not in said(story)
    story = cluster.tell(DeleteService(WWW))
    assert ((TWO, "192.0.2.9"), ()) == (story.services[0].before, story.services[0].after)
    assert "the service is gone" in said(story)


def test_lost_leases_and_records() -> None:
    """What is about no service has its events alone; of many records the first are told, and how many more."""
    cluster = Cluster()
    cluster.vote("n1", ONE, up=True)
    story = cluster.tell(DropVotes("n1"))
    assert (["votes.dropped"], ()) == ([each.kind for each in story.events], story.services)
    changes = tuple(PutRRset(rrset(f"a{number}", "A", ONE)) for number in range(RECORDS_SHOWN_MAX + 7))
    (records,) = cluster.tell(ChangeZone(ZONE, changes)).records
    assert (RECORDS_SHOWN_MAX, 7) == (len(records.added), records.more)


def test_an_entry_that_told_nothing() -> None:
    """It is said where the nearest events are."""
    cluster = Cluster()
    with pytest.raises(NotHeld, match="index 3 changed nothing that is told; the events next to it are at 2"):
        cluster.tell(KeepSchedule(5))
    with pytest.raises(NotHeld, match="index 99 is to come"):
        tell_entry(cluster.state, 99)


def test_the_oldest_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was before the oldest events is not known, and that is said."""
    monkeypatch.setattr("node.state.draft.EVENTS_MAX", 4)
    cluster = Cluster()
    for number in range(6):
        cluster.vote("n1", ONE, up=number % 2 == 0)
    oldest = cluster.state.events[min(cluster.state.events)].index
    story = tell_entry(cluster.state, oldest)
    assert (f"what was before index {oldest} is not held",) == story.notes
    assert story.services[0].before is None
    assert "www.example.org. has 192.0.2.1, 192.0.2.2 in DNS" in said(story)
