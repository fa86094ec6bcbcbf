"""A stranger's flood of connections, as a program: idle ones, slow ones, and ones that talk nonsense.

    python flood.py COUNT ADDRESS:PORT ...

keeps COUNT connections of each kind with every address, and opens new ones for those that are ended, until
its input ends; then it prints how many connections it made. It needs nothing but Python.
"""

import asyncio
import os
import random
import resource
import struct
import sys
from collections import Counter

SLOW_S = 0.2
"""Between two octets of a slow handshake."""
AGAIN_S = 0.5
"""Before a connection that was ended is made anew."""
OPENINGS = (
    b"",
    b"\x16\x03\x01\x02\x00\x01",
    b"GET / HTTP/1.1\r\n\r\n",
    struct.pack(">I", 2**32 - 1),
    struct.pack(">I", 64 * 1024),
    struct.pack(">I", 3) + b"\x80\x04.",
)
"""What nonsense begins with: nothing, TLS, HTTP, frames too large and just allowed, a pickle."""
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

made: Counter[str] = Counter()


async def idle(stream: Stream) -> None:
    """Say nothing until the other side ends it."""
    await stream[0].read()


async def slow(stream: Stream) -> None:
    """Send a frame that could be a handshake, an octet at a time."""
    for octet in struct.pack(">I", 300) + bytes(300):
        stream[1].write(bytes((octet,)))
        await stream[1].drain()
        await asyncio.sleep(SLOW_S)


async def nonsense(stream: Stream) -> None:
    """Send random octets, then wait for the end."""
    stream[1].write(random.choice(OPENINGS) + random.randbytes(random.randrange(1, 4096)))
    await stream[1].drain()
    await stream[0].read()


async def keep(kind: str, host: str, port: int) -> None:
    """Keep one connection of a kind, for ever."""
    acts = {"idle": idle, "slow": slow, "nonsense": nonsense}
    await asyncio.sleep(random.random() * AGAIN_S)
    while True:
        try:
            stream = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(AGAIN_S)
            continue
        made[kind] += 1
        try:
            await acts[kind](stream)
        except OSError:
            pass
        finally:
            stream[1].transport.abort()
        await asyncio.sleep(AGAIN_S * (0.5 + random.random()))


async def main(count: int, addresses: list[str]) -> None:
    """Keep up the flood until the input ends."""
    tasks = [
        asyncio.create_task(keep(kind, *_parsed(address)))
        for address in addresses
        for kind in ("idle", "slow", "nonsense")
        for _ in range(count)
    ]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    print(sum(made.values()), flush=True)
    os._exit(0)


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
