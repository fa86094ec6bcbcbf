"""The demo's web servers break and mend on demand."""

import asyncio

from node import demo
from node.health.service import problem
from tests.ports import free_port


async def _ask(address: str, port: int, head: str) -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(head.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.split(b"\r\n")[0]


def test_a_broken_site_says_503_until_it_is_mended() -> None:
    """POST /fail breaks one site and no other; POST /mend mends it."""

    async def story() -> list[bytes]:
        site = demo.Demo(free_port())
        await site.start()
        first, second = demo.ADDRESSES[:2]
        lines = [await _ask(first, site.port, "GET /")]
        await _ask(first, site.port, "POST /fail")
        lines += [await _ask(first, site.port, "GET /"), await _ask(second, site.port, "GET /")]
        await _ask(first, site.port, "POST /mend")
        lines.append(await _ask(first, site.port, "GET /"))
        await site.stop()
        return lines

    ok, broken = b"HTTP/1.1 200 OK", b"HTTP/1.1 503 Service Unavailable"
    assert [ok, broken, ok, ok] == asyncio.run(story())


def test_the_demo_is_acceptable() -> None:
    """The demo's own service passes the checks of every service."""
    assert problem(demo.Demo().service()) is None
