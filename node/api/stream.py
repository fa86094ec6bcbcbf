"""Committed events as a stream of server-sent events (WHATWG HTML, section 9.2), and downloads.

The ``id`` of an event is its log index, of those that are not the last of their index with their number behind it, so a
reader that comes back with ``Last-Event-ID``, to whichever node, misses nothing and gets nothing twice.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import islice, pairwise

from node.api.context import ApiContext
from node.api.feed import Feed
from node.api.message import Download, Follow
from node.api.views import event_row
from node.state.events import has_gap, iter_after
from node.state.state import Event

HEARTBEAT_S = 15.0
RETRY_MS = 2_000
BATCH_EVENTS_MAX = 500
CHUNK_OCTETS = 256 * 1024


async def stream_events(context: ApiContext, feed: Feed, follow: Follow) -> AsyncIterator[bytes]:
    """Yield pieces of the stream until the feed closes or who asked may read no longer."""
    after, number = follow.after, follow.number
    yield f"retry: {RETRY_MS}\n\n".encode()
    while not feed.closed and follow.may_read():
        state = context.state()
        if has_gap(state, after):
            after, number = state.index, None
            yield f"event: reset\nid: {after}\ndata: {{}}\n\n".encode()
        found = list(islice(iter_after(state, after, number), BATCH_EVENTS_MAX + 1))
        events, later = found[:BATCH_EVENTS_MAX], found[BATCH_EVENTS_MAX:]
        if events:
            after, number = events[-1].index, events[-1].number
            yield _written(events, later[0] if later else None)
        elif not await feed.wait(HEARTBEAT_S) and follow.may_read():
            yield b": still here\n\n"


async def stream_download(download: Download, feed: Feed) -> AsyncIterator[bytes]:
    """Yield a download in chunks, each made in a thread once the last one was sent; a stopping node ends it early."""
    pieces = download.pieces()
    while not feed.closed and (chunk := await asyncio.to_thread(_chunk, pieces)):
        yield chunk


def _chunk(pieces: Iterator[bytes]) -> bytes:
    chunk = bytearray()
    for piece in pieces:
        chunk += piece
        if len(chunk) >= CHUNK_OCTETS:
            break
    return bytes(chunk)


def _written(events: list[Event], later: Event | None) -> bytes:
    """Write events; ``later`` is what follows them. All events of an entry are there at once."""
    parts = []
    for event, following in pairwise([*events, later]):
        assert event is not None
        is_last = following is None or following.index != event.index
        place = f"{event.index}" if is_last else f"{event.index}.{event.number}"
        row = json.dumps(event_row(event), ensure_ascii=False)
        parts.append(f"id: {place}\nevent: change\ndata: {row}\n\n")
    return "".join(parts).encode()
