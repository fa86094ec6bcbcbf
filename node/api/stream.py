"""Committed events as a stream of server-sent events (WHATWG HTML, section 9.2), and downloads.

The ``id`` of an event is its log index and stands behind the last event of that index only, so a
reader that comes back with ``Last-Event-ID``, to whichever node, misses nothing and gets nothing twice.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import groupby, islice, takewhile

from node.api.context import ApiContext
from node.api.feed import Feed
from node.api.message import Download, Follow
from node.api.views import event_row
from node.state.events import has_gap, iter_after
from node.state.state import Event, State

HEARTBEAT_S = 15.0
RETRY_MS = 2_000
BATCH_EVENTS_MAX = 500
CHUNK_OCTETS = 256 * 1024


async def stream_events(context: ApiContext, feed: Feed, follow: Follow) -> AsyncIterator[bytes]:
    """Yield pieces of the stream until the feed closes or who asked may read no longer."""
    after = follow.after
    yield f"retry: {RETRY_MS}\n\n".encode()
    while not feed.closed and follow.may_read():
        state = context.state()
        if has_gap(state, after):
            after = state.index
            yield f"event: reset\nid: {after}\ndata: {{}}\n\n".encode()
        events = list(islice(iter_after(state, after), BATCH_EVENTS_MAX + 1))
        if len(events) > BATCH_EVENTS_MAX:
            events = _whole_indexes(state, events)
        if events:
            after = events[-1].index
            yield _written(events)
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


def _whole_indexes(state: State, events: list[Event]) -> list[Event]:
    """Cut a batch behind a complete index; an entry with more events than a batch goes out whole."""
    last = events[-1].index
    whole = [event for event in events if event.index != last]
    return whole or list(takewhile(lambda event: event.index == last, iter_after(state, last - 1)))


def _written(events: list[Event]) -> bytes:
    parts = []
    for index, group in groupby(events, key=lambda event: event.index):
        rows = [json.dumps(event_row(event), ensure_ascii=False) for event in group]
        blocks = [f"event: change\ndata: {row}\n\n" for row in rows]
        parts += [*blocks[:-1], f"id: {index}\n{blocks[-1]}"]
    return "".join(parts).encode()
