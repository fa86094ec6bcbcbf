"""The least HTTP/1.1 client that can saturate a server: keep-alive connections, one request at a time on each."""

import asyncio


class RequestFailed(Exception):
    """The answer was no 2xx, or none came."""


class HttpConnection:
    """One connection."""

    def __init__(self, host: str, port: int, headers: str = "") -> None:
        self._host = host
        self._port = port
        self._headers = headers
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: bytes) -> bytes:
        """Send a JSON body and return that of the answer. Raises ``RequestFailed``, ``OSError``."""
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
        )
        head += f"Content-Length: {len(body)}\r\n{self._headers}\r\n"
        self._writer.write(head.encode() + body)
        try:
            answer = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            raise RequestFailed("the connection ended") from None
        length = 0
        for line in answer.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        content = await self._reader.readexactly(length)
        if not answer.startswith(b"HTTP/1.1 2"):
            raise RequestFailed((answer.partition(b"\r\n")[0] + b" " + content[:300]).decode(errors="replace"))
        return content

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
