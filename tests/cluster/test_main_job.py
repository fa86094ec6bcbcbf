"""The main job, end to end: three real nodes, three web servers, a real knotd and a real named."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, why_not
from tests.cluster.nodes import Nodes, ask
from tests.cluster.servers import Knot, Named, WebServer, wait_until

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
    pytest.mark.skipif(Knot.missing(), reason="knotd is not installed"),
    pytest.mark.skipif(Named.missing(), reason="named is not installed"),
]

INTERVAL_S = 1.0
BAR_S = 3 * INTERVAL_S + 1


class Stage:
    """Everything the story needs, started."""

    def __init__(self, folder: Path) -> None:
        self.knot = Knot(folder / "knot", Lab.extra(5), 5301, "example.org")  # first what may be missing here
        self.named = Named(folder / "named", Lab.extra(6), 5302, "example.org")
        self.lab = Lab(3)
        self.lab.start()
        self._entered = self.lab.entered()
        self._entered.__enter__()
        self.addresses = [Lab.extra(number) for number in (1, 2, 3)]
        self.webs = [WebServer(address, 8080) for address in self.addresses]
        targets = {each.program: f"{each.address}:{each.port}" for each in (self.knot, self.named)}
        self.nodes = Nodes(self.lab, folder / "cluster", self.addresses, targets)

    def start(self) -> None:
        for each in (*self.webs, self.knot, self.named, self.nodes):
            each.start()
        self.nodes.wait_ready()
        self.wait_everywhere(set(self.addresses))

    def stop(self) -> None:
        for each in (self.nodes, self.knot, self.named, *self.webs):
            each.stop()
        self._entered.__exit__(None, None, None)
        self.lab.stop()

    def seen(self, *numbers: int) -> dict[str, set[str] | None]:
        """Return what every node and both name servers answer."""
        answers = {f"ns{number}": self.nodes.answer(number) for number in numbers or self.nodes.numbers}
        for each in (self.knot, self.named):
            answers[each.program] = ask(each.address, each.port, "www.example.org")
        return answers

    def wait_everywhere(self, expected: set[str], *numbers: int, within_s: float = 20.0) -> float:
        """Wait until every node (or these) and both name servers answer so; return the seconds."""
        seen: dict[str, set[str] | None] = {}

        def all_agree() -> bool:
            seen.update(self.seen(*numbers))
            return all(answer == expected for answer in seen.values())

        try:
            return wait_until(all_agree, f"all answer {sorted(expected)}", within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{seen}") from None


@pytest.fixture(name="stage")
def _stage(tmp_path: Path) -> Iterator[Stage]:
    tmp_path.chmod(0o755)
    stage = Stage(tmp_path)
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()


def test_the_main_job(stage: Stage) -> None:
    """Dead endpoints leave every answer and come back, whatever node or server is away meanwhile."""
    play(stage, lambda _: None)


def play(stage: Stage, tell: Callable[[str], None]) -> None:
    """Play the whole story on a started stage; ``tell`` gets a line for each thing that was seen."""
    an_endpoint_dies_and_returns(stage, tell)
    one_node_alone_changes_nothing(stage, tell)
    the_leader_is_killed(stage, tell)
    a_name_server_is_away(stage, tell)
    a_record_survives_everything(stage, tell)


def an_endpoint_dies_and_returns(stage: Stage, tell: Callable[[str], None]) -> None:
    """It is gone from three nodes, knotd and named within three intervals and a second, and comes back."""
    one, two, three = stage.addresses
    stage.webs[0].stop()
    seconds = stage.wait_everywhere({two, three}, within_s=BAR_S)
    tell(f"endpoint 1 stopped: gone from three nodes, knotd and named after {seconds:.2f} s")
    stage.webs[0].start()
    seconds = stage.wait_everywhere({one, two, three}, within_s=BAR_S)
    tell(f"endpoint 1 started: back everywhere after {seconds:.2f} s")


def one_node_alone_changes_nothing(stage: Stage, tell: Callable[[str], None]) -> None:
    """An endpoint that one node alone cannot reach stays."""
    nodes, two = stage.nodes, stage.addresses[1]
    stage.lab.cut(1, two)
    wait_until(lambda: _vote(nodes, 2, two, "ns1") is False, "ns1 votes down", 10)
    assert nodes.everywhere(set(stage.addresses))
    tell("endpoint 2 unreachable from ns1 alone: ns1 votes down, every answer stays")
    stage.lab.mend(1, two)
    wait_until(lambda: _vote(nodes, 2, two, "ns1") is True, "ns1 votes up again", 10)


def the_leader_is_killed(stage: Stage, tell: Callable[[str], None]) -> None:
    """The two others go on withdrawing; the killed node catches up and has their digest."""
    nodes, (one, two, _) = stage.nodes, stage.addresses
    leader = nodes.leader()
    assert leader is not None
    others = [number for number in nodes.numbers if number != leader]
    nodes.kill(leader)
    stage.webs[2].stop()
    seconds = stage.wait_everywhere({one, two}, *others, within_s=15)
    tell(
        f"leader ns{leader} killed, endpoint 3 stopped: gone from the others, knotd and named after {seconds:.2f} s"
    )
    nodes.start(leader)
    nodes.wait_ready(leader)
    stage.wait_everywhere({one, two})
    wait_until(lambda: _digests_agree(nodes), "all nodes have one digest")
    tell(f"ns{leader} restarted: it answers like the others and has their digest")


def a_name_server_is_away(stage: Stage, tell: Callable[[str], None]) -> None:
    """A name server that was away while something changed converges."""
    nodes, everything = stage.nodes, set(stage.addresses)
    stage.knot.stop()
    stage.webs[2].start()
    wait_until(lambda: nodes.everywhere(everything), "all nodes answer with three")
    stage.knot.start()
    seconds = stage.wait_everywhere(everything, within_s=45)
    tell(f"knotd was away while endpoint 3 returned: it converges {seconds:.2f} s after its start")


def a_record_survives_everything(stage: Stage, tell: Callable[[str], None]) -> None:
    """A record written on a follower is answered by all right after, and survives kill -9 of all."""
    nodes = stage.nodes
    follower = next(number for number in nodes.numbers if number != nodes.leader())
    body = {"ttl": 30, "rdatas": ["192.0.2.99"]}
    written = nodes.api("PUT", follower, "/v1/zones/example.org/rrsets/new.example.org./A", json=body)
    assert written.status_code == 200, written.text
    index = written.json()["index"]
    for number in nodes.numbers:
        assert nodes.api("GET", number, f"/v1/zones/example.org?min_index={index}").status_code == 200
        assert nodes.answer(number, "new.example.org") == {"192.0.2.99"}
    tell(f"a record written on the follower ns{follower} is answered by all three at index {index}")
    nodes.kill()
    nodes.start()
    nodes.wait_ready()
    assert nodes.everywhere({"192.0.2.99"}, name="new.example.org")
    wait_until(lambda: _digests_agree(nodes), "all nodes have one digest")
    tell("all three killed and started: the record is there, and the digests agree")


def _vote(nodes: Nodes, asked: int, address: str, voter: str) -> bool | None:
    service = nodes.api("GET", asked, "/v1/services/www.example.org").json()
    endpoint = next(each for each in service["endpoints"] if each["address"] == address)
    return next((vote["up"] for vote in endpoint["votes"] if vote["node"] == voter), None)


def _digests_agree(nodes: Nodes) -> bool:
    rows = [nodes.status(number) for number in nodes.numbers]
    seen = {(row["applied_index"], row["state_digest"]) for row in rows if row is not None}
    return len(seen) == 1 and None not in rows
