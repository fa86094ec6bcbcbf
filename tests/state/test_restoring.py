"""A backup comes into an empty cluster in pieces, and is there at once or not at all."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.state import machine, snapshot
from node.state.command import (
    Ballot,
    BeginRestore,
    CastVotes,
    ChangeZone,
    Command,
    DeleteService,
    Entry,
    LeaseWish,
    Member,
    PutRRset,
    PutService,
    PutZone,
    RestorePieces,
    Seed,
    SetFormat,
)
from node.state.pushes import PutTarget, Target
from node.state.restoring import PIECE_OCTETS, pieces_for_log
from node.state.snapshot import BadState
from node.state.state import Accepted, Refused, State
from node.zone.lease import LeaseKey
from node.zone.name import from_text
from node.zone.rrset import SOA
from node.zone.zone import Zone
from tests.state.conftest import SETTINGS, WWW, ZONE, Cluster, rrset, service
from tests.state.test_snapshot import commands, seeded

HERE = (Member("a"), Member("b"), Member("c"))
STEP = 1000
BEGIN = BeginRestore("f11e", HERE, 1, STEP, "prod at index 7")


def pieces(state: State) -> list[bytes]:
    """Return what the log would carry of a backup of the State."""
    return list(pieces_for_log(snapshot.dump(state)))


def parts(all_pieces: Sequence[bytes], size: int = 1) -> list[RestorePieces]:
    """Return the commands that carry the pieces."""
    return [
        RestorePieces("f11e", first, tuple(all_pieces[first : first + size]))
        for first in range(0, len(all_pieces), size)
    ]


def restore(state: State, size: int = 1) -> Cluster:
    """Restore a backup of the State into an empty cluster."""
    cluster = Cluster()
    assert isinstance(cluster.do(BEGIN).result, Accepted)
    for part in parts(pieces(state), size):
        assert isinstance(cluster.do(part).result, Accepted)
    return cluster


def contents(zone: Zone) -> list[object]:
    """Return the RRsets of a zone, its serial left out."""
    return [each for each in zone.iter_rrsets() if each.type != SOA]


@given(st.lists(commands, max_size=20), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_what_was_backed_up_is_there_again(history: list[Command], size: int) -> None:
    """Zones, records, services, verdicts and targets are those of the backup; nodes, votes and indexes are not."""
    before = seeded()
    for command in history:
        before.do(command)
    after = restore(before.state, size).state
    assert set(before.state.zones) == set(after.zones)
    for name, zone in before.state.zones.items():
        assert contents(zone) == contents(after.zones[name])
        assert (zone.serial + STEP) == after.zones[name].serial
        assert zone.rrset_count == after.zones[name].rrset_count
    assert before.state.zone_settings == after.zone_settings
    assert dict(before.state.targets) == dict(after.targets)
    for fqdn, known in before.state.services.items():
        again = after.services[fqdn]
        assert (known.service, known.published, known.fail_open, known.retired) == (
            again.service,
            again.published,
            again.fail_open,
            again.retired,
        )
        assert [each.verdict for _, each in known.endpoints] == [each.verdict for _, each in again.endpoints]
        assert all(not each.votes for _, each in again.endpoints)
    assert (True, HERE, None, "f11e") == (after.seeded, after.members, after.restoring, after.restored)


@given(st.integers(0, 12))
@settings(max_examples=13, deadline=None)
def test_a_snapshot_in_the_middle_loses_nothing(taken: int) -> None:
    """A node that starts again from a snapshot taken while a backup came in goes on alike."""
    before = seeded()
    before.do(PutTarget(Target("t1", "rfc2136")))
    before.do(ChangeZone(ZONE, (PutRRset(rrset("x", "A", "192.0.2.7")),)))
    cluster = Cluster()
    cluster.do(BEGIN)
    todo = parts(pieces(before.state))
    for part in todo[:taken]:
        cluster.do(part)
    twin = snapshot.load(snapshot.dump(cluster.state))
    assert cluster.state == twin
    for part in todo[taken:]:
        cluster.do(part)
        twin = machine.apply(twin, twin.index + 1, cluster.log[-1]).state
    assert cluster.state == twin
    assert snapshot.digest(cluster.state) == snapshot.digest(twin)
    assert twin.seeded


def test_nothing_shows_before_the_last_piece() -> None:
    """Until the backup is whole there is no zone, no service and no target, and nothing can be written."""
    before = seeded()
    before.do(PutTarget(Target("t1", "rfc2136")))
    cluster = Cluster()
    cluster.do(BEGIN)
    for part in parts(pieces(before.state)):
        state = cluster.state
        assert (False, 0, 0, 0) == (state.seeded, len(state.zones), len(state.services), len(state.targets))
        for command in (PutZone(ZONE, SETTINGS), Seed(HERE), CastVotes("a", ())):
            refused = cluster.do(command).result
            assert isinstance(refused, Refused)
            assert "a backup is being restored" in refused.detail
        applied = cluster.do(part)
    assert cluster.state.seeded
    assert (ZONE,) == applied.changed.zones
    assert (WWW,) == applied.changed.services
    assert ["cluster.seeded", "restore.done"] == [each.kind for each in applied.changed.events]


def test_pieces_may_come_twice() -> None:
    """Two nodes that have the same file and both send it make one history."""
    before = seeded()
    cluster = Cluster()
    for command in (BEGIN, BEGIN, *(each for part in parts(pieces(before.state)) for each in (part, part))):
        assert isinstance(cluster.do(command).result, Accepted)
    overlapping = parts(pieces(before.state), 2)
    cluster = Cluster()
    cluster.do(BEGIN)
    cluster.do(parts(pieces(before.state))[0])
    for part in overlapping:
        assert isinstance(cluster.do(part).result, Accepted)
    assert contents(before.state.zones[ZONE]) == contents(cluster.state.zones[ZONE])


def test_only_an_empty_cluster_takes_a_backup() -> None:
    """A cluster that was seeded, written to, or takes another backup refuses, and is left as it was."""
    seeded_one, written, taking = Cluster(), Cluster(), Cluster()
    seeded_one.do(Seed(HERE))
    written.do(PutZone(ZONE, SETTINGS))
    taking.do(BEGIN)
    cases = (
        (seeded_one, BEGIN, "seeded already"),
        (written, BEGIN, "written to already"),
        (taking, msgspec.structs.replace(BEGIN, restore="0ther"), "another backup (prod at index 7)"),
        (taking, RestorePieces("0ther", 0, ()), "is not being restored"),
        (taking, RestorePieces("f11e", 1, ()), "piece 0 of the backup is missing"),
        (seeded_one, RestorePieces("f11e", 0, ()), "seeded already"),
        (Cluster(), msgspec.structs.replace(BEGIN, format=2), "has format 2, and this cluster has 1"),
        (Cluster(), msgspec.structs.replace(BEGIN, members=()), "needs nodes"),
        (Cluster(), msgspec.structs.replace(BEGIN, serial_step=0), "a step for the serials"),
    )
    for cluster, command, said in cases:
        before = snapshot.digest(cluster.state)
        result = cluster.do(command).result
        assert isinstance(result, Refused)
        assert said in result.detail
        assert before == snapshot.digest(cluster.state)


def encode(kind: str, value: object) -> bytes:
    return msgspec.msgpack.encode([kind, value])


FIRST = pieces(seeded().state)[:2]
"""The format, and the head of example.org."""


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"", "cannot be restored"),
        (b"\xff", "cannot be restored"),
        (encode("format", 1), "not in their order"),
        (encode("unheard", []), "a part 'unheard' that is not known here"),
        (FIRST[1], "stands in it twice"),
        (encode("rrsets", [(1, rrset("www", "A", "192.0.2.1"))] * 2), "stands in it twice"),
        (encode("rrsets", [(1, (b"\x03WWW\x00", 1, 5, [b"1234"]))]), "canonical"),
        (encode("rrsets", [(1, (b"\x03www\x03com\x00", 1, 5, [b"1234"]))]), "is not inside"),
        (encode("rrsets", [(1, (bytes(ZONE), 1, 5, [b"123"]))]), "has 4 octets, not 3"),
        (encode("rrsets", [(1, (bytes(ZONE), 1, 5, []))]), "cannot be empty"),
        (encode("rrsets", 7), "cannot be restored"),
        (encode("services", [{"service": 1}]), "cannot be restored"),
    ],
)
def test_pieces_that_cannot_be_are_refused(bad: bytes, said: str) -> None:
    """Whatever a piece holds, it is taken whole or refused with a sentence, and nothing changes."""
    cluster = Cluster()
    cluster.do(BEGIN)
    cluster.do(RestorePieces("f11e", 0, tuple(FIRST)))
    before = snapshot.digest(cluster.state)
    refused = cluster.do(RestorePieces("f11e", 2, (bad,))).result
    assert isinstance(refused, Refused)
    assert said in refused.detail
    assert before == snapshot.digest(cluster.state)


@given(
    st.binary(max_size=80), st.sampled_from(["zone", "rrsets", "services", "targets", "deliveries", "leases"])
)
@settings(max_examples=300, deadline=None)
def test_apply_stays_total(octets: bytes, kind: str) -> None:
    """No octets in a piece make apply raise."""
    cluster = Cluster()
    cluster.do(BEGIN)
    cluster.do(RestorePieces("f11e", 0, tuple(FIRST)))
    for piece in (octets, b"\x92" + msgspec.msgpack.encode(kind) + octets):
        cluster.do(RestorePieces("f11e", 2, (piece,)))


def test_serials_wrap() -> None:
    """A serial near the end of its 32 bits goes on at the beginning, which RFC 1982 calls later."""
    before = Cluster()
    soa = rrset("@", "SOA", "ns1 host 4294967295 1 2 3 4")
    before.do(Seed(HERE, (PutZone(ZONE, SETTINGS, (soa,)),)))
    after = restore(before.state).state.zones[ZONE]
    assert STEP - 1 == after.serial
    found = after.get(ZONE, SOA)
    assert found is not None
    assert STEP - 1 == int.from_bytes(found.rdatas[0][-20:-16], "big")


def test_what_waited_for_targets_still_waits() -> None:
    """Addresses of a service that went, and may stand on a target, are still to be taken away there."""
    before = seeded()
    before.do(PutTarget(Target("t1", "rfc2136")))
    before.do(DeleteService(WWW))
    after = restore(before.state).state
    (leftover,) = after.deliveries["t1"].leftovers
    assert ("192.0.2.1", "192.0.2.2", "192.0.2.3") == leftover.addresses
    assert 0 < leftover.index <= after.index
    assert 0 == after.deliveries["t1"].plan


def test_leases_begin_anew() -> None:
    """What is leased stays for the whole of its time from the restore on."""
    before = seeded()
    key = LeaseKey(ZONE, from_text("acme", ZONE))
    change = PutRRset(rrset("acme", "TXT", "x"))
    before.do(ChangeZone(ZONE, (change,), leases=(LeaseWish(key, 300),)))
    after = restore(before.state).state
    assert {key: 300} == {each: lease.ttl_s for each, lease in after.leases.items()}
    assert all(0 < lease.index <= after.index for lease in after.leases.values())


def test_nodes_that_are_gone_probe_no_more() -> None:
    """An endpoint that only nodes of the old cluster probed is probed by all of this one, and that is told."""
    before = seeded()
    known = service("192.0.2.1", "192.0.2.2", "192.0.2.3")
    first, *others = known.endpoints
    first = msgspec.structs.replace(first, probe_from=("ns1",))
    before.do(PutService(msgspec.structs.replace(known, endpoints=(first, *others))))
    cluster = restore(before.state)
    assert all(each.probe_from == () for each in cluster.state.services[WWW].service.endpoints)
    told = [each.text for each in cluster.state.events.values() if each.kind == "restore.done"]
    assert "ns1, no nodes of this cluster: left out" in told[0]


def test_verdicts_go_on_from_where_they_were() -> None:
    """A verdict of the backup stands until a majority of the new nodes says otherwise."""
    before = seeded()
    for node in ("ns1", "ns2"):
        before.do(CastVotes(node, (Ballot(WWW, "192.0.2.1", False),)))
    cluster = restore(before.state)
    assert 2 == len(cluster.addresses())
    for node in ("a", "b"):
        cluster.do(CastVotes(node, (Ballot(WWW, "192.0.2.1", True),)))
    assert 3 == len(cluster.addresses())


def test_pieces_are_bounded() -> None:
    """However large the rows of a backup, the log carries them in small pieces."""
    before = seeded()
    for number in range(40):
        texts = tuple(f'"{number} {part} {"x" * 200}"' for part in range(60))
        before.do(ChangeZone(ZONE, (PutRRset(rrset(f"t{number}", "TXT", *texts)),)))
    made = pieces(before.state)
    assert len(made) > 6
    assert max(map(len, made)) < PIECE_OCTETS + 20_000
    assert contents(before.state.zones[ZONE]) == contents(restore(before.state).state.zones[ZONE])


def test_a_format_can_be_raised_meanwhile() -> None:
    """Raising the format waits for no backup."""
    cluster = Cluster()
    cluster.do(BEGIN)
    entry = Entry(SetFormat(1), 0)
    assert isinstance(machine.apply_entry(cluster.state, 2, entry).result, Accepted)


def test_every_part_of_the_state_comes_back_or_is_left_out_on_purpose() -> None:
    """A new field of the State must be restored, or be named here as something that begins anew."""
    anew = {"index", "format", "drops", "events", "events_next", "learners", "imports", "tries", "keys"}
    anew |= {"receivers"}
    own = {"seeded", "members", "restoring", "restored"}
    restored = {"zones", "zone_settings", "zone_indexes", "serial_policies", "services"}
    restored |= {"targets", "target_indexes", "deliveries", "leases", "tokens"}
    assert anew | own | restored == set(State.__struct_fields__)


def test_parts_that_are_not_known_are_refused() -> None:
    """Nothing of a backup is left out in silence."""
    with pytest.raises(BadState, match="a part 'unheard' that cannot be restored"):
        list(pieces_for_log([encode("format", 1), encode("unheard", [])]))


def test_serial_policies_come_back() -> None:
    """How a zone's serial is counted is as in the backup."""
    before = seeded()
    before.do(PutZone(ZONE, SETTINGS, serial_policy="date"))
    assert {ZONE: "date"} == dict(restore(before.state).state.serial_policies)
