"""Broken lines between nodes: whoever has a majority goes on, whoever has none refuses, and all agree afterwards."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.lab import why_not
from tests.cluster.ledger import PATIENCE_S, ZONE, Ledger, check
from tests.cluster.nodes import Nodes
from tests.cluster.servers import wait_until
from tests.cluster.three import three_nodes
from tests.cluster.writers import Client, Writers, create_text

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]

WRITERS = 9
FLAP_S = 0.3
FLAPS = 10
SPARE_TERMS = 2
"""A machine with too much to do may hold an election of its own accord; a broken line alone causes none."""

Tell = Callable[[str], None]


def test_partitions(tmp_path: Path) -> None:
    """Each kind of broken line, one after the other in one cluster, with writers at every node."""
    with three_nodes(tmp_path) as nodes:
        break_lines(nodes, Ledger(), lambda _: None)


def break_lines(nodes: Nodes, ledger: Ledger, tell: Tell) -> None:
    """Break the lines in every way; ``tell`` gets a line for each."""
    for way in (leader_alone, follower_alone, leader_deaf, leader_mute, line_one_way, line_flaps):
        with Writers(nodes, ledger, WRITERS):
            ledger.wait_acknowledged(5, *nodes.numbers)
            begin_s, before = time.monotonic(), _term(nodes)
            way(nodes, ledger)
            ledger.wait_acknowledged(5, *nodes.numbers)
        index = check(nodes, ledger)
        terms = _term(nodes) - before
        tell(f"{way.__name__}: {time.monotonic() - begin_s:.1f} s, {terms} more terms, index {index}; {ledger}")


def leader_alone(nodes: Nodes, ledger: Ledger) -> None:
    """The others elect one of them; the old leader refuses writes and leader's reads, and answers DNS."""
    old, others = _leader_and_others(nodes)
    with _isolated(nodes, old):
        _goes_on_without(nodes, ledger, old, others)
        assert nodes.leader(set(others)) is not None
        assert not _leads(nodes, old)


def follower_alone(nodes: Nodes, ledger: Ledger) -> None:
    """The leader leads on, in the same term also when the follower is back: it asked before it stood."""
    leader, (alone, other) = _leader_and_others(nodes)
    before = _term(nodes)
    with _isolated(nodes, alone):
        _goes_on_without(nodes, ledger, alone, [leader, other])
        assert _terms_since(nodes, before) <= SPARE_TERMS
    ledger.wait_acknowledged(5, alone)
    assert _terms_since(nodes, before) <= SPARE_TERMS


def leader_deaf(nodes: Nodes, ledger: Ledger) -> None:
    """A leader that is heard and hears nobody steps down within an election timeout, and the others go on."""
    old, others = _leader_and_others(nodes)
    with _dropped(nodes, [(other, old) for other in others]):
        _goes_on_without(nodes, ledger, old, others)


def leader_mute(nodes: Nodes, ledger: Ledger) -> None:
    """A leader that hears the others and is not heard leads no more, and the others go on."""
    old, others = _leader_and_others(nodes)
    with _dropped(nodes, [(old, other) for other in others]):
        _goes_on_without(nodes, ledger, old, others)


def line_one_way(nodes: Nodes, ledger: Ledger) -> None:
    """One follower that cannot hear the leader deposes nobody: the other one hears it and gives no vote."""
    leader, (deaf, other) = _leader_and_others(nodes)
    before = _term(nodes)
    for lost in ((leader, deaf), (deaf, leader)):
        with _dropped(nodes, [lost]):
            ledger.wait_acknowledged(20, leader, other)
            _wait_leaderless(nodes, deaf)
            ledger.wait_acknowledged(20, leader, other)
        ledger.wait_acknowledged(5, deaf)
    assert _terms_since(nodes, before) <= SPARE_TERMS


def line_flaps(nodes: Nodes, ledger: Ledger) -> None:
    """One line that breaks and heals all the time, between the leader and a follower, deposes nobody."""
    leader, (follower, other) = _leader_and_others(nodes)
    before = _term(nodes)
    clock = threading.Event()
    for _ in range(FLAPS):
        with _dropped(nodes, [(leader, follower), (follower, leader)]):
            clock.wait(FLAP_S)
        clock.wait(FLAP_S)
    ledger.wait_acknowledged(20, leader, other)
    assert _terms_since(nodes, before) <= SPARE_TERMS


# --- what each of them must do ------------------------------------------------------------------------


def _goes_on_without(nodes: Nodes, ledger: Ledger, alone: int, others: list[int]) -> None:
    """The majority goes on writing; the minority refuses to, and answers DNS with what it has."""
    ledger.wait_acknowledged(10, *others)
    _wait_leaderless(nodes, alone)
    count = ledger.acknowledged_by[alone]
    address = nodes.answer(alone)
    client = Client(nodes.lab.address(alone))
    name = ledger.new_name()
    code = create_text(client, name)
    ledger.note(name, alone, code)
    assert "no_leader" == code
    code, _ = client.ask("GET", f"/v1/zones/{ZONE}/rrsets?consistency=leader")
    assert "no_leader" == code
    code, _ = client.ask("GET", f"/v1/zones/{ZONE}/rrsets/www.{ZONE}./A")
    assert "ok" == code
    assert address == nodes.answer(others[0])
    assert address
    ledger.wait_acknowledged(20, *others)
    assert count == ledger.acknowledged_by[alone]


def _wait_leaderless(nodes: Nodes, alone: int) -> None:
    """Wait until a node knows that it has no leader: writes are then refused, not forwarded into the void."""
    wait_until(
        lambda: (nodes.status(alone) or {"leader": "?"})["leader"] is None,
        f"ns{alone} knows no leader",
        PATIENCE_S,
    )


@contextmanager
def _isolated(nodes: Nodes, alone: int) -> Iterator[None]:
    nodes.lab.isolate(alone)
    try:
        yield
    finally:
        nodes.lab.rejoin(alone)


@contextmanager
def _dropped(nodes: Nodes, ways: list[tuple[int, int]]) -> Iterator[None]:
    for way in ways:
        nodes.lab.drop(*way)
    try:
        yield
    finally:
        for way in ways:
            nodes.lab.carry(*way)


def _leader_and_others(nodes: Nodes) -> tuple[int, list[int]]:
    leader = nodes.leader()
    assert leader is not None
    return leader, [number for number in nodes.numbers if number != leader]


def _leads(nodes: Nodes, number: int) -> bool:
    return (nodes.status(number) or {}).get("role") == "leader"


def _term(nodes: Nodes) -> int:
    return max(row["term"] for number in nodes.numbers if (row := nodes.status(number)) is not None)


def _terms_since(nodes: Nodes, before: int) -> int:
    return _term(nodes) - before
