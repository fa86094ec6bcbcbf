"""A node whose own uplink is dead abstains; a true outage is voted down; neither takes the other's part."""

import asyncio

import pytest

from node.probe.guard import Guard
from node.probe.prober import ProberSettings
from node.probe.roster import Roster, is_own_address
from node.state.command import DropVotes
from tests.probe.test_prober import casts, play
from tests.probe.world import REFUSED, SILENT, World, service, until


def two_services(**fields):
    return World(
        service("a", "192.0.2.1", "192.0.2.2", **fields), service("b", "198.51.100.1", "198.51.100.2", **fields)
    )


def drops(world):
    return [command for command in world.proposed if isinstance(command, DropVotes)]


def downs(world):
    return [ballot.address for command in casts(world) for ballot in command.ballots if not ballot.up]


def test_a_dead_uplink_isolates():
    """When everything falls silent the node casts nothing down and drops its votes, once."""
    world = two_services()

    async def script(prober):
        await asyncio.sleep(20)
        world.answers["ns1"] = SILENT
        await asyncio.sleep(12)
        return prober.summary()

    summary = play(world, script, "ns1", "ns2")
    assert summary.is_isolated
    assert [] == downs(world)
    assert [DropVotes("ns1")] == drops(world)
    assert ({}, {}) == (world.votes("a"), world.votes("b"))
    assert {True} == set(world.votes("a", "ns2").values())


def test_isolation_lasts_while_others_see_more():
    """As long as another node holds an up vote, a node that reaches nothing abstains."""
    world = two_services()

    async def script(prober):
        await asyncio.sleep(20)
        world.answers["ns1"] = SILENT
        await asyncio.sleep(3600)
        return prober.summary()

    assert play(world, script, "ns1", "ns2").is_isolated
    assert ([], 1) == (downs(world), len(drops(world)))


def test_isolation_ends_with_an_answer_and_opinions_start_afresh():
    """When the uplink is back, nothing is voted down that was counted in isolation."""
    world = two_services(interval_ms=5_000)

    async def script(prober):
        await asyncio.sleep(30)
        world.answers["ns1"] = SILENT
        await until(lambda: prober.summary().is_isolated)
        await asyncio.sleep(8)
        del world.answers["ns1"]
        await until(lambda: not prober.summary().is_isolated)
        await asyncio.sleep(6)

    play(world, script, "ns1", "ns2")
    assert [] == downs(world)
    assert {"192.0.2.1": True, "192.0.2.2": True} == world.votes("a")
    assert {"198.51.100.1": True, "198.51.100.2": True} == world.votes("b")


def test_what_stays_silent_after_isolation_is_voted_down():
    """After the uplink is back, an endpoint that is really gone falls after as many results as ever."""
    world = two_services()

    async def script(prober):
        await asyncio.sleep(20)
        world.answers["ns1"] = SILENT
        await until(lambda: prober.summary().is_isolated)
        world.answers["192.0.2.1"] = SILENT
        del world.answers["ns1"]
        await asyncio.sleep(15)

    play(world, script)
    assert ["192.0.2.1"] == downs(world)
    assert {"192.0.2.1": False, "192.0.2.2": True} == world.votes("a")


def test_a_short_hiccup_isolates_nobody():
    """One lost probe of everything is less than fall: votes stand and nothing is proposed."""
    world = two_services()

    async def script(prober):
        await asyncio.sleep(20)
        before = len(world.proposed)
        world.answers["ns1"] = SILENT
        await asyncio.sleep(1.5)
        del world.answers["ns1"]
        await asyncio.sleep(20)
        return len(world.proposed) - before

    assert 0 == play(world, script)


def test_one_silent_endpoint_is_voted_down_without_delay():
    """Where others answer, a silent endpoint falls in its own time."""
    world = two_services()

    async def script(_):
        await asyncio.sleep(20)
        world.answers["192.0.2.1"] = SILENT
        start = asyncio.get_running_loop().time()
        await until(lambda: not world.votes("a")["192.0.2.1"])
        return asyncio.get_running_loop().time() - start

    assert play(world, script) < 2 + 3 * 1 + 0.2


