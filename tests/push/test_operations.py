"""What operators say of endpoints concerns the push targets as verdicts do."""

from node.health.service import Check, Endpoint, Service
from node.push.targets import desired, wanted
from node.state.command import (
    Command,
    Entry,
    Member,
    PutService,
    Seed,
)
from node.state.machine import apply_entry
from node.state.operations import Place, SetOverrides
from node.state.pushes import PutTarget, Target
from node.state.state import State
from node.zone.name import from_text

ZONE, WWW = from_text("example.org"), from_text("www.example.org")
TARGET = Target("knot", "rfc2136", "127.0.0.1:53", (ZONE,))


def test_a_drain_is_pushed_at_once() -> None:
    """It makes a plan of its own, without the endpoint; an entry that changes no answer makes none."""
    state = State()

    def do(command: Command) -> None:
        nonlocal state
        state = apply_entry(state, state.index + 1, Entry(command, 1)).state

    do(Seed((Member("n1"),)))
    do(PutTarget(TARGET))
    endpoints = (Endpoint("192.0.2.1"), Endpoint("192.0.2.2"))
    do(PutService(Service(WWW, ZONE, Check("tcp", 80), endpoints)))
    do(SetOverrides((Place(WWW, "192.0.2.1"),), "drain"))
    assert 4 == wanted(state, TARGET)
    ((order,),) = (plan.orders for plan in desired(state, TARGET, 3))
    assert (b"\xc0\x00\x02\x02",) == order.rdatas
    do(SetOverrides((Place(WWW, "192.0.2.2"),), "up"))
    assert 4 == wanted(state, TARGET)
