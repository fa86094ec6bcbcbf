"""The prober keeps its schedule, and brings its opinions into the log once each; all in virtual time."""

import asyncio
import contextlib
from itertools import pairwise

import msgspec
import structlog

from node.health.service import Check
from node.probe.prober import ProberSettings
from node.state.command import Ballot, CastVotes, DeleteService, DropVotes
from node.state.state import Refused
from node.zone.name import from_text
from raft.proposal import Committed, Unknown
from tests.probe.world import REFUSED, SILENT, UNTRIED, UP, World, not_committed, run_virtually, service, until


@contextlib.asynccontextmanager
async def probing(world, *nodes, **options):
    """Run the probers of these nodes."""
    probers = [world.prober(node, **options) for node in nodes or ("ns1",)]
    for prober in probers:
        await prober.start()
    try:
        yield probers[0]
    finally:
        for prober in probers:
            await prober.stop()


def play(world, script, *nodes, **options):
    """Run a script beside the probers; return what it returns."""

    async def main():
        async with probing(world, *nodes, **options) as prober:
            return await script(prober)

    return run_virtually(main)


def casts(world):
    return [command for command in world.proposed if isinstance(command, CastVotes)]


def times_of(world, address):
    return [at for at, _, _, probed in world.probed if probed == address]


def test_probes_keep_the_interval():
    """A healthy endpoint is probed once an interval, without drift."""
    world = World(service("www", "192.0.2.1", interval_ms=2000))

    async def script(_):
        await asyncio.sleep(600)

    play(world, script)
    times = times_of(world, "192.0.2.1")[3:]
    assert 295 <= len(times) <= 300
    assert abs(times[-1] - times[0] - 2 * (len(times) - 1)) < 0.02


def test_no_vote_before_rise_or_fall():
    """A node that has just started says nothing until it has rise good or fall bad results in a row."""
    world = World(service("www", "192.0.2.1", "192.0.2.2", rise=3, fall=4))
    world.answers["192.0.2.2"] = REFUSED

    async def script(_):
        seen = {}
        for _ in range(600):
            for address in world.votes("www"):
                seen.setdefault(address, len(times_of(world, address)))
            await asyncio.sleep(0.01)
        return seen

    assert {"192.0.2.1": 3, "192.0.2.2": 4} == play(world, script)
    assert {"192.0.2.1": True, "192.0.2.2": False} == world.votes("www")


def test_a_failure_is_rechecked_soon():
    """After a first failure the next probes come after recheck_ms, and a vote after fall of them."""
    world = World(service("www", "192.0.2.1", interval_ms=10_000, recheck_ms=500, fall=3))

    async def script(_):
        await asyncio.sleep(60)
        world.answers["192.0.2.1"] = REFUSED
        broken = asyncio.get_running_loop().time()
        await until(lambda: not world.votes("www")["192.0.2.1"])
        after = [at for at in times_of(world, "192.0.2.1") if at >= broken]
        voted = asyncio.get_running_loop().time()
        await asyncio.sleep(60)
        return after, voted

    after, voted = play(world, script)
    assert 3 == len(after)
    assert [0.5, 0.5] == [round(later - sooner, 2) for sooner, later in pairwise(after)]
    assert voted - after[-1] < 0.1
    assert [True, False] == [command.ballots[0].up for command in casts(world)]


def test_rechecks_wait_for_the_flight():
    """A silent endpoint is probed again as soon as its deadline is over, never twice at a time."""
    world = World(service("www", "192.0.2.1", timeout_ms=1000, recheck_ms=500))
    world.answers["192.0.2.1"] = SILENT

    async def script(_):
        await asyncio.sleep(20)

    play(world, script)
    times = times_of(world, "192.0.2.1")
    assert [1.0, 1.0] == [round(later - sooner, 1) for sooner, later in pairwise(times[:3])]
    assert {"192.0.2.1": False} == world.votes("www")


def test_ballots_carry_evidence():
    """A vote says what was seen, and how long it took."""
    world = World(service("www", "192.0.2.1", "192.0.2.2"))
    world.answers["192.0.2.2"] = REFUSED

    async def script(_):
        await asyncio.sleep(20)

    play(world, script)
    ballots = {ballot.address: ballot for command in casts(world) for ballot in command.ballots}
    assert ("HTTP 200", 3) == (ballots["192.0.2.1"].evidence, ballots["192.0.2.1"].latency_ms)
    assert ("connection refused", 0) == (ballots["192.0.2.2"].evidence, ballots["192.0.2.2"].latency_ms)