def test_a_witness_is_called_where_none_is_due():
    """With others probed rarely, one of them is probed at once to prove that the network is alive."""
    world = World(
        service("a", "192.0.2.1", interval_ms=1_000), service("b", "198.51.100.1", interval_ms=600_000)
    )

    async def script(_):
        await asyncio.sleep(1_300)
        world.answers["192.0.2.1"] = SILENT
        start = asyncio.get_running_loop().time()
        await until(lambda: not world.votes("a")["192.0.2.1"])
        return asyncio.get_running_loop().time() - start

    assert play(world, script) < 1 + 3 * 1 + 0.5


def test_an_uplink_is_found_dead_though_others_are_probed_rarely():
    """The witness's silence completes the picture."""
    world = World(
        service("a", "192.0.2.1", interval_ms=1_000), service("b", "198.51.100.1", interval_ms=600_000)
    )

    async def script(prober):
        await asyncio.sleep(1_300)
        world.answers["ns1"] = SILENT
        await asyncio.sleep(9)
        return prober.summary()

    assert play(world, script, "ns1", "ns2").is_isolated
    assert [] == downs(world)


def test_a_single_service_is_voted_down():
    """With one service nobody can tell: a total outage is voted down as it comes."""
    world = World(service("a", "192.0.2.1", "192.0.2.2", "192.0.2.3"))

    async def script(_):
        await asyncio.sleep(20)
        world.answers["ns1"] = SILENT
        await asyncio.sleep(10)

    play(world, script)
    assert {False} == set(world.votes("a").values())
    assert [] == drops(world)


def test_two_services_on_one_host_are_voted_down():
    """One address behind several services can go away by itself."""
    world = World(service("a", "192.0.2.1"), service("b", "192.0.2.1"))

    async def script(_):
        await asyncio.sleep(20)
        world.answers["ns1"] = SILENT
        await asyncio.sleep(10)

    play(world, script)
    assert ({"192.0.2.1": False}, {"192.0.2.1": False}) == (world.votes("a"), world.votes("b"))


def test_refusals_are_answers():
    """Everything refusing at once is an outage of everything: the network brought the refusals."""
    world = two_services()

    async def script(prober):
        await asyncio.sleep(20)
        world.answers["ns1"] = REFUSED
        await asyncio.sleep(10)
        return prober.summary()

    assert not play(world, script).is_isolated
    assert {False} == {*world.votes("a").values(), *world.votes("b").values()}


def test_a_total_outage_is_believed_at_last():
    """When every node falls silent there is nobody who sees more: all vote down after the hold."""
    world = two_services()
    nodes = ("ns1", "ns2", "ns3")

    async def script(prober):
        await asyncio.sleep(20)
        world.answers |= dict.fromkeys(nodes, SILENT)
        await until(lambda: prober.summary().is_isolated)
        await asyncio.sleep(13)
        assert [] == downs(world)
        await asyncio.sleep(12)
        assert {"down"} == {
            known.verdict for name in world.state.services for _, known in world.state.services[name].endpoints
        }
        del world.answers["ns1"]
        await asyncio.sleep(10)
        return prober.summary()

    summary = play(world, script, *nodes)
    assert not summary.is_isolated
    assert {True} == {*world.votes("a").values(), *world.votes("b").values()}
    assert {False} == {*world.votes("a", "ns2").values(), *world.votes("b", "ns2").values()}


def test_a_restarted_node_without_uplink_abstains():
    """A node that has seen nothing good since it started does not vote everything down."""
    world = two_services()
    world.answers["ns1"] = SILENT

    async def script(prober):
        await asyncio.sleep(60)
        return prober.summary()

    assert play(world, script, "ns1", "ns2").is_isolated
    assert [] == downs(world)


