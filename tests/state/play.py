"""What tests of health play with: a State with its time, and strategies for what nodes, people and the clock do."""

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from node.health.steadiness import Failback, FlapLimit
from node.state.command import (
    FORMAT,
    Ballot,
    CastVotes,
    Command,
    DropVotes,
    Entry,
    Member,
    PutZone,
    Seed,
    ZoneSettings,
    encode,
)
from node.state.machine import apply
from node.state.operations import (
    ClearOverrides,
    EndWaits,
    KeepSchedule,
    Place,
    SetMaintenance,
    SetOverrides,
)
from node.state.state import Accepted, Applied, Refused, State
from node.state.votes import Abstention, WithdrawVotes
from node.zone.name import from_text

ZONE, WWW, NS = (from_text(each) for each in ("example.org", "www.example.org", "ns.example.org"))
NODES = ("n1", "n2", "n3")
SEED = Seed(tuple(Member(name) for name in NODES), (PutZone(ZONE, ZoneSettings((NS,), NS)),))
MIXED = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
"""Endpoints of both families."""
FLAP_LIMITS = st.sampled_from([None, FlapLimit(2, 60_000, 30_000), FlapLimit(4, 10_000, 1_000)])
FAILBACKS = st.sampled_from([Failback(), Failback("after", 20_000), Failback("manual")])


def as_of(state: State, command: Command) -> Command:
    """Return votes as their node would cast them at this State; any other command as it is."""
    if not isinstance(command, CastVotes | WithdrawVotes):
        return command
    return msgspec.structs.replace(command, after_drop=state.drops.get(command.node, 0))


EMPTY = State(format=FORMAT)
"""Before the first entry, where all nodes read the newest format."""


class Play:
    """A State, the time of its entries, and the kinds of events so far; what is done is done by alice for work."""

    def __init__(self, state: State = EMPTY, now_ms: int = 1_700_000_000_000) -> None:
        self.state = state
        self.now_ms = now_ms
        self.kinds: list[str] = []

    def try_(self, command: Command) -> Applied:
        """Apply a command as it comes out of the log."""
        data = encode(Entry(as_of(self.state, command), self.now_ms, "alice", "work"))
        applied = apply(self.state, self.state.index + 1, data)
        self.state = applied.state
        self.kinds += [event.kind for event in applied.changed.events]
        return applied

    def do(self, command: Command) -> None:
        """Apply a command that is accepted."""
        result = self.try_(command).result
        assert isinstance(result, Accepted), result

    def do_refused(self, command: Command) -> Refused:
        """Apply a command that is not."""
        result = self.try_(command).result
        assert isinstance(result, Refused), result
        return result

    def cast(self, address: str, up: bool, *nodes: str) -> None:
        """Let nodes, or all of them, vote on an endpoint, each in an entry of its own."""
        for name in nodes or NODES:
            self.do(CastVotes(name, (Ballot(WWW, address, up, 12, "HTTP 200" if up else "HTTP 503"),)))


def places(*addresses: str) -> tuple[Place, ...]:
    """Return endpoints of the service."""
    return tuple(Place(WWW, address) for address in addresses)


def votes(addresses: tuple[str, ...]) -> SearchStrategy[Command]:
    """Return any vote of any node."""
    return st.builds(
        lambda node, address, up: CastVotes(node, (Ballot(WWW, address, up, 7, "HTTP 503"),)),
        st.sampled_from(NODES),
        st.sampled_from(addresses),
        st.booleans(),
    )


def interventions(addresses: tuple[str, ...], times_ms: SearchStrategy[int]) -> SearchStrategy[Command]:
    """Return whatever people, lost leases and the leader's clock do to a service that stays."""
    some = st.sampled_from(addresses).map(places)
    return st.one_of(
        st.builds(DropVotes, st.sampled_from(NODES)),
        st.builds(
            lambda node, address: WithdrawVotes(node, (Abstention(WWW, address, "not tried for 7 s"),)),
            st.sampled_from(NODES),
            st.sampled_from(addresses),
        ),
        st.builds(KeepSchedule, times_ms),
        st.builds(EndWaits, some),
        st.builds(
            SetOverrides,
            some,
            st.sampled_from(["drain", "up", "down"]),
            st.sampled_from([0, 90_000]),
            st.booleans(),
        ),
        st.builds(ClearOverrides, some),
        st.builds(SetMaintenance, st.just(WWW), st.booleans(), st.sampled_from([0, 10**9])),
    )
