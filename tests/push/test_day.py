"""A target that is down for a day: what it costs in memory and in the log, and that it converges after."""

import asyncio
import tracemalloc

import msgspec
import pytest

from node.health.service import Endpoint
from node.state.command import DeleteService, PutEndpoint, PutService
from node.state.targets import LEFTOVERS_MAX
from node.zone.name import from_text
from tests.push.lab import NODES, ZONE, A, addresses, service, until
from tests.push.test_pusher import Team, play

DAY_S = 86_400
EVERY_S = 300
OCTETS_MAX = 2 * 1024 * 1024


def test_a_day_without_a_target_costs_bounded_memory_and_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change every five minutes, services that come and go: one report a node, and nothing piles up."""
    monkeypatch.setattr("node.push.pusher._LOOK_AGAIN_S", 60.0)

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        reports, entries = len(team.reports()), len(team.log.entries)
        team.server.unreachable_for = set(NODES)
        own = 0
        octets: list[int] = []
        tracemalloc.start()
        for number in range(DAY_S // EVERY_S):
            name = from_text(f"s{number % 40}", ZONE)
            team.log.do(PutService(service("192.0.2.7", fqdn=name)), DeleteService(name))
            team.log.do(PutEndpoint(from_text("www", ZONE), Endpoint("192.0.2.1", weight=number % 7 + 1)))
            own += 3
            await asyncio.sleep(EVERY_S)
            octets.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        delivery = team.log.state.deliveries["far"]
        assert len(team.reports()) - reports <= len(NODES)
        assert len(team.log.entries) - entries <= own + len(NODES)
        assert len(delivery.leftovers) <= LEFTOVERS_MAX
        assert len(msgspec.msgpack.encode(delivery)) < 100 * (DAY_S // EVERY_S)
        assert octets[-1] - octets[len(octets) // 2] < OCTETS_MAX
        team.server.unreachable_for = set()
        await until(team.is_synced, "synced again")
        assert addresses("192.0.2.1", "192.0.2.2", "192.0.2.3") == team.server.rdatas()
        assert {from_text("www", ZONE)} == {name for name, type_ in team.server.rrsets if type_ == A}
        assert () == team.log.state.deliveries["far"].leftovers

    play(story, retry_max_s=120.0)
