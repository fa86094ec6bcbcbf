"""A journal read back: what its records, one after the other, leave standing."""

import struct
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from raft.errors import EXIT_DISK_FAULT, EXIT_WRONG_SETUP, RaftError
from raft.records import (
    BadHeader,
    Damaged,
    Header,
    Record,
    RecordType,
    Torn,
    UnknownVersion,
    decode_entry,
    decode_header,
    decode_meta,
    decode_number,
    scan,
)

Entry = tuple[bytes, int, int]
"""Command, index and term, in the library's order."""


@dataclass(slots=True)
class Replayed:
    """The state a journal's records lead to; offsets are those of the entries' records."""

    entries: list[Entry] = field(default_factory=list)
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    term: int = 0
    vote: str | None = None
    commit: int = 0
    end: int = 0
    """Where the last whole batch ends; what follows was never finished, and so never told to anyone."""


def read_header(path: Path, data: bytes, cluster: str, node: str) -> tuple[Header, int]:
    """Return the header and where the records begin. Raises ``RaftError`` if the file is not this node's."""
    try:
        header, begin = decode_header(data)
    except BadHeader as error:
        raise RaftError(
            f"The journal {path} cannot be used: {error}. Restore the data directory from a backup, or move it away "
            "and let the node join under another name.",
            exit_code=EXIT_WRONG_SETUP if isinstance(error, UnknownVersion) else EXIT_DISK_FAULT,
        ) from None
    if (header.cluster, header.node) != (cluster, node):
        raise RaftError(
            f"The journal {path} belongs to the node {header.node} of the cluster {header.cluster}, not to {node} of "
            f"{cluster}: give this node its own data directory.",
            exit_code=EXIT_WRONG_SETUP,
        )
    return header, begin


def replay(path: Path, data: bytes, begin: int, salt: bytes) -> Replayed:
    """Read all records from ``begin``. Raises ``RaftError`` where the file is damaged."""
    replayed = Replayed(end=begin)
    try:
        for record in scan(data, begin, salt):
            _take(replayed, record)
    except Torn as torn:
        return replay(path, data[: torn.offset], begin, salt)
    except (Damaged, ValueError, struct.error) as damage:
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