def test_a_lost_proposal_is_tried_again_with_back_off():
    """Whatever becomes of a proposal, it is repeated while the State does not say it, ever more rarely."""
    world = World(service("www", "192.0.2.1"))
    world.outcomes = [not_committed(), Unknown("lost"), RuntimeError("no"), not_committed(), not_committed()]

    async def script(_):
        times = []
        while not world.votes("www"):
            if len(world.proposed) > len(times):
                times.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.001)
        await asyncio.sleep(30)
        return times

    times = play(world, script)
    assert 6 == len(world.proposed)
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 0.3
    assert gaps[-1] > 1.0


def test_a_vote_lost_with_the_lease_is_cast_again():
    """When the node's votes are dropped it votes again, on what it sees, with the new count of drops."""
    world = World(service("www", "192.0.2.1"))

    async def script(_):
        await asyncio.sleep(10)
        world.do(DropVotes("ns1"))
        assert {} == world.votes("www")
        await asyncio.sleep(1)

    play(world, script)
    assert {"192.0.2.1": True} == world.votes("www")
    assert [0, 1] == [command.after_drop for command in casts(world)]


def test_a_vote_from_before_a_drop_is_refused_and_decided_anew():
    """Ballots that a drop overtakes on their way are refused; the next ones carry the new count."""
    world = World(service("www", "192.0.2.1"))

    async def script(_):
        await asyncio.sleep(10)
        world.do(DropVotes("ns1"))
        world.outcomes = [Committed(7, Refused(7, "precondition", "from before its lease ended"))]
        await asyncio.sleep(5)

    play(world, script)
    assert {"192.0.2.1": True} == world.votes("www")
    assert 3 == len(casts(world))


def test_one_entry_for_a_batch():
    """All changes of a node's votes within 50 ms go into one command, and one is on its way at a time."""
    addresses = [f"192.0.2.{number}" for number in range(1, 101)]
    world = World(service("www", *addresses, recheck_ms=500))

    async def script(_):
        await asyncio.sleep(60)
        before = len(world.proposed)
        world.answers["ns1"] = REFUSED
        await asyncio.sleep(30)
        return len(world.proposed) - before

    assert play(world, script) <= 2.5 / 0.06  # they fail over an interval and its rechecks
    assert {False} == set(world.votes("www").values())


def test_proposals_are_proportional_to_changes():
    """A thousand endpoints over an hour: 30,000 probes, and no more ballots than edges."""
    services = [
        service(f"s{number}", *(f"192.0.{number}.{host}" for host in range(1, 11)), interval_ms=120_000)
        for number in range(100)
    ]
    world = World(*services)

    async def script(prober):
        await asyncio.sleep(100)
        start = sum(len(command.ballots) for command in casts(world))
        proposals = len(world.proposed)
        for number in range(10):
            world.answers[f"192.0.{number}.1"] = REFUSED
            await asyncio.sleep(150)
            del world.answers[f"192.0.{number}.1"]
            await asyncio.sleep(150)
        await asyncio.sleep(3600 - 3000)
        edges = sum(len(command.ballots) for command in casts(world)) - start
        return start, edges, len(world.proposed) - proposals, prober.summary()

    start, edges, proposals, summary = play(world, script)
    assert (1000, 20, 20) == (start, edges, proposals)
    assert summary.probes >= 30_000
    assert (0, 0) == (summary.started_late, summary.overdue)


def test_probes_are_spread():
    """Endpoints do not keep step with one another, and the nodes take turns at each of them."""
    addresses = [f"192.0.2.{number}" for number in range(1, 101)]
    world = World(service("www", *addresses, interval_ms=1000))

    async def script(_):
        await asyncio.sleep(1.1)

    play(world, script, "ns1", "ns2", "ns3")
    firsts = {}
    for at, node, _, address in world.probed:
        firsts.setdefault((node, address), at)
    tenths = [int(at * 10) % 10 for at in firsts.values()]
    assert 300 == len(firsts)
    assert all(10 <= tenths.count(tenth) <= 60 for tenth in range(10))
    for address in addresses:
        turns = sorted(firsts[node, address] % 1 for node in ("ns1", "ns2", "ns3"))
        assert all(abs(after - before - 1 / 3) < 0.02 for before, after in pairwise(turns))


def test_slow_beats_begin_soon():
    """An endpoint that is probed once an hour is probed within ten seconds of the start, and then at its beat."""
    world = World(service("www", "192.0.2.1", interval_ms=3_600_000, rise=1))

    async def script(_):
        begin_s = asyncio.get_running_loop().time()
        await asyncio.sleep(3 * 3600)
        return [at - begin_s for at in times_of(world, "192.0.2.1")]

    first, second, *_, before, last = play(world, script)
    assert first < 10 < second
    assert 3600 == round(last - before)


