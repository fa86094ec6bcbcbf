"""Two States are compared as people define them, whatever their order of coming about."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from node.state import snapshot
from node.state.command import Ballot, CastVotes, ChangeZone, Command, DeleteService, PutRRset, PutZone
from node.state.difference import Difference, differences
from node.state.pushes import PutTarget, Target
from node.state.state import State
from node.zone.name import from_text
from node.zone.rrset import SOA
from tests.state.conftest import SETTINGS, WWW, ZONE, rrset
from tests.state.test_restoring import restore
from tests.state.test_snapshot import commands, seeded


def compare(before: State, after: State) -> list[Difference]:
    managed = {*before.services, *after.services}
    return list(differences(snapshot.dump(before), snapshot.dump(after), managed))


def things(state: State, managed: set[bytes]) -> dict[tuple[object, ...], object]:
    """Return what can differ, by what it is: the dumb twin of the comparison."""
    found: dict[tuple[object, ...], object] = {}
    for name, zone in state.zones.items():
        found["zone", name] = state.zone_settings.get(name)
        for each in zone.iter_rrsets():
            if each.type != SOA and not (each.type in (1, 28) and each.name in managed):
                found["rrset", name, each.name, each.type] = each
    found |= {("service", fqdn): each.service for fqdn, each in state.services.items()}
    return found | {("target", name): each for name, each in state.targets.items()}


@given(st.lists(commands, max_size=15), st.lists(commands, max_size=15))
@settings(max_examples=150, deadline=None)
def test_as_a_dumb_comparison_finds(first: list[Command], second: list[Command]) -> None:
    """Each thing that is only here, only there, or otherwise is told once, and nothing else."""
    one, other = seeded(), seeded()
    for command in first:
        one.do(command)
    for command in second:
        other.do(command)
    managed = {*one.state.services, *other.state.services}
    before, after = things(one.state, managed), things(other.state, managed)
    expected = sorted(
        (str(key[0]), "removed" if key not in after else "added" if key not in before else "changed")
        for key in before | after
        if key not in after or key not in before or before[key] != after[key]
    )
    assert expected == sorted((each.kind, each.change) for each in compare(one.state, other.state))


@given(st.lists(commands, max_size=15))
@settings(max_examples=50, deadline=None)
def test_a_restored_state_differs_in_nothing(history: list[Command]) -> None:
    """Serials, votes, indexes and nodes are the cluster's own; all else is as it was."""
    before = seeded()
    for command in history:
        before.do(command)
    assert [] == compare(before.state, restore(before.state).state)


def test_votes_are_no_difference() -> None:
    """An endpoint that left DNS is not something that a backup brings back."""
    one, other = seeded(), seeded()
    for node in ("ns1", "ns2"):
        other.do(CastVotes(node, (Ballot(WWW, "192.0.2.1", False),)))
    assert [] == compare(one.state, other.state)


def test_differences_are_told_in_words() -> None:
    """Names, types, ttl and values, as they are written everywhere."""
    one, other = seeded(), seeded()
    one.do(ChangeZone(ZONE, (PutRRset(rrset("a", "A", "192.0.2.1")),)))
    other.do(ChangeZone(ZONE, (PutRRset(rrset("a", "A", "192.0.2.2", "192.0.2.3", ttl=5)),)))
    one.do(ChangeZone(ZONE, (PutRRset(msgspec.structs.replace(rrset("b", "TXT", "x"), disabled=True)),)))
    other.do(PutZone(from_text("new.test"), SETTINGS))
    other.do(PutTarget(Target("knot", "rfc2136", "192.0.2.53:53")))
    other.do(DeleteService(WWW))
    told = [(each.change, each.name, each.before, each.after) for each in compare(one.state, other.state)]
    assert ("changed", "a.example.org. A", "60 192.0.2.1", "5 192.0.2.2, 192.0.2.3") in told
    assert ("removed", "b.example.org. TXT", '60 "x" (disabled)', "") in told
    assert ("added", "new.test.", "", "name servers ns1.example.org.") in told
    assert ("added", "knot", "", "rfc2136 192.0.2.53:53") in told
    service = "http port 80, active-active, ttl 5: 192.0.2.1 192.0.2.2 192.0.2.3"
    assert ("removed", "www.example.org.", service, "") in told
