"""HTTP over a Unix socket for ``requests``: URLs ``http+unix://%2Frun%2Fquorumdns%2Fapi.sock/v1/status``."""

import socket
from typing import Any
from urllib.parse import unquote, urlsplit

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool


class _Connection(HTTPConnection):
    """A connection to the path of a socket, which stands in the place of the host."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__("localhost", **options)
        self._path = path

    def connect(self) -> None:
        """Connect, in the time that the request has for it."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        timeout = self.timeout
        self.sock.settimeout(timeout if isinstance(timeout, (int, float)) else None)
        self.sock.connect(self._path)


class _Pool(HTTPConnectionPool):
    """Connections to one socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", maxsize=2)
        self._path = path

    def _new_conn(self) -> _Connection:
        return _Connection(self._path)


class UnixAdapter(HTTPAdapter):
    """Sends requests for ``http+unix://`` to the socket that the URL names."""

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[str, _Pool] = {}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        """Return the connections to the socket."""
        del verify, proxies, cert
        path = unquote(urlsplit(request.url or "").netloc)
        return self._pools.setdefault(path, _Pool(path))

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """Return the path and the query, as on any other connection."""
        del proxies
        return request.path_url
