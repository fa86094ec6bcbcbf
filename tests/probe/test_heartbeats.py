"""Endpoints that report by themselves, to whichever node they like; silence for a lease is down."""

import asyncio

from node.health.service import Check
from node.state.command import CastVotes, DropVotes
from node.zone.name import from_text
from tests.probe.test_prober import play
from tests.probe.world import World, service

NODES = ("ns1", "ns2", "ns3")
JOBS, ADDRESS = from_text("jobs.example.test"), "192.0.2.1"


def world() -> World:
    return World(service("jobs", ADDRESS, check=Check("push", 0, lease_s=20)))


def verdict(world: World) -> str:
    return world.state.services[JOBS].endpoints[0][1].verdict


async def report(world: World, seconds: float, *nodes: str) -> None:
    """Report every five seconds, to one node after another."""
    for number in range(int(seconds / 5)):
        assert world.probers[nodes[number % len(nodes)]].hear(JOBS, ADDRESS)
        await asyncio.sleep(5)


def entries(world: World) -> int:
    return sum(isinstance(each, CastVotes) for each in world.log)


def test_what_never_reports_is_down_after_a_lease() -> None:
    """Until then nothing is said, as nodes have not listened long enough."""

    async def script(world: World) -> None:
        await asyncio.sleep(18)
        assert ("undecided", 0) == (verdict(world), entries(world))
        await asyncio.sleep(4)
        assert "down" == verdict(world)

    run(script)


def test_steady_heartbeats_cost_the_log_nothing() -> None:
    """One node hears, one vote is cast, and for an hour nothing else."""

    async def script(world: World) -> None:
        await report(world, 3600, "ns2")
        assert ("up", 1) == (verdict(world), entries(world))

    run(script)


def test_reports_to_all_nodes_in_turn() -> None:
    """Every node that hears says up once."""

    async def script(world: World) -> None:
        await report(world, 600, *NODES)
        assert ("up", 3) == (verdict(world), entries(world))

    run(script)


def test_silence_is_down_and_one_heartbeat_is_up() -> None:
    """The lease begins with the last heartbeat; the next one ends the silence within a second, on any node."""

    async def script(world: World) -> None:
        await report(world, 60, "ns1")
        await asyncio.sleep(13)
        assert "up" == verdict(world)
        await asyncio.sleep(4)
        assert "down" == verdict(world)
        world.probers["ns3"].hear(JOBS, ADDRESS)
        await asyncio.sleep(1)
        assert "up" == verdict(world)
        assert {ADDRESS: True} == world.votes("jobs", "ns3")
        assert {} == world.votes("jobs", "ns1") == world.votes("jobs", "ns2")

    run(script)


def test_a_node_that_dies_leaves_a_lease_to_find_another() -> None:
    """Who moves in time is never down; who does not is, though nobody but the dead node had heard it."""

    async def script(world: World) -> None:
        await report(world, 60, "ns1")
        await world.probers.pop("ns1").stop()
        world.do(DropVotes("ns1"))
        await asyncio.sleep(15)
        assert "up" == verdict(world)
        await report(world, 60, "ns2")
        assert "up" == verdict(world)
        await world.probers.pop("ns2").stop()
        world.do(DropVotes("ns2"))
        await asyncio.sleep(15)
        assert "up" == verdict(world)
        await asyncio.sleep(10)
        assert "up" == verdict(world), "one of three cannot decide"

    run(script)


def test_silence_after_a_node_died() -> None:
    """The two that are left decide, a lease after they last knew of an up vote."""

    async def script(world: World) -> None:
        await report(world, 60, "ns1")
        await world.probers.pop("ns1").stop()
        world.do(DropVotes("ns1"))
        await asyncio.sleep(18)
        assert "up" == verdict(world)
        await asyncio.sleep(5)
        assert "down" == verdict(world)

    run(script)


def test_what_moves_to_another_node_stays_up() -> None:
    """The first node takes its vote back when its lease is over; the other one's is enough."""

    async def script(world: World) -> None:
        await report(world, 60, "ns1")
        await report(world, 60, "ns2")
        assert "up" == verdict(world)
        assert ({ADDRESS: False}, {ADDRESS: True}) == (world.votes("jobs", "ns1"), world.votes("jobs", "ns2"))
        before = entries(world)
        await report(world, 600, "ns2")
        assert before == entries(world)

    run(script)


def test_what_is_probed_is_not_listened_to() -> None:
    """A heartbeat of an endpoint with another check, or of none at all, is told to be of no use."""

    async def script(world: World) -> None:
        world.put(service("www", "192.0.2.2"))
        await asyncio.sleep(1)
        assert not world.probers["ns1"].hear(from_text("www.example.test"), "192.0.2.2")
        assert not world.probers["ns1"].hear(JOBS, "192.0.2.9")

    run(script)


def run(script) -> None:
    here = world()

    async def with_world(_) -> None:
        await asyncio.sleep(0.2)  # until the nodes know what there is to listen to
        await script(here)

    play(here, with_world, *NODES)
