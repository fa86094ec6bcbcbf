"""The replicated log beside etcd: three nodes each on loopback, both waiting for the disk, in one run.

Ours in process: tasks in the leader's process, as its API has them; what is committed is applied to zones, or,
for ``octets by key``, put into a map as etcd does.
etcd: one gRPC connection with the leader, a stream for each writer, from a process that does nothing else.
Through the public path: keep-alive connections with our HTTP API and with etcd's JSON gateway.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from raft_cluster import Cluster, Load
from raft_etcd import Etcd
from raft_ours import Ours, OursHttp, OursOctets

CONNECTIONS = 64
RESTARTS = 2
TRAILING_ENTRIES = 2_000
"""What a node of ours keeps for followers that are a little behind."""

A = TypeVar("A", bound=Cluster)
B = TypeVar("B", bound=Cluster)


@dataclass
class Row:
    """One line of the table: what each round measured."""

    title: str
    ours: list[float] = field(default_factory=list)
    etcd: list[float] = field(default_factory=list)
    more_is_better: bool = False


class Table:
    """Rows by title, in the order in which they came."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def add(self, title: str, who: str, value: float, *, more_is_better: bool = False) -> None:
        """Take one value of ``ours`` or ``etcd``."""
        row = self.rows.setdefault(title, Row(title, more_is_better=more_is_better))
        (row.ours if who == "ours" else row.etcd).append(value)

    def add_load(self, what: str, who: str, load: Load, *, records: int = 1) -> None:
        """Take what came of a closed loop."""
        unit = "records/s" if records > 1 else "/s"
        self.add(f"{what}, {unit}", who, load.rate * records, more_is_better=True)
        self.add(f"{what}, p50 ms", who, load.p50_ms)
        self.add(f"{what}, p99 ms", who, load.p99_ms)
        self.add(f"{what}, processor us each", who, load.processor_us / records)

    def show(self) -> None:
        """Print medians with the best in brackets, and how ours stand to etcd's."""
        print("| | ours, median (best) | etcd, median (best) | ours / etcd |")
        print("|---|---|---|---|")
        for row in self.rows.values():
            print(
                f"| {row.title} | {_cell(row.ours, row)} | {_cell(row.etcd, row)} | {_ratio(row.ours, row.etcd)} |"
            )


def _cell(values: list[float], row: Row) -> str:
    if not values:
        return "-"
    best = max(values) if row.more_is_better else min(values)
    return f"{_number(statistics.median(values))} ({_number(best)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _ratio(ours: list[float], etcd: list[float]) -> str:
    if not ours or not etcd or not statistics.median(etcd):
        return "-"
    return f"{statistics.median(ours) / statistics.median(etcd):.2f}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind (default %(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="leaders killed (default %(default)s)")
    parser.add_argument(
        "--records", type=int, nargs="+", default=[100_000, 1_000_000], help="to restart with (default: both)"
    )
    parser.add_argument(
        "--snapshot-entries",
        type=int,
        default=2_000,
        help="entries between snapshots there (default %(default)s)",
    )
    parser.add_argument(
        "--folder", type=Path, help="where the nodes keep their files (default: a temporary one)"
    )
    parser.add_argument("--quick", action="store_true", help="every row, from runs too short to mean anything")


def run(arguments: argparse.Namespace) -> int:
    if arguments.quick:
        arguments.seconds, arguments.rounds, arguments.kills = 0.3, 1, 1
        arguments.records, arguments.snapshot_entries = [2_000], 200
    table = Table()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-raft-", dir=arguments.folder) as home:
            asyncio.run(_measure(arguments, Path(home), table))
    finally:
        _show_environment()
        table.show()
    return 0


