"""The durable log of one node: entries, truncations, term and vote in one file, in the order they happened.

Nothing a node has said may be lost with its power. ``add`` only gathers; ``sync`` writes all that was
gathered and returns when it is on the medium, so a hundred entries cost one wait. Term and vote sync
themselves. Any error of the disk ends the journal: what a failed ``fdatasync`` left is unknown, and
asking again may say yes to what was lost.

The next batch is the proof that the one before it was whole on the medium, and a bad record before such a
proof is damage. So that what was promised does not wait long for its proof, a quiet journal is sealed within a
second by an empty batch, and a closed or rewritten one at once; only what was written in the last moment before
a crash may be taken for a write that the machine did not finish.
"""

import errno
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

from pysyncobj.journal import Journal

from raft.disk import AppendFile, Disk, RealDisk
from raft.errors import EXIT_DISK_FAULT, EXIT_WRONG_SETUP, RaftError
from raft.records import (
    MARK_BYTES,
    SALT_BYTES,
    Header,
    RecordType,
    encode_entry,
    encode_header,
    encode_mark,
    encode_meta,
    encode_number,
)
from raft.replay import Entry, Replayed, read_header, replay

_GATHERED_BYTES_MAX: Final = 16 * 1024 * 1024
_COPY_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class JournalIdentity:
    """Whose files they are."""

    cluster: str
    node: str


@dataclass(frozen=True, slots=True)
class _Copy:
    """A new file that holds the records of the journal's file from ``begin`` to ``end``."""

    begin: int
    end: int
    file: AppendFile
    head_bytes: int


