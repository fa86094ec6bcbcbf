"""The upgrade gate: new kinds of commands wait until every node can read them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from node.cluster import Cluster, Machine
from node.duties import Duties, DutySettings
from node.formats import common, holding_back, newest_read, not_yet
from node.state import machine, snapshot
from node.state.command import FORMATS, Command, DropVotes, Entry, Member, PutZone, Seed, SetFormat, encode
from node.state.state import Accepted, Refused, State
from raft.errors import RaftError
from raft.proposal import Committed, NotCommitted, Outcome
from raft.settings import RaftSettings
from tests.api.conftest import SEED as API_SEED
from tests.api.conftest import Api, FakeCluster
from tests.ports import free_ports
from tests.raft.test_replica import NAMES, SECRET
from tests.state.conftest import SETTINGS, ZONE
from tests.test_duties import LEADER, Clock, Door

SEED = Seed(tuple(Member(name) for name in NAMES))
PutZoneLater = PutZone(ZONE, SETTINGS)


@pytest.fixture(name="later", autouse=True)
def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that zones came with format 2."""
    monkeypatch.setitem(FORMATS, PutZone, 2)


class TestApply:
    """What nodes of several versions make of one log."""

    def test_a_kind_too_new_is_refused_alike(self) -> None:
        """Before the format is allowed a new kind is refused, by who could read it and by who could not."""
        data = encode(Entry(PutZoneLater, 0))
        results = [machine.apply(State(), 1, data, newest) for newest in (1, 2)]
        assert results[0] == results[1]
        assert isinstance(results[0].result, Refused)
        assert (
            "commands of format 2 are not allowed yet, the cluster is at format 1" in results[0].result.detail
        )

    def test_it_is_taken_once_allowed(self) -> None:
        """Behind ``SetFormat`` in the log, the same octets are carried out."""
        state = machine.apply(State(), 1, encode(Entry(SetFormat(2), 0)), 2).state
        applied = machine.apply(state, 2, encode(Entry(PutZoneLater, 0)), 2)
        assert isinstance(applied.result, Accepted)
        assert ZONE in applied.state.zones

    def test_a_node_too_old_stops_there(self) -> None:
        """Rather than go on otherwise than the others, it ends with a sentence and exit code 3, each time anew."""
        node = Machine(lambda _: None, newest=1)
        for _ in range(2):
            with pytest.raises(
                RaftError, match=r"at format 2 .* reads formats up to 1: install the version"
            ) as raised:
                node.apply(1, encode(Entry(SetFormat(2), 0)))
            assert 3 == raised.value.exit_code
            assert State() == node.state
        assert 0 == node.failures

    def test_a_node_too_old_takes_no_snapshot(self) -> None:
        """A State of a newer format never becomes its own."""
        newer = Machine(lambda _: None, newest=2)
        newer.apply(1, encode(Entry(SetFormat(2), 0)))
        older = Machine(lambda _: None, newest=1)
        prepared = older.prepare(newer.snapshot())
        with pytest.raises(RaftError):
            older.install(prepared)
        assert State() == older.state

    def test_formats_never_go_back(self) -> None:
        """A format that is none, or an older one, changes nothing."""
        state = machine.apply_entry(State(), 1, Entry(SetFormat(3), 0)).state
        assert 3 == state.format == machine.apply_entry(state, 2, Entry(SetFormat(2), 0)).state.format
        for number in (0, -1, 256):
            assert isinstance(machine.apply_entry(state, 2, Entry(SetFormat(number), 0)).result, Refused)


class TestNames:
    """Who holds what back."""

    def test_all_must_have_told(self) -> None:
        """The format that all read is the least of theirs; one that has not told reads none."""
        assert 2 == common(2, ["b", "c"], {"b": 2, "c": 3})
        assert 1 == common(2, ["b", "c"], {"b": 2, "c": 1})
        assert 0 == common(2, ["b", "c"], {"b": 2})
        assert 0 == common(2, ["b"], {"b": None})
        assert 2 == common(2, [], {})

    def test_holders_are_named(self) -> None:
        """With what is known of them."""
        rows = [
            {"name": "ns1", "reads_format": 2, "version": "2.0"},
            {"name": "ns2", "reads_format": 1, "version": "1.0"},
            {"name": "ns3", "reads_format": None, "version": None},
        ]
        assert 2 == newest_read(rows)
        holders = holding_back(2, rows)
        assert ("ns2 (version 1.0, reads format 1)", "ns3 (does not answer)") == holders
        assert "format 2 of the log, and the cluster is at format 1: held back by ns2" in not_yet(2, 1, holders)


