"""A snapshot is the State again, or a clear refusal."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.state.command import (
    Ballot,
    CastVotes,
    ChangeZone,
    Command,
    DeleteRRset,
    DeleteService,
    DropVotes,
    Member,
    PutRRset,
    PutService,
    PutZone,
    Seed,
)
from node.state.machine import apply
from node.state.notices import ReportNotice, Word
from node.state.pushes import PutTarget, ReportPush, Target
from node.state.snapshot import BadState, digest, dump, load
from node.state.state import State
from node.zone.name import from_text
from tests.state.conftest import WWW, ZONE, Cluster, rrset, service

labels = st.sampled_from(["a", "b", "a.b", "c.a.b", "*", "www", "@"])
nodes = st.sampled_from(["ns1", "ns2", "ns3", "stranger"])
addresses = st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"])
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        lambda n, i: ChangeZone(ZONE, (PutRRset(rrset(n, "A", f"192.0.2.{i}")),)), labels, st.integers(1, 9)
    ),
    st.builds(lambda n: ChangeZone(ZONE, (PutRRset(rrset(n, "CNAME", "target")),)), labels),
    st.builds(lambda n: ChangeZone(ZONE, (DeleteRRset(from_text(n, ZONE), 255),)), labels),
    st.builds(lambda n, a, up: CastVotes(n, (Ballot(WWW, a, up),)), nodes, addresses, st.booleans()),
    st.builds(DropVotes, nodes),
    st.builds(lambda k: PutService(service(*(f"192.0.2.{each}" for each in range(1, k)))), st.integers(1, 4)),
    st.just(DeleteService(WWW)),
    st.builds(lambda n: PutTarget(Target(n, "rfc2136", "192.0.2.53:53")), st.sampled_from(["t1", "t2"])),
    st.builds(
        ReportNotice, st.sampled_from(["r1", "r2"]), nodes, st.sampled_from(get_args(Word)), st.integers(0, 40)
    ),
    st.builds(lambda n, p, ok: ReportPush("t1", n, p, ok, "why"), nodes, st.integers(0, 99), st.booleans()),
)


def seeded() -> Cluster:
    from tests.state.conftest import SETTINGS

    cluster = Cluster()
    members = tuple(Member(name) for name in ("ns1", "ns2", "ns3"))
    cluster.do(Seed(members, (PutZone(ZONE, SETTINGS),), (service("192.0.2.1", "192.0.2.2", "192.0.2.3"),)))
    return cluster


@given(st.lists(commands, max_size=30))
@settings(max_examples=150, deadline=None)
def test_a_state_survives_its_snapshot_and_goes_on_alike(history: list[Command]) -> None:
    """Dump and load give an equal State, and both take the same further commands to equal digests."""
    cluster = seeded()
    for command in history[: len(history) // 2]:
        cluster.do(command)
    twin = load(dump(cluster.state))
    assert cluster.state == twin
    for command in history[len(history) // 2 :]:
        cluster.do(command)
        twin = apply(twin, twin.index + 1, cluster.log[-1]).state
    assert cluster.state == twin
    assert digest(cluster.state) == digest(twin)


@given(st.lists(commands, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_replayed_log_gives_the_same_state(history: list[Command]) -> None:
    """The state is a function of the log alone."""
    cluster = seeded()
    for command in history:
        cluster.do(command)
    replayed = State()
    for index, data in enumerate(cluster.log, 1):
        replayed = apply(replayed, index, data).state
    assert cluster.state == replayed


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_apply_is_total(data: bytes) -> None:
    """No octets make apply raise, also behind a right format octet."""
    for octets in (data, b"\x01" + data):
        apply(State(), 1, octets)


def test_damaged_snapshots_are_refused() -> None:
    """A missing, doubled, reordered or changed piece never becomes a state."""
    cluster = seeded()
    pieces = list(dump(cluster.state))
    broken = [
        pieces[:-1],
        pieces[1:],
        [pieces[0], *pieces],
        [*pieces, pieces[-1]],
        [msgspec.msgpack.encode(["format", 99]), *pieces[1:]],
        [pieces[0], b"\xff", *pieces[1:]],
        [pieces[0], msgspec.msgpack.encode(["rrsets", []]), *pieces[1:]],
        [piece.replace(b"ns2", b"ns8") for piece in pieces],
    ]
    for each in broken:
        with pytest.raises(BadState):
            load(each)


def test_digests_differ_when_states_do() -> None:
    """A vote, a record or a setting more is another digest."""
    cluster = seeded()
    seen = {digest(cluster.state)}
    for command in (
        CastVotes("ns1", (Ballot(WWW, "192.0.2.1", False),)),
        ChangeZone(ZONE, (PutRRset(rrset("x", "A", "192.0.2.1")),)),
        PutTarget(Target("t", "rfc2136")),
        DropVotes("ns1"),
    ):
        cluster.do(command)
        assert digest(cluster.state) not in seen
        seen.add(digest(cluster.state))
