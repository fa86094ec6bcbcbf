"""Each transition is told once per cluster, at least once until it is accepted, and never again after a restart."""

import asyncio
import itertools
from typing import Any

import pytest

from node.notify.lane import order
from node.notify.notice import NotAccepted
from node.notify.settings import Receiver, Wish
from node.state.command import Ballot, CastVotes
from node.state.notices import ReportNotice
from node.state.operations import SetMaintenance
from node.state.receivers import RECEIVERS_MAX
from node.state.state import EVENTS_MAX
from tests.notify.world import HOOK, MAIL, World
from tests.push.lab import NODES, WWW, run_virtually, until

FIRST, SECOND, _ = order(NODES, "ops", 0)


def play(world: World, scene: Any, *nodes: str) -> World:
    async def main() -> None:
        async with world.running(*nodes):
            await until(lambda: world.begun, "begun")
            await scene()

    run_virtually(main())
    return world


def test_a_transition_is_told_once_by_one_node() -> None:
    """Three nodes know of it, the first of the order tells it, and the log says so."""
    world = World()

    async def scene() -> None:
        world.log.vote("192.0.2.1", up=True)
        world.log.vote("192.0.2.1", up=False)
        await until(lambda: len(world.heard) == 2, "told")
        world.log.do(CastVotes("ns3", (Ballot(WWW, "192.0.2.2", up=True),)))
        await asyncio.sleep(100)

    play(world, scene)
    assert [(FIRST, key) for key in world.told("verdict.changed")] == world.heard
    assert ["begun", "accepted", "accepted", "skipped"] == [each.word for each in world.reports()]
    progress = world.log.state.receivers["ops"]
    assert (2, 0, FIRST) == (progress.accepted, progress.failures, progress.node)


def test_what_was_before_is_never_told() -> None:
    """A new receiver hears of what comes; a restart of all nodes tells nothing a second time."""
    world = World()
    world.log.vote("192.0.2.1", up=True)

    async def scene() -> None:
        world.log.vote("192.0.2.2", up=True)
        await until(lambda: len(world.heard) == 1, "told")

    play(world, scene)

    async def nothing() -> None:
        await asyncio.sleep(300)

    again = World(log=world.log)
    play(again, nothing)
    assert (1, 0) == (len(world.heard), len(again.heard))


@pytest.mark.parametrize(("known", "least_s", "most_s"), [(True, 0, 1), (False, 15, 25)])
def test_a_dead_nodes_turn_passes_on(known: bool, least_s: float, most_s: float) -> None:
    """Who is known to be away is not waited for; who is only silent is waited for a while."""
    world = World()
    took: list[float] = []

    async def scene() -> None:
        if not known:
            world.dead.discard(FIRST)
        world.log.vote("192.0.2.1", up=True)
        took.append(await until(lambda: bool(world.heard), "told"))

    play(world, scene, *[each for each in NODES if each != FIRST])
    assert SECOND == world.heard[0][0]
    assert least_s <= took[0] <= most_s


def test_it_is_tried_until_it_is_accepted_by_node_after_node() -> None:
    """Every failure passes the turn on; pauses grow; the log gets one entry a try."""
    world = World()
    world.refusal = NotAccepted("HTTP 503")

    async def scene() -> None:
        world.log.vote("192.0.2.1", up=True)
        await asyncio.sleep(3600)
        world.refusal = None
        await until(lambda: bool(world.heard), "told", limit_s=400)

    play(world, scene)
    assert 1 == len(world.heard)
    assert set(NODES) == {node for _, node in world.tries}
    pauses = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(world.tries)]
    assert max(pauses) > 250
    assert len(world.tries) < 25
    assert len(world.reports()) <= len(world.tries) + 3
    assert "HTTP 503" == next(each.detail for each in world.reports() if each.word == "failed")


def test_silence_costs_a_bounded_log_and_gives_old_news_up() -> None:
    """One entry a try, a try every five minutes, and what is too old is told to nobody."""
    world = World(give_up_s=7200.0)
    world.refusal = NotAccepted("HTTP 503")

    async def scene() -> None:
        world.log.vote("192.0.2.1", up=True)
        for minute in range(125):
            world.wall_ms = 2_000 + minute * 60_000
            await asyncio.sleep(60)

    play(world, scene)
    assert 1 == world.log.state.receivers["ops"].given_up
    assert 24 < len(world.reports()) < 24 + 15
    assert [] == world.heard


def test_a_notice_that_the_receiver_will_not_have_does_not_block_the_rest() -> None:
    """After three tries it is left out, and that is an event."""
    world = World()
    world.refusal = NotAccepted("HTTP 422", is_its_fault=True)

    async def scene() -> None:
        world.log.vote("192.0.2.1", up=True)
        await until(lambda: world.log.state.receivers["ops"].given_up == 1, "given up")
        world.refusal = None
        world.log.vote("192.0.2.2", up=True)
        await until(lambda: bool(world.heard), "told")

    play(world, scene)
    assert 3 == sum(1 for _ in world.tries) - 1
    assert world.told("verdict.changed")[1:] == world.keys()
    assert 1 == len(world.told("notice.given_up"))


