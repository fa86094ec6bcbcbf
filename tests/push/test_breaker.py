"""The breaker: most of a zone gone at once is held until a person says that it is meant."""

import asyncio
from dataclasses import dataclass, field

import pytest

from node.push.breaker import WINDOW_S, Withdrawals
from node.state.command import DeleteService, PutService
from node.state.pushes import HoldPush, PutTarget, SteerPush
from node.state.state import Accepted, Delivery, Refused
from node.zone.name import from_text
from tests.push.lab import (
    NODES,
    WWW,
    ZONE,
    A,
    Log,
    MemoryServer,
    addresses,
    run_virtually,
    service,
    target,
    until,
)
from tests.push.test_pusher import Team

API = from_text("api.example.org")
FOUR = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")


@dataclass
class Watched:
    """A log whose State is observed at times that the test chooses."""

    log: Log = field(default_factory=lambda: Log(PutService(service(*FOUR)), PutTarget(target())))
    watch: Withdrawals = field(default_factory=Withdrawals)

    def put(self, *addresses: str, at_s: float) -> None:
        if addresses:
            self.log.do(PutService(service(*addresses)))
        else:
            self.log.do(DeleteService(WWW))
        self.watch.observe(self.log.state, [WWW], at_s)


@pytest.fixture
def watched() -> Watched:
    made = Watched()
    made.watch.observe(made.log.state, None, 0.0)
    return made


def test_half_of_a_zone_may_go_and_more_may_not(watched):
    """Exactly half is no mass withdrawal."""
    watched.put(*FOUR[:2], at_s=1.0)
    assert None is watched.watch.mass(ZONE, 50, 0, 1.0)
    watched.put(FOUR[0], at_s=2.0)
    found = watched.watch.mass(ZONE, 50, 0, 2.0)
    assert (3, 4, watched.log.state.index) == (found.withdrawn, found.of, found.index)


def test_a_slow_withdrawal_is_none(watched):
    """What went more than a minute ago is not counted any more."""
    for number, left in enumerate((3, 2, 1)):
        watched.put(*FOUR[:left], at_s=number * WINDOW_S)
    assert None is watched.watch.mass(ZONE, 50, 0, 2 * WINDOW_S)


def test_what_comes_back_or_is_replaced_is_no_loss(watched):
    """A deployment that swaps every address leaves as many as before."""
    watched.put(at_s=1.0)
    assert watched.watch.mass(ZONE, 50, 0, 1.0) is not None
    watched.put(*FOUR, at_s=2.0)
    assert None is watched.watch.mass(ZONE, 50, 0, 2.0)
    watched.put("192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14", at_s=3.0)
    assert None is watched.watch.mass(ZONE, 50, 0, 3.0)


def test_the_share_is_the_targets_own(watched):
    """At 100 % nothing is ever held; a released withdrawal is meant."""
    watched.put(at_s=1.0)
    assert None is watched.watch.mass(ZONE, 100, 0, 1.0)
    assert None is watched.watch.mass(ZONE, 50, watched.log.state.index, 1.0)
    assert watched.watch.mass(ZONE, 99, 0, 1.0) is not None


def test_a_full_look_finds_what_single_ones_do(watched):
    """When anything may have changed every service is looked at, gone ones too."""
    watched.log.do(DeleteService(WWW))
    watched.watch.observe(watched.log.state, None, 1.0)
    assert 4 == watched.watch.mass(ZONE, 50, 0, 1.0).withdrawn


def test_a_small_zone_has_no_mass():
    """One outage is most of a zone of three records."""
    small = Watched(Log(PutService(service(*FOUR[:3])), PutTarget(target())))
    small.watch.observe(small.log.state, None, 0.0)
    small.put(at_s=1.0)
    assert None is small.watch.mass(ZONE, 1, 0, 1.0)


# --- in the log -----------------------------------------------------------------------------------


def test_a_hold_that_was_released_since_is_none():
    """A slow node must not hold again what a person released."""
    log = Log(PutService(service(*FOUR)), PutTarget(target()))
    hold = HoldPush("far", "ns1", log.state.index, ZONE, 3, 4)
    log.do(hold)
    assert log.state.deliveries["far"].held.startswith("3 of 4 service records of example.org.")
    refused = log.do(SteerPush("far", "refresh")).result
    assert isinstance(refused, Refused)
    assert refused.code == "precondition"
    log.do(SteerPush("far", "release"))
    assert isinstance(log.do(hold).result, Accepted)
    assert "" == log.state.deliveries["far"].held
    assert isinstance(log.do(SteerPush("far", "release")).result, Refused)


def test_steering_tells_once_and_only_known_targets():
    """Pausing twice is one event; a target that is not there is refused."""
    log = Log(PutTarget(target()))
    before = log.state.events_next
    log.do(SteerPush("far", "pause"), SteerPush("far", "pause"), SteerPush("far", "resume"))
    kinds = [log.state.events[n].kind for n in range(before, log.state.events_next)]
    assert ["push.paused", "push.resumed"] == kinds
    assert "not-found" == log.do(SteerPush("near", "pause")).result.code
    assert not log.state.deliveries.get("far", Delivery()).is_stopped


# --- in the pusher --------------------------------------------------------------------------------


def test_a_mass_withdrawal_is_held_until_it_is_released():
    """The server keeps what it had; after the release it gets what was decided."""

    async def scenario() -> None:
        log = Log(PutService(service(*FOUR)), PutTarget(target(withdrawal_percent_max=50)))
        server = MemoryServer()
        async with Team(log, server).running() as team:
            await until(lambda: server.rdatas(WWW, A) == addresses(*FOUR), "the server has what was decided")
            log.do(PutService(service(FOUR[0])))
            await until(lambda: log.state.deliveries["far"].held != "", "the target is held")
            await asyncio.sleep(30)
            assert addresses(*FOUR) == server.rdatas(WWW, A)
            assert "held" == team.pushers[NODES[0]].status()[0].state
            log.do(SteerPush("far", "release"))
            await until(lambda: server.rdatas(WWW, A) == addresses(FOUR[0]), "the server has what was decided")

    run_virtually(scenario())


def test_a_paused_target_gets_nothing_and_a_resumed_one_everything():
    """What changes during a pause is carried after it."""

    async def scenario() -> None:
        log = Log(PutService(service(*FOUR)), PutTarget(target()))
        server = MemoryServer()
        async with Team(log, server).running():
            await until(lambda: server.rdatas(WWW, A) == addresses(*FOUR), "the server has what was decided")
            log.do(SteerPush("far", "pause"), PutService(service(FOUR[1])))
            await asyncio.sleep(30)
            assert addresses(*FOUR) == server.rdatas(WWW, A)
            log.do(SteerPush("far", "resume"))
            await until(lambda: server.rdatas(WWW, A) == addresses(FOUR[1]), "the server has what was decided")

    run_virtually(scenario())


def test_a_refresh_repairs_what_others_changed():
    """It is an entry of the log, so any node can be asked, and the one whose turn it is does it."""

    async def scenario() -> None:
        log = Log(PutService(service(*FOUR)), PutTarget(target()))
        server = MemoryServer()
        async with Team(log, server).running():
            await until(lambda: server.rdatas(WWW, A) == addresses(*FOUR), "the server has what was decided")
            await until(lambda: log.delivered() > 0, "it is reported")
            server.rrsets.clear()  # without another serial: nothing tells that it changed
            log.do(SteerPush("far", "refresh"))
            index = log.state.index
            await until(lambda: log.delivered() >= index, "the refresh is done")
            assert addresses(*FOUR) == server.rdatas(WWW, A)

    run_virtually(scenario())
