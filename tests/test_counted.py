"""One is one."""

import pytest

from node.counted import counted
from node.state.command import Entry, Member, PutZone, Seed
from node.state.machine import apply_entry
from node.state.state import State
from tests.api.conftest import SETTINGS, ZONE, service


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((1, "node"), "1 node"),
        ((0, "node"), "0 nodes"),
        ((2, "entry", "entries"), "2 entries"),
        ((1, "entry", "entries"), "1 entry"),
    ],
)
def test_counted(words: tuple[int, str], text: str) -> None:
    """The word has an s, or its own plural, wherever there is not one."""
    assert text == counted(*words)


def test_the_events_of_a_cluster_of_one() -> None:
    """A single node with one endpoint is told of as such."""
    seed = Seed((Member("dev"),), (PutZone(ZONE, SETTINGS),), (service("192.0.2.1"),))
    state = apply_entry(State(), 1, Entry(seed, 7)).state
    texts = {event.kind: event.text for event in state.events.values()}
    assert ("1 node: dev", "1 endpoint") == (texts["cluster.seeded"], texts["service.created"])
