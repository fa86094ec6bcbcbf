"""The adversary: what goes wrong, when, and for how long."""

import random
from collections.abc import Callable

from tests.sim.network import Weather
from tests.sim.world import World


def draw_weather(rng: random.Random) -> Weather:
    """Return a network: near or far, clean or dirty."""
    far = rng.random() < 0.3
    dirty = rng.random() < 0.6
    return Weather(
        delay_s=(0.01, 0.04) if far else (0.0002, 0.003),
        loss=rng.choice((0.01, 0.05, 0.15)) if dirty else 0.0,
        duplicate=rng.choice((0.0, 0.02, 0.1)) if dirty else 0.0,
        ghost=rng.choice((0.0, 0.3, 0.8)),
        slow=rng.choice((0.0, 0.02, 0.1)),
        slow_s=rng.choice((0.1, 0.5)),
    )


class Trouble:
    """Does one bad thing after the other until told to stop; every one of them ends by itself, or at the stop."""

    def __init__(self, world: World, rng: random.Random, mean_gap_s: float) -> None:
        self._world = world
        self._rng = rng
        self._mean_gap_s = mean_gap_s
        self._over = False
        self.count = 0
        self._kinds: list[tuple[int, Callable[[], None]]] = [
            (4, self._crash_one),
            (1, self._crash_all),
            (3, self._pause_one),
            (3, self._cut_one_way),
            (3, self._part),
            (3, self._isolate_leader),
            (3, self._break_wire),
            (1, self._flap),
            (3, self._hand_over),
            (1, self._stop_one),
            (1, self._fill_disk),
            (1, self._break_leaders_disk),
            (2, self._crash_leader),
            (2, self._fall_behind),
            (2, self._jump_clock),
        ]
        self._next()

    def _next(self) -> None:
        self._world.after(self._rng.expovariate(1 / self._mean_gap_s), self._act)

    def _act(self) -> None:
        if self._over:
            return
        self.count += 1
        weights = [weight for weight, _ in self._kinds]
        (act,) = self._rng.choices([act for _, act in self._kinds], weights)
        self._world.note("trouble", act.__name__)
        act()
        self._next()

    def end(self) -> None:
        """Mend everything and start everyone."""
        self._over = True
        self._world.network.heal()
        for name, machine in self._world.machines.items():
            machine.disk.is_full = machine.disk.is_broken = False
            self._world.resume(name)
            self._start(name)

    def _for(self, low_s: float, high_s: float, undo: Callable[[], None]) -> None:
        def undo_once() -> None:
            if not self._over:
                undo()

        self._world.after(self._rng.uniform(low_s, high_s), undo_once)

    def _start(self, name: str) -> None:
        self._world.start_again(name)

    def _one(self) -> str:
        return self._rng.choice(self._world.names)

    # --- machines -------------------------------------------------------------------------------------

    def _crash(self, name: str) -> None:
        self._world.crash(name, power=self._rng.random() < 0.8)
        self._for(0.05, 1.5, lambda: self._start(name))

    def _crash_one(self) -> None:
        self._crash(self._one())

    def _crash_leader(self) -> None:
        self._crash(self._world.leader() or self._one())

    def _crash_all(self) -> None:
        for name in self._world.names:
            self._crash(name)

    def _stop_one(self) -> None:
        name = self._one()
        self._world.stop(name)
        self._for(2.6, 3.5, lambda: self._start(name))

    def _pause_one(self) -> None:
        name = self._world.leader() if self._rng.random() < 0.5 else None
        chosen = name or self._one()
        self._world.pause(chosen)
        self._for(0.1, 1.5, lambda: self._world.resume(chosen))

    def _fill_disk(self) -> None:
        self._hurt_disk(self._one(), *self._rng.choice(((True, False), (False, True))))

    def _break_leaders_disk(self) -> None:
        """What it sends in its last turn its own disk will not hold; often that gets there all the same."""
        self._hurt_disk(self._world.leader() or self._one(), is_full=False, is_broken=True)

    def _hurt_disk(self, name: str, is_full: bool, is_broken: bool) -> None:
        machine = self._world.machines[name]
        disk = machine.disk
        disk.is_full, disk.is_broken = is_full, is_broken

        def mend() -> None:
            disk.is_full = disk.is_broken = False
            if machine.process is None and self._rng.random() < 0.5:
                disk.lose_power()
            self._start(name)

        self._for(0.3, 1.5, mend)

    def _jump_clock(self) -> None:
        """Put a wall clock a minute, a day or a year off, ahead or behind; for good."""
        far_s = self._rng.choice((60.0, 86_400.0, 3.2e7))
        self._world.machines[self._one()].wall_offset_s = self._rng.uniform(-far_s, far_s)

    # --- the network ----------------------------------------------------------------------------------

    def _cut(self, ways: list[tuple[str, str]], low_s: float = 0.2, high_s: float = 2.0) -> None:
        network = self._world.network
        for source, target in ways:
            network.block(source, target)
            if self._rng.random() < 0.3:
                self._for(0.1, 1.0, lambda s=source, t=target: network.break_wire(frozenset((s, t))))

        def mend() -> None:
            for source, target in ways:
                network.unblock(source, target)

        self._for(low_s, high_s, mend)

    def _fall_behind(self) -> None:
        """Keep a node away until it needs a snapshot; while that is on its way, the next cut comes."""
        name = self._one()
        ways = [way for way in self._ways() if name in way]
        self._cut(ways, 1.0, 2.0)

        def cut_again() -> None:
            if not self._over:
                self._cut(self._rng.sample(ways, self._rng.randint(1, len(ways))), 0.05, 0.5)

        self._world.after(self._rng.uniform(1.5, 2.5), cut_again)

    def _ways(self) -> list[tuple[str, str]]:
        names = self._world.names
        return [(source, target) for source in names for target in names if source != target]

    def _cut_one_way(self) -> None:
        first, second = self._rng.sample(self._world.names, 2)
        self._cut([(first, second)])

    def _part(self) -> None:
        count = self._rng.randint(1, len(self._world.names) // 2)
        some = set(self._rng.sample(self._world.names, count))
        both = [way for way in self._ways() if (way[0] in some) != (way[1] in some)]
        into = [way for way in both if way[0] in some]
        self._cut(both if self._rng.random() < 0.7 else into)

    def _isolate_leader(self) -> None:
        leader = self._world.leader() or self._one()
        self._cut([way for way in self._ways() if leader in way])

    def _break_wire(self) -> None:
        self._world.network.break_wire(frozenset(self._rng.sample(self._world.names, 2)))

    def _flap(self) -> None:
        first, second = self._rng.sample(self._world.names, 2)
        for number in range(self._rng.randint(3, 8)):
            self._world.after(number * 0.15, self._flicker(first, second))

    def _flicker(self, first: str, second: str) -> Callable[[], None]:
        def cut() -> None:
            if not self._over:
                self._cut([(first, second)], 0.05, 0.1)

        return cut

    # --- operators ------------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        leader = self._world.leader()
        if leader is not None:
            self._world.in_node(leader, self._world.driver(leader).core.hand_over)
