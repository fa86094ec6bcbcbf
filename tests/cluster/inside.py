"""Three nodes in this process: log, State and HTTP API, over real sockets and files, to be crashed at will."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from node.api.context import ApiContext
from node.api.server import ApiServer, ApiSettings
from node.cluster import Cluster, now_ms
from node.state.state import State
from node.version import version
from raft.proposal import Committed
from raft.settings import RaftSettings
from tests.ports import free_ports
from tests.raft.test_replica import NAMES, SECRET

DEADLINE_S = 20.0


class Node:
    """One node; started again after a crash it reads back what it promised."""

    def __init__(self, settings: RaftSettings, api: str) -> None:
        self.settings = settings
        self.url = f"http://{api}"
        self._listen = api
        self.cluster = Cluster(settings, lambda: None)
        self._server: ApiServer | None = None

    async def start(self) -> None:
        self.cluster = Cluster(self.settings, lambda: None)
        await self.cluster.start()
        self._server = ApiServer(ApiSettings(listen=(self._listen,), stop_s=0), self._context())
        await self._server.start()

    async def crash(self) -> None:
        """End without handing anything over; who waits for an answer gets none, or that nobody knows."""
        await asyncio.to_thread(self._end_log)
        await self.stop()

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.stop()
        await self.cluster.stop()

    def hand_over(self) -> None:
        """Ask another node to lead, if one has caught up."""
        self.cluster._replica._call(lambda driver: driver.core.hand_over())

    def _end_log(self) -> None:
        replica = self.cluster._replica
        replica._call(lambda driver: driver.stop(time.monotonic()))
        thread = replica._thread
        assert thread is not None
        thread.join(DEADLINE_S)
        assert not thread.is_alive()

    def _context(self) -> ApiContext:
        cluster = self.cluster
        return ApiContext(
            state=lambda: cluster.state,
            propose=cluster.propose,
            read_barrier=cluster.read_barrier,
            wait_applied=cluster.wait_applied,
            replica=cluster.status,
            subscribe=cluster.subscribe,
            digest=cluster.digest,
            now_ms=now_ms,
            node=self.settings.node,
            cluster="test",
            version=version(),
            started_at_ms=now_ms(),
            dns_addresses=tuple,
        )


class Inside:
    """A cluster of three."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(6)
        rafts = {name: f"127.0.0.1:{port}" for name, port in zip(NAMES, ports[:3], strict=True)}
        common = RaftSettings("", rafts, "", "test", None, SECRET)
        self.nodes = [
            Node(
                replace(common, node=name, bind=rafts[name], data_dir=folder / name),
                f"127.0.0.1:{port}",
            )
            for name, port in zip(NAMES, ports[3:], strict=True)
        ]

    async def __aenter__(self) -> Self:
        for node in self.nodes:
            await node.start()
        await self.leader()
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in self.nodes:
            await node.stop()

    async def leader(self) -> Node:
        """Wait for a leader with a majority."""
        await until(lambda: self._leaders() != [])
        return self._leaders()[0]

    def _leaders(self) -> list[Node]:
        statuses = [(node, node.cluster.status()) for node in self.nodes]
        return [node for node, each in statuses if each.role == "leader" and each.has_quorum]

    async def settled(self) -> State:
        """Wait until all nodes have the same State, which is returned; their digests must agree."""
        for node in self.nodes:
            assert isinstance(await node.cluster.read_barrier(DEADLINE_S), Committed)
        await until(lambda: 1 == len({node.cluster.state.index for node in self.nodes}))
        assert 1 == len({node.cluster.digest() for node in self.nodes})
        return self.nodes[0].cluster.state


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition; fail at the deadline."""
    ends_s = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < ends_s
        await asyncio.sleep(0.01)
