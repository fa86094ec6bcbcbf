"""The API as an ASGI application: the way between HTTP and the room's own messages.

Starlette reads requests and writes responses; everything else is ``node.api.perform``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from node.api.bodies import Bodies
from node.api.condition import etag
from node.api.context import ApiContext
from node.api.feed import Feed
from node.api.message import SAFE, Download, Follow, Request, Response, Streamed
from node.api.peers import Peers
from node.api.perform import ReadBody, Room, respond
from node.api.problem import Problem, rendered
from node.api.settings import ApiSettings
from node.api.status import peer_urls
from node.api.stream import stream_download, stream_events
from node.api.table import TABLE
from node.api.token_uses import TokenUses

logger = structlog.get_logger()

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class ApiApp:
    """The API as an ASGI application; to be made inside the event loop that serves it."""

    def __init__(self, settings: ApiSettings, context: ApiContext) -> None:
        self._settings = settings
        self._context = context
        self._room = Room(
            context,
            TABLE,
            Feed(context.subscribe),
            Peers(lambda: peer_urls(context), context.node_token, context.api_ca),
            TokenUses(context),
        )
        self._bodies = Bodies(settings.bodies_octets_max)
        self._streams = 0
        self._downloads = 0
        self._waiting = 0
        self._serving: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """End streams and waits, and take no more requests."""
        if not self._room.feed.closed:
            self._room.feed.close()
            self._room.peers.close()
            for each in self._room.turns.values():
                each.close()
            self._room.token_uses.close()

    def abandon(self) -> None:
        """Let every request that is still being served be answered now, by saying that the node stops."""
        for task in self._serving:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        send = self._counted(scope["method"], send)
        try:
            response = await self._served(HttpRequest(scope, receive))
        except Problem as problem:
            response = rendered(problem)
        if isinstance(response, Follow):
            await self._stream(response, scope, receive, send)
        elif isinstance(response, Download):
            await self._download(response, scope, receive, send)
        else:
            await _written(response, scope).__call__(scope, receive, send)

    def _counted(self, method: str, send: Send) -> Send:
        """Count a response when it begins; one that never does was not answered."""

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._context.requests.count(method, message["status"])
            await send(message)

        return send_counted

    async def _served(self, http: HttpRequest) -> Response | Streamed:
        if self._room.feed.closed:
            raise Problem("stopped", "this node is stopping; nothing was changed", "ask another node")
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with self._bodies.held() as grow:
                return await self._respond(
                    replace(_head(http), gone=lambda: _gone(http)),
                    lambda limit: self._read_body(http, limit, grow),
                )
        finally:
            self._serving.discard(task)

    async def _respond(self, request: Request, read_body: ReadBody) -> Response | Streamed:
        """Serve a request; those that may wait long are bounded in number."""
        if request.method not in SAFE or not {"index", "wait"} & set(request.query):
            return await respond(self._room, request, read_body)
        if self._waiting >= self._settings.waiting_max:
            raise Problem("busy", f"{self._waiting} requests are waiting already, which is the limit")
        self._waiting += 1
        try:
            return await respond(self._room, request, read_body)
        finally:
            self._waiting -= 1

    async def _read_body(self, request: HttpRequest, limit: int | None, grow: Callable[[int], None]) -> bytes:
        """Read a body within the limits. Raises ``Problem``."""
        limit = self._settings.body_octets_max if limit is None else limit
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_time_s):
                async for piece in request.stream():
                    body += piece
                    if len(body) > limit:
                        raise Problem(
                            "too_large", f"the body is longer than {limit} octets; nothing was changed"
                        )
                    grow(len(body))
        except TimeoutError:
            raise Problem("bad_request", "the body did not arrive in time; nothing was changed") from None
        except ClientDisconnect:
            raise Problem("bad_request", "the client went before its body came; nothing was changed") from None
        return bytes(body)

    async def _stream(self, follow: Follow, scope: Scope, receive: Receive, send: Send) -> None:
        if self._streams >= self._settings.streams_max:
            problem = Problem("busy", f"{self._streams} streams are open already, which is the limit")
            await _written(rendered(problem), scope)(scope, receive, send)
            return
        self._streams += 1
        pieces = stream_events(self._context, self._room.feed, follow)
        response = StreamingResponse(pieces, headers=_ALWAYS, media_type="text/event-stream")
        try:
            await self._send_in_time(response, pieces, scope, receive, send)
        finally:
            self._streams -= 1

    async def _download(self, download: Download, scope: Scope, receive: Receive, send: Send) -> None:
        if self._downloads >= self._settings.downloads_max:
            problem = Problem("busy", f"{self._downloads} backups are being taken already, which is the limit")
            await _written(rendered(problem), scope)(scope, receive, send)
            return
        headers = _ALWAYS | {
            "Qdns-Index": str(download.index),
            "Content-Disposition": f'attachment; filename="{download.file_name}"',
        }
        if scope["method"] == "HEAD":
            await HttpResponse(headers=headers, media_type=download.content_type)(scope, receive, send)
            return
        self._downloads += 1
        pieces = stream_download(download, self._room.feed)
        response = StreamingResponse(pieces, headers=headers, media_type=download.content_type)
        try:
            await self._send_in_time(response, pieces, scope, receive, send)
        finally:
            self._downloads -= 1

    async def _send_in_time(
        self,
        response: StreamingResponse,
        pieces: AsyncIterator[bytes],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Send a stream to its end, and drop a reader that takes nothing for too long."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._settings.send_time_s):
                await send(message)

        try:
            await response(scope, receive, send_in_time)
        except TimeoutError:
            logger.info("stream.dropped", client=scope.get("client"))
        finally:
            await _closed(pieces)


def _head(request: HttpRequest) -> Request:
    """Return a request without its body."""
    return Request(
        method=request.method,
        path=request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1"),
        query=dict(request.query_params),
        headers={key.decode("latin-1"): _text(value) for key, value in request.headers.raw},
        client=request.client.host if request.client is not None else "unknown",
        is_tls=request.scope.get("scheme") == "https",
    )


async def _gone(http: HttpRequest) -> None:
    """Wait until the client has gone, which is told behind the body; uvicorn cancels nothing then."""
    while (await http.receive())["type"] != "http.disconnect":
        pass


async def _closed(pieces: AsyncIterator[bytes]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()


def _written(response: Response, scope: Scope) -> HttpResponse:
    """Turn a response of ours into one of Starlette's."""
    headers = dict(_ALWAYS)
    if response.index is not None:
        headers["Qdns-Index"] = str(response.index)
        headers["ETag"] = etag(response.index)
    headers |= dict(response.headers)
    body = b"" if scope["method"] == "HEAD" or response.status in (204, 304) else response.body
    written = HttpResponse(body, response.status, headers)
    if response.status not in (204, 304):
        written.headers["Content-Type"] = response.content_type
        written.headers["Content-Length"] = str(len(response.body))
    return written


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
