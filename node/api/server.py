"""The API's server: uvicorn inside the node's event loop, with its limits and without its signal handlers."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog
import uvicorn

from node.api.app import ApiApp
from node.api.context import ApiContext
from node.api.listening import UNIX, ApiError, address_text, listening
from node.api.protocol import LimitedProtocol
from node.api.settings import ApiSettings

__all__ = ["ApiError", "ApiServer", "ApiSettings"]

logger = structlog.get_logger()


class ApiServer:
    """The HTTP API of one node."""

    def __init__(
        self, settings: ApiSettings, context: ApiContext, inherited: Mapping[str, socket.socket] | None = None
    ) -> None:
        """``inherited`` are sockets that listen already, by what they stand for in the settings."""
        self._inherited = dict(inherited or {})
        self._settings = settings
        self._context = context
        self._sockets: list[socket.socket] = []
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._app: ApiApp | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses it listens on, with the ports that were taken."""
        return tuple(address_text(each) for each in self._sockets)

    async def start(self) -> None:
        """Listen and serve. Raises ``ApiError``."""
        try:
            for text in self._settings.listen:
                given = self._inherited.pop(text, None)
                self._sockets.append(listening(text) if given is None else given)
        except ApiError:
            self._close_sockets()
            raise
        self._app = ApiApp(self._settings, self._context)
        self._server = _Server(_uvicorn_config(self._app, self._settings), self._settings)
        self._serving = asyncio.create_task(self._server.serve(sockets=self._sockets))
        serves = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait((serves, self._serving), return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            serves.cancel()
            await self._serving
        logger.info("api.started", listen=list(self.addresses))

    async def stop(self) -> None:
        """Take no new requests, end streams and waits, let running requests finish for a moment."""
        if self._app is not None:
            self._app.close()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.wait((self._serving,), timeout=self._settings.stop_s)
            if self._app is not None:
                self._app.abandon()
            await self._serving
            self._server.drop_connections()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for each, text in zip(self._sockets, self._settings.listen, strict=False):
            each.close()
            if text.startswith(UNIX):
                Path(text.removeprefix(UNIX)).unlink(missing_ok=True)
        self._sockets.clear()


class _Server(uvicorn.Server):
    """uvicorn without its hands on the process's signals, and with word of when it listens."""

    def __init__(self, config: uvicorn.Config, settings: ApiSettings) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on each socket: with TLS if there is a certificate, but never on a Unix socket.

        uvicorn would take one context for all, and give a handshake a minute.
        """
        await self.lifespan.startup()
        self.servers = [await self._listening(each) for each in sockets or ()]
        self.started = True
        self.listening.set()

    async def _listening(self, bound: socket.socket) -> asyncio.Server:
        tls = None if bound.family == socket.AF_UNIX else self._settings.tls
        return await asyncio.get_running_loop().create_server(
            self._protocol,
            sock=bound,
            ssl=tls,
            ssl_handshake_timeout=self._settings.handshake_s if tls is not None else None,
        )

    def _protocol(self) -> asyncio.Protocol:
        made = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        assert isinstance(made, asyncio.Protocol)
        return made

    def drop_connections(self) -> None:
        """End what came between the last look at the listening sockets and their end: nobody serves it."""
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


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
        timeout_graceful_shutdown=settings.stop_s + 2,
    )
