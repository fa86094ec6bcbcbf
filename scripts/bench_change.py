"""How long a change takes to show: from its being applied to the first answer over UDP that has it."""

import argparse
import asyncio
import socket
import tempfile
import time
from pathlib import Path

import dns_load
from build_native import build

from node.dns.fast import FastDns
from node.dns.respond import Client, Send, View, respond
from node.dns.supervisor import SupervisorSettings
from node.state.state import Changed
from node.zone.master_file import parse
from node.zone.name import Name, from_text
from node.zone.rrset import make
from node.zone.zone import Replacement, Zone, new_zone, with_changes

APEX = from_text("bench.example.")
NAMES = {"an address": from_text("h9999.bench.example."), "and an alias to it": from_text("h1.bench.example.")}
READY_S = 600.0
Times = tuple[list[float], list[float]]
"""In microseconds, sorted: until it showed, and of the writer's processor."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--names", type=int, default=10_000, help="addresses in the zone (default %(default)s)")
    parser.add_argument("--changes", type=int, default=1_000, help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    print(
        "| reader, what changes | shown: p50 us | p99 us | processor us of the writer: p50 | p99 |\n"
        + "|---" * 5
        + "|"
    )
    for compiled in (True, False)[not build() :]:
        with tempfile.TemporaryDirectory(prefix="bench-change-") as home:
            for what, (shown, written) in asyncio.run(
                _measure(arguments, Path(home), compiled=compiled)
            ).items():
                times = [each[len(each) * share // 100] for each in (shown, written) for share in (50, 99)]
                cells = (f"{'compiled' if compiled else 'Python'}, {what}", *(f"{each:,.0f}" for each in times))
                print("| " + " | ".join(cells) + " |", flush=True)
    return 0


async def _measure(arguments: argparse.Namespace, home: Path, *, compiled: bool) -> dict[str, Times]:
    """Change an address again and again, and ask until it shows."""
    dns_load.write_zone(home / "zone", arguments.names)
    zones: dict[Name, Zone] = {APEX: new_zone(APEX, parse((home / "zone").read_text(), APEX, 300).rrsets, 1)}

    def answer(packet: bytes, address: str) -> bytes | None:
        outcome = respond(packet, Client(address, "udp"), View(zones, True, "bench"))
        return outcome.packet if isinstance(outcome, Send) else None

    settings = SupervisorSettings(home / "run", 1, compiled=compiled)
    fast = FastDns(settings, lambda: View(zones, True, "bench"), answer)
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    await fast.start((f"127.0.0.1:{port}",))
    try:
        deadline = time.monotonic() + READY_S
        while not fast.is_shown and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.1)
        return {what: _change(fast, zones, port, name, arguments.changes) for what, name in NAMES.items()}
    finally:
        await fast.stop()


def _change(fast: FastDns, zones: dict[Name, Zone], port: int, name: Name, changes: int) -> Times:
    query = bytes(2) + b"\x00\x00\x00\x01" + bytes(6) + name + b"\x00\x01\x00\x01"
    shown, written = [], []
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(("127.0.0.1", port))
        for number in range(changes):
            address = (0x0A000000 + number).to_bytes(4, "big")
            rrset = make(name, 1, 300, [address])
            zones[APEX] = with_changes(zones[APEX], [Replacement(name, 1, rrset)], number + 2)
            began, used = time.perf_counter(), time.thread_time()
            fast.publish(zones, Changed(names=((APEX, name), (APEX, APEX)), zones=(APEX,)))
            written.append((time.thread_time() - used) * 1e6)
            while True:
                client.send(query)
                if client.recv(512).endswith(address):
                    break
            shown.append((time.perf_counter() - began) * 1e6)
    return sorted(shown), sorted(written)