def test_a_node_without_the_majority_tells_nothing() -> None:
    """Another one does, though the first in the order was never heard to fail."""
    world = World()
    world.minority = {FIRST}

    async def scene() -> None:
        world.log.vote("192.0.2.1", up=True)
        await until(lambda: bool(world.heard), "told", limit_s=60)
        await asyncio.sleep(60)

    play(world, scene)
    assert [SECOND] == [node for node, _ in world.heard]


def test_what_was_accepted_is_not_sent_again_while_the_log_is_away() -> None:
    """The node remembers; its report comes when it can."""
    world = World()

    async def scene() -> None:
        world.deaf = set(NODES)
        world.log.vote("192.0.2.1", up=True)
        await until(lambda: bool(world.heard), "told")
        await asyncio.sleep(10)
        world.deaf = set()
        await until(lambda: world.log.state.receivers["ops"].accepted == 1, "known")

    play(world, scene)
    assert 1 == len(world.heard)


def test_a_node_that_dies_before_its_report_has_the_same_notice_sent_again() -> None:
    """At least once: the key is the same, so that the receiver can tell."""
    world = World()

    async def scene() -> None:
        world.deaf = {FIRST}
        world.log.vote("192.0.2.1", up=True)
        await until(lambda: len(world.heard) == 2, "told twice", limit_s=60)

    play(world, scene)
    assert [FIRST, SECOND] == [node for node, _ in world.heard]
    assert 1 == len(set(world.keys()))


def test_maintenance_is_quiet_and_its_end_tells_what_is_down() -> None:
    """Verdicts within are told to nobody, also when they are looked at after its end."""
    world = World(Receiver("ops", HOOK.way, Wish(severity="info", events=("endpoint.*", "maintenance.*"))))

    async def scene() -> None:
        world.log.do(SetMaintenance(WWW, True))
        world.log.vote("192.0.2.1", up=True)
        world.log.vote("192.0.2.1", up=False)
        world.log.do(SetMaintenance(WWW, False))
        world.log.vote("192.0.2.2", up=True)
        await until(lambda: len(world.heard) == 3, "told")
        await asyncio.sleep(30)

    play(world, scene)
    assert [
        *world.told("maintenance.begun", "maintenance.ended"),
        world.told("verdict.changed")[2],
    ] == world.keys()
    ended = next(each for each in world.log.state.events.values() if each.kind == "maintenance.ended")
    assert "192.0.2.1" == ended.data["down"]


def test_mails_gather_what_waits() -> None:
    """Forty events that wait for a mail server come in one message."""
    world = World(MAIL)

    async def scene() -> None:
        world.refusal = NotAccepted("no")
        for number in range(40):
            world.log.vote(f"192.0.2.{number % 3 + 1}", up=number % 2 == 0)
        await asyncio.sleep(3)
        world.refusal = None
        await until(lambda: bool(world.mails), "told", limit_s=100)
        await asyncio.sleep(10)

    play(world, scene)
    assert [len(world.told("verdict.changed", "service.fail_open", "service.down", "service.up"))] == [
        sum(world.mails)
    ]
    assert len(world.mails) <= 2


def test_events_that_are_forgotten_are_told_of_as_such() -> None:
    """More than the State keeps while nobody could be told: one notice says how many are gone."""
    world = World()

    async def scene() -> None:
        world.refusal = NotAccepted("no")
        for number in range(EVENTS_MAX // 2):
            world.log.vote("192.0.2.1", up=number % 2 == 0)
        world.refusal = None
        await until(lambda: bool(world.heard), "told", limit_s=400)

    play(world, scene)
    assert world.heard[0][1].startswith("events.missed-")


def test_the_log_knows_so_many_receivers_at_most() -> None:
    """One more lets the one go that was longest without a report."""
    world = World()
    for number in range(RECEIVERS_MAX + 5):
        world.log.do(ReportNotice(f"r{number}", "ns1", "begun"))
    receivers = world.log.state.receivers
    assert RECEIVERS_MAX == len(receivers)
    assert "r4" not in receivers
    assert "r5" in receivers


def test_an_older_report_changes_nothing() -> None:
    """Reports of two nodes may cross on their way."""
    world = World()
    world.log.do(ReportNotice("ops", "ns1", "begun"))
    start = world.log.state.receivers["ops"].next
    world.log.vote("192.0.2.1", up=True)
    end = world.log.state.events_next
    world.log.do(ReportNotice("ops", "ns1", "accepted", end))
    for late in (
        ReportNotice("ops", "ns2", "failed", start, "x"),
        ReportNotice("ops", "ns2", "accepted", start),
    ):
        world.log.do(late)
    progress = world.log.state.receivers["ops"]
    assert (end, 0, 1) == (progress.next, progress.failures, progress.accepted)
    world.log.do(ReportNotice("ops", "ns2", "skipped", end + 100))
    assert end == world.log.state.receivers["ops"].next
