"""Bringing this node's opinions into the log while the replicated votes differ from them.

The comparison is by level, not by edge: a slot stays noted until the State says what the node thinks, so
a vote lost with a leader, refused after a lost lease, or overtaken by an older one is simply proposed
again. An equal vote costs nothing. One proposal is on its way at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from node.probe.ballots import BALLOTS_MAX, abstentions, ballot_of, standing_votes
from node.probe.guard import Guard
from node.probe.slot import Slot
from node.state.command import FORMATS, Ballot, CastVotes, Command, DropVotes
from node.state.state import Accepted, State
from node.state.votes import WithdrawVotes
from node.zone.name import Name, to_text
from raft.proposal import Committed, Outcome

logger = structlog.get_logger()

_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 5.0


class Voter:
    """Proposes what the State does not say yet, and drops this node's votes while it is isolated."""

    def __init__(
        self,
        node: str,
        state: Callable[[], State],
        propose: Callable[[Command], Awaitable[Outcome]],
        guard: Guard,
        batch_s: float,
        on_held: Callable[[], None],
        random: Callable[[], float],
    ) -> None:
        """``on_held`` is called while down votes wait for a proof of life."""
        self._node = node
        self._state = state
        self._propose = propose
        self._guard = guard
        self._batch_s = batch_s
        self._on_held = on_held
        self._random = random
        self._unsettled: dict[Slot, None] = {}
        self._noted = asyncio.Event()
        self._backoff_s = 0.0

    def note(self, slots: Iterable[Slot]) -> None:
        """Compare these slots with the State at the next pass."""
        for slot in slots:
            slot.is_settled = False
            self._unsettled[slot] = None
        if self._unsettled:
            self._noted.set()

    def nudge(self) -> None:
        """Look again at what is unsettled: something has changed that it may have waited for."""
        if self._unsettled:
            self._noted.set()

    async def run(self) -> None:
        """Pass after pass, until cancelled."""
        while True:
            await self._noted.wait()
            await asyncio.sleep(self._batch_s + self._backoff_s)
            self._noted.clear()
            try:
                await self._settle()
            except Exception:
                logger.exception("vote.failed")
                self._fail()

    async def _settle(self) -> None:
        command = self.next_command()
        if command is None:
            return
        outcome = await self._propose(command)
        result = outcome.result if isinstance(outcome, Committed) else None
        if isinstance(result, Accepted) and result.changed:
            self._backoff_s = 0.0
            _log_cast(command)
        else:
            logger.info("vote.unsettled", outcome=str(outcome))
            self._fail()
        self._noted.set()

    def _fail(self) -> None:
        doubled = min(max(2 * self._backoff_s, _BACKOFF_FIRST_S), _BACKOFF_MAX_S)
        self._backoff_s = doubled * (0.75 + 0.5 * self._random())
        self._noted.set()

    def next_command(self) -> Command | None:
        """Return what has to be proposed now, None when the State says all there is to say."""
        state = self._state()
        if not any(member.name == self._node for member in state.members):
            return None  # results that come in later ask again
        if self._guard.is_isolated:
            return self._abstention(state)
        drops = state.drops.get(self._node, 0)
        stale = abstentions(state, self._node, self._unsettled)[:BALLOTS_MAX]
        if stale and state.format >= FORMATS[WithdrawVotes]:
            return WithdrawVotes(self._node, tuple(stale), drops)
        ballots = self._ballots(state)
        return CastVotes(self._node, tuple(ballots), drops) if ballots else None

    def _abstention(self, state: State) -> Command | None:
        if any(standing_votes(state, self._node, fqdn) for fqdn in self._services()):
            return DropVotes(self._node)
        self._unsettled.clear()
        return None

    def _ballots(self, state: State) -> list[Ballot]:
        ballots: list[Ballot] = []
        held = False
        standing = {fqdn: standing_votes(state, self._node, fqdn) for fqdn in self._services()}
        for slot in list(self._unsettled):
            if _is_settled(slot, standing[slot.fqdn]):
                slot.is_settled = True
                del self._unsettled[slot]
            elif slot.opinion.vote is False and self._guard.holds_back(slot):
                held = True
            elif len(ballots) < BALLOTS_MAX:
                ballots.append(ballot_of(slot))
        if held:
            self._on_held()
        return ballots

    def _services(self) -> set[Name]:
        return {slot.fqdn for slot in self._unsettled}


def _is_settled(slot: Slot, standing: dict[str, bool] | None) -> bool:
    """Say whether the State says what the slot's opinion is, or has no place for it."""
    if slot.is_gone or slot.opinion.vote is None or standing is None:
        return True
    return standing.get(slot.address) == slot.opinion.vote


def _log_cast(command: Command) -> None:
    if isinstance(command, CastVotes):
        down = sum(not ballot.up for ballot in command.ballots)
        logger.debug("vote.proposed", up=len(command.ballots) - down, down=down)
    elif isinstance(command, WithdrawVotes):
        first = command.abstentions[0]
        logger.warning(
            "vote.withdrawn",
            endpoints=len(command.abstentions),
            first=f"{to_text(first.fqdn)} {first.address}",
            why=first.evidence,
        )
    else:
        logger.warning("vote.dropped", why="isolated: nothing answers this node")