def test_definitions_are_followed_at_commit():
    """Added endpoints are probed at once, removed ones no more, and unchanged ones keep what is known."""
    world = World(service("www", "192.0.2.1", "192.0.2.2", interval_ms=1000))

    async def script(_):
        await asyncio.sleep(5)
        world.put(service("www", "192.0.2.1", "192.0.2.3", interval_ms=2000))
        committed = asyncio.get_running_loop().time()
        await asyncio.sleep(10)
        world.do(DeleteService(from_text("www.example.test")))
        await asyncio.sleep(10)
        return committed

    committed = play(world, script)
    assert max(times_of(world, "192.0.2.2")) < committed + 0.1
    assert min(times_of(world, "192.0.2.3")) < committed + 2.5
    assert max(at for at, *_ in world.probed) < committed + 10.1
    kept = [command for command in casts(world) for ballot in command.ballots if ballot.address == "192.0.2.1"]
    assert 1 == len(kept)
    slow = [at for at in times_of(world, "192.0.2.1") if at > committed + 1.1]
    assert 4 <= len(slow) <= 5


def test_another_check_starts_from_nothing():
    """A changed check makes what was seen by the old one worthless, and a flight of it is given up."""
    world = World(service("www", "192.0.2.1", interval_ms=1000))
    world.delay_s["192.0.2.1"] = 0.9

    async def script(_):
        await asyncio.sleep(10.3)
        assert world.slots()[0].opinion.vote
        world.put(service("www", "192.0.2.1", interval_ms=1000, check=Check("http", 81)))
        await asyncio.sleep(0.2)
        return [slot.opinion.vote for slot in world.slots()]

    assert [None] == play(world, script)


def test_only_those_told_to_probe_do():
    """``probe_from`` names the nodes that probe an endpoint."""
    world = World(service("www", "192.0.2.1", probe_from=("ns2", "ns3")), service("all", "192.0.2.2"))

    async def script(_):
        await asyncio.sleep(10)

    play(world, script, "ns1", "ns2")
    assert {"ns2"} == {node for _, node, _, address in world.probed if address == "192.0.2.1"}
    assert {"ns1", "ns2"} == {node for _, node, _, address in world.probed if address == "192.0.2.2"}


def test_the_same_address_in_two_services_is_two_endpoints():
    """Each service has its own opinion of an address."""
    world = World(service("a", "192.0.2.1"), service("b", "192.0.2.1"))
    world.answers["ns1", from_text("b.example.test"), "192.0.2.1"] = REFUSED

    async def script(_):
        await asyncio.sleep(10)

    play(world, script)
    assert ({"192.0.2.1": True}, {"192.0.2.1": False}) == (world.votes("a"), world.votes("b"))


def test_a_stranger_does_not_vote():
    """A node that is no member of the State probes, but proposes nothing."""
    world = World(service("www", "192.0.2.1"))

    async def script(prober):
        await asyncio.sleep(10)
        return prober.summary().probes

    assert play(world, script, "ns9") > 3
    assert [] == world.proposed


def test_flights_are_bounded_and_lateness_is_told():
    """More endpoints than flights can serve: never more in the air, late ones counted, load above one."""
    addresses = [f"192.0.2.{number}" for number in range(1, 101)]
    world = World(service("www", *addresses, interval_ms=1000, timeout_ms=1000))
    world.delay_s = dict.fromkeys(addresses, 0.5)

    async def script(prober):
        await asyncio.sleep(60)
        return prober.summary()

    summary = play(world, script, settings=ProberSettings(flights_max=10))
    assert 10 == world.in_air_most
    assert summary.flights == 10
    assert summary.started_late > 100
    assert summary.overdue > 0
    assert summary.late_percent > 90
    assert summary.schedule_delay_ms > 1000
    assert summary.load_factor > 0.95
    assert {len(times_of(world, address)) for address in addresses} <= {10, 11, 12, 13}


def test_ten_thousand_endpoints():
    """Ten thousand endpoints keep their time."""
    services = [
        service(
            f"s{number}",
            f"10.0.{number // 100}.{number % 100}",
            f"10.1.{number // 100}.{number % 100}",
            interval_ms=10_000,
        )
        for number in range(5_000)
    ]
    world = World(*services)

    async def script(prober):
        await asyncio.sleep(25)
        return prober.summary(), [slot.opinion.vote for slot in world.slots()]

    summary, votes = play(world, script)
    assert 10_000 == summary.endpoints
    assert (0, 0.0) == (summary.started_late, summary.late_percent)
    assert [True] * 10_000 == votes


