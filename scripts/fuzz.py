"""Fuzz the DNS room with mutated packets: ``python scripts/fuzz.py --count 100000 --seed 7 [--server]``.

The invariant: whatever octets arrive, they are answered as ``tests/dns/invariants.py`` demands or dropped for a
reason, in bounded time and memory. What breaks it is written to ``tests/corpus/dns/`` under the name of its
octets' hash, where the ordinary tests replay it. The same seed gives the same packets.

``--reader FILE`` gives them to the compiled reader of answers and to the Python one, which must say the same;
``python scripts/build_native.py --sanitize FILE`` builds one that checks every access meanwhile.
"""

import argparse
import asyncio
import hashlib
import random
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from node.dns.listen import read_address  # noqa: E402
from node.dns.server import DnsServer, DnsSettings  # noqa: E402
from node.dns.stream import StreamSettings  # noqa: E402
from scripts import fuzz_reader  # noqa: E402
from tests.dns.invariants import VIEW, judge  # noqa: E402

CORPUS = ROOT / "tests" / "corpus" / "dns"
PACKET_S_MAX = 1.0
MEMORY_GROWTH_KIB_MAX = 64 * 1024
_SPECIAL = (
    b"\x00",
    b"\xff",
    b"\xc0\x0c",
    b"\xc0\x00",
    b"\x3f",
    b"\x40",
    b"\x80",
    b"\x00\x29",
    b"\x00\xfa",
    b"\xff\xff",
    b"\x01*",
)


def mutated(seeds: list[bytes], chance: random.Random) -> bytes:
    """Make a packet out of one or two seeds."""
    packet = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        place = chance.randrange(len(packet) + 1)
        match chance.randrange(8):
            case 0 if packet:
                packet[place % len(packet)] = chance.randrange(256)
            case 1 if packet:
                packet[place % len(packet)] ^= 1 << chance.randrange(8)
            case 2:
                packet[place:place] = chance.choice(_SPECIAL)
            case 3:
                del packet[place : place + chance.randrange(1, 9)]
            case 4:
                other = chance.choice(seeds)
                packet[place:] = other[chance.randrange(len(other) + 1) :]
            case 5:
                del packet[place:]
            case 6:
                packet[place:place] = packet[: chance.randrange(64)] * chance.randrange(1, 8)
            case 7 if len(packet) > 12:
                packet[4 + chance.randrange(8)] = chance.randrange(4)
    return bytes(packet[:65_535])


def fuzz_respond(seeds: list[bytes], count: int, chance: random.Random) -> int:
    """Judge packets one by one; return how many broke the invariant."""
    broken = 0
    for _ in range(count):
        packet = mutated(seeds, chance)
        try:
            judge_in_time(packet)
        except Exception as error:
            broken += 1
            path = CORPUS / f"found-{hashlib.sha256(packet).hexdigest()[:12]}.bin"
            path.write_bytes(packet)
            print(f"{path.relative_to(ROOT)}: {type(error).__name__}: {error}")
    return broken


def judge_in_time(packet: bytes) -> None:
    """Judge one packet. Raises ``AssertionError``, also when that costs too much of the processor's time."""
    started = time.process_time()
    judge(packet)
    if time.process_time() - started > PACKET_S_MAX:
        raise AssertionError("the packet took too long")


async def fuzz_server(seeds: list[bytes], count: int, chance: random.Random) -> int:
    """Throw packets at a real server over UDP and in broken TCP frames; return how many defects it met."""
    server = DnsServer(DnsSettings(("127.0.0.1:0",), stream=StreamSettings(idle_s=0.5)), lambda: VIEW)
    await server.start()
    address = read_address(server.addresses[0])
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(address.host, address.port)
    )
    try:
        for number in range(count):
            packet = mutated(seeds, chance)
            if number % 10:
                transport.sendto(packet)
            else:
                await _send_frames(address.host, address.port, packet, chance)
            if number % 50 == 0:
                await asyncio.sleep(0)
        await _ask_plainly(address.host, address.port)
        return server.counters.failures
    finally:
        transport.close()
        await server.stop()


async def _ask_plainly(host: str, port: int) -> None:
    """Check that an honest client is still answered."""
    question = (CORPUS / "query-www-example-a.bin").read_bytes()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(len(question).to_bytes(2, "big") + question)
    async with asyncio.timeout(10):
        await reader.readexactly(14)
    writer.close()


async def _send_frames(host: str, port: int, packet: bytes, chance: random.Random) -> None:
    """Send a packet as one frame, as many, or with a length that lies, and hang up at some time."""
    _, writer = await asyncio.open_connection(host, port)
    length = len(packet) if chance.random() < 0.7 else chance.randrange(65_536)
    writer.write((length.to_bytes(2, "big") + packet) * chance.choice((1, 1, 3)))
    if chance.random() < 0.5:
        writer.write_eof()
    await asyncio.sleep(0)
    writer.transport.abort()


def main() -> int:
    """Run as the options say; the exit code tells whether something broke."""
    options = argparse.ArgumentParser(description="Fuzz the DNS room with mutated packets.")
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--server", action="store_true", help="throw the packets at a real server on loopback")
    options.add_argument(
        "--reader", type=Path, help="give the packets to this compiled reader and to the Python one"
    )
    chosen = options.parse_args()
    if chosen.reader is not None and not fuzz_reader.is_sanitized():
        words = [__file__, "--count", str(chosen.count), "--seed", str(chosen.seed)]
        return fuzz_reader.run(chosen.reader, words)
    seeds = [path.read_bytes() for path in sorted(CORPUS.glob("*.bin"))]
    chance = random.Random(chosen.seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    if chosen.reader is not None:
        broken = fuzz_reader.fuzz_readers(chosen.reader, seeds, chosen.count, chance, mutated)
    elif chosen.server:
        broken = asyncio.run(fuzz_server(seeds, chosen.count, chance))
    else:
        broken = fuzz_respond(seeds, chosen.count, chance)
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{chosen.count} packets, seed {chosen.seed}, {time.monotonic() - started:.1f} s, {growth} KiB more memory, {broken} broken"
    )
    is_grown = growth > MEMORY_GROWTH_KIB_MAX and chosen.reader is None  # a sanitizer keeps what is freed
    return int(broken > 0 or is_grown)


if __name__ == "__main__":
    sys.exit(main())
