"""Snapshot files: written beside the running log, verified before they replace anything, sent in chunks.

Version 1, all numbers little-endian:

    header  magic 8 | version u32 | length u32 | msgpack [cluster, last index and term, the index and term
            before it, members] | crc32 of all before
    piece   length u32 | crc32 u32 | octets
    end     length 0 | crc32 of nothing | blake2b-128 of all before

The same octets travel to a follower; nothing in them names the node that wrote them.
"""

import hashlib
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from raft.disk import AppendFile, Disk, RealDisk
from raft.errors import EXIT_DISK_FAULT, EXIT_WRONG_SETUP, RaftError

MAGIC: Final = b"RAFTSNAP"
FORMAT_VERSION: Final = 1
PIECE_BYTES_MAX: Final = 16 * 1024 * 1024
RECEIVED_BYTES_MAX: Final = 16 * 1024**3
_SYNC_BYTES: Final = 4 * 1024 * 1024
"""Many short waits for the disk, never a long one: the journal waits for what lies before it on the same medium."""
_START: Final = struct.Struct("<8sII")
_CRC: Final = struct.Struct("<I")
_PIECE: Final = struct.Struct("<II")
_DIGEST_BYTES: Final = 16
_HEADER_BYTES_MAX: Final = 64 * 1024


class SnapshotDamaged(Exception):
    """The octets are no whole snapshot of this cluster; the message says why."""


