"""Bringing a command into the log once, by as many tries as it takes and there is time for.

A node's process is a client of the log with a name of its own; each of its writes gets a ticket, its name
and a running number, and every try of the write carries the same one. The state carries out the first that
is committed and tells its result to all (``node.state.once``), so a try may be repeated although nobody
knows what became of the one before.

The fate stays one of three. *Committed*: some try is, and the result is that of the first. *Not committed*:
no try can ever be, each of them was told so by the log. *Unknown*: time ran out, and a try without an
outcome may still be committed. Once one try is in doubt, the end is never "not committed", whatever later
tries are told: only the first commit under the ticket settles what the lost one can still do.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count

import msgspec

from node.state.command import (
    BeginRestore,
    CastVotes,
    DropVotes,
    Entry,
    ExpireLeases,
    RestorePieces,
    Seed,
    SetFormat,
    Ticket,
    encode,
)
from node.state.operations import KeepSchedule
from node.state.pushes import ReportPush
from node.state.state import Accepted, Refused
from node.state.votes import WithdrawVotes
from raft.proposal import Committed, NotCommitted, Outcome, Unknown

LEADERLESS_S = 1.5
"""After so long a write that is certainly nowhere yet is refused for want of a leader."""
PAUSE_FIRST_S = 0.02
PAUSE_MAX_S = 0.5
SELF_HEALING = (
    BeginRestore,
    CastVotes,
    DropVotes,
    ExpireLeases,
    KeepSchedule,
    ReportPush,
    RestorePieces,
    Seed,
    SetFormat,
    WithdrawVotes,
)
"""Proposed again by whoever compares them with the State, until it says so: they need no ticket and no row."""

_FINAL = ("too-large", "stopped", "read-only")


@dataclass(slots=True)
class Tries:
    """The tries of one write so far, and whether one more is due. Pure: time comes in as an argument."""

    timeout_s: float
    doubt: Unknown | None = None
    """Set as soon as a try had no outcome: it may still be committed."""
    number: int = 0
    """Of tries that have ended."""

    def judge(self, outcome: Outcome, elapsed_s: float) -> Outcome | None:
        """Return what became of the write after one more try, None when another try is due."""
        self.number += 1
        if isinstance(outcome, Committed):
            return self._of_committed(outcome, elapsed_s)
        if isinstance(outcome, Unknown):
            self.doubt = outcome
        if self._is_over(outcome, elapsed_s):
            return self.doubt or outcome
        return None

    @property
    def pause_s(self) -> float:
        """How long to wait before the next try."""
        return min(PAUSE_FIRST_S * 2.0 ** min(self.number - 1, 10), PAUSE_MAX_S)

    def _of_committed(self, outcome: Committed, elapsed_s: float) -> Outcome | None:
        """Return the outcome at the index where the command was carried out, unless the ticket was stale."""
        result = outcome.result
        if not isinstance(result, Accepted | Refused):
            return outcome
        if not (isinstance(result, Refused) and result.code == "stale"):
            return replace(outcome, index=result.index)
        if self.doubt is not None:
            return Unknown("what an earlier try came to is forgotten: too many writes since")
        behind = NotCommitted("busy", "this node is too far behind the others to write")
        return behind if self._has_no_time(elapsed_s) else None

    def _is_over(self, outcome: NotCommitted | Unknown, elapsed_s: float) -> bool:
        """Say whether no further try is due."""
        if self._has_no_time(elapsed_s):
            return True
        if isinstance(outcome, Unknown):
            return False
        if outcome.reason in _FINAL or self.doubt is not None:
            return outcome.reason in _FINAL
        return outcome.reason == "busy" or elapsed_s >= min(LEADERLESS_S, self.timeout_s / 2)

    def _has_no_time(self, elapsed_s: float) -> bool:
        return elapsed_s + self.pause_s >= self.timeout_s


class Proposer:
    """One process as a client of the log."""

    def __init__(
        self,
        propose: Callable[[bytes, float], Awaitable[Outcome]],
        applied_index: Callable[[], int],
        client: str | None = None,
    ) -> None:
        """``propose`` makes one try within so many seconds; ``client`` is a random name unless given."""
        self._propose = propose
        self._applied_index = applied_index
        self._client = client or secrets.token_urlsafe(8)
        self._numbers = count(1)

    async def propose(self, entry: Entry, timeout_s: float) -> Outcome:
        """Bring an entry into the log once; see the module for what the outcome means.

        An entry without a ticket gets one, unless it is of a kind that needs none and has one try. The
        ``since`` of a ticket is set here.
        """
        if isinstance(entry.command, SELF_HEALING) and entry.ticket is None:
            return await self._propose(encode(entry), timeout_s)
        ticket = entry.ticket or self._ticket()
        tries, begun_s = Tries(timeout_s), _now_s()
        data = b""
        while True:
            if tries.doubt is None:  # no try can be in the log, so this one begins now
                begun = msgspec.structs.replace(ticket, since=self._applied_index())
                data = encode(msgspec.structs.replace(entry, ticket=begun))
            outcome = await self._propose(data, timeout_s - (_now_s() - begun_s))
            fate = tries.judge(outcome, _now_s() - begun_s)
            if fate is not None:
                return fate
            await asyncio.sleep(tries.pause_s)

    def _ticket(self) -> Ticket:
        return Ticket(self._client, next(self._numbers), b"", 0)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
