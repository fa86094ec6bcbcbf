"""A log with leases, staged imports and serial policies, kept from when they came: it must lead to the same State for ever."""

from pathlib import Path

import msgspec

from node.state import snapshot
from node.state.command import (
    ChangeZone,
    Command,
    CommitImport,
    DropImports,
    ExpireLeases,
    Grant,
    LeaseWish,
    Member,
    PutRRset,
    PutZone,
    Seed,
    StageImport,
)
from node.state.machine import apply
from node.state.state import State
from node.zone.lease import LeaseKey
from node.zone.name import from_text
from node.zone.rrset import A
from tests.state.conftest import SETTINGS, ZONE, Cluster, rrset

GOLDEN = Path(__file__).parent.parent / "golden" / "zones-v1.bin"
HOST = from_text("host.example.org")


def commands() -> list[Command]:
    """Return what the log was made of."""
    host = PutRRset(rrset("host", "A", "192.0.2.7"))
    key = LeaseKey(ZONE, HOST, A)
    return [
        Seed((Member("n1"),), (PutZone(ZONE, SETTINGS, serial_policy="date"),)),
        ChangeZone(ZONE, (host,), leases=(LeaseWish(key, 30), LeaseWish(LeaseKey(ZONE, HOST), 60))),
        ExpireLeases((Grant(key, 2),)),
        ChangeZone(ZONE, (host,), leases=(LeaseWish(key, 30),), if_serial=None, serial=9),
        StageImport("one", ZONE, 0, (PutRRset(rrset("a", "A", "192.0.2.1")),)),
        CommitImport("one", ZONE, 1),
        StageImport("two", ZONE, 0, (PutRRset(rrset("b", "A", "192.0.2.1")),)),
        StageImport("three", ZONE, 0, ()),
        DropImports((("three", 8),)),
    ]


def test_the_golden_log_is_still_read() -> None:
    """Entries of the time before are read and lead to the digest they led to then, in full and as a snapshot."""
    golden = msgspec.msgpack.decode(GOLDEN.read_bytes())
    state = State()
    for index, data in enumerate(golden["log"], 1):
        state = apply(state, index, data).state
    assert (2, 1, 1) == (len(state.leases), len(state.imports), len(state.serial_policies))
    assert golden["digest"] == snapshot.digest(state)
    assert golden["digest"] == snapshot.digest(snapshot.load(golden["snapshot"]))


def test_the_golden_log_is_what_the_commands_say() -> None:
    """What is kept was made by these commands; with another result there is another version to think of."""
    cluster = Cluster()
    for command in commands():
        cluster.do(command, at_ms=1_700_000_000_000)
    golden = msgspec.msgpack.decode(GOLDEN.read_bytes())
    assert golden["digest"] == snapshot.digest(cluster.state)
