"""A thousand changes on real nodes and real servers, while all around them fails; and a pusher that stood still."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import why_not
from tests.cluster.publishing import ENDPOINTS, NAMES, Scene, Watch, random_change
from tests.cluster.servers import Knot, Named, wait_until

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(900),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
    pytest.mark.skipif(Knot.missing(), reason="knotd is not installed"),
    pytest.mark.skipif(Named.missing(), reason="named is not installed"),
]
CHANGES = 1_000
TROUBLES = ("stopped", "cut off", "leader killed", "restored", "stood still", "wrong key")


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    try:
        scene.start()
        yield scene
    finally:
        scene.stop()


def test_every_server_ends_equal_to_the_committed_state(scene: Scene) -> None:
    """Nothing was ever empty, no older plan came after a newer one, and two updates a change are enough."""
    print(f"from commit to visible on knotd: median {scene.measure('knot', 40) * 1000:.0f} ms")
    chance = random.Random(20261126)
    scene.changes = 0
    before = {name: scene.updates(name) for name in scene.servers}
    with Watch(scene).running() as watch:
        over = threading.Event()
        faults = threading.Thread(target=_trouble, args=(scene, over))
        faults.start()
        try:
            for _ in range(CHANGES):
                scene.force(**random_change(chance))
        finally:
            over.set()
            faults.join()
        wait_until(scene.is_right, "every server is equal to the committed state", 120)
        wait_until(lambda: scene.states() == {"synced"}, "every push is known to be in step", 120)
    updates = {name: scene.updates(name) - before[name] for name in scene.servers}
    print(f"{scene.changes} changes, updates {updates}, {watch.answers} answers looked at")
    assert ([], []) == (watch.empty, watch.went_back)
    assert watch.answers > 1_000
    assert all(count <= 2 * scene.changes for count in updates.values())


def _trouble(scene: Scene, over: threading.Event) -> None:
    """Go through all troubles, again and again, with a little peace between them."""
    chance = random.Random(7)
    with scene.lab.entered():
        for number in range(10_000):
            scene.trouble(TROUBLES[number % len(TROUBLES)], chance)
            if number >= len(TROUBLES) and over.wait(1.0):
                return


@pytest.mark.parametrize("target", ["knot", "named", "pdns"])
def test_a_pusher_that_stood_still_undoes_nothing(scene: Scene, target: str) -> None:
    """Stopped while it pushes, others take over and push newer plans; when it goes on, nothing goes back."""
    with Watch(scene).running() as watch:
        for number in range(3):
            old = scene.pusher(target)
            assert old is not None
            others = tuple(each for each in scene.nodes.numbers if each != old)
            stopped = threading.Thread(target=scene.stand_still, args=(old, 4.0))
            for step in range(20):
                scene.force(NAMES[step % 5], ENDPOINTS[1], up=step % 2 == number % 2, among=others)
                if step == 10:
                    stopped.start()
            stopped.join()
            wait_until(scene.is_right, "every server is equal to the committed state")
    assert ([], []) == (watch.empty, watch.went_back)