class WalJournal(Journal):  # type: ignore[misc]  # the library has no types
    """The journal at ``path``, made if there is none; the directory is locked against other processes.

    Positions in ``journal[i]``, ``deleteEntriesFrom`` and ``deleteEntriesTo`` count entries held, as the
    library wants it. Raises ``RaftError``, here and in every method that writes.
    """

    def __init__(self, path: Path, identity: JournalIdentity, disk: Disk | None = None) -> None:
        self._path = path
        self._identity = identity
        self._disk = disk if disk is not None else RealDisk()
        self._broken: RaftError | None = None
        self._closed = False
        self._gathered = bytearray()
        self._file: AppendFile | None = None
        self._copy: _Copy | None = None
        self._size = 0
        self._is_sealed = False
        """Whether the last batch on the medium holds nothing that was promised."""
        self._entries: list[Entry] = []
        self._offsets: array[int] = array("Q")
        self._term, self._commit, self._commit_written = 0, 0, 0
        self._vote: str | None = None
        with self._faults("opened"):
            self._disk.make_directory(path.parent)
            self._unlock = self._lock()
            try:
                self._open()
            except BaseException:
                self._unlock()
                raise

    # What the library calls

    def add(self, command: bytes, idx: int, term: int) -> None:
        """Gather an entry. Raises ``ValueError`` if it does not follow the last one."""
        if self._entries and idx != self._entries[-1][1] + 1:
            raise ValueError(f"entry {idx} does not follow entry {self._entries[-1][1]}")
        offset = self._gather(encode_entry(idx, term, command))
        self._entries.append((bytes(command), idx, term))
        self._offsets.append(offset)

    def clear(self) -> None:
        """Drop all entries."""
        self._gather(encode_number(RecordType.TRUNCATE, 0))
        self._entries.clear()
        del self._offsets[:]

    def deleteEntriesFrom(self, entryFrom: int) -> None:  # noqa: N802, N803
        """Drop the entries from this position on."""
        if entryFrom < len(self._entries):
            self._gather(encode_number(RecordType.TRUNCATE, self._entries[entryFrom][1]))
            del self._entries[entryFrom:]
            del self._offsets[entryFrom:]

    def deleteEntriesTo(self, entryTo: int) -> None:  # noqa: N802, N803
        """Drop the entries before this position: a new file with the rest takes the place of the old one."""
        if entryTo > 0:
            kept = self._entries[entryTo:]
            begin = self._offset(entryTo)
            offset = self._switch(begin)
            self._offsets = array("Q", (old - begin + offset for old in self._offsets[entryTo:]))
            self._entries = kept

    def prepare_cut(self, position: int) -> Callable[[], None]:
        """Return what makes a ``deleteEntriesTo`` this position quick: it copies what is on the medium now.

        To be called once, in any thread, while the journal goes on; only ``reset`` must wait until it returns.
        """
        begin, end, head = self._offset(position), self._size, self._head()
        return lambda: self._copy_from(begin, end, head)

    def _offset(self, position: int) -> int:
        return self._offsets[position] if position < len(self._entries) else self.bytes_on_disk

    @overload
    def __getitem__(self, item: int) -> Entry: ...
    @overload
    def __getitem__(self, item: slice) -> list[Entry]: ...
    def __getitem__(self, item: int | slice) -> Entry | list[Entry]:
        return self._entries[item]

    def __len__(self) -> int:
        return len(self._entries)

    def _destroy(self) -> None:
        """Write what is gathered and let the file go; the library's name for it."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._broken is None:
                self.sync()
                with suppress(RaftError):  # nothing is owed any more
                    self.seal()
        finally:
            self._drop_copy()
            if self._file is not None:
                self._file.close()
            self._unlock()
            self._broken = self._broken or self._fault("used after it was closed", None)

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:  # noqa: N802, N803
        """Note how far the log is known to be committed: a hint, written with the next sync."""
        self._commit = raftCommitIndex

    def getRaftCommitIndex(self) -> int:  # noqa: N802
        """Return the last commit index noted; at the start never beyond the last entry."""
        return self._commit

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:  # noqa: N802, N803
        """Record term and vote; return when they are on the medium."""
        self._term, self._vote = term, votedForNodeId
        self._gather(encode_meta(term, votedForNodeId))
        self.sync()

    def getCurrentTerm(self) -> int:  # noqa: N802
        """Return the term."""
        return self._term

    def getVotedForNodeId(self) -> str | None:  # noqa: N802
        """Return whom this node voted for in the term."""
        return self._vote

    def onOneSecondTimer(self) -> None:  # noqa: N802
        """Seal what was written, and write a commit index that no entry has carried along."""
        self.seal()

    # What is ours

    @property
    def bytes_on_disk(self) -> int:
        """Size of the journal in octets, with what is gathered."""
        return self._size + len(self._gathered)

    @property
    def directory(self) -> str:
        """What tells this data directory from every other, also from a later one at the same place."""
        return self._header.salt.hex()

    @property
    def needs_sync(self) -> bool:
        """Whether anything is gathered that is not on the medium."""
        return bool(self._gathered)

    def sync(self) -> None:
        """Return when everything gathered is on the medium; at once if nothing is."""
        if self._broken is not None:
            raise self._broken
        if not self._gathered:
            return
        if self._commit != self._commit_written:
            self._gathered += encode_number(RecordType.COMMIT, self._commit)
            self._commit_written = self._commit
        self._gathered[:MARK_BYTES] = encode_mark(self._header.salt, len(self._gathered))
        file = self._file
        assert file is not None
        with self._faults("written"):
            file.write(bytes(self._gathered))
            file.fdatasync()
        self._size += len(self._gathered)
        self._gathered.clear()
        self._is_sealed = False

    def seal(self) -> None:
        """Prove that what is on the medium was whole, unless that is proven or more is gathered to do so."""
        if not self._gathered and not (self._is_sealed and self._commit == self._commit_written):
            self._gather(b"")
            self.sync()
            self._is_sealed = True

    def reset(self, entries: Sequence[Entry]) -> None:
        """Put these entries in the place of all, at once and durably: the start after a received snapshot."""
        records = [encode_entry(index, term, command) for command, index, term in entries]
        self._commit = max(self._commit, entries[-1][1]) if entries else self._commit
        begin = self._rewrite(b"".join(records))
        self._entries = list(entries)
        self._offsets = array("Q")
        for record in records:
            self._offsets.append(begin)
            begin += len(record)

    def _gather(self, record: bytes) -> int:
        """Take a record and return the offset it will have."""
        if self._broken is not None:
            raise self._broken
        if len(self._gathered) > _GATHERED_BYTES_MAX:
            self.sync()
        if not self._gathered:
            self._gathered += encode_mark(self._header.salt)
        offset = self._size + len(self._gathered)
        self._gathered += record
        return offset

    # The file

    def _open(self) -> None:
        size = self._disk.size(self._path)
        self._disk.remove(self._new_path)
        if size is None:
            self._take(Header(self._identity.cluster, self._identity.node, os.urandom(SALT_BYTES)), Replayed())
            self._rewrite(b"")
            return
        data = self._disk.read(self._path, 0, size)
        header, begin = read_header(self._path, data, self._identity.cluster, self._identity.node)
        replayed = replay(self._path, data, begin, header.salt)
        self._take(header, replayed)
        if replayed.end < size:
            self._disk.truncate(self._path, replayed.end)
        self._size = replayed.end
        self._file = self._disk.open_append(self._path)
        self._file.fdatasync()  # what a killed process wrote may still be in memory only, and so may the
        self._disk.sync_directory(self._path.parent)  # name it gave to a new file

    def _take(self, header: Header, replayed: Replayed) -> None:
        self._header = header
        self._entries, self._offsets = replayed.entries, replayed.offsets
        self._term, self._vote = replayed.term, replayed.vote
        self._commit = self._commit_written = replayed.commit

    def _octets(self, begin: int, end: int) -> Iterator[bytes]:
        """Yield the octets of the file between these offsets."""
        offset = begin
        while offset < end:
            piece = self._disk.read(self._path, offset, min(_COPY_BYTES, end - offset))
            if not piece:
                raise OSError(errno.EIO, "the file is shorter than what was written")
            offset += len(piece)
            yield piece

    def _head(self) -> bytes:
        head = encode_header(self._header) + encode_mark(self._header.salt)
        return head + encode_meta(self._term, self._vote) + encode_number(RecordType.COMMIT, self._commit)

    def _rewrite(self, records: bytes) -> int:
        """Put a new file with these records in the place of the old one; return where they begin in it."""
        self._drop_copy()
        head = self._head()
        with self._faults("rewritten"):
            file = self._disk.create(self._new_path)
            file.write(head + records)
            self._take_place(file, len(head) + len(records))
        return len(head)

    def _copy_from(self, begin: int, end: int, head: bytes) -> None:
        """Copy the records between these offsets into a new file, behind a head of its own."""
        self._drop_copy()
        with self._faults("rewritten"):
            file = self._disk.create(self._new_path)
            self._copy = _Copy(begin, max(begin, end), file, len(head))
            file.write(head)
            for piece in self._octets(begin, end):
                file.write(piece)
                file.fdatasync()  # a little at a time: the running journal waits for what lies before it
            file.fdatasync()

    def _switch(self, begin: int) -> int:
        """Let a copy from this offset on take the place of the file, with what came since; return where it begins."""
        if self._copy is None or self._copy.begin != begin:
            self._copy_from(begin, self._size, self._head())
        copy, self._copy = self._copy, None
        assert copy is not None
        with self._faults("rewritten"):
            size = copy.head_bytes + copy.end - copy.begin
            for piece in (*self._octets(copy.end, self._size), self._gathered_from(copy.end)):
                copy.file.write(piece)
                size += len(piece)
            self._take_place(copy.file, size)
        return copy.head_bytes

    def _gathered_from(self, begin: int) -> bytes:
        """Return what is gathered from this offset on, and the commit index if no record holds it yet."""
        is_written = self._commit == self._commit_written
        commit = b"" if is_written else encode_number(RecordType.COMMIT, self._commit)
        return bytes(self._gathered[max(0, begin - self._size) :]) + commit

    def _take_place(self, file: AppendFile, size: int) -> None:
        """Seal the new file, give it the journal's name, durably, and go on in it."""
        seal = encode_mark(self._header.salt)
        file.write(seal)
        file.fdatasync()
        self._disk.replace(self._new_path, self._path)
        self._disk.sync_directory(self._path.parent)
        if self._file is not None:
            self._file.close()
        self._file, self._size = file, size + len(seal)
        self._gathered.clear()
        self._commit_written, self._is_sealed = self._commit, True

    def _drop_copy(self) -> None:
        if self._copy is not None:
            self._copy.file.close()
            self._copy = None

    def _lock(self) -> Callable[[], None]:
        try:
            return self._disk.lock(self._path.with_suffix(".lock"))
        except BlockingIOError:
            raise RaftError(
                f"Another process uses {self._path.parent}: two nodes cannot share a data directory. Stop the other "
                "one, or give this node its own.",
                exit_code=EXIT_WRONG_SETUP,
            ) from None

    @property
    def _new_path(self) -> Path:
        return self._path.with_suffix(".new")

    @contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        """Turn the first error of the disk into the end of this journal."""
        if self._broken is not None:
            raise self._broken
        try:
            yield
        except OSError as error:
            self._broken = self._fault(what, error)
            raise self._broken from error

    def _fault(self, what: str, error: OSError | None) -> RaftError:
        because = f": {error.strerror or error}" if error is not None else ""
        return RaftError(
            f"The journal {self._path} could not be {what}{because}. Nothing more is promised; mend the disk and "
            "start the node again.",
            exit_code=EXIT_DISK_FAULT,
        )
