"""The API's server: listening sockets, limits, and the way between HTTP and the room's own messages.

uvicorn runs inside the node's event loop and installs no signal handlers; Starlette reads requests
and writes responses; everything else is ``node.api.perform``.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvicorn
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from node.api.condition import etag
from node.api.context import ApiContext
from node.api.feed import Feed
from node.api.message import SAFE, Follow, Request, Response
from node.api.peers import Peers
from node.api.perform import Room, respond
from node.api.problem import Problem, rendered
from node.api.protocol import LimitedProtocol
from node.api.stream import stream_events
from node.api.table import TABLE

logger = structlog.get_logger()

_UNIX = "unix:"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class ApiError(Exception):
    """The API cannot be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the API listens, and its limits."""

    listen: tuple[str, ...] = ("127.0.0.1:7380",)
    """``ip:port``, ``[ip6]:port`` or ``unix:/path``; port 0 takes a free one."""
    body_octets_max: int = 4 * 1024 * 1024
    body_time_s: float = 30.0
    connections_max: int = 512
    streams_max: int = 200
    waiting_max: int = 400
    """Blocking queries and watches at a time."""
    keep_alive_s: int = 30
    stop_s: int = 3
    send_time_s: float = 30.0
    """A stream whose reader takes nothing for so long is dropped."""


class ApiServer:
    """The HTTP API of one node."""

    def __init__(self, settings: ApiSettings, context: ApiContext) -> None:
        self._settings = settings
        self._context = context
        self._sockets: list[socket.socket] = []
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._app: ApiApp | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses it listens on, with the ports that were taken."""
        return tuple(_address_text(each) for each in self._sockets)

    async def start(self) -> None:
        """Listen and serve. Raises ``ApiError``."""
        try:
            for text in self._settings.listen:
                self._sockets.append(_listening(text))
        except ApiError:
            self._close_sockets()
            raise
        self._app = ApiApp(self._settings, self._context)
        self._server = _Server(_uvicorn_config(self._app, self._settings))
        self._serving = asyncio.create_task(self._server.serve(sockets=self._sockets))
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait((listening, self._serving), return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            listening.cancel()
            await self._serving
        logger.info("api.started", listen=list(self.addresses))

    async def stop(self) -> None:
        """Take no new requests, end streams and waits, let running requests finish for a moment."""
        if self._app is not None:
            self._app.close()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        self._close_sockets()

    def _close_sockets(self) -> None:
        for each, text in zip(self._sockets, self._settings.listen, strict=False):
            each.close()
            if text.startswith(_UNIX):
                Path(text.removeprefix(_UNIX)).unlink(missing_ok=True)
        self._sockets.clear()


class ApiApp:
    """The API as an ASGI application; to be made inside the event loop that serves it."""

    def __init__(self, settings: ApiSettings, context: ApiContext) -> None:
        self._settings = settings
        self._context = context
        self._room = Room(context, TABLE, Feed(context.subscribe), Peers(context.peer_urls, context.node_token))
        self._streams = 0
        self._waiting = 0

    def close(self) -> None:
        """End streams and waits."""
        if not self._room.feed.closed:
            self._room.feed.close()
            self._room.peers.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        try:
            request = await self._read(HttpRequest(scope, receive))
            response = await self._respond(request)
        except Problem as problem:
            response = rendered(problem)
        except ClientDisconnect:
            return
        if isinstance(response, Follow):
            await self._stream(response, scope, receive, send)
        else:
            await _written(response, scope).__call__(scope, receive, send)

    async def _respond(self, request: Request) -> Response | Follow:
        """Serve a request; those that may wait long are bounded in number."""
        if request.method not in SAFE or not {"index", "wait"} & set(request.query):
            return await respond(self._room, request)
        if self._waiting >= self._settings.waiting_max:
            raise Problem("busy", f"{self._waiting} requests are waiting already, which is the limit")
        self._waiting += 1
        try:
            return await respond(self._room, request)
        finally:
            self._waiting -= 1

    async def _read(self, request: HttpRequest) -> Request:
        """Read a request within the limits. Raises ``Problem``."""
        return Request(
            method=request.method,
            path=request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1"),
            query=dict(request.query_params),
            headers={key.decode("latin-1"): _text(value) for key, value in request.headers.raw},
            body=await self._read_body(request),
            client=request.client.host if request.client is not None else "",
        )

    async def _read_body(self, request: HttpRequest) -> bytes:
        limit = self._settings.body_octets_max
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_time_s):
                async for piece in request.stream():
                    body += piece
                    if len(body) > limit:
                        raise Problem(
                            "too_large", f"the body is longer than {limit} octets; nothing was changed"
                        )
        except TimeoutError:
            raise Problem("bad_request", "the body did not arrive in time; nothing was changed") from None
        return bytes(body)

    async def _stream(self, follow: Follow, scope: Scope, receive: Receive, send: Send) -> None:
        if self._streams >= self._settings.streams_max:
            problem = Problem("busy", f"{self._streams} streams are open already, which is the limit")
            await _written(rendered(problem), scope)(scope, receive, send)
            return

        async def send_in_time(message: object) -> None:
            async with asyncio.timeout(self._settings.send_time_s):
                await send(message)  # type: ignore[arg-type]

        self._streams += 1
        pieces = stream_events(self._context, self._room.feed, follow.after)
        response = StreamingResponse(pieces, headers=_ALWAYS, media_type="text/event-stream")
        try:
            await response(scope, receive, send_in_time)
        except TimeoutError:
            logger.info("stream.dropped", client=scope.get("client"))
        finally:
            self._streams -= 1
            await _closed(pieces)


class _Server(uvicorn.Server):
    """uvicorn without its hands on the process's signals, and with word of when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


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


def _uvicorn_config(app: ApiApp, settings: ApiSettings) -> uvicorn.Config:
    limits = {"connections_max": settings.connections_max}
    return uvicorn.Config(
        app,
        http=type("Protocol", (LimitedProtocol,), limits),
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.stop_s,
    )


def _listening(text: str) -> socket.socket:
    """Bind one address and listen. Raises ``ApiError``."""
    if text.startswith(_UNIX):
        return _listening_unix(text.removeprefix(_UNIX))
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, int(port)))
        bound.listen(1024)
        bound.setblocking(False)
    except (OSError, ValueError) as error:
        bound.close()
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ApiError(f"the API cannot listen on {text}: {why.lower()}") from None
    return bound


def _listening_unix(path: str) -> socket.socket:
    """Listen on a Unix socket that only its owner and group reach; a dead one is replaced."""
    place = Path(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if place.is_socket() and not _is_alive(path):
            place.unlink()
        bound.bind(path)
        place.chmod(0o660)
        bound.listen(1024)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise ApiError(
            f"the API cannot listen on {_UNIX}{path}: {(error.strerror or str(error)).lower()}"
        ) from None
    return bound


def _is_alive(path: str) -> bool:
    """Say whether somebody listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        return trial.connect_ex(path) == 0


def _address_text(bound: socket.socket) -> str:
    if bound.family == socket.AF_UNIX:
        return f"unix:{bound.getsockname()}"
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if bound.family == socket.AF_INET6 else f"{host}:{port}"
