"""Failover: an endpoint killed to its record gone, on three nodes of ours, gdnsd and PowerDNS Lua, in one run.

All watch the same endpoints, so that each kill is the same moment for all of them. The answers of every server are asked
for every few milliseconds.
"""

import argparse
import contextlib
import os
import random
import signal
import socket
import statistics
import struct
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import failover_systems as systems

ADDRESSES = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
POLL_S = 0.005
QUESTION = (
    struct.pack(">6H", 0, 0, 1, 0, 0, 0)
    + b"".join(bytes((len(label),)) + label.encode() for label in systems.NAME.split("."))
    + b"\0"
    + struct.pack(">2H", 1, 1)
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=20, help="endpoints killed (default %(default)s)")
    parser.add_argument(
        "--hung", action="store_true", help="stop endpoints instead (SIGSTOP): they accept and never answer"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the pauses between rounds (default %(default)s)"
    )
    parser.add_argument("--systems", default=",".join(systems.installed()), help="default: %(default)s")


class Poller:
    """Asks one server all the time, and knows since when it has answered with how many and which addresses."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._ended = threading.Event()
        self._gone_s: dict[bytes, float] = {}
        self.present: frozenset[bytes] = frozenset()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._ended.set()
        self._thread.join(10)

    def gone_since_s(self, address: bytes, after_s: float) -> float | None:
        """Return when the address was first missing after a time, on ``time.monotonic``; None while it is there."""
        gone_s = self._gone_s.get(address)
        return gone_s if gone_s is not None and gone_s > after_s else None

    def _run(self) -> None:
        packed = [socket.inet_aton(address) for address in ADDRESSES]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(self._server)
            sock.settimeout(0.2)
            number = 0
            while not self._ended.wait(POLL_S):
                number = (number + 1) % 65_536
                with contextlib.suppress(OSError):
                    answer = _ask(sock, struct.pack(">H", number))
                    if not answer[3] & 15:
                        self._note(frozenset(each for each in packed if each in answer), time.monotonic())

    def _note(self, present: frozenset[bytes], now_s: float) -> None:
        for each in self.present - present:
            self._gone_s[each] = now_s
        for each in present:
            self._gone_s.pop(each, None)
        self.present = present


def _ask(sock: socket.socket, id_: bytes) -> bytes:
    """Ask, and pass over what was answered to earlier questions. Raises ``OSError``, after a while without answer."""
    sock.send(id_ + QUESTION[2:])
    while (answer := sock.recv(4096))[:2] != id_:
        pass
    return answer


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    chance = random.Random(arguments.seed)
    took: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-failover-") as home:
        port = systems.free_port()
        endpoints = [systems.Endpoint(address, port) for address in ADDRESSES]
        chosen = [
            systems.SYSTEMS[name][1](Path(home) / name, list(ADDRESSES), port)
            for name in arguments.systems.split(",")
        ]
        pollers: dict[str, list[Poller]] = {}
        try:
            for endpoint in endpoints:
                endpoint.start()
            for system in chosen:
                system.start()
                took[system.title] = []
                pollers[system.title] = [Poller(server) for server in system.servers]
            _wait_all_present(pollers, 120)
            for number in range(arguments.rounds):
                time.sleep(chance.uniform(2.0, 4.0))
                _round(endpoints[number % len(endpoints)], pollers, took, is_hung=arguments.hung)
        finally:
            for poller in [each for group in pollers.values() for each in group]:
                poller.stop()
            for each in (*chosen, *endpoints):
                each.stop()
    show(took)
    print(f"\nload of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    return 0


def _round(
    endpoint: systems.Endpoint,
    pollers: dict[str, list[Poller]],
    took: dict[str, list[list[float]]],
    *,
    is_hung: bool,
) -> None:
    """Kill or stop one endpoint, and note when each server no longer answers with it; then mend it."""
    packed = socket.inet_aton(endpoint.address)
    assert endpoint.process is not None
    killed_s = time.monotonic()
    endpoint.process.send_signal(signal.SIGSTOP if is_hung else signal.SIGKILL)
    seen: dict[str, list[float]] = {}

    def all_gone() -> bool:
        for title, group in pollers.items():
            times = [each.gone_since_s(packed, killed_s) for each in group]
            known = [each for each in times if each is not None]
            if title not in seen and len(known) == len(group):
                seen[title] = [each - killed_s for each in known]
        return len(seen) == len(pollers)

    systems.wait_until(all_gone, f"{endpoint.address} gone everywhere, so far {sorted(seen)}", 30)
    for title, times in seen.items():
        took[title].append(times)
    endpoint.stop()
    endpoint.start()
    _wait_all_present(pollers, 60)


def _wait_all_present(pollers: dict[str, list[Poller]], timeout_s: float) -> None:
    everything = frozenset(socket.inet_aton(address) for address in ADDRESSES)
    flat = [each for group in pollers.values() for each in group]
    systems.wait_until(lambda: all(each.present == everything for each in flat), "all endpoints", timeout_s)


def show(took: dict[str, list[list[float]]]) -> None:
    """Print a row for each system: the last of its servers counts."""
    print("| | rounds | min s | median s | max s | median to ours | spread between nodes: median, max ms |")
    print("|---|---|---|---|---|---|---|")
    ours = statistics.median(max(times) for times in took["ours"]) if "ours" in took else None
    for title, rounds in took.items():
        last = [max(times) for times in rounds]
        spreads = [1000 * (max(times) - min(times)) for times in rounds]
        ratio = f"{statistics.median(last) / ours:.2f}" if ours else "-"
        cells = [f"{len(last)}", *(f"{each:.2f}" for each in (min(last), statistics.median(last), max(last)))]
        print(f"| {' | '.join([title, *cells, ratio])} | {_spread(spreads) if len(rounds[0]) > 1 else '-'} |")


def _spread(spreads: Sequence[float]) -> str:
    return f"{statistics.median(spreads):.0f}, {max(spreads):.0f}"
