"""What probes came to, minute by minute, against a dumb twin; and that a prober keeps it."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from node.probe.history import LONG_TRACKS_MAX, MINUTES_OF_MANY, Cell, History
from node.zone.name import from_text
from tests.probe.test_prober import play
from tests.probe.world import REFUSED, UP, World, service

WWW = from_text("www.example.test")


class Twin:
    """Every probe in a list."""

    def __init__(self):
        self.probes: list[tuple[int, bool, int]] = []

    def cells(self, now: int, count: int, minutes: int) -> list[Cell | None]:
        found: list[Cell | None] = []
        for back in range(count - 1, -1, -1):
            end = now - back * minutes
            inside = [each for each in self.probes if end - minutes < each[0] <= end]
            good = [latency for _, up, latency in inside if up]
            mean_ms = round(sum(good) / len(good)) if good else 0
            found.append(Cell(len(inside), len(good), mean_ms, max(good, default=0)) if inside else None)
        return found


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(0, 70_000)), max_size=30),
    st.integers(1, 20),
    st.integers(1, 15),
)
def test_tells_what_a_list_of_all_probes_would(steps, count, minutes):
    """Whatever the pauses between probes, each span holds exactly its own."""
    now_s = 0.0
    history, twin = History(lambda: now_s), Twin()
    for pause, up, latency_ms in steps:
        now_s += pause * 30
        history.add(WWW, "192.0.2.1", up=up, latency_ms=latency_ms)
        twin.probes.append((int(now_s // 60), up, min(latency_ms, 65_535)))
    assert twin.cells(int(now_s // 60), count, minutes) == history.cells(WWW, "192.0.2.1", count, minutes)


def test_many_endpoints_are_kept_for_less_time():
    """Beyond the first thousand an endpoint's last hour is kept; the first ones keep a day."""
    now_s = 0.0
    history = History(lambda: now_s)
    for number in range(LONG_TRACKS_MAX + 1):
        history.add(WWW, f"{number}", up=True, latency_ms=1)
    now_s = 60.0 * MINUTES_OF_MANY
    for number in (0, LONG_TRACKS_MAX):
        history.add(WWW, f"{number}", up=True, latency_ms=1)
    long, short = (history.cells(WWW, f"{number}", 61, 1) for number in (0, LONG_TRACKS_MAX))
    assert (Cell(1, 1, 1, 1), None) == (long[0], short[0])
    history.forget(WWW, "0")
    assert [None] * 61 == history.cells(WWW, "0", 61, 1)


def test_a_prober_keeps_what_it_found():
    """Good and bad probes are counted where they were made, until the endpoint is gone."""
    world = World(service("www", "192.0.2.1", "192.0.2.2", interval_ms=2000))
    world.answers = {"192.0.2.1": UP, "192.0.2.2": REFUSED}

    async def script(prober):
        await asyncio.sleep(150)
        return [prober.history.cells(WWW, address, 3, 1)[1] for address in ("192.0.2.1", "192.0.2.2")]

    good, bad = play(world, script)
    assert (good.probes, 3, 3) == (good.good, good.mean_ms, good.longest_ms)
    assert 29 <= good.probes <= 31
    assert (0, 0) == (bad.good, bad.mean_ms)
    assert bad.probes >= 29
