"""A node that comes back under its old name without its data: what it forgot is not forgotten with it."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.lab import why_not
from tests.cluster.ledger import PATIENCE_S, Ledger, check
from tests.cluster.nodes import Nodes
from tests.cluster.servers import wait_until
from tests.cluster.three import three_nodes
from tests.cluster.writers import Client, Writers, create_text

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]

WRITERS = 9
NOBODY_LEADS_S = 4.0
"""Many election timeouts, and longer than founding a cluster takes."""
REFUSED = "comes with another data directory than this cluster knows it by"


def test_a_wiped_node_cannot_vote_away_what_it_forgot(tmp_path: Path) -> None:
    """It and one that is behind would be a majority; they elect nobody until one who knows comes back."""
    with three_nodes(tmp_path) as nodes:
        wipe(nodes, Ledger(), lambda _: None)


def wipe(nodes: Nodes, ledger: Ledger, tell: Callable[[str], None]) -> None:
    """Leave one node behind, wipe another, hold the third back, and compare in the end."""
    knowing = nodes.leader()
    assert knowing is not None
    wiped, behind = (number for number in nodes.numbers if number != knowing)
    with Writers(nodes, ledger, WRITERS):
        ledger.wait_acknowledged(10, *nodes.numbers)
        nodes.kill(behind)
        ledger.wait_acknowledged(30, knowing, wiped)
        nodes.kill(knowing, wiped)
    data = nodes.folder / "data" / f"ns{wiped}"
    kept = data.rename(data.with_suffix(".kept"))
    nodes.start(wiped, behind)
    _nobody_leads(nodes, ledger, wiped, behind)
    nodes.start(knowing)
    with Writers(nodes, ledger, WRITERS):
        ledger.wait_acknowledged(10, knowing, behind)
    index = check(nodes, ledger, knowing, behind)
    assert "ready" != (nodes.status(wiped) or {})["state"]
    for number in (knowing, behind):
        assert REFUSED in nodes.log(number)
    assert f"refuses this node, saying of it: {REFUSED}" in nodes.log(wiped)
    tell(f"ns{wiped} wiped, ns{behind} behind: nobody led until ns{knowing} came; index {index}; {ledger}")
    nodes.kill(wiped)
    shutil.rmtree(data)
    kept.rename(data)
    nodes.start(wiped)
    with Writers(nodes, ledger, WRITERS):
        ledger.wait_acknowledged(10, *nodes.numbers)
    index = check(nodes, ledger)
    tell(f"ns{wiped} has its data again: all at index {index}; {ledger}")


def _nobody_leads(nodes: Nodes, ledger: Ledger, wiped: int, behind: int) -> None:
    """See for a while that neither of the two leads or takes a write."""
    for number in (wiped, behind):
        wait_until(lambda n=number: nodes.status(n), f"ns{number} answers", PATIENCE_S)
    wait_until(lambda: REFUSED in nodes.log(behind), "the wiped node is refused", PATIENCE_S)
    over = threading.Event()
    timer = threading.Timer(NOBODY_LEADS_S, over.set)
    timer.start()
    while not over.wait(0.1):
        assert None is nodes.leader({wiped, behind})
    for number in (wiped, behind):
        name = ledger.new_name()
        code = create_text(Client(nodes.lab.address(number)), name)
        ledger.note(name, number, code)
        assert code in ("no_leader", "not_ready")
