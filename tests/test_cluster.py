"""The door to the log: proposals, listeners, and a machine that survives its own defects."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from node.cluster import HANDED_OVER_MAX, Cluster, Machine
from node.state import machine, members
from node.state.command import Entry, Member, PutZone, Seed, encode
from node.state.state import Accepted, Changed, Refused, State
from node.zone.name import from_text
from raft.machine import BadSnapshot
from raft.membership import Membership
from raft.pending import Pending
from raft.proposal import Committed, Unknown
from raft.settings import RaftSettings
from tests.state.conftest import SETTINGS, WWW, ZONE, service

SEED = Seed((Member("solo"),), (PutZone(ZONE, SETTINGS),), (service("192.0.2.1"),))


def settings(data_dir: Path | None = None) -> RaftSettings:
    return RaftSettings("solo", {"solo": "127.0.0.1:0"}, "127.0.0.1:0", "test", data_dir, None)


def with_cluster(act: Callable[[Cluster], Awaitable[None]], data_dir: Path | None = None) -> None:
    """Run a story with a started cluster of one."""

    async def story() -> None:
        cluster = Cluster(settings(data_dir), lambda: None)
        await cluster.start()
        try:
            async with asyncio.timeout(20):
                await act(cluster)
        finally:
            await cluster.stop()

    asyncio.run(story())


def test_a_proposal_comes_back_with_its_result() -> None:
    """The outcome carries what apply said, and the State is there when it does."""

    async def act(cluster: Cluster) -> None:
        outcome = await cluster.propose(SEED, actor="test")
        assert isinstance(outcome, Committed)
        assert isinstance(outcome.result, Accepted)
        assert cluster.state.seeded
        assert outcome.index == cluster.state.index
        assert await cluster.wait_applied(outcome.index, 1.0)
        assert not await cluster.wait_applied(outcome.index + 1, 0.01)

    with_cluster(act)


def test_a_node_is_ready_when_its_cluster_holds_something() -> None:
    """A node that leads and has not seeded its cluster yet has caught up with nothing that could be shown."""

    async def act(cluster: Cluster) -> None:
        assert await cluster.wait_applied(2, 10.0)
        assert (True, False) == (cluster._replica.status().ready, cluster.status().ready)
        await cluster.propose(SEED)
        assert cluster.status().ready

    with_cluster(act)


def test_a_proposal_whose_outcome_was_lost_is_told_as_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log commits a try and its outcome is lost: the next try tells it, and nothing is done twice."""

    async def act(cluster: Cluster) -> None:
        await cluster.propose(SEED)
        real, lost = cluster._replica.propose, []

        def propose(data: bytes, timeout_s: float) -> Pending:
            outcome = real(data, timeout_s)
            if lost:
                return outcome
            lost.append(outcome.result(5))
            told: Pending = Pending()
            told.settle(Unknown("the leader went"))
            return told

        monkeypatch.setattr(cluster._replica, "propose", propose)
        outcome = await cluster.propose(PutZone(from_text("example.net"), SETTINGS, if_index=0))
        assert lost == [outcome]
        assert isinstance(outcome, Committed)
        assert isinstance(outcome.result, Accepted)
        assert (outcome.index, True) == (outcome.result.index, outcome.result.changed)
        assert cluster.state.index > outcome.index

    with_cluster(act)


def test_an_entry_without_a_command_is_waited_for_no_longer_than_others() -> None:
    """The entry that opens a leader's term is applied although it changes no State."""

    async def act(cluster: Cluster) -> None:
        start = asyncio.get_running_loop().time()
        assert await cluster.wait_applied(2, 10.0)
        assert asyncio.get_running_loop().time() - start < 5.0
        assert cluster.state.index == 0

    with_cluster(act)


def test_listeners_hear_what_changed() -> None:
    """Every change reaches the listener in the event loop; one that raises hurts nobody else."""

    async def act(cluster: Cluster) -> None:
        heard: list[tuple[int, Changed | None]] = []

        def broken(_state: State, _changed: Changed | None) -> None:
            raise ZeroDivisionError

        cluster.subscribe(broken)
        end = cluster.subscribe(lambda state, changed: heard.append((state.index, changed)))
        await cluster.propose(SEED)
        await asyncio.sleep(0)
        services = [fqdn for _, changed in heard if changed is not None for fqdn in changed.services]
        assert WWW in services
        count = len(heard)
        end()
        await cluster.propose(PutZone(from_text("example.net"), SETTINGS))
        assert count == len(heard)

    with_cluster(act)


