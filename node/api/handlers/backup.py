"""``/v1/backup``: the whole State at one log index, as a file."""

from collections.abc import Iterator
from datetime import UTC, datetime

from node.api.context import ApiContext
from node.api.message import Download, Request
from node.api.problem import Problem
from node.state import backup, snapshot

OCTETS = "application/octet-stream"


def get_backup(context: ApiContext, _request: Request) -> Download:
    """Stream the present State; ``consistency=leader`` waits until it holds all that was committed.

    Raises ``Problem`` while there is none.
    """
    state, at_ms = context.state(), context.now_ms()
    if not state.seeded:
        raise Problem("not_ready", "this cluster holds nothing yet", "qdns status")

    def pieces() -> Iterator[bytes]:
        header = backup.header_of(state, context.cluster, context.node, context.version, at_ms)
        yield from backup.encode(header, snapshot.dump(state))
        context.tally.backup_at_ms = at_ms

    when = datetime.fromtimestamp(at_ms / 1000, UTC)
    return Download(pieces, OCTETS, f"quorumdns-{when:%Y%m%dT%H%M%SZ}.qdns", state.index)