def test_a_broken_probe_is_evidence_of_nothing_and_no_end():
    """A probe that raises against its promise counts for nothing, and the endpoint is probed again."""
    world = World(service("www", "192.0.2.1"))

    async def main():
        async def run(*_):
            raise RuntimeError("broken")

        prober = world.prober()
        prober._run = run
        await prober.start()
        await asyncio.sleep(10)
        await prober.stop()
        return prober.summary()

    summary = run_virtually(main)
    (slot,) = world.slots()
    assert summary.failures == summary.probes > 3
    assert ("probe broke down", None) == (slot.last.evidence, slot.opinion.vote)


def test_what_cannot_be_tried_changes_no_vote():
    """A node that may not ping keeps the vote it has for a while, goes on at the ordinary interval, and says so."""
    world = World(service("www", "192.0.2.1", interval_ms=2000))

    async def script(_):
        await asyncio.sleep(20)
        world.answers["192.0.2.1"] = UNTRIED
        since = asyncio.get_running_loop().time()
        await asyncio.sleep(6)
        return since, *world.slots()

    since, slot = play(world, script)
    assert {"192.0.2.1": True} == world.votes("www")
    assert (True, False) == (slot.opinion.vote, slot.last.tried)
    assert 2 <= len([at for at in times_of(world, "192.0.2.1") if at > since]) <= 4


def test_the_probe_address_is_probed_and_the_published_one_voted_on():
    """An endpoint can be probed at another address than the one in DNS."""
    definition = service("www", "192.0.2.1")
    other = msgspec.structs.replace(definition.endpoints[0], probe_address="10.0.0.1")
    world = World(msgspec.structs.replace(definition, endpoints=(other,)))

    async def script(_):
        await asyncio.sleep(10)
        moved = msgspec.structs.replace(other, probe_address="10.0.0.2")
        world.answers["10.0.0.2"] = REFUSED
        world.put(msgspec.structs.replace(definition, endpoints=(moved,)))
        await asyncio.sleep(10)

    play(world, script)
    assert {"10.0.0.1", "10.0.0.2"} == {address for *_, address in world.probed}
    assert {"192.0.2.1": False} == world.votes("www")


def test_lateness_is_logged_when_it_begins_and_ends():
    """A node that falls behind its schedule says so once, and once when it has caught up."""
    addresses = [f"192.0.2.{number}" for number in range(1, 101)]
    world = World(service("www", *addresses, interval_ms=1000, timeout_ms=1000))

    async def script(_):
        await asyncio.sleep(60)
        world.delay_s = dict.fromkeys(addresses, 0.5)
        await asyncio.sleep(60)
        world.delay_s = {}
        await asyncio.sleep(60)

    with structlog.testing.capture_logs() as lines:
        play(world, script, settings=ProberSettings(flights_max=10))
    told = [line for line in lines if line["event"].startswith("probe.")]
    assert ["probe.behind", "probe.in_time"] == [line["event"] for line in told]
    assert told[0]["late_percent"] > 1
    assert told[0]["longest_delay_ms"] > 100


def test_a_contrary_vote_is_looked_into_at_once():
    """When another node votes otherwise, this one probes at once, votes by what it sees itself, and keeps its pace."""
    world = World(service("www", "192.0.2.1", "192.0.2.2", interval_ms=60_000, fall=1, rise=1))

    def cast(node, address, up):
        world.do(CastVotes(node, (Ballot(from_text("www.example.test"), address, up),)))

    async def script(_):
        await asyncio.sleep(120)
        world.answers["192.0.2.1"] = REFUSED
        before = len(world.probed)
        cast("ns2", "192.0.2.1", False)
        cast("ns2", "192.0.2.2", False)
        await asyncio.sleep(0.3)
        both = sorted(address for *_, address in world.probed[before:])
        await asyncio.sleep(0.7)
        cast("ns2", "192.0.2.1", True)
        cast("ns2", "192.0.2.1", False)
        await asyncio.sleep(100)
        return both, world.votes("www"), len(world.probed) - before

    both, votes, probes = play(world, script)
    assert ["192.0.2.1", "192.0.2.2"] == both
    assert {"192.0.2.1": False, "192.0.2.2": True} == votes
    assert probes <= 8
    good = times_of(world, "192.0.2.2")
    assert 0 == round(good[-1] - good[1]) % 60  # what came in between did not move the beat


def test_stop_is_quiet():
    """Stopping gives up what is in the air, votes nothing and leaves no task."""
    world = World(service("www", "192.0.2.1", "192.0.2.2"))

    async def main():
        prober = world.prober()
        await prober.start()
        await asyncio.sleep(10)
        world.answers["ns1"] = SILENT
        await asyncio.sleep(1.5)
        proposed = len(world.proposed)
        await prober.stop()
        await asyncio.sleep(10)
        assert 1 == len(asyncio.all_tasks())
        return len(world.proposed) - proposed

    assert 0 == run_virtually(main)
    assert UP == world.answer("ns2", from_text("www.example.test"), "192.0.2.1")
