"""Snapshot files: whole or not at all, verified before they count, chunks that never mix."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from raft.disk import AppendFile, RealDisk
from raft.errors import RaftError
from raft.snapshots import SnapshotDamaged, SnapshotMeta, SnapshotStore
from tests.raft.test_journal import FailingDisk

META = SnapshotMeta(90, 4, 89, 3, ("ns1", "ns2"))
PIECES = [b"one", b"two" * 1000, b"", b"three"]
GOLDEN = Path(__file__).parent.parent / "golden" / "snapshot-v1.bin"


def store(folder: Path, cluster: str = "c") -> SnapshotStore:
    return SnapshotStore(folder / "snapshot", cluster)


def written(folder: Path) -> bytes:
    store(folder).write(META, iter(PIECES))
    return (folder / "snapshot").read_bytes()


def chunks(source: SnapshotStore, size: int = 100) -> Iterator[tuple[str, int, int, bytes]]:
    current = source.current()
    assert current is not None
    identity, total = current
    for offset in range(0, total, size):
        data = source.chunk(identity, offset, size)
        assert data is not None
        yield identity, offset, total, data


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Meta and pieces come back; a folder without a snapshot has none."""
    assert store(tmp_path).read() is None
    written(tmp_path)
    found = store(tmp_path).read()
    assert found is not None
    assert (META, [b"one", b"two" * 1000, b"three"]) == (found[0], list(found[1]))


