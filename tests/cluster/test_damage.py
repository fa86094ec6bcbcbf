"""Damage to what a stopped node has on its disk: refused where it must be, mended where it may be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from raft.records import MARK_BYTES, encode_entry, encode_mark
from raft.replay import read_header, replay
from tests.cluster.lab import why_not
from tests.cluster.ledger import Ledger, check
from tests.cluster.nodes import Nodes
from tests.cluster.three import three_nodes
from tests.cluster.writers import Writers

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]

WRITERS = 9
EXIT_DISK_FAULT = 70


def test_a_damaged_journal_is_refused_and_a_torn_one_is_mended(tmp_path: Path) -> None:
    """A flipped octet in the middle: exit 70, and file, offset and advice; an unfinished last write: cut."""
    with three_nodes(tmp_path) as nodes:
        do_damage(nodes, Ledger(), lambda _: None)


def do_damage(nodes: Nodes, ledger: Ledger, tell: Callable[[str], None]) -> None:
    """Damage a follower's journal and the leader's in each way, under load, and compare."""
    leader = nodes.leader()
    assert leader is not None
    follower = next(number for number in nodes.numbers if number != leader)
    with Writers(nodes, ledger, WRITERS):
        for number, tear in ((follower, _end_early), (leader, _begin_nothing)):
            ledger.wait_acknowledged(20, *nodes.numbers)
            nodes.kill(number)
            path = nodes.folder / "data" / f"ns{number}" / "journal"
            whole = path.read_bytes()
            header, begin = read_header(path, whole, "lab", f"ns{number}")
            offsets = replay(path, whole, begin, header.salt).offsets
            tell(_refuses_a_flipped_bit(nodes, number, path, offsets[len(offsets) // 2]))
            path.write_bytes(tear(whole, header.salt))
            nodes.start(number)
            ledger.wait_acknowledged(10, *nodes.numbers)
    index = check(nodes, ledger)
    tell(f"torn tails were cut, all at index {index}; {ledger}")


def _refuses_a_flipped_bit(nodes: Nodes, number: int, path: Path, offset: int) -> str:
    """Flip a bit of the record at the offset, and return what the node says; it leaves the file as it is."""
    flipped = bytearray(path.read_bytes())
    flipped[offset + 40] ^= 0x10
    path.write_bytes(flipped)
    nodes.start(number)
    assert EXIT_DISK_FAULT == nodes.wait_ended(number)
    said = nodes.log(number).splitlines()[-1]
    for part in ("node.refused", str(path), f"at offset {offset}", "restore the data directory from a backup"):
        assert part in said
    assert flipped == path.read_bytes()
    return said


def _end_early(whole: bytes, salt: bytes) -> bytes:
    """The last write has not come to its end, as when the power goes; nobody was told of it."""
    entry = encode_entry(2**40, 2**30, bytes(range(200)))
    return whole + encode_mark(salt, MARK_BYTES + len(entry)) + entry[:-7]


def _begin_nothing(whole: bytes, _salt: bytes) -> bytes:
    """Only the room for the last write was made: it holds nothing yet."""
    return whole + bytes(700)