class TestTheLeader:
    """The leader allows a format as soon as all read it, and no sooner."""

    @staticmethod
    def do(door: Door, reads: dict[str, int | None], newest: int = 2) -> tuple[Command, ...]:
        async def known() -> dict[str, int | None]:
            return reads

        work = Duties(door, lambda: SEED, DutySettings(), monotonic_s=Clock(), reads=known, newest=newest)
        asyncio.run(work.do_due())
        return tuple(each for each in door.proposed if isinstance(each, SetFormat))

    def test_when_all_read_it(self) -> None:
        """It is allowed once."""
        door = Door(LEADER)
        assert (SetFormat(2),) == self.do(door, {"ns2": 2, "ns3": 2})
        assert (SetFormat(2),) == self.do(door, {"ns2": 2, "ns3": 2})

    @pytest.mark.parametrize("reads", [{"ns2": 2, "ns3": 1}, {"ns2": 2, "ns3": None}, {"ns2": 2}, {}])
    def test_not_while_one_does_not(self, reads: dict[str, int | None]) -> None:
        """An old node and one that has not told hold it back."""
        assert () == self.do(Door(LEADER), reads)

    def test_learners_count(self) -> None:
        """A replica that does not vote must read the log all the same."""
        learner = replace(LEADER, learners=(replace(LEADER.peers[0], name="edge"),))
        assert () == self.do(Door(learner), {"ns2": 2, "ns3": 2})
        assert (SetFormat(2),) == self.do(Door(learner), {"ns2": 2, "ns3": 2, "edge": 2})

    def test_an_old_leader_and_a_follower_do_nothing(self) -> None:
        """Who does not read it cannot allow it, nor who does not lead."""
        assert () == self.do(Door(LEADER), {"ns2": 2, "ns3": 2}, newest=1)
        assert () == self.do(Door(replace(LEADER, role="follower")), {"ns2": 2, "ns3": 2})


class Trio:
    """Three real nodes of the log, each of a version of its own."""

    def __init__(self, folder: Path) -> None:
        addresses = {name: f"127.0.0.1:{port}" for name, port in zip(NAMES, free_ports(3), strict=True)}
        self.settings = {
            name: RaftSettings(name, addresses, addresses[name], "test", folder / name, SECRET)
            for name in NAMES
        }
        self.nodes: dict[str, Cluster] = {}
        self.newest: dict[str, int] = {}
        self.ended: dict[str, int] = {}

    async def start(self, name: str, newest: int) -> None:
        def end(code: int) -> None:
            self.ended[name] = code

        self.newest[name] = newest
        self.nodes[name] = Cluster(self.settings[name], end, newest)
        await self.nodes[name].start()

    async def stop(self, name: str) -> None:
        await self.nodes.pop(name).stop()

    async def do_duties(self) -> None:
        """Let each node do what is due, with what the others would tell of themselves."""

        async def reads() -> dict[str, int | None]:
            return {name: self.newest[name] for name in self.nodes}

        for name, node in list(self.nodes.items()):
            await Duties(node, lambda: SEED, DutySettings(), reads=reads, newest=self.newest[name]).do_due()

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not what():
                await self.do_duties()
                await asyncio.sleep(0.02)

    async def say(self, name: str, command: Command) -> Outcome:
        return await self.nodes[name].propose(command, timeout_s=10)


@asynccontextmanager
async def trio(folder: Path, **newest: int) -> AsyncIterator[Trio]:
    nodes = Trio(folder)
    try:
        for name in NAMES:
            await nodes.start(name, newest[name])
        await nodes.until(lambda: all(each.state.seeded for each in nodes.nodes.values()))
        yield nodes
    finally:
        for name in list(nodes.nodes):
            await nodes.stop(name)


