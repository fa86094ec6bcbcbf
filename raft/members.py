"""The core's view of the members: who votes, who only listens, and whether this node may vote at all.

Corrections of the library: a membership is an entry with the full list, in force from the moment it stands in
the log, taken back when it is cut, and read from snapshot and log at the start (the library obeys changes that
never commit, any number at once, and forgets those that a restart finds uncommitted).

A voter whose data directory was emptied has forgotten what it promised. It therefore votes only when its own
log says that it came with this very directory, or when the candidate's does: whoever wrote that entry led
without its vote, and so holds all that it forgot. Only while a cluster is being founded nobody has a past.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from raft.identity import peer_node
from raft.library import LEADER, LibraryState, Node, now_s
from raft.membership import MEMBERSHIP, Membership, Roster, Seat, decode_membership

FOUNDING_S: Final = 3.0
"""So long a node without a past waits for all others of its configuration before it founds a cluster with some."""
DISPUTE_S: Final = 10.0
"""So long it counts that a node would found another cluster: many times what lies between two of its dials."""
LEAVING_S: Final = 3.0
"""So long a leader goes on sending to a node that was removed, so that it learns of it."""


class Members(LibraryState):
    """The part of the core that knows the members."""

    def __init__(self, *arguments: Any, founding: Membership, directory: str, **keywords: Any) -> None:
        self.roster = Roster(founding)
        self._configured = founding
        self.directory = directory
        """Identity of this node's data directory; empty for one that keeps nothing."""
        self.is_barred = False
        """Whether a node with a past was met: then there is a cluster, and none to be founded."""
        self._disputed_s: dict[str, float] = {}
        """When a node was met that would found a cluster of others than this node would."""
        self._told: tuple[int, Membership | None] = (0, None)
        self._leaving: dict[Node, float] = {}
        self._recorded: dict[str, str] = {}
        self._came_with: dict[str, str] = {}
        super().__init__(*arguments, **keywords)
        self.started_s = now_s()
        for command, index, _ in self.log[:]:
            self.note_entry(index, command)

    # --- what the log says --------------------------------------------------------------------------

    def note_entry(self, index: int, command: bytes) -> bool:
        """Note an entry on its way into the log; say whether it is about members. Raises ``BadMembership``."""
        if command[:1] != MEMBERSHIP:
            return False
        self.roster.take(index, decode_membership(command))
        return True

    def take_hint(self, index: int, membership: Membership) -> None:
        """A node with a past says who the members are: one this log does not know yet may lead by now."""
        if self.history not in ("", membership.history):
            return
        self.is_barred = True
        if index > max(self.roster.index_at(self.commit_index), self._told[0]):
            self._told = (index, membership)
            self.reconfigure()

    def _seats(self) -> dict[str, Seat]:
        """Return the other seats by name: those in force, those told of, and those whose end is not committed.

        A removal may never be: whoever leads without it must reach this node to take it back. Of two seats of one
        name the newest counts: who was away knows others by what they do not have any more, one that leads by now
        among them. A leader goes by its own log: those it counts must be those it knows.
        """
        own = str(self.selfNode.id)
        index, hint = self._told
        committed = self.roster.at(self.commit_index)
        known = committed.seats if committed is not None else ()
        is_heard = index > self.roster.index_at(self.commit_index)
        told = hint.seats if hint is not None and is_heard and self.history in ("", hint.history) else ()
        current = self.roster.current.seats
        is_newer = index > self.roster.index and self.role != LEADER
        seats = (*known, *current, *told) if is_newer else (*known, *told, *current)
        return {seat.name: seat for seat in seats if seat.name != own}

    @property
    def history(self) -> str:
        """Which cluster this is, as far as that is committed here; empty when it is not."""
        committed = self.roster.at(self.commit_index)
        return committed.history if committed is not None else ""

    @property
    def founders(self) -> str:
        """With whom this node would found a cluster, as a digest of the voters' names; empty once there is one."""
        if self.history or not self.roster.is_founding:
            return ""
        names = "\n".join(sorted(self._configured.voters))
        return hashlib.blake2b(names.encode(), digest_size=8).hexdigest()

    def note_dispute(self, name: str) -> None:
        """A voter that has proved its name would found a cluster of others than this node would."""
        self._disputed_s[name] = now_s()

    @property
    def is_disputed(self) -> bool:
        """Whether such a voter was met lately: then none is founded. Whoever is there is met again and again."""
        return any(now_s() - met_s < DISPUTE_S for met_s in self._disputed_s.values())

    def recorded_directory(self, name: str) -> str:
        """Return the data directory with which a node is known; empty when that is not known."""
        seat = self._seats().get(name)
        return seat.directory if seat is not None else ""

    @property
    def seat(self) -> Seat | None:
        """The seat of this node."""
        return self.roster.current.seat(str(self.selfNode.id))

    @property
    def is_voter(self) -> bool:
        """Whether this node counts in a majority."""
        return self.seat is not None and self.seat.role == "voter"

    def draw_history(self) -> str:
        """Return a name for the log that begins here."""
        return hashlib.blake2b(f"{self.directory} {self.term}".encode(), digest_size=8).hexdigest()

    # --- who is heard -------------------------------------------------------------------------------

    def reconfigure(self) -> None:
        """Let voters, learners and connections be those of the membership in force."""
        seats = self._seats()
        known = {str(node.id): node for node in self.voters | self.learners}
        for name, node in sorted(known.items()):
            seat = seats.get(name)
            is_seated = self.roster.current.seat(name) is not None
            if node in self._leaving and not is_seated:
                continue
            if node in self._leaving or seat is None or not self._is_same(node, seat):
                self._drop(node)  # also who left and is let in again: what it held counts for nothing now
                del known[name]
        for name, seat in seats.items():
            if name not in known:
                known[name] = self._add(seat)
        voters = set(self.roster.current.voters)
        self.voters = {node for name, node in known.items() if name in voters}
        self.learners = {node for name, node in known.items() if name not in voters}
        self._recorded = {name: seat.directory for name, seat in seats.items()}

    def _add(self, seat: Seat) -> Node:
        node = self.make_node(seat)
        self.wire.addNode(node)
        if self.role == LEADER:
            self.begin_following(node)
        return node

    def _is_same(self, node: Node, seat: Seat) -> bool:
        """Say whether the node we know may go on as it is: same place, same part, same data directory."""
        role = getattr(node, "role", "voter")
        was, is_now = self._recorded.get(seat.name, ""), self.wire.directory_of(node)
        is_other = was not in ("", seat.directory) or (
            bool(seat.directory) and is_now not in ("", seat.directory)
        )
        return (
            not is_other
            and str(node.address) == seat.address
            and (role == "replica") == (seat.role == "replica")
        )

    def note_directory(self, node: Node) -> None:
        """A node has connected: if it comes with another data directory, what it held before is not there."""
        name, directory = str(node.id), self.wire.directory_of(node)
        if self._came_with.get(name, directory) != directory and self.role == LEADER:
            self.begin_following(node)
        self._came_with[name] = directory
        self._disputed_s.pop(name, None)
        if self.wire.history_of(node):
            self.is_barred = True  # whoever comes with a past need not say a word for there to be a cluster

    def make_node(self, seat: Seat) -> Node:
        """Return the library's node for a seat."""
        return peer_node(seat.name, seat.address, "replica" if seat.role == "replica" else "voter")

    def begin_following(self, node: Node) -> None:
        """A leader begins to send to this node from the end of its log."""
        self.next_index[node] = self.last_index + 1
        self.match_index[node] = 0
        self.heard_s[node] = now_s()

    def _drop(self, node: Node) -> None:
        self._leaving.pop(node, None)
        self.connected.discard(node)
        self.forget_way(node)
        for known in (self.next_index, self.match_index, self.heard_s):
            known.pop(node, None)
        self.wire.dropNode(node)

    def forget_way(self, node: Node) -> None:
        """What was on its way to this node is lost; see ``sending``."""

    # --- nodes that leave ---------------------------------------------------------------------------

    def keep_leaving(self, names: Iterable[str]) -> None:
        """Go on sending to these nodes for a while though they are members no more."""
        until_s = now_s() + LEAVING_S
        for node in self.voters | self.learners:
            if str(node.id) in names:
                self._leaving[node] = until_s

    def let_leave(self) -> None:
        """Drop the nodes that had time enough to learn that they were removed, and all when another leads."""
        gone = [node for node, until_s in self._leaving.items() if self.role != LEADER or now_s() > until_s]
        if gone:
            for node in gone:
                del self._leaving[node]
            self.reconfigure()

    # --- who may vote -------------------------------------------------------------------------------

    def own_words(self, node: Node) -> dict[str, Any]:
        """Return what a candidate tells a voter of that voter's own standing."""
        seat = self.roster.current.seat(str(node.id))
        directory = seat.directory if seat is not None and seat.role == "voter" else ""
        return {"seat": directory, "founding": self.roster.is_founding}

    def may_vote(self, message: dict[str, Any]) -> bool:
        """Say whether this node remembers all that it ever promised, or the candidate does in its place."""
        if not self.directory:
            return True
        seat = self.seat
        if seat is not None and seat.role == "voter" and seat.directory == self.directory:
            return True
        if message.get("seat") == self.directory:
            return True
        if self.is_barred or self.is_disputed:
            return False
        return self.roster.is_founding and message.get("founding") is True and self.is_voter

    def may_stand(self) -> bool:
        """Say whether this node may stand: it votes for itself first of all, and so must have a past.

        One that holds its own removal, which is not committed here, stands without a vote of its own: its log may
        be the longest, so that nobody else can win, and it leads until the removal is committed (Raft thesis,
        section 4.2.2).
        """
        if self.roster.is_founding:
            return self.is_voter and self._may_found()
        committed = self.roster.at(self.commit_index)
        seat = self.seat if self.is_voter or committed is None else committed.seat(str(self.selfNode.id))
        if seat is None or seat.role != "voter":
            return False
        return not self.directory or seat.directory == self.directory

    def _may_found(self) -> bool:
        """Say whether all others are there, or had time to come: one of them may have a past."""
        if self.is_barred or self.is_disputed:
            return False
        return self.voters <= self.connected or now_s() - self.started_s > FOUNDING_S
