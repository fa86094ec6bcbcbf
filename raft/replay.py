"""A journal read back: what its records, one after the other, leave standing."""

from array import array
from dataclasses import dataclass, field
from pathlib import Path

from raft.errors import EXIT_DISK_FAULT, RaftError
from raft.records import (
    Damaged,
    Record,
    RecordType,
    decode_entry,
    decode_meta,
    decode_number,
    scan,
)

Entry = tuple[bytes, int, int]


@dataclass(slots=True)
class Replayed:
    """The state a journal's records lead to; offsets are those of the entries' records."""

    entries: list[Entry] = field(default_factory=list)
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    term: int = 0
    vote: str | None = None
    commit: int = 0
    end: int = 0
    """Where the last whole record ends; what follows was never finished."""


def replay(path: Path, data: bytes, begin: int, salt: bytes) -> Replayed:
    """Read all records from ``begin``. Raises ``RaftError`` where the file is damaged."""
    replayed = Replayed(end=begin)
    try:
        for record in scan(data, begin, salt):
            _take(replayed, record)
    except (Damaged, ValueError) as damage:
        raise RaftError(
            f"The journal {path} is damaged {damage}. What it held cannot be trusted any more: restore the data "
            "directory from a backup, or move it away and let the node join under another name.",
            exit_code=EXIT_DISK_FAULT,
        ) from None
    if replayed.entries:
        replayed.commit = min(replayed.commit, replayed.entries[-1][1])
    return replayed


def _take(replayed: Replayed, record: Record) -> None:
    """Let one record have its effect. Raises ``Damaged`` for one that contradicts those before."""
    if record.kind is RecordType.ENTRY:
        command, index, term = decode_entry(record.payload)
        if replayed.entries and index != replayed.entries[-1][1] + 1:
            raise Damaged(record.offset, f"entry {index} does not follow entry {replayed.entries[-1][1]}")
        replayed.entries.append((command, index, term))
        replayed.offsets.append(record.offset)
    elif record.kind is RecordType.TRUNCATE:
        _truncate(replayed, decode_number(record.payload))
    elif record.kind is RecordType.META:
        replayed.term, replayed.vote = decode_meta(record.payload)
    elif record.kind is RecordType.COMMIT:
        replayed.commit = decode_number(record.payload)
    replayed.end = record.end


def _truncate(replayed: Replayed, index: int) -> None:
    """Drop the entries from this index on; 0 drops all."""
    kept = max(0, index - replayed.entries[0][1]) if replayed.entries and index else 0
    del replayed.entries[kept:]
    del replayed.offsets[kept:]
