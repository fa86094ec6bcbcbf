"""Who pushes, when, and what the log hears of it; on a clock that costs no time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from node.health.service import Endpoint
from node.push.errors import PushError
from node.push.pusher import Pusher
from node.push.settings import PusherSettings
from node.push.turns import rank
from node.state.command import Command, DeleteService, PutEndpoint
from node.state.pushes import DeleteTarget, PutTarget, ReportPush
from raft.proposal import Committed, NotCommitted, Outcome
from tests.push.lab import (
    NODES,
    WWW,
    A,
    Log,
    MemoryServer,
    addresses,
    rrset,
    run_virtually,
    target,
    until,
    with_target,
)

FIRST, SECOND, THIRD = rank(NODES, "far")


class Team:
    """Three nodes that share a log and reach one server; each can be cut off from either."""

    def __init__(self, log: Log, server: MemoryServer, **settings: Any) -> None:
        self.log = log
        self.server = server
        self.minority: set[str] = set()
        self.heard: set[str] = set(NODES)
        self.barriers = 0
        self.pushers = {node: self._pusher(node, PusherSettings(**settings)) for node in NODES}

    def _pusher(self, node: str, settings: PusherSettings) -> Pusher:
        async def propose(command: Command) -> Outcome:
            await asyncio.sleep(0.002)
            if node in self.minority:
                return NotCommitted("no-quorum", "no majority; nothing was changed")
            return Committed(self.log.state.index + 1, self.log.do(command).result)

        async def is_current() -> bool:
            self.barriers += 1
            await asyncio.sleep(0.001)
            return node not in self.minority

        return Pusher(
            node,
            lambda: self.log.state,
            propose,
            is_current,
            settings,
            reachable=lambda: self.heard,
            make_carrier=lambda _target, _settings: self.server.seen_from(node),
            chance=lambda: 0.5,
        )

    @asynccontextmanager
    async def running(self, *nodes: str) -> Any:
        started = [self.pushers[node] for node in nodes or NODES]
        for pusher in started:
            self.log.listeners.append(pusher.state_changed)
            await pusher.start()
        yield self
        for pusher in started:
            self.log.listeners.remove(pusher.state_changed)
            await pusher.stop()

    def reports(self) -> list[ReportPush]:
        return [each for each in self.log.entries if isinstance(each, ReportPush)]

    def is_synced(self) -> bool:
        return all(row.state == "synced" for row in self.pushers[NODES[0]].status())


def play(story: Callable[[Team], Awaitable[None]], log: Log | None = None, **settings: Any) -> Team:
    """Run a story with a team of three."""
    team = Team(log or with_target("192.0.2.1", "192.0.2.2", "192.0.2.3"), MemoryServer(), **settings)

    async def main() -> None:
        async with team.running():
            await story(team)

    run_virtually(main())
    return team


def test_the_first_in_rank_pushes_and_the_others_keep_still() -> None:
    """One node pushes a change, one entry in the log tells of it, and nobody else sends anything."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        assert addresses("192.0.2.1", "192.0.2.2", "192.0.2.3") == team.server.rdatas()
        team.log.vote("192.0.2.1", up=False)
        took_s = await until(lambda: len(team.server.rdatas()) == 2, "withdrawn")
        assert took_s < 0.1
        await asyncio.sleep(20)

    team = play(story)
    assert [(FIRST, 1), (FIRST, 1)] == team.server.updates
    assert [(FIRST, True), (FIRST, True)] == [(each.node, each.ok) for each in team.reports()]


def test_another_node_takes_over_when_the_first_cannot_reach_the_target() -> None:
    """A failure that is in the log lets the next in rank push at once, and it goes first from then on."""

    async def story(team: Team) -> None:
        team.server.unreachable_for = {FIRST}
        assert await until(lambda: team.server.updates, "pushed by another") < 8
        team.log.vote("192.0.2.1", up=False)
        assert await until(lambda: len(team.server.updates) == 2, "pushed again") < 0.1

    team = play(story)
    assert [SECOND, SECOND] == [node for node, _ in team.server.updates]