def test_the_digest_follows_the_state() -> None:
    """Index and digest belong together and change with the State."""

    async def act(cluster: Cluster) -> None:
        before = cluster.digest()
        await cluster.propose(SEED)
        after = cluster.digest()
        assert before != after
        assert (cluster.state.index, after[1]) == after

    with_cluster(act)


def test_the_state_is_there_after_a_restart(tmp_path: Path) -> None:
    """A cluster with a data directory comes back with the digest it left with."""
    digests = []

    async def first(cluster: Cluster) -> None:
        await cluster.propose(SEED)
        digests.append(cluster.digest())

    async def second(cluster: Cluster) -> None:
        assert isinstance(await cluster.read_barrier(), Committed)
        digests.append(cluster.digest())

    with_cluster(first, tmp_path)
    with_cluster(second, tmp_path)
    assert digests[0] == digests[1]


def test_a_defect_costs_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """When applying raises, the entry is refused, counted, and the log goes on."""
    handed_over: list[Changed | None] = []
    ours = Machine(handed_over.append)
    with monkeypatch.context() as patch:
        patch.setattr(machine, "apply_entry", lambda *_: 1 / 0)
        result = ours.apply(1, encode(Entry(SEED, 0)))
    assert isinstance(result, Refused)
    assert ("failed", 1, 1) == (result.code, ours.failures, ours.state.index)
    with monkeypatch.context() as patch:
        patch.setattr(members, "change_members", lambda *_: 1 / 0)
        result = ours.change_members(2, Membership("", ()))
    assert isinstance(result, Refused)
    assert ("failed", 2, 2) == (result.code, ours.failures, ours.state.index)
    assert isinstance(ours.apply(3, encode(Entry(SEED, 0))), Accepted)


def test_a_snapshot_passes_between_machines() -> None:
    """What one machine dumps another restores; damage is refused and changes nothing."""
    first = Machine(lambda _: None)
    first.apply(1, encode(Entry(SEED, 0)))
    pieces = list(first.snapshot())
    second = Machine(lambda _: None)
    second.install(second.prepare(pieces))
    assert first.state == second.state
    third = Machine(lambda _: None)
    for broken in ([], [b"".join(pieces)[:-3]], [b"\xff" * 100]):
        with pytest.raises(BadSnapshot):
            third.prepare(broken)
    assert State() == third.state


def test_a_failed_entry_wakes_those_who_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its index is applied like any other."""
    handed_over: list[Changed | None] = []
    ours = Machine(handed_over.append)
    monkeypatch.setattr(machine, "apply_entry", lambda *_: 1 / 0)
    ours.apply(1, encode(Entry(SEED, 0)))
    assert [Changed()] == handed_over


def test_more_changes_than_are_kept_are_told_as_anything() -> None:
    """A loop that was held up hears of every change, or that anything may have changed; never of a part."""

    async def act(cluster: Cluster) -> None:
        heard: list[Changed | None] = []
        cluster.subscribe(lambda _state, changed: heard.append(changed))
        kept = Changed(services=(WWW,))
        for count, expected in ((3, {kept}), (HANDED_OVER_MAX + 3, {None})):
            heard.clear()
            for _ in range(count):
                cluster._hand_over(kept)
            await asyncio.sleep(0)
            assert expected == set(heard)
            assert not cluster._handed_over

    with_cluster(act)


def test_what_is_applied_in_one_turn_is_told_at_once() -> None:
    """The log's thread wakes the event loop when its turn has ended, not at each entry: none is told alone."""

    async def act(cluster: Cluster) -> None:
        heard: list[Changed | None] = []
        all_is_told = asyncio.Event()
        fqdns = [from_text(f"s{number}.bench.test") for number in range(500)]

        def listen(_state: State, changed: Changed | None) -> None:
            heard.append(changed)
            all_is_told.set()

        def apply_all() -> None:
            for fqdn in fqdns:
                cluster._hand_over(Changed(services=(fqdn,)))
                time.sleep(0)  # another thread may have the interpreter

        async def turn() -> None:
            apply_all()

        cluster.subscribe(listen)
        await asyncio.to_thread(asyncio.run, turn())
        await all_is_told.wait()
        assert [Changed(services=tuple(fqdns))] == heard

    with_cluster(act)


def test_a_cancelled_caller_is_cancelled() -> None:
    """Whoever gives up waiting for an outcome is not told one, also after the node has stopped."""

    async def act(cluster: Cluster) -> None:
        waiting = asyncio.create_task(cluster._outcome(Pending()))
        await asyncio.sleep(0)
        loop, cluster._loop = cluster._loop, None
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        cluster._loop = loop

    with_cluster(act)
