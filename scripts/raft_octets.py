"""The log alone, with a machine that keeps octets by key as etcd does; told on stdin what to do, as ``raft_member.py``."""

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import structlog
from loops import closed_loop
from raft_member import SECRET, serve

from node.interpreter import keep_pauses_short
from raft.membership import Membership
from raft.pending import Pending
from raft.proposal import Committed, Outcome
from raft.replica import Replica
from raft.settings import RaftSettings


class Octets:
    """Values by key, and nothing else."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def apply(self, index: int, command: bytes) -> object:
        """Put one value."""
        key, _, value = command.partition(b"=")
        self.values[key] = value
        return index

    def change_members(self, index: int, membership: Membership) -> object:
        """Nothing here depends on who belongs to the cluster."""
        del membership
        return index

    def snapshot(self) -> Iterator[bytes]:
        """Return all values."""
        return iter([b"%s=%s" % pair for pair in self.values.items()])

    def prepare(self, pieces: Iterable[bytes]) -> Any:
        """Read all values."""
        return dict(piece.partition(b"=")[::2] for piece in pieces)

    def install(self, prepared: Any) -> None:
        """Take them."""
        self.values = prepared


class OctetsProcess:
    """What the benchmark can ask of a log alone."""

    def __init__(self, node: str, members: dict[str, str], folder: Path) -> None:
        settings = RaftSettings(node, members, members[node], "bench", folder, SECRET)
        self._machine = Octets()
        self._replica = Replica(settings, self._machine, on_fatal=sys.exit)
        self._done: list[tuple[asyncio.Future[Outcome], Outcome]] = []
        self._number = 0

    async def start(self) -> None:
        """Read what is on the disk, and join."""
        await asyncio.to_thread(self._replica.start)

    async def do(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what an order says."""
        if order["do"] == "write":
            return await closed_loop(order["writers"], order["seconds"], self._put)
        status = self._replica.status()
        return {
            "leads": status.role == "leader" and status.has_quorum,
            "is_ready": status.ready,
            "applied": status.applied_index,
            "snapshot": status.snapshot_index,
            "records": len(self._machine.values),
        }

    async def _put(self) -> None:
        self._number += 1
        key = b"h%d.bench.test" % self._number
        outcome = await self._outcome(self._replica.propose(key + b"=\xc0\x00\x02\x01", 30.0))
        assert isinstance(outcome, Committed), outcome

    async def _outcome(self, pending: Pending) -> Outcome:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Outcome] = loop.create_future()
        pending.add_done_callback(lambda done: self._hand_back(loop, waiter, done.result()))
        return await waiter

    def _hand_back(
        self, loop: asyncio.AbstractEventLoop, waiter: "asyncio.Future[Outcome]", outcome: Outcome
    ) -> None:
        """Called in the log's thread: many outcomes cost one wake-up."""
        self._done.append((waiter, outcome))
        if len(self._done) == 1:
            loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        done, self._done = self._done, []
        for waiter, outcome in done:
            if not waiter.done():
                waiter.set_result(outcome)


def main() -> None:
    order = json.loads(sys.argv[1])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    keep_pauses_short()
    asyncio.run(serve(OctetsProcess(order["node"], order["members"], Path(order["folder"]))))


if __name__ == "__main__":
    main()
