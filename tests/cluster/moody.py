"""Endpoints with moods: web servers that refuse, fail, drip or take turns when a test tells them to."""

import contextlib
import http.server
import socketserver
import ssl
import threading
from collections import Counter
from typing import Any, Literal

Mood = Literal["good", "error", "drips", "alternates"]

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
DRIP_S = 0.2


class Endpoint:
    """A web server on one address: ``mood`` says how it answers, and ``stop`` lets its port refuse."""

    def __init__(self, address: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.port = port
        self.mood: Mood = "good"
        self.asked: Counter[str] = Counter()
        """Requests since the start, by the address that they came from."""
        self.tls = tls
        self.ended = threading.Event()
        self._server: socketserver.ThreadingTCPServer | None = None

    def start(self) -> None:
        """Listen."""
        server = _Server((self.address, self.port), _Handler)
        server.endpoint = self
        self.ended.clear()
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more; what is being answered ends."""
        self.ended.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    endpoint: Endpoint

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: probes hang up as soon as they know enough."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 5

    def setup(self) -> None:
        """Speak TLS where the endpoint does, in this connection's own thread."""
        server = self.server
        assert isinstance(server, _Server)
        self.endpoint = server.endpoint
        if self.endpoint.tls is not None:
            self.request = self.endpoint.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self) -> None:
        """Answer as the endpoint feels."""
        client = self.client_address[0]
        self.endpoint.asked[client] += 1
        mood = self.endpoint.mood
        if mood == "drips":
            self._drip()
        elif mood == "error" or (mood == "alternates" and self.endpoint.asked[client] % 2):
            self.wfile.write(ANSWER.replace(b"200 OK", b"500 Sorry"))
        else:
            self.wfile.write(ANSWER)
        self.close_connection = True

    def _drip(self) -> None:
        with contextlib.suppress(OSError):
            for octet in ANSWER:
                self.wfile.write(bytes((octet,)))
                self.wfile.flush()
                if self.endpoint.ended.wait(DRIP_S) or self.endpoint.mood != "drips":
                    return

    def log_message(self, *_: object) -> None:
        """Say nothing."""
