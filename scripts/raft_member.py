"""One node's log and state in a process of its own, for ``bench_raft.py``: told on stdin what to do, a JSON line each.

The writers run here, as those of a node do: an event loop beside the log's thread.
"""

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import structlog
from loops import closed_loop, first_success

from node.cluster import Cluster
from node.interpreter import keep_pauses_short
from node.state.command import ChangeZone, Command, Member, PutRRset, PutZone, Seed, ZoneSettings
from node.zone.name import Name, from_text
from node.zone.rrset import RRset
from raft.compaction import Compaction
from raft.proposal import Committed
from raft.settings import RaftSettings

ZONE = from_text("bench.test")
SECRET = b"a secret of the benchmark, for loopback only"

Act = Callable[..., Awaitable[dict[str, Any]]]


class Gaps:
    """How long the log's thread was away: from the end of one turn to the end of the next."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._last_s: float | None = None
        run = Compaction.run

        def watched(compaction: Compaction) -> None:
            run(compaction)
            now_s = time.monotonic()
            if self._last_s is not None:  # before the first turn it reads what is on the disk
                self.longest_s = max(self.longest_s, now_s - self._last_s)
            self._last_s = now_s

        Compaction.run = watched  # type: ignore[method-assign]

    def take_s(self) -> float:
        """Return the longest since this was asked last."""
        longest_s, self.longest_s = self.longest_s, 0.0
        return longest_s


class MemberProcess:
    """What the benchmark can ask of a node."""

    def __init__(self, node: str, members: dict[str, str], folder: Path, snapshot_entries: int) -> None:
        self._gaps = Gaps()
        settings = RaftSettings(
            node, members, members[node], "bench", folder, SECRET, snapshot_entries=snapshot_entries
        )
        self._members = tuple(members)
        self._cluster = Cluster(settings, on_fatal=lambda: sys.exit(70))
        self._number = 0

    async def start(self) -> None:
        """Read what is on the disk, and join."""
        await self._cluster.start()

    async def do(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what an order says."""
        acts: dict[str, Act] = {
            "status": self.status,
            "gap": self.gap,
            "seed": self.seed,
            "write": self.write,
            "read": self.read,
            "fill": self.fill,
            "first": self.first,
        }
        return await acts[order.pop("do")](**order)

    async def status(self) -> dict[str, Any]:
        """Say who leads and what is here."""
        status, zone = self._cluster.status(), self._cluster.state.zones.get(ZONE)
        return {
            "leads": status.role == "leader" and status.has_quorum,
            "is_ready": status.ready,
            "applied": status.applied_index,
            "snapshot": status.snapshot_index,
            "records": zone.rrset_count if zone is not None else 0,
        }

    async def gap(self) -> dict[str, Any]:
        """Return the longest turn of the log since this was asked last."""
        return {"ms": self._gaps.take_s() * 1000}

    async def seed(self) -> dict[str, Any]:
        """Make the zone that everything is written to."""
        settings = ZoneSettings((from_text("ns.bench.test"),), from_text("hostmaster.bench.test"))
        members = tuple(Member(name) for name in self._members)
        await self._propose(Seed(members, (PutZone(ZONE, settings),)))
        return {}

    async def write(self, writers: int, seconds: float, records: int = 1) -> dict[str, Any]:
        """Let writers put ``records`` records an entry, each after the last was committed and applied."""
        return await closed_loop(writers, seconds, lambda: self._put(records))

    async def read(self, readers: int, seconds: float) -> dict[str, Any]:
        """Let readers wait until all that was committed is applied here, again and again."""

        async def barrier() -> None:
            outcome = await self._cluster.read_barrier()
            assert isinstance(outcome, Committed), outcome

        return await closed_loop(readers, seconds, barrier)

    async def fill(self, records: int) -> dict[str, Any]:
        """Put so many records, a thousand an entry, four entries at once."""
        rest = iter(range(records // 1000))

        async def work() -> None:
            for _ in rest:
                await self._put(1000)

        await asyncio.gather(*(work() for _ in range(4)))
        return {}

    async def first(self) -> dict[str, Any]:
        """Write until a write is committed; say when that was."""
        return {"at_s": await first_success(lambda: self._put(1))}

    async def _put(self, records: int) -> None:
        await self._propose(self._command(records))

    def _command(self, records: int) -> ChangeZone:
        changes = []
        for _ in range(records):
            self._number += 1
            address = self._number.to_bytes(4, "big")
            label = b"h%d" % self._number
            name = Name(bytes((len(label),)) + label + ZONE)
            changes.append(PutRRset(RRset(name, 1, 300, (address,))))
        return ChangeZone(ZONE, tuple(changes))

    async def _propose(self, command: Command) -> None:
        outcome = await self._cluster.propose(command, timeout_s=30.0)
        assert isinstance(outcome, Committed), outcome


class Process(Protocol):
    """What reads its orders on stdin."""

    async def start(self) -> None:
        """Join the cluster."""

    async def do(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what an order says."""


async def serve(process: Process) -> None:
    """Take orders from stdin until it ends."""
    await process.start()
    print(json.dumps({}), flush=True)
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        print(json.dumps(await process.do(json.loads(line))), flush=True)


def main() -> None:
    order = json.loads(sys.argv[1])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    gc.freeze()
    keep_pauses_short()
    process = MemberProcess(
        order["node"], order["members"], Path(order["folder"]), order.get("snapshot_entries", 20_000)
    )
    asyncio.run(serve(process))


if __name__ == "__main__":
    main()
