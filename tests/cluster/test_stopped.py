"""SIGSTOP of a node for longer than an election, and SIGCONT: it says nothing old as new, and loses nothing."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.lab import why_not
from tests.cluster.ledger import PATIENCE_S, ZONE, Ledger, check
from tests.cluster.nodes import Nodes
from tests.cluster.registers import Registers
from tests.cluster.servers import wait_until
from tests.cluster.three import three_nodes
from tests.cluster.writers import Client, Writers, put_text, threads

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]

WRITERS = 9
QUESTIONS = 20
"""So many reads wait in the sockets of the stopped node."""
LONG_S = 4.5
"""Longer than a connection may be silent."""


def test_a_stopped_leader_serves_nothing_stale_and_loses_nothing(tmp_path: Path) -> None:
    """The others elect another and go on; what waited at the old leader gets the new value or a refusal."""
    with three_nodes(tmp_path) as nodes:
        stop_leaders(nodes, Ledger(), 3, lambda _: None)


def test_a_stopped_follower_is_not_missed(tmp_path: Path) -> None:
    """The leader and the other follower go on in the same term, also when the stopped one comes back."""
    with three_nodes(tmp_path) as nodes:
        stop_follower(nodes, Ledger(), lambda _: None)


def stop_leaders(nodes: Nodes, ledger: Ledger, rounds: int, tell: Callable[[str], None]) -> None:
    """Stop the leader of the moment, so many times, and compare.

    In every second round it is cut off while it stands still, so that it finds nothing in its sockets that
    tells of another leader; in the last round it stands still for long.
    """
    registers = Registers(nodes)
    reading = [partial(registers.read, node) for node in nodes.numbers]
    with Writers(nodes, ledger, WRITERS), threads(registers.write, *reading):
        for number in range(1, rounds + 1):
            ledger.wait_acknowledged(50)
            at_least_s = LONG_S if number == rounds else 1.0
            took_s = _stop_leader(nodes, f"stale{number}", at_least_s, is_cut=number % 2 == 0)
            ledger.wait_acknowledged(5, *nodes.numbers)
            tell(f"leader stopped for {at_least_s} s, written again after {took_s:.2f} s; {ledger}")
    check(nodes, ledger)
    registers.check()
    assert registers.reads["ok"] > 20
    tell(f"reads through the leader: {dict(registers.reads)}, all in order")


def _stop_leader(nodes: Nodes, name: str, at_least_s: float, *, is_cut: bool) -> float:
    """Stop and continue the leader; return how long the others took to go on without it, in seconds."""
    old = nodes.leader()
    assert old is not None
    writer = Client(nodes.lab.address(next(number for number in nodes.numbers if number != old)))
    wait_until(lambda: put_text(writer, name, "old") == "ok", "the old value is written", PATIENCE_S)
    with _stopped(nodes, old, is_cut=is_cut):
        begin_s = time.monotonic()
        took_s = wait_until(
            lambda: put_text(writer, name, "new") == "ok", "the new value is written", PATIENCE_S
        )
        with _asked(nodes, old, name) as answers:
            wait_until(lambda: time.monotonic() - begin_s > at_least_s, "the time is over")
            assert [] == answers
            nodes.signal(old, signal.SIGCONT)
        assert QUESTIONS == len(answers)
        refusals = {"no_leader", "no_quorum"}
        assert set(answers) <= (refusals if is_cut else refusals | {"new"}), answers
    return took_s


@contextmanager
def _stopped(nodes: Nodes, node: int, *, is_cut: bool = False) -> Iterator[None]:
    nodes.signal(node, signal.SIGSTOP)
    if is_cut:
        nodes.lab.isolate(node)
    try:
        yield
    finally:
        nodes.signal(node, signal.SIGCONT)
        if is_cut:
            nodes.lab.rejoin(node)


@contextmanager
def _asked(nodes: Nodes, node: int, name: str) -> Iterator[list[str]]:
    """Put questions for what the leader knows into the sockets of a stopped node; yield what will be answered."""
    answers: list[str] = []
    sent = threading.Semaphore(0)

    def ask(_over: threading.Event) -> None:
        client = Client(nodes.lab.address(node))
        assert client.connect()
        sent.release()
        code, answer = client.ask("GET", f"/v1/zones/{ZONE}/rrsets/{name}.{ZONE}./TXT?consistency=leader")
        answers.append(answer["rdatas"][0].strip('"') if code == "ok" else code)

    with threads(*[ask] * QUESTIONS):
        for _ in range(QUESTIONS):
            assert sent.acquire(timeout=10)
        yield answers


def stop_follower(nodes: Nodes, ledger: Ledger, tell: Callable[[str], None]) -> None:
    """Stop a follower for long, and compare."""
    leader = nodes.leader()
    assert leader is not None
    follower, other = (number for number in nodes.numbers if number != leader)
    with Writers(nodes, ledger, WRITERS):
        ledger.wait_acknowledged(50)
        before = nodes.status(leader)
        with _stopped(nodes, follower):
            begin_s = time.monotonic()
            ledger.wait_acknowledged(10, leader, other)
            wait_until(lambda: time.monotonic() - begin_s > LONG_S, "the time is over")
            ledger.wait_acknowledged(10, leader, other)
        ledger.wait_acknowledged(5, follower)
    check(nodes, ledger)
    after = nodes.status(leader)
    assert before is not None
    assert after is not None
    tell(f"follower stopped for {LONG_S} s: term {before['term']}, then {after['term']}; {ledger}")
    assert after["term"] <= before["term"] + 1
