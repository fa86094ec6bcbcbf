"""The endpoints of ``bench_probe.py``: one process that answers on every loopback address, as cheaply as Python can.

``python probe_targets.py http PORT`` or ``... https PORT CERTIFICATE``.
"""

import asyncio
import socket
import ssl
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
BACKLOG = 4096


def serve_http(port: int) -> None:
    """Take connections that have already asked, answer, hang up."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    listener.bind(("0.0.0.0", port))
    listener.listen(BACKLOG)
    while True:
        client, _ = listener.accept()
        with client:
            try:
                client.settimeout(0.2)
                client.recv(4096)
                client.sendall(ANSWER)
            except OSError:
                continue


async def serve_https(port: int, certificate: str) -> None:
    """Shake hands, answer, hang up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(answer, "0.0.0.0", port, ssl=context, backlog=BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "http":
        serve_http(int(sys.argv[2]))
    else:
        asyncio.run(serve_https(int(sys.argv[2]), sys.argv[3]))