def test_silence_of_an_earlier_rank_is_waited_for_briefly() -> None:
    """A node that is alive but says nothing is passed over after three seconds."""
    log = with_target("192.0.2.1")

    async def main() -> None:
        team = Team(log, MemoryServer())
        async with team.running(SECOND, THIRD):
            assert 2.5 < await until(lambda: team.server.updates, "taken over") < 4.5
        assert [SECOND] == [node for node, _ in team.server.updates]

    run_virtually(main())


def test_a_node_known_to_be_gone_is_not_waited_for() -> None:
    """When the first in rank is not heard any more, the next one pushes at once."""

    async def main() -> None:
        team = Team(with_target("192.0.2.1"), MemoryServer())
        team.heard = {SECOND, THIRD}
        async with team.running(SECOND, THIRD):
            assert await until(lambda: team.server.updates, "taken over") < 0.5

    run_virtually(main())


def test_a_node_without_the_majority_sends_nothing() -> None:
    """A read barrier stands before every push: an isolated node keeps what it knows to itself."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        team.minority = {FIRST, SECOND, THIRD}
        team.log.vote("192.0.2.1", up=False)
        await asyncio.sleep(60)
        assert 1 == len(team.server.updates)
        assert 1 == len(team.reports())
        team.minority = {FIRST}
        team.heard = {SECOND, THIRD}
        await until(lambda: len(team.server.updates) == 2, "pushed by the majority")
        assert SECOND == team.server.updates[1][0]

    play(story)


def test_a_dead_target_costs_few_entries_and_converges_when_it_returns() -> None:
    """Hours of failures are one entry a node; the back-off has a limit, so that it converges soon after."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        before = len(team.reports())
        team.server.unreachable_for = set(NODES)
        for number in range(100):
            team.log.vote("192.0.2.1", up=number % 2 == 1)
            await asyncio.sleep(100)
        assert "failing" == team.pushers[THIRD].status()[0].state
        assert len(team.reports()) - before <= len(NODES)
        team.log.vote("192.0.2.2", up=False)
        team.server.unreachable_for = set()
        assert await until(team.is_synced, "synced again") <= 31
        assert addresses("192.0.2.1", "192.0.2.3") == team.server.rdatas()

    play(story)


def test_what_others_change_on_the_target_is_repaired() -> None:
    """A changed serial leads to reading everything; what is ours is put right, what is not stays."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        team.server.put(rrset("www", "A", "192.0.2.1", "198.51.100.7"))
        whole = addresses("192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.7")
        assert await until(lambda: team.server.rdatas() == whole, "repaired") < 12
        entries = len(team.log.entries)
        await asyncio.sleep(300)
        assert entries == len(team.log.entries)

    play(story)


def test_bursts_are_merged_by_the_minimal_interval() -> None:
    """With a minimal interval of ten seconds, fifty changes in five seconds are two updates."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        for number in range(50):
            team.log.do(PutEndpoint(WWW, Endpoint(f"192.0.2.{100 + number}")))
            await asyncio.sleep(0.1)
        await until(lambda: len(team.server.rdatas()) == 53, "all there")

    team = play(story, with_target("192.0.2.1", "192.0.2.2", "192.0.2.3", min_interval_ms=10_000))
    assert len(team.server.updates) <= 2


def test_the_target_is_never_empty_on_the_way() -> None:
    """Whatever endpoints do, a service with a live endpoint always has addresses on the target."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        for number in range(60):
            team.log.vote(f"192.0.2.{1 + number % 3}", up=number % 2 == 0)
            await asyncio.sleep(0.003 * (number % 7))
        await until(team.is_synced, "synced")

    team = play(story)
    assert all(each[(WWW, A)].rdatas for each in team.server.history)


def test_a_deleted_service_goes_from_the_target() -> None:
    """After a service is deleted, its addresses are taken away and others' are left."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        team.server.put(rrset("www", "A", "192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.7"))
        team.log.do(DeleteService(WWW))
        await until(lambda: team.server.rdatas() == addresses("198.51.100.7"), "cleaned")

    play(story)


