"""A proof that cannot fail proves nothing: every correction, undone, is noticed.

Random seeds notice most of them too, some only now and then: the first to fail was number 9 without the sync, 2
without the skipping of what agrees, and 34 without the barrier's round (see ``test_undone``). The rest costs
time or peace, not safety, or needs a coincidence that seeds seldom meet; those are told step by step.
"""

from collections.abc import Callable

import pytest

from tests.sim import test_corrections, test_members, test_scenarios
from tests.sim.run import run_seed
from tests.sim.undone import UNDONE, first_noticed, undo

NOTICED_BY: dict[str, Callable[[], None]] = {
    "prefix skip on append": test_corrections.test_a_late_message_cuts_nothing_that_agrees,
    "commit cap during a snapshot": test_corrections.test_a_snapshot_commits_nothing_but_itself,
    "terms of acknowledgements": test_corrections.test_a_late_acknowledgement_of_another_term_counts_for_nothing,
    "sync before disclosure": test_corrections.test_what_is_acknowledged_outlives_the_power_of_all,
    "read barrier": test_corrections.test_a_leader_that_was_replaced_answers_no_read,
    "pre-vote": test_scenarios.test_a_node_alone_for_long_comes_back_quietly,
    "a voter counts once": test_corrections.test_a_voter_counts_once,
    "term and vote on the medium": test_corrections.test_a_vote_outlives_the_power,
    "entries behind a snapshot stay": test_corrections.test_entries_behind_a_snapshot_stay,
    "commit of this term only": test_corrections.test_only_an_entry_of_its_own_term_commits,
    "a leader counts what is written": test_corrections.test_a_voter_alone_tells_replicas_of_what_its_disk_holds,
    "stickiness to the leader": test_scenarios.test_one_broken_link_changes_nothing,
    "a leader of the past is told": test_corrections.test_a_node_ahead_of_its_leader_is_heard,
    "hint of a conflict": test_corrections.test_a_long_conflict_takes_few_messages,
    "step-down without a majority": test_scenarios.test_an_isolated_leader_knows_within_an_election_timeout,
    "one change of members at a time": test_members.test_one_change_at_a_time,
    "members of the log as it stands": test_members.test_a_membership_that_is_cut_is_taken_back,
    "votes of those alone who remember": test_members.test_a_node_without_its_memory_elects_nobody,
    "meeting those whose removal is not certain": test_members.test_a_removal_that_never_was_shuts_nobody_out,
    "telling all of new members": test_members.test_who_missed_that_a_node_came_is_told_by_others,
    "numbers of this process alone": test_scenarios.test_an_answer_to_a_former_process_is_none_to_the_present_one,
}


def test_every_correction_has_its_witness() -> None:
    """None is left out."""
    assert set(UNDONE) == set(NOTICED_BY)


@pytest.mark.parametrize("name", sorted(UNDONE))
def test_an_undone_correction_is_noticed(name: str) -> None:
    """The test that holds with the correction fails without it."""
    NOTICED_BY[name]()
    with undo(name), pytest.raises(AssertionError):
        NOTICED_BY[name]()


@pytest.mark.parametrize("name", ["prefix skip on append", "sync before disclosure"])
def test_random_seeds_notice_what_is_undone(name: str) -> None:
    """Nobody needs to know where to look: the first few seeds find the worst of them."""
    assert first_noticed(name, range(20), run_seed) is not None
