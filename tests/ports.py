"""Ports for what a test starts.

A port that the kernel chose may go to another process between the moment a test lets go of it and the moment a server
takes it; two nodes would even share it, since answerers bind with SO_REUSEPORT. So each test process counts through
a range of its own, below the one that the kernel chooses from.
"""

import os
import random
import socket
from collections.abc import Iterator

_FIRST, _LAST = 10_000, 32_000
_WORKERS_MAX = 11
_RANGE_PORTS = (_LAST - _FIRST) // _WORKERS_MAX


def _numbers() -> Iterator[int]:
    """Yield the ports of this process' range, round and round, from anywhere in it: other runs may be under way."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS_MAX
    start = random.SystemRandom().randrange(_RANGE_PORTS)
    while True:
        yield _FIRST + worker * _RANGE_PORTS + start
        start = (start + 1) % _RANGE_PORTS


_rest = _numbers()


def free_port() -> int:
    """Return a port that is free for UDP and TCP on every address now, and was not returned lately."""
    for _, port in zip(range(_RANGE_PORTS), _rest, strict=False):
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            try:
                stream.bind(("", port))
                datagram.bind(("", port))
            except OSError:
                continue
        return port
    raise AssertionError("this machine has no free ports")


def free_ports(count: int) -> list[int]:
    """Return different ports, each as ``free_port`` does."""
    return [free_port() for _ in range(count)]
