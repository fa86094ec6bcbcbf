"""One seed, one run: a cluster, its clients and its troubles, then peace, then the verdict."""

import random
from dataclasses import dataclass

from node.state.command import Entry, encode
from raft.pending import Pending
from raft.proposal import Committed, Outcome
from tests.sim.checker import Violation
from tests.sim.clients import Clients
from tests.sim.linearizable import find_unlinearizable_key
from tests.sim.operators import Operators
from tests.sim.records import put
from tests.sim.trouble import Trouble, draw_weather
from tests.sim.world import World

LENGTH_S = 5.0
"""Virtual seconds of trouble in a run."""
PEACE_MAX_S = 6.0
"""From the end of all faults to a cluster in which every node commits: a dozen election timeouts."""

PEACE_TERMS_MAX = 5


@dataclass(frozen=True)
class Report:
    """What a run did."""

    seed: int
    nodes: int
    virtual_s: float
    messages: int
    troubles: int
    changes: int
    """Memberships after the first."""
    committed: int
    refused: int
    unknown: int
    reads: int
    swaps: int
    repetitions: int
    """Entries in the log that a ticket kept from having their effect twice."""
    terms: int
    snapshots: int
    restarts: int
    trace: int


def run_seed(seed: int, length_s: float = LENGTH_S) -> Report:
    """Run a seed. Raises ``Violation`` with what went wrong."""
    rng = random.Random(seed)
    nodes = 3 if rng.random() < 0.65 else 5
    world = World(rng.getrandbits(64), nodes, draw_weather(rng), snapshot_entries=rng.choice((12, 30, 1000)))
    with world.installed():
        for name in world.names:
            world.start(name)
        clients = Clients(
            world,
            random.Random(rng.random()),
            count=rng.choice((4, 8, 12)),
            keys=rng.choice((1, 2, 4)),
            think_s=rng.choice((0.01, 0.03)),
        )
        trouble = Trouble(world, random.Random(rng.random()), mean_gap_s=rng.choice((0.15, 0.4, 1.0, 2.0)))
        operators = (
            Operators(world, random.Random(rng.random()), mean_gap_s=0.25) if rng.random() < 0.5 else None
        )
        world.run_until(world.now_s + length_s)
        trouble.end()
        if operators is not None:
            operators.end()
        clients.end()
        term_at_peace = _term(world)
        changes = operators.count if operators is not None else 0
        _make_peace(world, operators)
        _judge(world, clients, trouble.count + changes, term_at_peace)
        return Report(
            seed=seed,
            nodes=nodes,
            virtual_s=world.now_s - 100.0,
            messages=world.network.messages,
            troubles=trouble.count,
            changes=len(world.ledger.memberships) - 1,
            committed=clients.committed,
            refused=clients.refused,
            unknown=clients.unknown,
            reads=clients.reads,
            swaps=clients.swaps,
            repetitions=world.ledger.repetitions,
            terms=_term(world),
            snapshots=sum(machine.restores for machine in world.machines.values()),
            restarts=sum(machine.starts for machine in world.machines.values()) - nodes,
            trace=world.trace,
        )


def _term(world: World) -> int:
    return max((world.driver(name).core.term for name in world.running()), default=0)


def _make_peace(world: World, operators: Operators | None) -> None:
    """Every member commits a write of its own, but for replicas, and all have the same."""
    until_s = world.now_s + PEACE_MAX_S

    def has_leader() -> bool:
        _start_all(world, operators)
        return world.leader() is not None

    def have_all() -> bool:
        _start_all(world, operators)
        members = world.members()
        if not {*members} <= {*world.running()} or "learner" in world.ledger.seats().values():
            return False
        return len({world.driver(name).core.applied_index for name in members}) == 1

    if not world.run_until(until_s, has_leader):
        raise Violation(f"no leader within {PEACE_MAX_S} s of peace")
    if operators is not None and not world.run_until(until_s, have_all):
        raise Violation(f"not all members vote within {PEACE_MAX_S} s of peace: {world.ledger.seats()}")
    for name, role in world.ledger.seats().items():
        if role == "voter":
            _commit_one(world, name, until_s, operators)
    if not world.run_until(until_s, have_all):
        raise Violation(f"not all nodes have all within {PEACE_MAX_S} s of peace")
    for name in world.members():
        process = world.process(name)
        world.ledger.has_all(name, process.driver.core.applied_index, process.machine.state)


def _start_all(world: World, operators: Operators | None) -> None:
    """Start who is down, one that was stopping when peace came, and let who lost its disk be replaced."""
    for name in world.names:
        world.start_again(name)
    if operators is not None:
        operators.mend()


def _commit_one(world: World, name: str, until_s: float, operators: Operators | None) -> None:
    outcomes: list[Outcome] = []
    tries = 0

    def is_committed() -> bool:
        nonlocal tries
        _start_all(world, operators)
        if (outcomes and isinstance(outcomes[-1], Committed)) or name not in world.ledger.seats():
            return True
        if len(outcomes) == tries:
            tries += 1
            _propose(world, name, f"{name}-{tries}", outcomes)
        return False

    if not world.run_until(until_s, is_committed):
        raise Violation(f"{name} commits nothing within {PEACE_MAX_S} s of peace: {outcomes}")


def _propose(world: World, name: str, value: str, outcomes: list[Outcome]) -> None:
    process = world.process(name)
    command = encode(Entry(put("peace", value), world.wall_ms(name)))
    future: Pending = Pending()
    future.add_done_callback(lambda done: outcomes.append(done.result()))
    world.in_node(name, lambda: world.bring(process.driver, command, future, 1.0))


def _judge(world: World, clients: Clients, troubles: int, term_at_peace: int) -> None:
    key = find_unlinearizable_key(clients.history)
    if key is not None:
        raise Violation(f"the history of {key} is not linearizable")
    if _term(world) > term_at_peace + PEACE_TERMS_MAX:
        raise Violation(f"peace took terms from {term_at_peace} to {_term(world)}")
    if _term(world) > 10 + 6 * troubles:
        raise Violation(f"{troubles} troubles took {_term(world)} terms")