def test_any_damage_is_refused(tmp_path: Path) -> None:
    """No cut and no flipped bit anywhere is taken for a snapshot."""
    data = written(tmp_path)
    path = tmp_path / "snapshot"
    damaged = [data[:length] for length in (0, 1, 15, 40, len(data) // 2, len(data) - 1)]
    damaged += [data + b"x"]
    for position in range(0, len(data), 7):
        damaged.append(data[:position] + bytes((data[position] ^ 0x10,)) + data[position + 1 :])
    for each in damaged:
        path.write_bytes(each)
        with pytest.raises(RaftError, match=r"cannot be used|belongs to") as caught:
            store(tmp_path).read()
        assert caught.value.exit_code in (3, 70)


def test_another_clusters_snapshot_is_refused(tmp_path: Path) -> None:
    """A folder that was copied from another cluster is told."""
    written(tmp_path)
    with pytest.raises(RaftError, match="belongs to the cluster c, not to other"):
        store(tmp_path, "other").read()


def test_a_failed_write_leaves_the_old_one(tmp_path: Path) -> None:
    """When the pieces cannot be produced, the last snapshot stays."""
    data = written(tmp_path)

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store(tmp_path).write(META, broken())
    assert data == (tmp_path / "snapshot").read_bytes()


@pytest.mark.parametrize("what", ["create", "write", "fdatasync", "replace", "sync_directory"])
def test_a_fault_of_the_disk_is_told_and_leaves_a_whole_snapshot(tmp_path: Path, what: str) -> None:
    """Whichever step fails, the next start finds the old snapshot or the new one, whole."""
    old = written(tmp_path)
    disk = FailingDisk()
    disk.fails = what
    with pytest.raises(RaftError, match="Input/output error") as caught:
        SnapshotStore(tmp_path / "snapshot", "c", disk).write(META, iter([b"newer"]))
    assert 70 == caught.value.exit_code
    found = store(tmp_path).read()
    assert found is not None
    assert list(found[1]) in ([b"newer"], [b"one", b"two" * 1000, b"three"])
    assert what == "sync_directory" or old == (tmp_path / "snapshot").read_bytes()
    assert ["snapshot"] == [path.name for path in tmp_path.iterdir()]


def test_a_long_snapshot_is_synced_while_it_comes(tmp_path: Path) -> None:
    """Receiving waits for the disk in short steps, and the last step makes all of it durable."""
    source = store(tmp_path)
    source.write(META, iter([bytes(1 << 20)] * 10))
    disk = CountingDisk()
    target = SnapshotStore(tmp_path / "target", "c", disk)
    for chunk in chunks(source, 256 << 10):
        target.accept(*chunk)
        assert disk.waiting <= 4 << 20
    assert 0 == disk.waiting


class CountingDisk(RealDisk):
    """Counts the octets written and not synced."""

    waiting = 0

    def create(self, path: Path) -> AppendFile:
        return CountingFile(self, super().create(path))


class CountingFile:
    def __init__(self, disk: CountingDisk, file: AppendFile) -> None:
        self.disk, self.file = disk, file

    def write(self, data: bytes) -> None:
        self.disk.waiting += len(data)
        self.file.write(data)

    def fdatasync(self) -> None:
        self.disk.waiting = 0
        self.file.fdatasync()

    def close(self) -> None:
        self.file.close()


def test_a_snapshot_travels_in_chunks(tmp_path: Path) -> None:
    """Received to its end and verified, it takes its place; before that the old one stays."""
    source, target = store(tmp_path / "a"), store(tmp_path / "b")
    for name in "ab":
        (tmp_path / name).mkdir()
    source.write(META, iter(PIECES))
    results = [target.accept(*chunk) for chunk in chunks(source)]
    assert [False] * (len(results) - 1) + [True] == results
    assert not (tmp_path / "b" / "snapshot").exists()
    meta, pieces = target.received()
    assert (META, [b"one", b"two" * 1000, b"three"]) == (meta, list(pieces))
    target.promote()
    assert (tmp_path / "a" / "snapshot").read_bytes() == (tmp_path / "b" / "snapshot").read_bytes()
    assert source.current() == target.current()


def test_chunks_of_two_snapshots_never_mix(tmp_path: Path) -> None:
    """A chunk of another snapshot, one left out and one too long are refused, and the transfer starts over."""
    source, target = store(tmp_path), SnapshotStore(tmp_path / "target", "c")
    source.write(META, iter(PIECES))
    (identity, offset, total, data), (_, second_offset, _, second), (_, third_offset, _, third) = list(
        chunks(source)
    )[:3]
    wrong = [
        ("other", second_offset, total, second),
        (identity, third_offset, total, third),
        (identity, second_offset, total + 1, second),
        (identity, second_offset, total, b""),
        (identity, second_offset, total, bytes(total)),
    ]
    for chunk in wrong:
        assert not target.accept(identity, offset, total, data)
        with pytest.raises(SnapshotDamaged):
            target.accept(*chunk)
        with pytest.raises(SnapshotDamaged):
            target.accept(identity, second_offset, total, second)
    for size in (0, -1, 2**60):
        with pytest.raises(SnapshotDamaged):
            target.accept(identity, 0, size, b"x")


def test_a_received_snapshot_is_verified(tmp_path: Path) -> None:
    """A bit that changed on the way is found before anything is replaced."""
    source, target = store(tmp_path), SnapshotStore(tmp_path / "target", "c")
    source.write(META, iter(PIECES))
    for number, (identity, offset, total, data) in enumerate(chunks(source)):
        target.accept(identity, offset, total, bytes((data[0] ^ 1,)) + data[1:] if number == 3 else data)
    with pytest.raises(SnapshotDamaged):
        target.received()


def test_a_replaced_snapshot_is_sent_no_further(tmp_path: Path) -> None:
    """Chunks belong to one snapshot; when a newer one took its place the sender begins anew."""
    source = store(tmp_path)
    source.write(META, iter(PIECES))
    first = source.current()
    assert first is not None
    source.write(META, iter([b"newer"]))
    assert source.chunk(first[0], 0, 100) is None


def test_a_newer_format_is_told(tmp_path: Path) -> None:
    """A file of a later version is refused with its version in the sentence."""
    data = bytearray(written(tmp_path))
    data[8] = 9
    (tmp_path / "snapshot").write_bytes(bytes(data))
    with pytest.raises(RaftError, match="format is version 9"):
        store(tmp_path).read()


def test_the_golden_file_is_still_read(tmp_path: Path) -> None:
    """A snapshot of format version 1, written once and never again, is opened by every later version."""
    (tmp_path / "snapshot").write_bytes(GOLDEN.read_bytes())
    found = store(tmp_path).read()
    assert found is not None
    assert (META, [b"one", b"two" * 1000, b"three"]) == (found[0], list(found[1]))
