"""Three real nodes in a lab of their own, for the tests that do them harm."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.cluster.lab import Lab
from tests.cluster.nodes import START_S, Nodes
from tests.cluster.servers import wait_until

ENDPOINT = Lab.extra(1)
LOG_LINES_SHOWN = 25
USUAL = "zone.changed"


@contextlib.contextmanager
def three_nodes(
    folder: Path,
    raft: str = "",
    around: Callable[[], Iterable[str]] = tuple,
    dns: str = "",
    grant: str = "",
) -> Iterator[Nodes]:
    """Start them, wait until they are ready, and end them; this thread sees the lab's network meanwhile.

    The one endpoint of their service answers nobody, so they soon have nothing to vote about.
    """
    folder.chmod(0o755)
    lab = Lab(3)
    nodes = Nodes(lab, folder / "cluster", [ENDPOINT], {}, raft=raft, around=around, dns=dns, grant=grant)
    try:
        lab.start()
        with lab.entered():
            try:
                nodes.start()
                nodes.wait_ready()
                wait_until(lambda: nodes.everywhere({ENDPOINT}), "the seed is applied everywhere", START_S)
                yield nodes
            except BaseException:
                _show_logs(nodes)
                raise
            finally:
                nodes.stop()
    finally:
        lab.stop()


def _show_logs(nodes: Nodes) -> None:
    for number in nodes.numbers:
        with contextlib.suppress(OSError):
            lines = [line for line in nodes.log(number).splitlines() if USUAL not in line]
            print("\n".join((f"--- ns{number}", *lines[-LOG_LINES_SHOWN:])))
