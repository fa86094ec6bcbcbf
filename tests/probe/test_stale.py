"""A node that cannot find out about an endpoint any more takes its vote back in time, and only then."""

import asyncio

import pytest

from node.probe.result import ProbeResult
from node.state.command import CastVotes, SetFormat
from node.state.votes import WithdrawVotes
from tests.probe.test_prober import play
from tests.probe.world import REFUSED, SILENT, UNTRIED, UP, World, service, until

ONE, TWO = "192.0.2.1", "192.0.2.2"
FAST = {"interval_ms": 1_000, "timeout_ms": 900, "recheck_ms": 500}
VOTE_S = 4.0
"""Three intervals, and the second that a busy node may be late."""


def world_of(*services, is_old=False):
    world = World(*services)
    if not is_old:
        world.do(SetFormat(3))
    return world


def withdrawn(world):
    return [command for command in world.proposed if isinstance(command, WithdrawVotes)]


def now_s():
    return asyncio.get_running_loop().time()


async def voted(world, name="www", *nodes):
    await until(lambda: all(set(world.votes(name, node).values()) == {True} for node in nodes or ("ns1",)))


@pytest.mark.parametrize("before", [UP, REFUSED])
def test_what_cannot_be_tried_is_not_voted_on_for_ever(before):
    """After the time of a vote it goes, in one entry and once; when tries work again it is cast anew by rise or fall."""
    world = world_of(service("www", ONE, TWO, **FAST), service("api", ONE, **FAST))
    world.answers["ns1"] = before

    async def script(_):
        await until(lambda: len(world.votes("www")) == 2 and len(world.votes("api")) == 1)
        await asyncio.sleep(5)
        begun_s = now_s()
        world.answers["ns1"] = UNTRIED
        await until(lambda: world.votes("www") == {} == world.votes("api"))
        took_s = now_s() - begun_s
        await asyncio.sleep(60)
        assert len(withdrawn(world)) <= 2  # as the endpoints have their turns within a second
        count = len(world.proposed)
        world.answers["ns1"] = UP
        await until(lambda: world.votes("www") == {ONE: True, TWO: True})
        return took_s, count

    took_s, count = play(world, script)
    assert VOTE_S - 1 < took_s < VOTE_S + 2.5
    assert {f"no result for more than {VOTE_S:g} s: {UNTRIED.evidence}"} == {
        each.evidence for command in withdrawn(world) for each in command.abstentions
    }
    assert len(world.proposed) - count <= 4


def test_a_probe_that_never_comes_back_silences_its_endpoint_alone():
    """Where one task hangs beyond every deadline its vote goes, and all others stay."""
    world = world_of(service("www", ONE, TWO, **FAST))

    async def script(prober):
        await voted(world)
        assert 0 == prober.summary().stale
        world.delay_s[TWO] = 1e9
        await until(lambda: world.votes("www") == {ONE: True})
        await asyncio.sleep(60)
        assert 1 == prober.summary().stale

    play(world, script)
    assert {ONE: True} == world.votes("www")
    (command,) = withdrawn(world)
    assert [(TWO, f"no result for more than {VOTE_S:g} s")] == [
        (each.address, each.evidence) for each in command.abstentions
    ]


def test_an_old_vote_stops_to_decide():
    """A service of two nodes' votes: what one of them cannot see any more no longer keeps it in DNS."""
    world = world_of(service("www", ONE, **FAST))

    async def script(_):
        await voted(world, "www", "ns1", "ns2")
        world.answers["ns1"] = UNTRIED
        await until(lambda: not world.votes("www", "ns1"))
        assert {ONE: True} == world.votes("www", "ns2")
        (known,) = world.state.services.values()
        assert "up" == dict(known.endpoints)[ONE].verdict  # silence is on no side

    play(world, script, "ns1", "ns2")


@pytest.mark.parametrize(
    ("result", "options"),
    [(SILENT, FAST), (SILENT, {"interval_ms": 1_000, "timeout_ms": 9_000}), (REFUSED, FAST)],
)
def test_bad_news_is_news(result, options):
    """Silence and refusals are results however long they last and however long each takes: the vote stays."""
    world = world_of(service("www", ONE, **options))

    async def script(_):
        await voted(world)
        world.answers[ONE] = result
        await until(lambda: world.votes("www") == {ONE: False})
        await asyncio.sleep(120)

    play(world, script)
    assert {ONE: False} == world.votes("www")
    assert [] == withdrawn(world)


def test_a_pause_of_the_process_makes_nothing_old():
    """After a suspension the endpoints are looked at, and nothing is taken back that was right."""
    world = world_of(service("www", ONE, TWO, **FAST))

    async def script(_):
        await voted(world)
        await asyncio.sleep(3)
        for _ in range(3):
            asyncio.get_running_loop()._now_s += 30
            await asyncio.sleep(5)

    play(world, script)
    assert {ONE: True, TWO: True} == world.votes("www")
    assert [] == withdrawn(world)
    assert 2 >= len([each for each in world.proposed if isinstance(each, CastVotes)])


def test_a_lost_withdrawal_is_proposed_again():
    """Like any vote it is repeated until the State says so."""
    world = world_of(service("www", ONE, **FAST))

    async def script(_):
        await voted(world)
        world.outcomes = [RuntimeError("no"), RuntimeError("no")]
        world.answers[ONE] = UNTRIED
        await until(lambda: not world.votes("www"))

    play(world, script)
    assert 3 == len(withdrawn(world))


def test_nodes_that_cannot_read_it_are_spared():
    """While an older node is in the cluster nothing of the kind is written; it comes when all can read it."""
    world = world_of(service("www", ONE, **FAST), is_old=True)

    async def script(_):
        await voted(world)
        world.answers[ONE] = UNTRIED
        await asyncio.sleep(30)
        assert [] == withdrawn(world)
        assert {ONE: True} == world.votes("www")
        world.do(SetFormat(3))
        await until(lambda: not world.votes("www"), 12)

    play(world, script)
    assert 1 == len(withdrawn(world))


def test_flapping_tries_write_in_bounds():
    """Tries that work now and then neither fill the log nor bring back a vote without evidence."""
    world = world_of(service("www", ONE, rise=2, **FAST))
    good = ProbeResult(True, 1, "HTTP 200", True)

    async def script(_):
        await voted(world)
        count = len(world.proposed)
        for _ in range(60):
            world.answers[ONE] = UNTRIED
            await asyncio.sleep(8)
            world.answers[ONE] = good
            await asyncio.sleep(1.2)
        return len(world.proposed) - count

    assert play(world, script) <= 2 * 60
