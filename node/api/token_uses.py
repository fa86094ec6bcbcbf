"""When each token of the log was last used, by day: noted in the log once a day and token, never once a request.

A node that sees a token first on a day waits a moment, so that another one that sees it too may come first, and notes
what the State still does not know. A day that is to come was noted by a clock that ran ahead: the leader puts its own in
that place, once a day at most, so that two clocks that differ do not write against one another. Nothing waits for it, and what cannot be noted is tried again later.
"""

import asyncio
import random
import time

from node.api.context import ApiContext
from node.api.message import Identity
from node.api.views import DAY_MS
from node.state.api_tokens import NoteTokenUses
from node.state.command import CORRECTS_FORMAT, format_of
from node.state.state import Accepted
from node.state.tokens import DAYS_APART_MAX
from raft.proposal import Committed

SETTLE_S = (0.5, 3.0)
"""Between these, at random, so that nodes seldom note the same."""
AGAIN_S = 600.0
TIMEOUT_S = 4.0


class TokenUses:
    """What this node has seen and is still to be noted; to be used in the event loop."""

    def __init__(self, context: ApiContext, settle_s: tuple[float, float] = SETTLE_S) -> None:
        self._context = context
        self._settle_s = settle_s
        self._wanted: set[str] = set()
        self._not_before_s: dict[str, float] = {}
        self._corrected: dict[str, int] = {}
        """The days on which this node noted an earlier day than was known."""
        self._task: asyncio.Task[None] | None = None

    def saw(self, identity: Identity) -> None:
        """Take in that somebody has proven to be this."""
        name = identity.name
        if not identity.is_by_log or name in self._wanted or not self._is_news(name):
            return
        if time.monotonic() < self._not_before_s.get(name, 0.0):
            return
        self._wanted.add(name)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._note())

    def close(self) -> None:
        """Note nothing more."""
        if self._task is not None:
            self._task.cancel()

    def _today(self) -> int:
        return self._context.now_ms() // DAY_MS

    def _is_news(self, name: str) -> bool:
        """Say whether the log is to be told: it knows the token, and of no use today, and all nodes read such a note."""
        state = self._context.state()
        known = state.tokens.get(name)
        if known is None or not self._context.replica().ready:
            return False
        is_wanted = known.used_day < self._today() or self._is_ahead(name)
        return is_wanted and format_of(NoteTokenUses(0, ())) <= state.format

    def _is_ahead(self, name: str) -> bool:
        """Say whether this node is to correct a day that is to come."""
        state, today = self._context.state(), self._today()
        known = state.tokens.get(name)
        is_later = known is not None and known.used_day > today + DAYS_APART_MAX
        if state.format < CORRECTS_FORMAT:
            return False
        is_leader = self._context.replica().leader == self._context.node
        return is_later and is_leader and self._corrected.get(name) != today

    async def _note(self) -> None:
        while self._wanted:
            await asyncio.sleep(random.uniform(*self._settle_s))  # noqa: S311
            seen = frozenset(self._wanted)
            names = tuple(sorted(filter(self._is_news, seen)))
            if names and not await self._is_noted(names):
                self._put_off(names)
            self._wanted -= seen

    async def _is_noted(self, names: tuple[str, ...]) -> bool:
        today, ahead = self._today(), [name for name in names if self._is_ahead(name)]
        self._corrected = {name: day for name, day in self._corrected.items() if day == today}
        self._corrected |= dict.fromkeys(ahead, today)
        command = NoteTokenUses(today, names, corrects=bool(ahead))
        outcome = await self._context.propose(
            command, actor=self._context.node, reason="", timeout_s=TIMEOUT_S, ticket=None
        )
        return isinstance(outcome, Committed) and isinstance(outcome.result, Accepted)

    def _put_off(self, names: tuple[str, ...]) -> None:
        now_s = time.monotonic()
        kept = {name: until_s for name, until_s in self._not_before_s.items() if until_s > now_s}
        self._not_before_s = kept | dict.fromkeys(names, now_s + AGAIN_S)
