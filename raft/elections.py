"""Who leads: pre-vote, votes, and a leader that steps down when it has lost its majority.

Corrections of the library, each with what goes wrong without it: an asking round before a term is
raised (one broken link otherwise deposes leaders for ever), followers that hear a leader ignore
candidates (the same), votes counted by voter and term (a repeated or late reply otherwise elects), a
stale message is answered with the term (an old leader otherwise never learns), and a leader that
hears no majority for an election timeout steps down (it otherwise calls itself leader for 30 s).
"""

from collections.abc import Callable
from typing import Any

from raft.library import CANDIDATE, FOLLOWER, LEADER, Node, now_s
from raft.members import Members

Message = dict[str, Any]


class Elections(Members):
    """The part of the core that decides who leads."""

    become_leader: Callable[[], None]
    """Opens the term with an entry of its own; see ``core``."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.elections = 0
        self._asked_term = 0
        self._askers_for: set[str] = set()
        self._votes_for: set[str] = set()
        self.leader_heard_s = float("-inf")
        super().__init__(*arguments, **keywords)

    @property
    def majority(self) -> int:
        """How many voters are more than half."""
        return (len(self.voters) + self.is_voter) // 2 + 1

    def hears_leader(self) -> bool:
        """Say whether a leader was heard within the shorter election timeout, or is this node."""
        if self.role == LEADER:
            return True
        return now_s() - self.leader_heard_s < float(self.conf.raftMinTimeout)

    def note_leader(self, node: Node, term: int) -> None:
        """Follow the leader of a term that is not older than ours."""
        if term > self.term:
            self.set_term(term, None)
        if self.leader is not node or self.role != FOLLOWER:
            self.leader = node
            self.set_role(FOLLOWER)
            self.leader_changed()
        self.leader_heard_s = now_s()
        self.put_off_election()

    def put_off_election(self) -> None:
        """Give the leader, or the candidate just voted for, another election timeout."""
        self.election_deadline_s = now_s() + self.draw_election_timeout_s()

    def see_term(self, node: Node, term: int) -> None:
        """Fall back to follower when one that votes, or shall vote, is in a later term; nobody else may raise ours.

        A learner that voted before it was removed may be in one, and would refuse this leader for ever.
        """
        seat = self.roster.current.seat(str(node.id))
        if term > self.term and seat is not None and seat.role != "replica":
            self.set_term(term, None)
            self.step_down()

    def step_down(self) -> None:
        """Stop leading or standing; whoever leads will be heard."""
        was_active = self.role != FOLLOWER or self.leader is not None
        if self.role == LEADER:
            self.put_off_election()
        self.leader = None
        self.set_role(FOLLOWER)
        if was_active:
            self.leader_changed()

    def leader_changed(self) -> None:
        """Tell the replica; see ``core``."""

    # --- standing for election ----------------------------------------------------------------------

    def run_elections(self) -> None:
        """Stand when no leader was heard in time; step down when no majority was."""
        if self.role == LEADER:
            self._check_majority()
        elif self.election_deadline_s < now_s():
            if not self.may_stand():
                self._hear_nobody()
            elif self.majority == 1 and self.is_voter:
                self.stand()
            else:
                self._ask()

    def _check_majority(self) -> None:
        deadline = now_s() - self.conf.leaderFallbackTimeout
        heard = sum(1 for node in self.voters if self.heard_s.get(node, 0.0) > deadline)
        if heard + self.is_voter < self.majority:
            self.step_down()

    def _ask(self) -> None:
        """Ask who would vote for this node in the next term, without raising any term."""
        self._hear_nobody()
        self._asked_term = self.term + 1
        self._askers_for = set()
        self._send_voters({"type": "pre_vote", "term": self._asked_term, **self._position()})

    def _hear_nobody(self) -> None:
        """The leader was not heard in time: follow nobody, and wait another election timeout."""
        self.put_off_election()
        if self.role == CANDIDATE:
            self.set_role(FOLLOWER)
        if self.leader is not None and not self.hears_leader():
            self.step_down()

    def stand(self, *, transfer: bool = False) -> None:
        """Enter the next term and ask for votes; in a transfer even those who hear the leader give theirs."""
        self.elections += 1
        self.put_off_election()
        self._asked_term = 0
        self.leader = None
        self.set_role(CANDIDATE)
        self.set_term(self.term + 1, self.selfNode.id)
        self._votes_for = set()
        message = {"type": "request_vote", "term": self.term, "transfer": transfer, **self._position()}
        self._send_voters(message)
        self._count_votes()

    def _position(self) -> Message:
        return {"last_index": self.last_index, "last_term": self.last_term}

    def _send_voters(self, message: Message) -> None:
        for node in sorted(self.voters, key=lambda each: str(each.id)):
            self.wire.send(node, {**message, **self.own_words(node)})

    def is_elector(self, node: Node) -> bool:
        """Say whether the node may ask for votes: it may be a voter by now though this log does not say so yet."""
        return node in self.voters or (node in self.learners and getattr(node, "role", "voter") == "voter")

    def _count_votes(self) -> None:
        if self.role == CANDIDATE and len(self._votes_for) + self.is_voter >= self.majority:
            self.become_leader()

    # --- answering ----------------------------------------------------------------------------------

    def on_pre_vote(self, node: Node, message: Message) -> None:
        """Say whether this node would vote so; changes nothing here."""
        granted = (
            self.is_elector(node)
            and message["term"] > self.term
            and not self.hears_leader()
            and self._is_up_to_date(message)
            and self.may_vote(message)
        )
        reply = {"type": "pre_vote_reply", "term": self.term, "asked": message["term"], "granted": granted}
        self.wire.send(node, reply)

    def on_pre_vote_reply(self, node: Node, message: Message) -> None:
        """Stand once a majority would vote for this node."""
        self.see_term(node, message["term"])
        wanted = self._asked_term == message["asked"] == self.term + 1
        if not (wanted and message["granted"] is True and node in self.voters and self.role == FOLLOWER):
            return
        self._askers_for.add(node.id)
        if len(self._askers_for) + self.is_voter >= self.majority and not self.hears_leader():
            self.stand()

    def on_request_vote(self, node: Node, message: Message) -> None:
        """Vote once a term, for a voter whose log is not behind ours."""
        if not self.is_elector(node) or (self.hears_leader() and not message.get("transfer")):
            return
        if message["term"] > self.term:
            self.set_term(message["term"], None)
            self.step_down()
        granted = (
            message["term"] == self.term
            and self.role == FOLLOWER
            and self.voted_for in (None, node.id)
            and self._is_up_to_date(message)
            and self.may_vote(message)
        )
        if granted:
            self.set_term(self.term, node.id)
            self.put_off_election()
        self.wire.send(node, {"type": "vote_reply", "term": self.term, "granted": granted})

    def on_vote_reply(self, node: Node, message: Message) -> None:
        """Count a vote of this term, once a voter."""
        self.see_term(node, message["term"])
        if message["term"] == self.term and message["granted"] is True and node in self.voters:
            self._votes_for.add(node.id)
            self._count_votes()

    def _is_up_to_date(self, message: Message) -> bool:
        return (message["last_term"], message["last_index"]) >= (self.last_term, self.last_index)
