"""What may be on its way into the log at once."""

import threading

from raft.admission import Admission
from raft.pending import Pending
from raft.proposal import Committed, NotCommitted
from raft.replica import PROPOSED_OCTETS_MAX
from tests.raft.test_replica import Recorder, alone, sole


def test_callers_are_limited_until_they_are_answered() -> None:
    """One caller more than the limit is refused; an answer makes room, whoever gives it."""
    admission = Admission(2, 100)
    first, second, third = Pending(), Pending(), Pending()
    assert admission.enter(first, 0) is None
    assert admission.enter(second, 0) is None
    refused = admission.enter(third, 0)
    assert isinstance(refused, NotCommitted)
    assert "busy" == refused.reason
    first.settle(Committed(1, None))
    assert admission.enter(third, 0) is None


def test_octets_are_limited_but_one_command_always_fits() -> None:
    """Large commands wait for one another; a single one above the limit comes in alone."""
    admission = Admission(9, 100)
    first = Pending()
    assert admission.enter(first, 101) is None
    assert admission.enter(Pending(), 1) is not None
    first.settle(Committed(1, None))
    assert admission.enter(Pending(), 60) is None
    assert admission.enter(Pending(), 41) is not None
    assert admission.enter(Pending(), 40) is None


def test_a_held_up_log_is_given_no_more_than_fits() -> None:
    """While the log's thread does something long, its queue does not grow without bound, and it goes on afterwards."""
    go_on, is_held = threading.Event(), threading.Event()

    class Slow(Recorder):
        def apply(self, index: int, command: bytes) -> object:
            is_held.set()
            go_on.wait(10)
            return super().apply(index, command)

    with alone(sole(), Slow()) as replica:
        command = bytes(4 * 1024 * 1024)
        futures = [replica.propose(command, 20)]
        assert is_held.wait(10)
        count = PROPOSED_OCTETS_MAX // len(command)
        futures += [replica.propose(command, 20) for _ in range(count + 3)]
        refused = [each.result(0) for each in futures if each.done()]
        assert 4 == len(refused)
        assert all(isinstance(each, NotCommitted) and each.reason == "busy" for each in refused)
        go_on.set()
        taken = [each.result(20) for each in futures if each.result(20) not in refused]
        assert count == len(taken)
        assert all(isinstance(each, Committed) for each in taken)
        assert isinstance(replica.read_barrier().result(10), Committed)