def test_the_drop_is_proposed_until_it_is_done():
    """The abstention is a level as well: when its proposal is lost it is made again."""
    world = two_services()

    async def script(prober):
        await asyncio.sleep(20)
        world.answers["ns1"] = SILENT
        world.outcomes = [RuntimeError("lost"), RuntimeError("lost")]
        await until(lambda: prober.summary().is_isolated)
        await asyncio.sleep(5)

    play(world, script, "ns1")
    assert 3 == len(drops(world))
    assert ({}, {}) == (world.votes("a"), world.votes("b"))


def test_own_addresses_are_never_doubted():
    """What runs on this machine neither proves the network alive nor has to wait for a proof."""
    world = World(
        service("a", "192.0.2.1"), service("b", "192.0.2.2"), service("c", "10.0.0.1"), service("d", "10.0.0.2")
    )

    async def script(prober):
        await asyncio.sleep(20)
        for address in ("192.0.2.1", "192.0.2.2", "10.0.0.1"):
            world.answers["ns1", address] = SILENT
        await until(lambda: prober.summary().is_isolated)

    play(world, script, "ns1", "ns2", is_local=lambda address: address.startswith("10."))
    world = World(service("a", "10.0.0.1"), service("b", "10.0.0.2"))
    world.answers["ns1"] = SILENT

    async def wait(_):
        await asyncio.sleep(10)

    play(world, wait, is_local=lambda address: address.startswith("10."))
    assert ({"10.0.0.1": False}, {"10.0.0.2": False}) == (world.votes("a"), world.votes("b"))


def test_own_addresses_are_recognised():
    """Only an address of this machine can be bound."""
    assert [True, True, True, False, False] == [
        is_own_address(address) for address in ("127.0.0.1", "127.0.0.13", "::1", "192.0.2.1", "2001:db8::1")
    ]


def test_references_isolate_a_single_service():
    """When every reference falls silent the node abstains, whatever it probes."""
    world = World(service("a", "192.0.2.1"))

    async def script(prober):
        await asyncio.sleep(20)
        world.answers |= {("ns1", "203.0.113.1"): SILENT, ("ns1", "203.0.113.2"): SILENT}
        await asyncio.sleep(120)
        isolated = prober.summary().is_isolated
        world.answers["ns1", "203.0.113.2"] = REFUSED
        await asyncio.sleep(5)
        return isolated, prober.summary().is_isolated

    settings = ProberSettings(references=("203.0.113.1:443", "203.0.113.2:53"))
    assert (True, False) == play(world, script, settings=settings)
    assert [True, True] == [ballot.up for command in casts(world) for ballot in command.ballots]
    assert 1 == len(drops(world))


def test_an_answering_reference_is_a_proof():
    """With a reference alive, an outage of everything is the endpoints' own."""
    world = two_services()

    async def script(prober):
        await asyncio.sleep(20)
        for address in ("192.0.2.1", "192.0.2.2", "198.51.100.1", "198.51.100.2"):
            world.answers[address] = SILENT
        await asyncio.sleep(10)
        return prober.summary()

    summary = play(world, script, settings=ProberSettings(references=("[2001:db8::1]:443",)))
    assert not summary.is_isolated
    assert {False} == {*world.votes("a").values(), *world.votes("b").values()}


@pytest.mark.parametrize("text", ["example.com:443", "192.0.2.1", "192.0.2.1:", ""])
def test_references_must_be_addresses_with_ports(text):
    """A reference that is a name, or has no port, is refused with a sentence."""
    with pytest.raises(ValueError, match=f"^{text} is not a reference target"):
        Roster("ns1", Guard(15), (text,), None)


def test_nothing_is_voted_in_isolation():
    """Neither up nor down: an isolated node's old up votes are not cast again after its drop."""
    world = two_services(fall=10)

    async def script(prober):
        await asyncio.sleep(20)
        world.answers["ns1"] = SILENT
        await until(lambda: prober.summary().is_isolated)
        before = len([command for command in casts(world) if command.node == "ns1"])
        world.do(DropVotes("ns1"))
        await asyncio.sleep(30)
        return before, len([command for command in casts(world) if command.node == "ns1"])

    before, after = play(world, script, "ns1", "ns2")
    assert before == after
    assert before > 0
