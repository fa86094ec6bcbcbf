"""Nodes that come under a name with another data directory than before: whom the others hear."""

from msgspec.structs import replace

from raft.membership import Membership, Seat, encode_membership
from tests.raft.pocket import Clock, Pocket

HERE = "127.0.0.1:7300"


def _membership(**directories: str) -> Membership:
    return Membership("h", tuple(Seat(name, HERE, "voter", held) for name, held in directories.items()))


class Known(Pocket):
    """A core that holds a membership with directories, and peers that are connected with those."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.membership = _membership(n1="", n2="d2", n3="d3")
        self.core.log.add(encode_membership(self.membership), 2, 1)
        self.core.note_entry(2, self.core.log[1][0])
        self.core.advance_commit(2)
        self.came = {"n2": "d2", "n3": "d3"}
        self.dropped: list[str] = []
        self.wire.directory_of = lambda node: self.came[str(node.id)]  # type: ignore[method-assign]
        self.wire.dropNode = lambda node: self.dropped.append(str(node.id))  # type: ignore[method-assign]
        self.wire.addNode = lambda _node: None  # type: ignore[method-assign]
        self.core.reconfigure()

    def told(self, index: int, membership: Membership) -> None:
        self.tell("n2", type="members", index=index, membership=encode_membership(membership))


def test_a_snapshot_with_another_directory_ends_the_connection_with_the_former_process() -> None:
    """Who was replaced, and still runs, must not vote beside the one who took its place."""
    with Clock().installed() as clock:
        pocket = Known(clock)
        pocket.core.roster.begin(9, _membership(n1="", n2="d2", n3="other"), keep_later=False)
        pocket.core.reconfigure()
        assert ["n3"] == pocket.dropped
        assert {"n2"} == {str(node.id) for node in pocket.core.connected}


def test_a_recorded_directory_ends_the_connection_with_another_one() -> None:
    """The leader recorded whom it met; this node had met another process under the same name."""
    with Clock().installed() as clock:
        pocket = Known(clock)
        pocket.core.roster.begin(9, _membership(n1="", n2="d2", n3=""), keep_later=False)
        pocket.core.reconfigure()
        pocket.core.reconfigure()
        pocket.dropped.clear()
        pocket.core.roster.begin(10, _membership(n1="", n2="d2", n3="other"), keep_later=False)
        pocket.core.reconfigure()
        assert ["n3"] == pocket.dropped


def test_a_node_that_was_away_lets_in_who_was_replaced_meanwhile() -> None:
    """It is told of the newer membership by others; what its own log says of that node is past."""
    with Clock().installed() as clock:
        pocket = Known(clock)
        moved = Seat("n3", "127.0.0.1:9", "voter", "newer")
        pocket.told(9, replace(pocket.membership, seats=(*pocket.membership.seats[:2], moved)))
        assert "newer" == pocket.core.recorded_directory("n3")
        assert {"127.0.0.1:9"} == {str(n.address) for n in pocket.core.voters if n.id == "n3"}
        assert pocket.core.is_elector(next(node for node in pocket.core.voters if node.id == "n3"))


def test_a_leader_goes_by_its_own_log() -> None:
    """One that is cut off and counts the former node must not count the one that took its place."""
    with Clock().installed() as clock:
        pocket = Known(clock)
        pocket.lead()
        pocket.told(9, _membership(n1="", n2="d2", n3="newer"))
        assert "d3" == pocket.core.recorded_directory("n3")


def test_what_a_node_of_another_history_says_is_not_believed() -> None:
    """Once this log is known to be another one."""
    with Clock().installed() as clock:
        pocket = Known(clock)
        pocket.told(9, replace(_membership(n1="", n2="d2", n3="newer"), history="another"))
        assert "d3" == pocket.core.recorded_directory("n3")


def test_a_position_that_is_none_ends_no_leader() -> None:
    """A replica, which may only listen, tells the leader of halves of entries: that is dropped."""
    with Clock().installed() as clock:
        pocket = Pocket(clock)
        pocket.lead()
        pocket.core.append(b"x")
        for wrong in ({"matched": 1.5}, {"matched": None, "next": 1.5}, {"matched": "1"}, {"matched": True}):
            reply = {"term": pocket.core.term, "round": pocket.core.round, "matched": None, "next": 1}
            pocket.tell("n2", type="append_reply", **(reply | wrong))
            pocket.tick(0.1)
        assert pocket.core.leader is pocket.core.selfNode
        assert all(type(index) is int for index in pocket.core.next_index.values())


def test_a_learner_of_a_later_term_is_not_left_out_for_ever() -> None:
    """It voted before it was removed, and comes again with what it had: the leader has to go beyond that term."""
    with Clock().installed() as clock:
        pocket = Known(clock)
        pocket.lead()
        learner = Seat("n3", HERE, "learner", "d3")
        pocket.core.roster.take(9, replace(pocket.membership, seats=(*pocket.membership.seats[:2], learner)))
        pocket.core.reconfigure()
        term = pocket.core.term
        pocket.tell("n3", type="append_reply", term=term + 5, round=0, matched=None, next=1)
        assert term + 5 == pocket.core.term


def test_who_comes_with_a_past_says_by_that_alone_that_there_is_a_cluster() -> None:
    """A node without a past founds nothing beside one that stands still before it could say who the members are."""
    with Clock().installed() as clock:
        pocket = Pocket(clock)
        pocket.core.directory = "d1"
        assert pocket.core.may_stand()
        pocket.wire.history_of = lambda _node: "h"  # type: ignore[method-assign]
        pocket.wire._onNodeConnected(pocket.peers["n2"])
        assert not pocket.core.may_stand()
