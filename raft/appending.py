"""Entries on their way from the leader to its followers, and how far they are committed.

Corrections of the library: replies carry the term and are taken from this term's followers alone (a
late one otherwise commits what is not there); entries that a follower already holds are skipped (the
library cuts its log at every message and so drops what it has acknowledged); a conflict is answered with
the start of the conflicting term (the library goes back one entry a heartbeat); the commit index never
passes what is known to match; what would undo a committed entry ends the process.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from raft.elections import Elections, Message
from raft.errors import EXIT_DISK_FAULT, RaftError
from raft.library import LEADER, Node, now_s


class Appending(Elections):
    """The part of the core that replicates the log."""

    on_snapshot_piece: Callable[[Node, Message], None]
    """Takes a piece of the leader's snapshot; see ``core``."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.round = 0
        """Number of the latest round of messages to the followers; acknowledgements carry it back."""
        self.rounds_heard: dict[str, int] = {}
        self._went_back_in: dict[str, int] = {}
        """Round of the latest step back, by follower."""
        self.leader_commit_index = 0
        self.durable_index = 0
        """How far this leader's log is on its own medium; see ``core``."""
        super().__init__(*arguments, **keywords)

    # --- the follower -------------------------------------------------------------------------------

    def on_append(self, node: Node, message: Message) -> None:
        """Take entries from the leader of a term that is not older than ours."""
        if message["term"] < self.term or not self.is_elector(node):
            self._refuse(node)
            return
        if self.role == LEADER and message["term"] == self.term:
            self.give_up(f"two leaders, {self.selfNode.id} and {node.id}, stand in term {self.term}")
        self.note_leader(node, message["term"])
        if "prevLogIdx" not in message:
            self.on_snapshot_piece(node, message)
            return
        self.leader_commit_index = max(self.leader_commit_index, message["commit_index"])
        matched = self._matched(message)
        if matched is None:
            self._reply(node, message, matched=None, hint=self._hint(message["prevLogIdx"]))
            return
        last = self._take_entries(message["entries"], matched)
        self.advance_commit(min(message["commit_index"], last))
        self._reply(node, message, matched=last, hint=last + 1)

    def _matched(self, message: Message) -> int | None:
        """Return the index up to which the log is known to agree with the leader's, or None."""
        previous = message["prevLogIdx"]
        if previous < self.base_index:
            return self.base_index  # what is compacted was committed, and so it agrees
        return previous if self.term_at(previous) == message["prevLogTerm"] else None

    def _hint(self, previous: int) -> int:
        """Return from where the leader should send: the start of the term that does not agree."""
        if previous > self.last_index:
            return self.last_index + 1
        conflicting = self.term_at(previous)
        while previous > self.commit_index + 1 and self.term_at(previous - 1) == conflicting:
            previous -= 1
        return max(previous, self.base_index + 1)

    def _take_entries(self, entries: list[tuple[bytes, int, int]], matched: int) -> int:
        """Append what is new, replace what disagrees; return the last index that agrees with the leader."""
        last = matched
        for command, index, term in entries:
            if index <= matched:
                continue
            if index != last + 1:
                raise ValueError(f"entry {index} does not follow {last}")
            known = self.term_at(index)
            if known != term:
                if known is not None:
                    self._cut(index)
                is_membership = self.note_entry(index, command)
                self.log.add(command, index, term)
                if is_membership:
                    self.reconfigure()
            last = index
        return last

    def _cut(self, index: int) -> None:
        if index <= self.commit_index:
            self.give_up(f"the leader contradicts entry {index}, which is committed here")
        self.log.deleteEntriesFrom(index - self.base_index)
        if self.roster.cut(index):
            self.reconfigure()
        self.entries_cut(index)

    def entries_cut(self, index: int) -> None:
        """Tell those who wait for entries from here on; see ``core``."""

    def _refuse(self, node: Node) -> None:
        """Tell a leader of the past our term; it acknowledges no round, or a later lead could count it."""
        self._reply(node, {"round": 0}, matched=None, hint=self.last_index + 1)

    def _reply(self, node: Node, message: Message, *, matched: int | None, hint: int) -> None:
        reply = {"type": "append_reply", "term": self.term, "round": message["round"]}
        self.wire.send(node, {**reply, "matched": matched, "next": hint})

    # --- the leader ---------------------------------------------------------------------------------

    def on_append_reply(self, node: Node, message: Message) -> None:
        """Learn how far a follower agrees."""
        self.see_term(node, message["term"])
        if self.role != LEADER or message["term"] != self.term or node not in self.next_index:
            return
        _require_whole(message["round"], message["next"], message["matched"] or 0)
        self.heard_s[node] = now_s()
        if message["round"] <= self.round:
            self.rounds_heard[node.id] = max(message["round"], self.rounds_heard.get(node.id, 0))
        matched = message["matched"]
        if matched is None:
            self._take_refusal(node, message)
        elif matched <= self.last_index:
            self.match_index[node] = max(self.match_index[node], matched)
            self.next_index[node] = max(self.next_index[node], self.match_index[node] + 1)

    def _take_refusal(self, node: Node, message: Message) -> None:
        """Go back once for all that was sent until now: every message of it will be refused."""
        if message["round"] > self._went_back_in.get(node.id, 0):
            self._went_back_in[node.id] = self.round
            self.go_back(node, message["next"])

    def go_back(self, node: Node, hint: int) -> None:
        """Send again from where the follower's log ends or leaves ours."""
        lowest = self.match_index[node] + 1
        self.next_index[node] = max(lowest, min(hint, self.last_index + 1, self.next_index[node]))
        self.append_due_s = 0.0

    def commit_by_majority(self) -> None:
        """Commit what a majority holds, if this term began there (Raft, section 5.4.2)."""
        own = [self.durable_index] if self.is_voter else []
        held = sorted([*own, *(self.match_index.get(node, 0) for node in self.voters)], reverse=True)
        index = held[self.majority - 1]
        if index > self.commit_index and self.term_at(index) == self.term:
            self.advance_commit(index)
        self.leader_commit_index = self.commit_index

    def advance_commit(self, index: int) -> None:
        """Note that the log is committed up to here; never back."""
        if index > self.commit_index:
            self.commit_index = index
            self.log.setRaftCommitIndex(index)

    def give_up(self, what: str) -> NoReturn:
        """End the replica: going on would make nodes differ. Raises ``RaftError``."""
        raise RaftError(
            f"The replicated log of {self.selfNode.id} is broken: {what}. Stop this node, keep its data directory "
            "for the report of a defect, and let it join anew under another name.",
            exit_code=EXIT_DISK_FAULT,
        )


def _require_whole(*numbers: object) -> None:
    """Refuse positions that no log has: reckoning with them would end the leader. Raises ``TypeError``."""
    if not all(type(number) is int for number in numbers):
        raise TypeError(f"positions that are no whole numbers: {numbers}")
