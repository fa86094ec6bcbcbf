"""A cluster begun anew by force from one node's data, when the majority is lost for good.

What the lost nodes had acknowledged without this one is gone. The new membership is an entry of a later term
with this node as its only voter and a history of its own, so that no lost node that comes back can join by
mistake. The node must not run meanwhile; its files are changed by one append.
"""

import secrets
from dataclasses import dataclass

from raft.core import founding_membership
from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.journal import JournalIdentity, WalJournal
from raft.library import NO_OPERATION
from raft.membership import MEMBERSHIP, Membership, Seat, decode_membership, encode_membership
from raft.settings import RaftSettings
from raft.snapshots import SnapshotMeta, SnapshotStore


@dataclass(frozen=True, slots=True)
class Salvage:
    """What this node's data directory holds, before it is decided to go on with that alone."""

    last_index: int
    commit_index: int
    """How far this node knew the log to be committed; what follows may or may not have been."""
    term: int
    lost: tuple[str, ...]
    """The other voters, which are given up."""
    snapshot_index: int


def inspect(settings: RaftSettings) -> Salvage:
    """Say what would be gone on with. Raises ``RaftError`` where the directory cannot be used."""
    journal, membership, snapshot_index = _open(settings)
    try:
        return _salvage(settings, journal, membership, snapshot_index)
    finally:
        journal._destroy()  # noqa: SLF001  # the library's name for it


def force_new_cluster(settings: RaftSettings) -> Salvage:
    """Make this node the only voter of a history of its own; return what it goes on with. Raises ``RaftError``."""
    journal, membership, snapshot_index = _open(settings)
    try:
        salvage = _salvage(settings, journal, membership, snapshot_index)
        seat = Seat(settings.node, settings.members[settings.node], "voter", journal.directory)
        term = salvage.term + 1
        history = secrets.token_hex(8)  # that of no other node which is forced so, too
        journal.setCurrentTerm(term, None)
        journal.add(encode_membership(Membership(history, (seat,))), salvage.last_index + 1, term)
        journal.sync()
        return salvage
    finally:
        journal._destroy()  # noqa: SLF001


def _open(settings: RaftSettings) -> tuple[WalJournal, Membership, int]:
    if settings.data_dir is None or not (settings.data_dir / "journal").exists():
        raise RaftError(
            f"There is no journal in {settings.data_dir}: nothing to begin anew with. Start the node as usual, or "
            "with `qdns run --restore FILE`.",
            exit_code=EXIT_WRONG_SETUP,
        )
    journal = WalJournal(settings.data_dir / "journal", JournalIdentity(settings.cluster, settings.node))
    try:
        found = SnapshotStore(settings.data_dir / "snapshot", settings.cluster).read()
        meta = found[0] if found is not None else None
        if meta is not None:
            _begin_log(journal, meta)
        held = [decode_membership(meta.membership)] if meta is not None and meta.membership else []
        held += [decode_membership(command) for command, _, _ in journal[:] if command[:1] == MEMBERSHIP]
        return journal, held[-1] if held else founding_membership(settings), meta.last_index if meta else 0
    except BaseException:
        journal._destroy()  # noqa: SLF001
        raise


def _begin_log(journal: WalJournal, meta: SnapshotMeta) -> None:
    """Let a log that does not agree with the snapshot begin with its end, as the next start would."""
    position = meta.last_index - journal[0][1] if len(journal) else 0
    if position >= len(journal) or (position >= 0 and journal[position][2] != meta.last_term):
        journal.reset(
            [
                (NO_OPERATION, meta.prev_index, meta.prev_term),
                (NO_OPERATION, meta.last_index, meta.last_term),
            ]
        )


def _salvage(
    settings: RaftSettings, journal: WalJournal, membership: Membership, snapshot_index: int
) -> Salvage:
    if not len(journal) or (journal[-1][1] <= 1 and not snapshot_index):
        raise RaftError(
            f"The journal in {settings.data_dir} is empty: nothing to begin anew with.",
            exit_code=EXIT_WRONG_SETUP,
        )
    lost = tuple(name for name in membership.voters if name != settings.node)
    return Salvage(
        journal[-1][1],
        max(journal.getRaftCommitIndex(), snapshot_index),
        max(journal.getCurrentTerm(), journal[-1][2]),
        lost,
        snapshot_index,
    )
