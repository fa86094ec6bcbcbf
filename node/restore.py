"""Starting an empty cluster from a backup: which file and directory will do, and bringing it into the log.

The file is read to its end and checked before the node starts. Then each node that was given it sees to
it that it comes into the log: the leader proposes it, and another one when nothing moves any more. What
becomes visible when is decided at apply, see ``node.state.restoring``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import structlog

from node.state.backup import BackupReader, BadBackup, Header
from node.state.command import BeginRestore, Command, Member, RestorePieces
from node.state.restoring import SERIAL_STEP_MAX, pieces_for_log
from node.state.snapshot import BadState
from node.state.state import Refused, State
from raft.proposal import Committed, NotCommitted, Outcome
from raft.replica import ReplicaStatus

logger = structlog.get_logger()

MARK = "restoring"
"""A file in the data directory that names the backup whose restore was begun there."""
PART_PIECES = 2
"""A thousand RRsets an entry, which no election has to wait for."""
PART_OCTETS = 256 * 1024
PAUSE_S = 0.1
STALLED_S = 2.0
"""After so long without progress a node that does not lead proposes, too."""
SERIALS_PER_S = 100
SERIAL_STEP_MIN = 65_536


class CannotRestore(Exception):
    """The backup cannot be restored here; the message is a sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A backup that was read to its end and found whole."""

    path: Path
    header: Header
    checksum: str

    @property
    def source(self) -> str:
        """What it is, for people."""
        taken = datetime.fromtimestamp(self.header.taken_at_ms / 1000, UTC)
        return f"{self.header.cluster} at index {self.header.index} of {taken:%Y-%m-%d %H:%M:%S} UTC"


def checked(path: Path, cluster: str, of: str | None) -> BackupFile:
    """Read a backup to its end; it must be of this cluster, or of the one that ``of`` names.

    Raises ``CannotRestore``.
    """
    logger.info("restore.checking", file=str(path))
    try:
        with path.open("rb") as file:
            reader = BackupReader(file)
            _require_cluster(path, reader.header.cluster, cluster, of)
            reader.survey()
    except BadBackup as error:
        raise CannotRestore(f"the backup {path} cannot be used: {error}. Take another one.") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotRestore(f"the backup {path} cannot be read: {reason}.") from None
    return BackupFile(path, reader.header, reader.checksum)


def _require_cluster(path: Path, found: str, cluster: str, of: str | None) -> None:
    if of is not None and of != found:
        raise CannotRestore(f"the backup {path} is of the cluster {found}, not of {of}.")
    if of is None and found != cluster:
        raise CannotRestore(
            f"the backup {path} is of the cluster {found}, and this is {cluster}. If that is meant: --restore-of {found}"
        )


def claim(data_dir: Path, backup: BackupFile) -> None:
    """Mark an empty data directory as begun from a backup; one that was begun from the same one goes on.

    Raises ``CannotRestore`` when it holds anything else.
    """
    mark = data_dir / MARK
    try:
        data_dir.mkdir(0o700, parents=True, exist_ok=True)
        present = sorted(each.name for each in data_dir.iterdir() if each.name != "lost+found")
        if not present:
            mark.write_text(f"{backup.checksum}\n", "ascii")
        elif MARK not in present or mark.read_text("ascii").strip() != backup.checksum:
            raise CannotRestore(
                f"the data directory {data_dir} holds {present[0]}: a backup goes into an empty cluster only. Start "
                "without --restore to go on with what is there; to give that up, empty the directories of all nodes."
            )
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRestore(f"the data directory {data_dir} cannot be used: {error}.") from None


def release(data_dir: Path) -> None:
    """Take the mark away: the restore has come to its end."""
    (data_dir / MARK).unlink(missing_ok=True)


def serial_step(taken_at_ms: int, now_ms: int) -> int:
    """Return how far serials go beyond those of the backup, so that secondaries which saw later ones follow.

    A hundred changes of a zone in each second since then are allowed for, and RFC 1982 section 3.2 for the most.
    """
    elapsed_s = max(0, now_ms - taken_at_ms) // 1000
    return max(SERIAL_STEP_MIN, min(SERIALS_PER_S * elapsed_s, SERIAL_STEP_MAX))


def may_seed(rows: Mapping[str, Mapping[str, Any] | None]) -> bool | None:
    """Say from the other nodes' rows whether an empty cluster may be seeded from the configuration.

    False when one of them has a backup to restore, None while not all of them have answered.
    """
    if any(row is not None and row.get("restoring") for row in rows.values()):
        return False
    return None if any(row is None for row in rows.values()) else True


class Door(Protocol):
    """What restoring needs of the cluster."""

    @property
    def state(self) -> State:
        """The newest committed State."""

    def status(self) -> ReplicaStatus:
        """What the log knows of itself and its peers."""

    async def propose(self, command: Command, *, actor: str = "", reason: str = "") -> Outcome:
        """Bring a command into the log."""


class Restorer:
    """Sees to it that a backup comes into the log, beside others that have the same one."""

    def __init__(
        self,
        door: Door,
        backup: BackupFile,
        members: tuple[Member, ...],
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic_s = monotonic_s
        self._door = door
        self._backup = backup
        self._members = members
        self._now_ms = now_ms
        self._sleep = sleep
        self._parts = _Parts(backup)
        self._seen = -2
        self._seen_at_s = monotonic_s()

    async def run(self) -> None:
        """Return when the cluster has the backup. Raises ``CannotRestore``."""
        logger.info("restore.waiting", source=self._backup.source, file=str(self._backup.path))
        try:
            while not self._door.state.seeded:
                if not await self._step():
                    await self._sleep(PAUSE_S)
        finally:
            self._parts.close()
        if self._door.state.restored != self._backup.checksum:
            raise CannotRestore(
                "the cluster has been seeded already, so the backup was not restored. Stop all nodes, empty their data "
                "directories, and start this one with --restore first, or all of them."
            )
        logger.info("restore.finished", source=self._backup.source)

    async def _step(self) -> bool:
        """Propose what is due; say whether that may have brought it further."""
        state = self._door.state
        place = -1 if state.restoring is None else state.restoring.next
        if place != self._seen:
            self._seen, self._seen_at_s = place, self._monotonic_s()
        if state.restoring is not None and state.restoring.restore != self._backup.checksum:
            raise CannotRestore(
                f"another backup ({state.restoring.source}) is being restored already. Give all nodes the same file."
            )
        status = self._door.status()
        leads = status.role == "leader" and status.has_quorum
        is_stalled = self._monotonic_s() - self._seen_at_s >= STALLED_S
        if not leads and (status.leader is None or not is_stalled):
            return False
        if self._backup.header.state_format > state.format:
            return False  # until all nodes can read it; see the leader's duties
        return self._judge(
            await self._door.propose(await self._next(state), actor=status.node, reason="restore")
        )

    async def _next(self, state: State) -> Command:
        backup = self._backup
        if state.restoring is not None:
            first = state.restoring.next
            pieces = await asyncio.to_thread(self._parts.take, first)
            if not pieces:
                raise CannotRestore(f"the backup {backup.path} holds fewer parts than the log has taken of it.")
            return RestorePieces(backup.checksum, first, pieces)
        step = serial_step(backup.header.taken_at_ms, self._now_ms())
        return BeginRestore(backup.checksum, self._members, backup.header.state_format, step, backup.source)

    def _judge(self, outcome: Outcome) -> bool:
        if isinstance(outcome, Committed) and isinstance(outcome.result, Refused):
            if outcome.result.code == "invalid" or "written to already" in outcome.result.detail:
                raise CannotRestore(f"{outcome.result.detail}.")
            return False
        if isinstance(outcome, NotCommitted) and outcome.reason == "too-large":
            raise CannotRestore(f"a part of the backup is too large for the log: {outcome.detail}.")
        return isinstance(outcome, Committed)


class _Parts:
    """Reads the pieces for the log from the file, a few at a time, from any position on."""

    def __init__(self, backup: BackupFile) -> None:
        self._path = backup.path
        self._checksum = backup.checksum
        self._file: Any = None
        self._pieces: Iterator[bytes] = iter(())
        self._position = -1
        self._last: tuple[bytes, ...] = ()

    def take(self, first: int) -> tuple[bytes, ...]:
        """Return the pieces from position ``first`` on that go into one entry. Raises ``CannotRestore``."""
        if first == self._position - len(self._last) and self._last:
            return self._last  # they did not get into the log, or not yet
        try:
            if first != self._position:
                self._begin_at(first)
            self._last = tuple(self._few())
        except (BadBackup, BadState, OSError) as error:
            raise CannotRestore(f"the backup {self._path} can no longer be read as it was: {error}.") from None
        self._position += len(self._last)
        return self._last

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _begin_at(self, first: int) -> None:
        self.close()
        self._file = self._path.open("rb")
        self._pieces = pieces_for_log(self._read(BackupReader(self._file)))
        self._position = first
        next(islice(self._pieces, first, first), None)

    def _read(self, reader: BackupReader) -> Iterator[bytes]:
        """Yield the pieces; the last one only when the file has turned out to be the one that was checked."""
        last = None
        for piece in reader.pieces():
            if last is not None:
                yield last
            last = piece
        if last is None or reader.checksum != self._checksum:
            raise BadBackup("it is another one now")
        yield last

    def _few(self) -> Iterator[bytes]:
        octets = 0
        for piece in islice(self._pieces, PART_PIECES):
            yield piece
            octets += len(piece)
            if octets >= PART_OCTETS:
                return
