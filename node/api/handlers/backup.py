"""``/v1/backup``: the whole State at one log index, as a file."""

from collections.abc import Iterator
from datetime import UTC, datetime

from node.api.context import ApiContext
from node.api.message import Download, Request
from node.state import backup, snapshot

OCTETS = "application/octet-stream"


def get_backup(context: ApiContext, _request: Request) -> Download:
    """Stream the present State; ``consistency=leader`` waits until it holds all that was committed."""
    state, at_ms = context.state(), context.now_ms()

    def pieces() -> Iterator[bytes]:
        header = backup.header_of(state, context.cluster, context.node, context.version, at_ms)
        yield from backup.encode(header, snapshot.dump(state))

    when = datetime.fromtimestamp(at_ms / 1000, UTC)
    return Download(pieces, OCTETS, f"quorumdns-{when:%Y%m%dT%H%M%SZ}.qdns", state.index)
