"""The corrections, each undone by a patch: a simulation that notices none of them proves nothing."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import raft.desk
from raft.appending import Appending
from raft.changing import Changes
from raft.compaction import Compaction
from raft.core import Core
from raft.elections import Elections
from raft.gate import Gate
from raft.library import FOLLOWER, LEADER, LibraryState
from raft.members import Members
from raft.membership import Roster

Patch = tuple[Any, str, Any]


class _EveryVote(set[str]):
    """Counts a voter as often as it is heard."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, _name: str) -> None:
        self.count += 1

    def __len__(self) -> int:
        return self.count


def _take_and_cut(self: Any, entries: list[Any], matched: int) -> int:
    """Cut the log after what matched, as the library does, whether the rest agrees or not."""
    self.log.deleteEntriesFrom(matched + 1 - self.base_index)
    last = matched
    for command, index, term in entries:
        if index > last:
            self.log.add(command, index, term)
            last = index
    return last


def _believe_commit_index(self: Any, node: Any, message: Any) -> None:
    """Take the leader's commit index with each piece, as the library does."""
    _on_snapshot_piece(self, node, message)
    self.advance_commit(min(message["commit_index"], self.last_index))


def _believe_any_term(self: Any, node: Any, message: Any) -> None:
    """Count acknowledgements whatever term they are from, as the library does."""
    _on_append_reply(self, node, message | {"term": self.term})


def _send_before_sync(self: Any, node: Any, message: Any) -> bool:
    if message["type"] == "append_entries":
        message["round"] = self._core.round
    return bool(self._pass_on(node, message))


def _flush_nothing(self: Any) -> None:
    """Leave it to the journal when to write."""


def _stand_unasked(self: Any) -> None:
    if self.leader is not None:
        self.step_down()
    self.stand()


def _count_every_vote(self: Any, *, transfer: bool = False) -> None:
    _stand(self, transfer=transfer)
    self._votes_for = _EveryVote()


def _remember_no_vote(self: Any, term: int, vote: str | None) -> None:
    self.term, self.voted_for = term, vote


def _begin_log_always(self: Any, read: Any) -> None:
    """Let the log begin with a received snapshot whether it knows what follows or not."""
    _install(self, read)
    if isinstance(read, tuple) and read[0].last_index == self.index < self._core.last_index:
        self._begin_log(read[0])


def _commit_any_term(self: Any) -> None:
    held = sorted([self.last_index, *(self.match_index.get(node, 0) for node in self.voters)], reverse=True)
    self.advance_commit(held[self.majority - 1])
    self.leader_commit_index = self.commit_index


def _count_what_is_not_written(self: Any) -> None:
    self.durable_index = self.last_index
    _commit_by_majority(self)


def _hear_no_leader(self: Any) -> bool:
    return bool(self.role == LEADER)


def _ignore_the_past(self: Any, node: Any, message: Any) -> None:
    if message["term"] >= self.term:
        _on_append(self, node, message)


def _go_back_one(self: Any, previous: int) -> int:
    return int(min(previous, self.last_index + 1))


def _never_check(self: Any) -> None:
    assert self.role != FOLLOWER


_on_snapshot_piece = Core.on_snapshot_piece
_on_append_reply = Appending.on_append_reply
_on_append = Appending.on_append
_commit_by_majority = Appending.commit_by_majority
_stand = Elections.stand
_install = Compaction._install


def _cut_nothing(_self: Any, _index: int) -> bool:
    return False


def _meet_those_in_force_alone(self: Any) -> dict[str, Any]:
    own = str(self.selfNode.id)
    return {seat.name: seat for seat in self.roster.current.seats if seat.name != own}


UNDONE: dict[str, list[Patch]] = {
    "prefix skip on append": [(Appending, "_take_entries", _take_and_cut)],
    "commit cap during a snapshot": [(Core, "on_snapshot_piece", _believe_commit_index)],
    "terms of acknowledgements": [(Appending, "on_append_reply", _believe_any_term)],
    "sync before disclosure": [(Gate, "send", _send_before_sync), (Gate, "flush", _flush_nothing)],
    "read barrier": [(Core, "round_is_heard", lambda _self, _number: True)],
    "pre-vote": [(Elections, "_ask", _stand_unasked)],
    "a voter counts once": [(Elections, "stand", _count_every_vote)],
    "term and vote on the medium": [(LibraryState, "set_term", _remember_no_vote)],
    "entries behind a snapshot stay": [(Compaction, "_install", _begin_log_always)],
    "commit of this term only": [(Appending, "commit_by_majority", _commit_any_term)],
    "a leader counts what is written": [(Appending, "commit_by_majority", _count_what_is_not_written)],
    "stickiness to the leader": [(Elections, "hears_leader", _hear_no_leader)],
    "a leader of the past is told": [(Appending, "on_append", _ignore_the_past)],
    "hint of a conflict": [(Appending, "_hint", _go_back_one)],
    "step-down without a majority": [(Elections, "_check_majority", _never_check)],
    "one change of members at a time": [(Changes, "is_pending", False)],
    "members of the log as it stands": [(Roster, "cut", _cut_nothing)],
    "votes of those alone who remember": [
        (Members, "may_vote", lambda _self, _message: True),
        (Members, "recorded_directory", lambda _self, _name: ""),
    ],
    "meeting those whose removal is not certain": [(Members, "_seats", _meet_those_in_force_alone)],
    "telling all of new members": [(Core, "_spread_members", lambda _self: None)],
    "numbers of this process alone": [(raft.desk, "os", SimpleNamespace(urandom=bytes))],
}


def undo(name: str) -> ExitStack:
    """Undo one correction until the stack is closed."""
    stack = ExitStack()
    for owner, attribute, value in UNDONE[name]:
        stack.enter_context(patch.object(owner, attribute, value))
    return stack


def first_noticed(name: str, seeds: Iterable[int], run: Callable[[int], object]) -> tuple[int, str] | None:
    """Return the first seed whose run fails without the correction, and how; None if none does."""
    with undo(name):
        for seed in seeds:
            try:
                run(seed)
            except Exception as error:
                return seed, f"{type(error).__name__}: {error}"
    return None
