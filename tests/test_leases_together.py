"""Leases in a cluster of three real logs: gone everywhere at one index, and from a node that is left alone."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from node.cluster import Cluster
from node.lease_clock import LeaseClock
from node.served import ServedZones
from node.state.command import ChangeZone, LeaseWish, Member, PutRRset, PutZone, Seed
from node.state.state import Accepted, Changed, State
from node.zone.lease import LeaseKey
from node.zone.name import from_text
from node.zone.rrset import A
from raft.proposal import Committed
from raft.settings import RaftSettings
from tests.ports import free_port
from tests.state.conftest import SETTINGS, ZONE, rrset

NAMES = ("n1", "n2", "n3")
HOST = from_text("host.example.org")
KEY = LeaseKey(ZONE, HOST, A)


class Node:
    """A member with what it answers and when it saw the record go."""

    def __init__(self, name: str, addresses: dict[str, str], folder: Path) -> None:
        settings = RaftSettings(name, addresses, addresses[name], "test", folder / name, None)
        self.cluster = Cluster(settings, lambda: None)
        self.served = ServedZones(self.cluster, LeaseClock(time.monotonic))
        self.gone_at: list[int] = []
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.cluster.start()
        self.cluster.subscribe(self.served.state_changed)
        self.cluster.subscribe(self._watch)
        self.served.state_changed(self.cluster.state, None)
        self._work = asyncio.create_task(self.served.run())

    async def stop(self) -> None:
        if self._work is not None:
            self._work.cancel()
            self._work = None
            await self.cluster.stop()

    def answers(self) -> bool:
        zone = self.served.zones.get(ZONE)
        return zone is not None and zone.get(HOST, A) is not None

    def _watch(self, state: State, changed: Changed | None) -> None:
        del state
        events = changed.events if changed is not None else ()
        self.gone_at += [event.index for event in events if event.kind == "lease.expired"]


def free_addresses() -> dict[str, str]:
    return {name: f"127.0.0.1:{free_port()}" for name in NAMES}


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - three nodes tell of it in three ways
            await asyncio.sleep(0.02)


def leased(lease_s: int) -> ChangeZone:
    return ChangeZone(ZONE, (PutRRset(rrset("host", "A", "192.0.2.7")),), leases=(LeaseWish(KEY, lease_s),))


def test_all_let_go_at_one_index_and_one_alone_by_itself(tmp_path: Path) -> None:
    """A lease ends at the same index on all; renewed it stays; a node that lost the others lets go of it by its own clock."""

    async def story() -> None:
        addresses = free_addresses()
        nodes = [Node(name, addresses, tmp_path) for name in NAMES]
        try:
            for node in nodes:
                await node.start()
            await until(lambda: any(node.cluster.status().role == "leader" for node in nodes))
            members = tuple(Member(name) for name in NAMES)
            await nodes[0].cluster.propose(Seed(members, (PutZone(ZONE, SETTINGS),)))
            outcome = await nodes[1].cluster.propose(leased(2))
            assert isinstance(outcome, Committed)
            assert isinstance(outcome.result, Accepted)
            await until(lambda: all(node.answers() for node in nodes))
            await until(lambda: all(node.gone_at for node in nodes))
            assert 1 == len({tuple(node.gone_at) for node in nodes})
            assert not any(node.answers() for node in nodes)
            for _ in range(8):
                await nodes[2].cluster.propose(leased(6))
                await asyncio.sleep(1)
            assert all(1 == len(node.gone_at) for node in nodes)
            await until(lambda: all(node.answers() for node in nodes))
            alone = next(node for node in nodes if node.cluster.status().role != "leader")
            for node in nodes:
                if node is not alone:
                    await node.stop()
            await until(lambda: not alone.answers())
            assert alone.cluster.state.zones[ZONE].get(HOST, A) is not None
            assert 1 == len(alone.gone_at)
        finally:
            for node in nodes:
                await node.stop()

    asyncio.run(story())
