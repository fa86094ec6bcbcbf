"""Which nodes read which format of the log's commands, and who holds a newer one back. Pure.

Every node tells in its status row which format it reads. A newer one is allowed when all nodes of the
membership, voters and others, have told that they read it; until then its kinds are refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any


def common(newest: int, others: Iterable[str], reads: Mapping[str, int | None]) -> int:
    """Return the newest format that this node and all others read; 0 while not all have told."""
    return min((newest, *(reads.get(name) or 0 for name in others)))


def newest_read(rows: Iterable[Mapping[str, Any]]) -> int:
    """Return the newest format that any node reads, from the nodes' status rows."""
    return max((row["reads_format"] for row in rows if isinstance(row.get("reads_format"), int)), default=0)


def holding_back(wanted: int, rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return, for people, the nodes that are not known to read the format, from their status rows."""
    return tuple(_told(row) for row in rows if (row.get("reads_format") or 0) < wanted)


def _told(row: Mapping[str, Any]) -> str:
    found = row.get("reads_format")
    if found is None:
        return (
            f"{row['name']} (does not answer)"
            if not row.get("version")
            else f"{row['name']} ({row['version']})"
        )
    return f"{row['name']} (version {row.get('version')}, reads format {found})"


def not_yet(needed: int, present: int, holders: Iterable[str] = ()) -> str:
    """Return the sentence that refuses a command of a format that is not allowed yet."""
    names = ", ".join(holders)
    why = f"held back by {names}" if names else "not every node is known to read a newer one"
    return (
        f"this kind of change needs format {needed} of the log, and the cluster is at format {present}: {why}"
    )
