"""A backup is read as it was written, or refused with a sentence; nothing in between."""

import io

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.state import snapshot
from node.state.backup import BackupReader, BadBackup, encode, header_of
from node.state.command import ChangeZone, PutRRset
from node.state.state import State
from node.state.survey import survey
from tests.state.conftest import WWW, ZONE, Cluster, rrset
from tests.state.test_snapshot import commands, seeded


def octets_of(state: State) -> bytes:
    """Return a whole backup."""
    header = header_of(state, "prod", "ns1", "1.0.0", 1_700_000_000_000)
    return b"".join(encode(header, snapshot.dump(state)))


def small() -> bytes:
    return octets_of(seeded().state)


@given(st.lists(commands, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_state_survives_its_backup(history: list) -> None:  # type: ignore[type-arg]
    """What is read back is the State, and the header tells its index, digest and counts."""
    cluster = seeded()
    for command in history:
        cluster.do(command)
    reader = BackupReader(io.BytesIO(octets_of(cluster.state)))
    assert cluster.state == snapshot.load(reader.pieces())
    header = reader.header
    assert (cluster.state.index, snapshot.digest(cluster.state)) == (header.index, header.digest)
    found = BackupReader(io.BytesIO(octets_of(cluster.state))).survey()
    assert sum(zone.rrset_count for zone in cluster.state.zones.values()) == found.rrsets == header.rrsets
    assert found.records == sum(
        len(each.rdatas) for zone in cluster.state.zones.values() for each in zone.iter_rrsets()
    )


def test_a_survey_counts_what_it_does_not_keep(cluster: Cluster) -> None:
    """The digest is that of the State, though no name of any zone is held."""
    cluster.do(ChangeZone(ZONE, (PutRRset(rrset("a", "A", "192.0.2.1", "192.0.2.2")),)))
    found = survey(snapshot.dump(cluster.state))
    assert snapshot.digest(cluster.state) == snapshot.digest(found.state)
    assert len(found.state.zones[ZONE].nodes) == 0
    assert WWW in found.state.services


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_changed_bit_is_refused(data: st.DataObject) -> None:
    """Whichever bit of the file is another one, it is no backup."""
    octets = bytearray(small())
    position = data.draw(st.integers(0, len(octets) - 1))
    octets[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadBackup):
        BackupReader(io.BytesIO(bytes(octets))).survey()


def test_a_cut_or_longer_file_is_refused() -> None:
    """Not one octet may be missing or too many."""
    octets = small()
    for length in range(len(octets)):
        with pytest.raises(BadBackup):
            BackupReader(io.BytesIO(octets[:length])).survey()
    with pytest.raises(BadBackup, match="something follows its end"):
        BackupReader(io.BytesIO(octets + b"\n")).survey()


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_anything_else_is_refused(octets: bytes) -> None:
    """Octets of anything else are no backup, also behind the right first line."""
    for each in (octets, b"quorumdns backup 1\n" + octets):
        with pytest.raises(BadBackup):
            BackupReader(io.BytesIO(each)).survey()


def test_other_versions_are_named() -> None:
    """A file of another format version, or of a State that is too new, is refused with both numbers."""
    octets = small()
    with pytest.raises(BadBackup, match="written in version 2 of the format, and this program reads version 1"):
        BackupReader(io.BytesIO(octets.replace(b"backup 1\n", b"backup 2\n", 1)))
    newer = msgspec.structs.replace(seeded().state, format=7)
    with pytest.raises(BadBackup, match=r"its state has format 7, and this program \(3\) is too old"):
        BackupReader(io.BytesIO(octets_of(newer)))


def test_a_header_of_another_state_is_refused() -> None:
    """A header that is whole, but not that of the pieces behind it, is found out."""
    state = seeded().state
    other = header_of(msgspec.structs.replace(state, index=state.index + 1), "prod", "ns1", "1.0.0", 1)
    octets = b"".join(encode(other, snapshot.dump(state)))
    with pytest.raises(BadBackup, match="its header does not fit its contents"):
        BackupReader(io.BytesIO(octets)).survey()