class SnapshotMeta(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a snapshot holds: everything up to ``last_index``."""

    last_index: int
    last_term: int
    prev_index: int
    prev_term: int
    members: tuple[str, ...]
    """Names of the nodes then; kept for people."""
    membership: bytes = b""
    """The membership in force, as it stands in the log."""


class _Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    cluster: str
    meta: SnapshotMeta


class SnapshotStore:
    """The newest snapshot at ``path``, and one that is being received.

    ``write`` may run in another thread while the rest is used. Raises ``RaftError`` for faults of the disk.
    """

    def __init__(self, path: Path, cluster: str, disk: Disk | None = None) -> None:
        self._path = path
        self._cluster = cluster
        self._disk = disk if disk is not None else RealDisk()
        self._lock = threading.Lock()
        self._current: tuple[str, int] | None = None
        """Identity and size of the file at ``path``."""
        self._receiving: _Receiving | None = None

    # --- writing and reading ----------------------------------------------------------------------------

    def write(self, meta: SnapshotMeta, pieces: Iterator[bytes]) -> None:
        """Write a snapshot and put it in the place of the last one, whole or not at all."""
        new = self._path.with_suffix(".new")
        try:
            file = self._disk.create(new)
            try:
                size, digest = _write(file, _encode_header(_Header(self._cluster, meta)), pieces)
            finally:
                file.close()
            self._replace(new, _identity(meta, digest), size)
        except OSError as error:
            raise self._fault("written", error) from error

    def read(self) -> tuple[SnapshotMeta, Iterator[bytes]] | None:
        """Return the verified snapshot, or None when there is none yet."""
        try:
            size = self._disk.size(self._path)
            self._disk.remove(self._path.with_suffix(".new"))
            self._disk.remove(self._part_path)
            if size is None:
                return None
            header, digest = self._verified(self._path, size)
        except OSError as error:
            raise self._fault("read", error) from error
        except SnapshotDamaged as damage:
            raise RaftError(
                f"The snapshot {self._path} cannot be used: {damage}. Restore the data directory from a backup, or "
                "move it away and let the node join under another name.",
                exit_code=EXIT_DISK_FAULT,
            ) from None
        if header.cluster != self._cluster:
            raise RaftError(
                f"The snapshot {self._path} belongs to the cluster {header.cluster}, not to {self._cluster}: give "
                "this node its own data directory.",
                exit_code=EXIT_WRONG_SETUP,
            )
        self._current = (_identity(header.meta, digest), size)
        return header.meta, self._pieces(self._path, size)

    # --- sending ----------------------------------------------------------------------------------------

    def current(self) -> tuple[str, int] | None:
        """Return identity and size of the newest snapshot."""
        with self._lock:
            return self._current

    def chunk(self, identity: str, offset: int, limit: int) -> bytes | None:
        """Return octets of this snapshot; None when another has taken its place."""
        with self._lock:
            if self._current is None or self._current[0] != identity:
                return None
            try:
                return self._disk.read(self._path, offset, min(limit, self._current[1] - offset))
            except OSError as error:
                raise self._fault("read", error) from error

    # --- receiving --------------------------------------------------------------------------------------

    def accept(self, identity: str, offset: int, total: int, data: bytes) -> bool:
        """Take a chunk; True when the snapshot is whole. Chunks of two snapshots never mix.

        Raises ``SnapshotDamaged`` for a chunk that does not follow the last one.
        """
        if not 0 < total <= RECEIVED_BYTES_MAX:
            raise SnapshotDamaged(f"a snapshot of {total} octets cannot be received")
        try:
            if offset == 0:
                self.abort()
                self._receiving = _Receiving(identity, total, self._disk.create(self._part_path))
            receiving = self._receiving
            if receiving is None or not receiving.fits(identity, offset, total, data):
                self.abort()
                raise SnapshotDamaged("a chunk does not follow the one before")
            receiving.file.write(data)
            receiving.position += len(data)
            whole = receiving.position == total
            if whole or receiving.position - receiving.synced >= _SYNC_BYTES:
                receiving.file.fdatasync()
                receiving.synced = receiving.position
            return whole
        except OSError as error:
            raise self._fault("received", error) from error

    def received(self) -> tuple[SnapshotMeta, Iterator[bytes]]:
        """Return the received snapshot, verified, not yet in its place. Raises ``SnapshotDamaged``."""
        receiving = self._receiving
        if receiving is None or receiving.position != receiving.total:
            raise SnapshotDamaged("it has not been received to its end")
        try:
            header, digest = self._verified(self._part_path, receiving.total)
        except OSError as error:
            raise self._fault("read", error) from error
        if header.cluster != self._cluster:
            raise SnapshotDamaged(f"it belongs to the cluster {header.cluster}")
        receiving.verified = _identity(header.meta, digest)
        return header.meta, self._pieces(self._part_path, receiving.total)

    def promote(self) -> None:
        """Put the received and verified snapshot in the place of the last one."""
        receiving = self._receiving
        assert receiving is not None
        assert receiving.verified is not None
        try:
            receiving.file.close()
            self._replace(self._part_path, receiving.verified, receiving.total)
        except OSError as error:
            raise self._fault("replaced", error) from error
        self._receiving = None

    def abort(self) -> None:
        """Forget what was received so far."""
        if self._receiving is not None:
            self._receiving.file.close()
            self._receiving = None

    # --- the file ---------------------------------------------------------------------------------------

    @property
    def _part_path(self) -> Path:
        return self._path.with_suffix(".part")

    def _replace(self, source: Path, identity: str, size: int) -> None:
        with self._lock:
            self._disk.replace(source, self._path)
            self._disk.sync_directory(self._path.parent)
            self._current = (identity, size)

    def _verified(self, path: Path, size: int) -> tuple[_Header, bytes]:
        """Read the whole file once; return its header and digest. Raises ``SnapshotDamaged``."""
        header, offset = _decode_header(self._disk.read(path, 0, _START.size + _HEADER_BYTES_MAX + _CRC.size))
        hasher = hashlib.blake2b(self._disk.read(path, 0, offset), digest_size=_DIGEST_BYTES)
        while True:
            head = self._exactly(path, offset, _PIECE.size, size)
            length, crc = _PIECE.unpack(head)
            if length == 0 and crc == 0:
                break
            if not 0 < length <= PIECE_BYTES_MAX:
                raise SnapshotDamaged(f"at offset {offset}: a piece has an impossible length")
            data = self._exactly(path, offset + _PIECE.size, length, size)
            if zlib.crc32(data) != crc:
                raise SnapshotDamaged(f"at offset {offset}: a piece is damaged")
            hasher.update(head)
            hasher.update(data)
            offset += _PIECE.size + length
        digest = self._exactly(path, offset + _PIECE.size, _DIGEST_BYTES, size)
        if digest != hasher.digest() or offset + _PIECE.size + _DIGEST_BYTES != size:
            raise SnapshotDamaged("its digest does not fit its contents")
        return header, digest

    def _exactly(self, path: Path, offset: int, length: int, size: int) -> bytes:
        data = self._disk.read(path, offset, length) if offset + length <= size else b""
        if len(data) != length:
            raise SnapshotDamaged(f"at offset {offset}: the file ends too early")
        return data

    def _pieces(self, path: Path, size: int) -> Iterator[bytes]:
        """Yield the pieces of a verified file."""
        _, offset = _decode_header(self._disk.read(path, 0, _START.size + _HEADER_BYTES_MAX + _CRC.size))
        while True:
            length, _ = _PIECE.unpack(self._exactly(path, offset, _PIECE.size, size))
            if length == 0:
                return
            yield self._exactly(path, offset + _PIECE.size, length, size)
            offset += _PIECE.size + length

    def _fault(self, what: str, error: OSError) -> RaftError:
        return RaftError(
            f"The snapshot {self._path} could not be {what}: {error.strerror or error}. Nothing more is promised; mend "
            "the disk and start the node again.",
            exit_code=EXIT_DISK_FAULT,
        )


class _Receiving:
    """A snapshot on its way here."""

    def __init__(self, identity: str, total: int, file: AppendFile) -> None:
        self.identity = identity
        self.total = total
        self.file = file
        self.position = 0
        self.synced = 0
        self.verified: str | None = None

    def fits(self, identity: str, offset: int, total: int, data: bytes) -> bool:
        """Say whether the chunk is the next one of this snapshot."""
        same = identity == self.identity and total == self.total
        return same and offset == self.position and 0 < len(data) <= total - offset


def _write(file: AppendFile, header: bytes, pieces: Iterator[bytes]) -> tuple[int, bytes]:
    """Write header, pieces and end; return size and digest when all is on the medium."""
    hasher = hashlib.blake2b(header, digest_size=_DIGEST_BYTES)
    file.write(header)
    size, synced = len(header), 0
    for piece in pieces:
        if not piece:
            continue
        head = _PIECE.pack(len(piece), zlib.crc32(piece))
        hasher.update(head)
        hasher.update(piece)
        file.write(head + piece)
        size += len(head) + len(piece)
        if size - synced >= _SYNC_BYTES:
            file.fdatasync()
            synced = size
    end = _PIECE.pack(0, 0) + hasher.digest()
    file.write(end)
    file.fdatasync()
    return size + len(end), hasher.digest()


def _identity(meta: SnapshotMeta, digest: bytes) -> str:
    return f"{meta.last_index}-{digest.hex()}"


def _encode_header(header: _Header) -> bytes:
    body = msgspec.msgpack.encode(header)
    begin = _START.pack(MAGIC, FORMAT_VERSION, len(body)) + body
    return begin + _CRC.pack(zlib.crc32(begin))


def _decode_header(data: bytes) -> tuple[_Header, int]:
    """Return the header and where the pieces begin. Raises ``SnapshotDamaged``."""
    if len(data) < _START.size or not data.startswith(MAGIC):
        raise SnapshotDamaged("it is no snapshot")
    _, version, length = _START.unpack_from(data)
    if version != FORMAT_VERSION:
        raise SnapshotDamaged(
            f"its format is version {version}, and this program reads version {FORMAT_VERSION}"
        )
    end = _START.size + length
    if length > _HEADER_BYTES_MAX or len(data) < end + _CRC.size:
        raise SnapshotDamaged("its header is damaged")
    if _CRC.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
        raise SnapshotDamaged("its header is damaged")
    try:
        return msgspec.msgpack.decode(data[_START.size : end], type=_Header), end + _CRC.size
    except (msgspec.DecodeError, ValueError) as error:
        raise SnapshotDamaged(f"its header cannot be read ({error})") from None