def story(tell: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(tell(), 60))


def test_a_rolling_upgrade(tmp_path: Path) -> None:
    """Two new nodes and an old one refuse what is new; once the third is new, too, all take it and agree."""

    async def tell() -> None:
        async with trio(tmp_path, ns1=2, ns2=2, ns3=1) as nodes:
            for _ in range(5):
                await nodes.do_duties()
            for name in NAMES:
                outcome = await nodes.say(name, PutZoneLater)
                assert isinstance(outcome, NotCommitted)
                assert "needs format 2 of the log, and the cluster is at format 1" in outcome.detail
            await nodes.stop("ns3")
            for _ in range(5):
                await nodes.do_duties()
            assert {1} == {each.state.format for each in nodes.nodes.values()}
            await nodes.start("ns3", 2)
            await nodes.until(lambda: all(each.state.format == 2 for each in nodes.nodes.values()))
            outcome = await nodes.say("ns3", PutZoneLater)
            assert isinstance(outcome, Committed)
            assert isinstance(outcome.result, Accepted)
            await nodes.until(lambda: all(ZONE in each.state.zones for each in nodes.nodes.values()))
            assert 1 == len({snapshot.digest(each.state) for each in nodes.nodes.values()})

    story(tell)


def test_a_node_that_goes_back_is_refused(tmp_path: Path) -> None:
    """An old program on the data of a new one ends with exit code 3; the others go on without it."""

    async def tell() -> None:
        async with trio(tmp_path, ns1=2, ns2=2, ns3=2) as nodes:
            await nodes.until(lambda: all(each.state.format == 2 for each in nodes.nodes.values()))
            await nodes.stop("ns3")
            await nodes.start("ns3", 1)
            await nodes.until(lambda: "ns3" in nodes.ended)
            assert {"ns3": 3} == nodes.ended
            assert 1 == nodes.nodes["ns3"].state.format
            await nodes.stop("ns3")
            assert isinstance(await nodes.say("ns1", DropVotes("ns3")), Committed)

    story(tell)


class TestTheApi:
    """What those are told who ask for something new, or for the status."""

    def test_a_write_names_who_holds_it_back(self) -> None:
        """409 with the nodes, before anything goes to the log."""
        cluster = FakeCluster()
        cluster.do(msgspec.structs.replace(API_SEED, zones=()))
        api = Api(cluster, reads_format=2, peer_urls={"ns2": "http://127.0.0.1:1", "ns3": "http://127.0.0.1:1"})
        answer = api.call("PUT", "/v1/zones/new.org", json={"nameservers": ["ns1.new.org"]})
        assert (409, "conflict") == (answer.status_code, answer.json()["code"])
        detail = answer.json()["detail"]
        assert "needs format 2 of the log, and the cluster is at format 1: held back by" in detail
        assert "ns2 (does not answer)" in detail
        assert "ns1" not in detail
        assert detail.endswith("nothing was changed")

    def test_the_status_shows_it(self) -> None:
        """The present format, the newest any node reads, and who holds it back, as a problem, too."""
        cluster = FakeCluster()
        cluster.do(API_SEED)
        api = Api(cluster, reads_format=2, peer_urls={"ns2": "http://127.0.0.1:1"})
        status = api.get("/v1/status").json()
        held = status["format"]["held_back_by"]
        assert (1, 2) == (status["format"]["present"], status["format"]["newest"])
        assert "ns2 (does not answer)" in held
        (problem,) = (each for each in status["problems"] if each["code"] == "format_held_back")
        assert problem["text"].startswith("format 2 of the log is held back at 1 by ns2")

    def test_all_alike_is_no_problem(self) -> None:
        """Without a newer node nothing is held back."""
        cluster = FakeCluster()
        cluster.do(API_SEED)
        status = Api(cluster, reads_format=1).get("/v1/status").json()
        assert {"present": 1, "newest": 1, "held_back_by": []} == status["format"]
        assert not [each for each in status["problems"] if each["code"] == "format_held_back"]
