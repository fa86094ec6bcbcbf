"""Load for name servers: Debian's dnsperf where it is installed, and a small generator of our own."""

import contextlib
import random
import re
import shutil
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from dns_servers import ORIGIN

_SOCKETS = 8
_SO_TIMESTAMPNS = 35
_SENT_AT_ONCE_MAX = 16
_TYPES = {"A": 1, "AAAA": 28}
_OPT = b"\x00\x00\x29\x04\xd0" + bytes(6)


@dataclass(frozen=True)
class Load:
    """What came of a run; times in microseconds."""

    rate: float
    lost: int
    p50_us: float = 0.0
    p99_us: float = 0.0


def write_zone(path: Path, names: int) -> None:
    """Write a zone of addresses, and of aliases a tenth of them."""
    lines = [
        f"$ORIGIN {ORIGIN}",
        "$TTL 300",
        "@ SOA ns1 hostmaster 1 7200 900 1209600 60",
        "@ NS ns1",
        "ns1 A 192.0.2.1",
    ]
    lines += [
        f"h{number} A 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number in range(names)
    ]
    lines += [f"c{number} CNAME h{number}" for number in range(names // 10)]
    path.write_text("\n".join(lines) + "\n")


def write_queries(path: Path, names: int, kind: str, count: int = 100_000) -> None:
    """Write questions: ``mixed`` (85 % hits, the rest denials and aliases), ``spelled`` (in random case), ``flood``, ``half``."""
    chance = random.Random(7)
    rows = []
    for _ in range(count):
        number, die = chance.randrange(names), chance.random()
        name, type_ = f"h{number}", "A"
        if kind == "flood" or (kind == "half" and len(rows) % 2):
            name = f"x{chance.getrandbits(48):x}"
        elif die < 0.05:
            name = f"none{number % 500}"
        elif die < 0.10:
            type_ = "AAAA"
        elif die < 0.15:
            name = f"c{number % max(1, names // 10)}"
        name = f"{name}.{ORIGIN}"
        if kind == "spelled":
            name = "".join(chance.choice((letter, letter.upper())) for letter in name)
        rows.append(f"{name} {type_}")
    path.write_text("\n".join(rows) + "\n")


def has_dnsperf() -> bool:
    return shutil.which("dnsperf") is not None


def saturate(port: int, queries: Path, seconds: float, *, edns: bool, core: int) -> Load:
    """Ask as much as is answered: a closed loop."""
    if not has_dnsperf():
        return closed_loop(port, queries, seconds, edns=edns)
    words = ["taskset", "-c", str(core), "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(queries)]
    words += ["-l", str(seconds), "-c", str(_SOCKETS), "-q", "400", "-T", "1", *(["-e"] if edns else [])]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    rate = re.search(r"Queries per second:\s+([\d.]+)", done.stdout)
    lost = re.search(r"Queries lost:\s+(\d+)", done.stdout)
    return Load(float(rate[1]) if rate else 0.0, int(lost[1]) if lost else 0)


def closed_loop(port: int, queries: Path, seconds: float, *, edns: bool, window: int = 64) -> Load:
    """Keep so many questions on their way on one socket."""
    packets = read_packets(queries, edns=edns)
    got = sent = 0
    with _client(port) as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while sent - got < window:
                client.send(packets[sent % len(packets)])
                sent += 1
            try:
                client.recv(4096)
                got += 1
            except TimeoutError:
                got = sent
    return Load(got / seconds, sent - got)


def at_rate(port: int, queries: Path, seconds: float, rate: int) -> Load:
    """Ask at a steady rate and time each answer from when its question left to when the kernel had the answer.

    So the generator's own waiting for a processor counts on neither side; what is late leaves in a burst.
    """
    packets = read_packets(queries, edns=False)
    times: list[float] = []
    sent_ns: dict[int, int] = {}
    with _client(port) as client:
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        began = time.perf_counter()
        number, total = 0, int(rate * seconds)
        while number < total or (sent_ns and time.perf_counter() < began + seconds + 1):
            now = time.perf_counter()
            while number < total and began + number / rate <= now:
                sent_ns[number & 0xFFFF] = time.time_ns()
                with contextlib.suppress(BlockingIOError):
                    client.send((number & 0xFFFF).to_bytes(2, "big") + packets[number % len(packets)][2:])
                number += 1
                if number % _SENT_AT_ONCE_MAX == 0:
                    break
            with contextlib.suppress(BlockingIOError):
                while True:
                    answer, told, _, _ = client.recvmsg(4096, socket.CMSG_SPACE(16))
                    left = sent_ns.pop(int.from_bytes(answer[:2], "big"), None)
                    if left is not None:
                        seconds_ns, rest_ns = struct.unpack("qq", told[0][2])
                        times.append((seconds_ns * 10**9 + rest_ns - left) / 1000)
    times.sort()
    return Load(len(times) / seconds, total - len(times), times[len(times) // 2], times[len(times) * 99 // 100])


def read_packets(queries: Path, *, edns: bool) -> list[bytes]:
    """Read a file of questions as packets."""
    head = struct.pack("!6H", 1, 0, 1, 0, 0, int(edns))
    packets = []
    for line in queries.read_text().splitlines():
        name, type_ = line.split()
        wire = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
        packets.append(head + wire + struct.pack("!HH", _TYPES[type_], 1) + (_OPT if edns else b""))
    return packets


def _client(port: int) -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(1)
    client.connect(("127.0.0.1", port))
    return client