def test_a_success_that_the_log_did_not_take_is_told_later() -> None:
    """When the report is lost with the quorum, it is proposed again, and nothing is pushed twice."""

    async def main() -> None:
        team = Team(with_target("192.0.2.1"), MemoryServer())
        pusher = team.pushers[FIRST]
        real, lost = pusher._propose, [True, True]

        async def propose(command: Command) -> Outcome:
            return NotCommitted("no-leader", "no leader") if lost and lost.pop() else await real(command)

        pusher._propose = propose
        async with team.running(FIRST):
            await until(lambda: team.log.delivered() > 0, "reported")
            assert 1 == len(team.server.updates)

    run_virtually(main())


def test_targets_come_and_go() -> None:
    """A new target is taken up at once, a changed one read anew, a deleted one left alone."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        team.log.do(PutTarget(target("second")))
        await until(lambda: team.log.delivered("second") > 0, "the second synced")
        team.log.do(DeleteTarget("far"), DeleteTarget("second"))
        team.log.vote("192.0.2.1", up=False)
        await asyncio.sleep(30)
        assert () == team.pushers[FIRST].status()
        assert 1 == len(team.server.updates)

    play(story)


def test_a_missing_key_is_the_targets_problem() -> None:
    """A node without the key says so for this target; a node that has it takes over."""

    async def main() -> None:
        team = Team(with_target("192.0.2.1"), MemoryServer())

        def no_key(_target: Any, _settings: Any) -> Any:
            raise PushError("permanent", "no-key", 'this node has no TSIG key "push"')

        team.pushers[FIRST]._make_carrier = no_key
        async with team.running():
            await until(lambda: team.server.updates, "taken over")
            assert [SECOND] == [node for node, _ in team.server.updates]
            tries = dict(team.pushers[FIRST].status()[0].tries)
            assert "TSIG key" in tries[FIRST].detail

    run_virtually(main())


def test_diff_tells_and_changes_nothing() -> None:
    """A dry run returns the replacements that are due."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        team.server.put(rrset("www", "A", "192.0.2.1"))
        found = await team.pushers[THIRD].diff("far")
        assert found is not None
        ((_, change),) = found
        assert change.after is not None
        assert addresses("192.0.2.1", "192.0.2.2", "192.0.2.3") == change.after.rdatas
        assert addresses("192.0.2.1") == team.server.rdatas()
        assert await team.pushers[THIRD].diff("nothing") is None

    play(story, serial_every_s=3600, verify_every_s=3600)


def test_refresh_repairs_at_once() -> None:
    """On request the target is read and repaired without waiting for the next verification."""

    async def story(team: Team) -> None:
        await until(team.is_synced, "synced")
        team.server.put(rrset("www", "A", "192.0.2.1"))
        assert team.pushers[THIRD].refresh("far")
        assert await until(lambda: len(team.server.rdatas()) == 3, "repaired") < 1
        assert not team.pushers[THIRD].refresh("nothing")

    play(story, serial_every_s=3600, verify_every_s=3600)


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), OSError("no sockets left")])
def test_an_unexpected_fault_ends_nothing(fault: Exception) -> None:
    """An attempt that crashes is tried again later; the target's lane goes on."""

    async def main() -> None:
        team = Team(with_target("192.0.2.1"), MemoryServer())
        faults = [fault, fault]
        make = team.pushers[FIRST]._make_carrier

        def crash(*words: Any) -> Any:
            if faults:
                raise faults.pop()
            return make(*words)

        team.pushers[FIRST]._make_carrier = crash
        async with team.running(FIRST):
            await until(lambda: team.log.delivered() > 0, "delivered after all")

    run_virtually(main())