async def _measure(arguments: argparse.Namespace, home: Path, table: Table) -> None:
    async with _started(OursOctets(home / "octets"), Etcd(home / "octets-of-etcd")) as (octets, other):
        for _ in range(arguments.rounds):
            await _measure_octets(octets, other, arguments.seconds, table)
    async with _started(Ours(home / "ours"), Etcd(home / "etcd")) as (ours, etcd):
        for _ in range(arguments.rounds):
            await _measure_in_process(ours, etcd, arguments.seconds, table)
        for _ in range(arguments.kills):
            for each in (ours, etcd):
                table.add("kill -9 of the leader to the next write, s", each.name, await each.fail_over_s())
    async with _started(OursHttp(home / "nodes"), Etcd(home / "gateway")) as (nodes, gateway):
        for _ in range(arguments.rounds):
            for node in (nodes, gateway):
                load = await node.write_http(CONNECTIONS, arguments.seconds)
                table.add_load(f"writes over HTTP, {CONNECTIONS} connections", node.name, load)
    for records in arguments.records:
        folder = home / f"of-{records}"
        async with _started(
            Ours(folder / "ours", arguments.snapshot_entries), Etcd(folder / "etcd", arguments.snapshot_entries)
        ) as (ours, etcd):
            await _measure_with(ours, etcd, records, arguments.snapshot_entries, table)


async def _measure_octets(octets: OursOctets, etcd: Etcd, seconds: float, table: Table) -> None:
    """Measure the two logs with the same little work behind them."""
    for each in (octets, etcd):
        for writers in (1, 64):
            load = await each.write(writers, seconds)
            title = f"octets by key, {writers} writer{'s' if writers > 1 else ''}"
            table.add_load(title, each.name, load)


async def _measure_in_process(ours: Ours, etcd: Etcd, seconds: float, table: Table) -> None:
    for each in (ours, etcd):
        for writers in (1, 64):
            load = await each.write(writers, seconds)
            table.add_load(f"writes, {writers} writer{'s' if writers > 1 else ''}", each.name, load)
        table.add_load("reads of the latest, 64 readers", each.name, await each.read(64, seconds))
        for writers, title in ((1, "1 writer"), (8, "8 writers")):
            load = await each.write(writers, seconds, records=1000)
            table.add_load(f"entries of 1,000 records, {title}", each.name, load, records=1000)


async def _measure_with(ours: Ours, etcd: Etcd, records: int, snapshot_entries: int, table: Table) -> None:
    """Measure what the number of records makes slow."""
    what = f"with {records:,} records"
    for each in (ours, etcd):
        await each.fill(records)
    for each in (ours, etcd):
        for _ in range(RESTARTS):
            took_s, processor_s, memory_mib = await each.restart()
            table.add(f"{what}: restart, s", each.name, took_s)
            table.add(f"{what}: restart, processor s", each.name, processor_s)
            table.add(f"{what}: memory, MiB", each.name, memory_mib)
    for number in range(3):
        await ours.gap_ms(number)
    await ours.write(4, 2.0)
    for number in range(3):
        table.add(f"{what}: longest turn of the log before that, ms", "ours", await ours.gap_ms(number))
    for each in (ours, etcd):
        longest_ms = await _write_past_a_snapshot(each)
        table.add(f"{what}: longest write during a snapshot, ms", each.name, longest_ms)
    for number in range(3):
        table.add(f"{what}: longest turn of the log during a snapshot, ms", "ours", await ours.gap_ms(number))
    gap_ms = await ours.receive_snapshot(TRAILING_ENTRIES + 2 * snapshot_entries)
    table.add(f"{what}: longest turn of the log that takes a snapshot, ms", "ours", gap_ms)


async def _write_past_a_snapshot(cluster: Ours | Etcd) -> float:
    """Let four writers write until every node has written a snapshot; return the longest write, in ms."""
    longest_ms = 0.0
    before = await cluster.snapshots()
    while True:
        longest_ms = max(longest_ms, (await cluster.write(4, 1.0)).longest_ms)
        after = await cluster.snapshots()
        if all(now > then for now, then in zip(after, before, strict=True)):
            return longest_ms


@contextlib.asynccontextmanager
async def _started(ours: A, etcd: B) -> AsyncIterator[tuple[A, B]]:
    """Let two clusters run, and end them however it goes."""
    try:
        await ours.start()
        await etcd.start()
        yield ours, etcd
    finally:
        ours.stop()
        etcd.stop()


def _show_environment() -> None:
    etcd = subprocess.run(
        ["etcd", "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, load {load}; Python {platform.python_version()}; {etcd}"
    )
    print()
