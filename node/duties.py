"""What the leader does beside leading: seed the cluster, allow newer commands, end the leases of silent nodes.

Judgement about the world (who is silent, on this node's monotonic clock) is made here, before the
log, and written down as a command; every duty may be repeated or done twice without harm.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from node.formats import common
from node.state.command import (
    FORMAT,
    Command,
    DropImports,
    DropVotes,
    Seed,
    SetFormat,
)
from node.state.operations import KeepSchedule
from node.state.overrides import next_due_ms
from node.state.state import Refused, State
from raft.proposal import Committed, NotCommitted, Outcome
from raft.replica import ReplicaStatus

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DutySettings:
    """When duties are done; seconds."""

    vote_lease_s: float = 7.0
    """A node not heard from for so long loses its votes: three intervals and a timeout of the defaults."""
    period_s: float = 0.5
    import_idle_s: float = 60.0
    """A staged import that does not go on for so long is dropped."""


class Door(Protocol):
    """What duties need of the cluster."""

    @property
    def state(self) -> State:
        """The newest committed State."""

    def status(self) -> ReplicaStatus:
        """What the log knows of itself and its peers."""

    async def propose(self, command: Command, *, actor: str = "", reason: str = "") -> Outcome:
        """Bring a command into the log."""


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Duties:
    """The leader's periodic work; on other nodes it only watches whether it has become leader."""

    def __init__(
        self,
        door: Door,
        seed: Callable[[], Seed],
        settings: DutySettings,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
        may_seed: Callable[[float], Awaitable[bool]] | None = None,
        reads: Callable[[], Awaitable[Mapping[str, int | None]]] | None = None,
        newest: int = FORMAT,
        wall_ms: Callable[[], int] = _wall_ms,
    ) -> None:
        """``may_seed`` is asked before an empty cluster is seeded, with the seconds for which this node has led.

        ``reads`` tells which format of commands each other node reads, this one reads up to ``newest``.
        """
        self._door = door
        self._seed = seed
        self._settings = settings
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._may_seed = may_seed
        self._reads = reads
        self._newest = newest
        self._wall_ms = wall_ms
        self._refused_at: int | None = None
        self._leading_since_s: float | None = None
        self._imports: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Do what is due, again and again, until cancelled."""
        while True:
            try:
                await self.do_due()
            except Exception:
                logger.exception("duty.failed")
            await self._sleep(self._settings.period_s)

    async def do_due(self) -> None:
        """Do what is due now, if this node leads."""
        status = self._door.status()
        if status.role != "leader" or not status.has_quorum:
            self._leading_since_s = None
            self._imports.clear()
            return
        if self._leading_since_s is None:
            self._leading_since_s = self._monotonic_s()
        leading_s = self._monotonic_s() - self._leading_since_s
        await self._raise_format(status)
        if not self._door.state.seeded and await self._is_free(leading_s):
            await self._plant()
        await self._drop_idle_imports(status.node)
        await self._keep_schedule(status.node)
        if leading_s < self._settings.vote_lease_s:
            return  # a new leader has not listened long enough to call anyone silent
        for name in silent_voters(self._door.state, status, self._settings.vote_lease_s):
            logger.warning("node.silent", node=name, lease_s=self._settings.vote_lease_s)
            await self._door.propose(DropVotes(name), actor=status.node, reason="not heard from")

    async def _keep_schedule(self, node: str) -> None:
        """End drains and maintenance whose time is over, begin what is planned; by this leader's wall clock."""
        now_ms = self._wall_ms()
        schedule = (next_due_ms(known) for known in self._door.state.services.values())
        if any(due_ms is not None and due_ms <= now_ms for due_ms in schedule):
            await self._door.propose(KeepSchedule(now_ms), actor=node, reason="its time has come")

    async def _drop_idle_imports(self, node: str) -> None:
        """Drop what was staged and has not gone on for long, as seen by this leader."""
        now_s, imports = self._monotonic_s(), self._door.state.imports
        seen = self._imports
        self._imports = {
            id_: seen[id_] if id_ in seen and seen[id_][0] == each.index else (each.index, now_s)
            for id_, each in imports.items()
        }
        idle_s = self._settings.import_idle_s
        idle = [(id_, index) for id_, (index, since_s) in self._imports.items() if now_s - since_s > idle_s]
        if idle:
            await self._door.propose(DropImports(tuple(sorted(idle))), actor=node, reason="did not go on")

    async def _raise_format(self, status: ReplicaStatus) -> None:
        """Allow the newest format that every node, voter or not, is known to read."""
        if self._reads is None or self._newest <= self._door.state.format:
            return
        others = [peer.name for peer in (*status.peers, *status.learners)]
        wanted = common(self._newest, others, await self._reads())
        if wanted > self._door.state.format:
            await self._door.propose(SetFormat(wanted), actor=status.node, reason="every node reads it")

    async def _is_free(self, leading_s: float) -> bool:
        """Say whether no backup is to come into the empty cluster."""
        if self._door.state.restoring is not None:
            return False
        return self._may_seed is None or await self._may_seed(leading_s)

    async def _plant(self) -> None:
        """Seed the cluster; what was refused is not proposed again before the State is another one."""
        if self._door.state.index == self._refused_at:
            return
        outcome = await self._door.propose(self._seed(), actor=self._door.status().node, reason="first start")
        detail = _refusal(outcome)
        if detail is not None:
            logger.error("seed.refused", detail=detail)
            self._refused_at = self._door.state.index


def _refusal(outcome: Outcome) -> str | None:
    """Return why an entry will not do, however often it is proposed; None when that is not so."""
    if isinstance(outcome, Committed):
        return outcome.result.detail if isinstance(outcome.result, Refused) else None
    return outcome.detail if isinstance(outcome, NotCommitted) and outcome.reason == "too-large" else None


def silent_voters(state: State, status: ReplicaStatus, lease_s: float) -> tuple[str, ...]:
    """Return the members whose votes stand though the leader has not heard from them for the lease."""
    heard = {peer.name: peer.last_contact_s for peer in status.peers}
    voters = sorted(
        {
            name
            for fqdn in state.services
            for _, endpoint in state.services[fqdn].endpoints
            for name, _ in endpoint.votes
        }
    )
    return tuple(name for name in voters if name != status.node and _is_silent(heard, name, lease_s))


def _is_silent(heard: dict[str, float | None], name: str, lease_s: float) -> bool:
    if name not in heard:
        return True  # no longer a member
    last = heard[name]
    return last is None or last > lease_s
