"""Every known defect of the library in one table: which test shows it there, and which shows that we do not have it.

A test is named as ``file::test``. A row without both halves fails, and so does one whose test is gone or renamed.
The first twenty-seven are those that an audit of the library found, in its order.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DEFECTS = "raft/test_defects.py::test_"
PARTS = "raft/test_parts.py::test_"
CORRECTIONS = "sim/test_corrections.py::test_"
SCENARIOS = "sim/test_scenarios.py::test_"
NOT_THERE = (f"{PARTS}a_part_of_the_library_is_not_there", f"{PARTS}none_of_the_parts_is_in_a_real_cluster")


@dataclass(frozen=True)
class Row:
    """Where a defect of the library is shown, and where it is shown not to be ours."""

    stock: str
    ours: tuple[str, ...]


def both(test: str, *more: str) -> Row:
    """Return a row whose halves stand in one test."""
    return Row(test, (test, *more))


ROWS: dict[str, Row] = {
    "commits a divergent tail while a snapshot arrives": both(
        f"{DEFECTS}a_snapshot_commits_nothing_but_itself", f"{CORRECTIONS}a_snapshot_commits_nothing_but_itself"
    ),
    "clears the journal after a kill around a compaction": Row(
        f"{DEFECTS}a_restart_keeps_what_follows_the_snapshot",
        (f"{DEFECTS}a_restart_of_ours_keeps_what_follows_the_snapshot",),
    ),
    "rewrites the journal in place": Row(
        f"{PARTS}the_librarys_compaction_is_no_step_but_many",
        (
            "raft/test_journal.py::test_a_compaction_that_fails_loses_nothing",
            "raft/test_power_loss.py::test_nothing_promised_is_lost_with_the_power",
        ),
    ),
    "cuts entries that agree": both(
        f"{DEFECTS}acknowledged_entries_outlive_a_repeated_message",
        f"{CORRECTIONS}a_late_message_cuts_nothing_that_agrees",
    ),
    "counts acknowledgements of other terms": both(
        f"{DEFECTS}an_acknowledgement_of_another_term_counts_nothing",
        f"{CORRECTIONS}a_late_acknowledgement_of_another_term_counts_for_nothing",
    ),
    "changes the voters without limit": both(
        f"{DEFECTS}no_entry_of_the_library_changes_the_voters", "sim/test_members.py::test_one_change_at_a_time"
    ),
    "acknowledges a snapshot that it could not load, mixes two": Row(
        f"{PARTS}the_library_acknowledges_a_snapshot_that_it_could_not_load",
        (
            "raft/test_snapshots.py::test_a_received_snapshot_is_verified",
            "raft/test_snapshots.py::test_chunks_of_two_snapshots_never_mix",
            f"{CORRECTIONS}entries_behind_a_snapshot_stay",
            f"{SCENARIOS}the_answer_to_a_snapshot_may_get_lost",
        ),
    ),
    "syncs nothing, checks nothing it reads": both(
        f"{DEFECTS}a_power_loss_takes_nothing_acknowledged",
        "raft/test_journal.py::test_any_flipped_bit_is_refused",
        "raft/test_journal.py::test_a_write_torn_in_any_way_is_cut",
        "raft/test_journal.py::test_the_commit_index_never_points_beyond_the_log",
        f"{CORRECTIONS}a_vote_outlives_the_power",
        f"{CORRECTIONS}what_is_acknowledged_outlives_the_power_of_all",
    ),
    "allows a journal without snapshots": both(f"{DEFECTS}a_journal_without_a_place_for_snapshots_cannot_be"),
    "applies an entry again when its caller's callback fails": both(
        f"{DEFECTS}an_entry_is_applied_once_whatever_its_callback_does",
        "raft/test_replica.py::test_a_machine_that_raises_ends_the_log_loudly",
    ),
    "repeats a failing command for ever": both(
        f"{DEFECTS}an_empty_command_does_not_stop_the_log",
        f"{SCENARIOS}what_ends_the_log_is_not_lost_in_the_message_that_brought_it",
    ),
    "runs code that a peer sends": both(f"{DEFECTS}nothing_that_a_peer_sends_is_unpickled", *NOT_THERE),
    "lets a read-only peer lead": both(
        f"{DEFECTS}who_does_not_vote_cannot_lead", f"{CORRECTIONS}who_does_not_vote_raises_no_term"
    ),
    "accepts frames that are played again": Row(
        f"{PARTS}the_library_accepts_a_frame_that_is_played_again",
        (
            "raft/test_transport_torture.py::test_frames_tampered_with_on_the_way_end_the_connection",
            "raft/test_handshake.py::test_a_recorded_handshake_cannot_be_played_again",
        ),
    ),
    "closes its port when descriptors run out": Row(
        f"{PARTS}the_library_closes_its_port_for_good_when_descriptors_run_out",
        ("raft/test_transport_torture.py::test_running_out_of_file_descriptors_never_closes_the_port",),
    ),
    "buffers what a stranger sends": Row(
        f"{PARTS}the_library_holds_whatever_a_stranger_sends",
        (
            "raft/test_transport_torture.py::test_a_stranger_cannot_make_a_node_hold_much",
            "raft/test_transport_torture.py::test_messages_go_on_under_a_flood_of_strangers",
        ),
    ),
    "dies of a full disk": Row(
        f"{PARTS}the_librarys_journal_dies_of_a_full_disk",
        (
            "raft/test_journal.py::test_a_full_disk_ends_the_journal_and_keeps_what_was_confirmed",
            f"{SCENARIOS}a_failed_write_is_not_tried_again",
            f"{SCENARIOS}a_full_disk_met_while_voting_ends_the_node",
        ),
    ),
    "loses the first election to idle connections": Row(
        f"{PARTS}the_library_drops_an_idle_connection_with_the_message_that_needs_it",
        ("raft/test_transport_torture.py::test_a_peer_that_falls_silent_is_noticed", *NOT_THERE),
    ),
    "waits half a minute for a dial": Row(
        f"{PARTS}the_library_dials_until_the_kernel_gives_up",
        (f"{PARTS}a_dial_of_ours_ends_and_is_tried_again",),
    ),
    "goes back one entry a heartbeat": both(
        f"{DEFECTS}a_conflict_costs_one_answer", f"{CORRECTIONS}a_long_conflict_takes_few_messages"
    ),
    "forgets callers": Row(
        f"{PARTS}the_library_forgets_who_waits_for_a_lost_message",
        (
            "sim/test_seeds.py::test_every_promise_holds_in_a_bad_world",
            f"{SCENARIOS}a_proposal_whose_connection_ended_on_it_is_not_sent_again",
            f"{SCENARIOS}a_proposal_that_met_a_broken_journal_is_told_at_the_end",
        ),
    ),
    "floods who waits for a snapshot": both(
        f"{DEFECTS}a_follower_without_its_snapshot_is_not_flooded",
        "raft/test_sending.py::test_one_sign_of_life_a_round_while_no_piece_may_go",
    ),
    "cannot make a snapshot of what cannot be pickled": Row(
        f"{PARTS}the_library_cannot_make_a_snapshot_of_a_lock", NOT_THERE
    ),
    "numbers its methods by their order": Row(f"{PARTS}the_library_numbers_methods_by_their_order", NOT_THERE),
    "makes its snapshots in the log's thread": Row(
        f"{PARTS}the_library_makes_its_snapshots_in_the_tick",
        (f"{PARTS}a_snapshot_of_ours_is_written_by_a_worker", *NOT_THERE),
    ),
    "fails a command that it has queued": Row(
        f"{PARTS}the_library_fails_a_command_that_it_has_queued",
        (*NOT_THERE, "raft/test_admission.py::test_callers_are_limited_until_they_are_answered"),
    ),
    "leaks connections, resolves names in the log's thread": Row(
        f"{PARTS}the_library_asks_for_the_wrong_family",
        (
            "raft/test_transport.py::test_the_newest_process_under_a_name_wins_for_good",
            f"{PARTS}a_node_of_ours_has_an_address_and_no_name_to_look_up",
            *NOT_THERE,
        ),
    ),
    "leads alone for half a minute": both(
        f"{DEFECTS}a_leader_alone_steps_down_within_an_election_timeout",
        f"{SCENARIOS}an_isolated_leader_knows_within_an_election_timeout",
    ),
    "changes leaders for one broken link": both(
        f"{DEFECTS}who_hears_a_leader_keeps_it", f"{SCENARIOS}one_broken_link_changes_nothing"
    ),
    "raises its term while it hears nobody": both(
        f"{DEFECTS}a_node_that_hears_nobody_raises_no_term",
        f"{SCENARIOS}a_node_alone_for_long_comes_back_quietly",
    ),
    "lets a leader of the past believe": both(
        f"{DEFECTS}a_leader_of_the_past_is_told", f"{CORRECTIONS}a_node_ahead_of_its_leader_is_heard"
    ),
    "counts a repeated vote": both(f"{DEFECTS}a_voter_counts_once", f"{CORRECTIONS}a_voter_counts_once"),
    "reads what others have replaced": Row(
        f"{DEFECTS}a_leader_alone_steps_down_within_an_election_timeout",
        (
            f"{CORRECTIONS}a_leader_that_was_replaced_answers_no_read",
            "raft/test_replica.py::test_a_barrier_shows_what_another_node_committed",
        ),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_closed_by_tests_that_are_there(row: str) -> None:
    """The table points at tests that exist, and the first half of each meets the library itself."""
    for each in (ROWS[row].stock, *ROWS[row].ours):
        file, _, name = each.partition("::")
        assert f"\ndef {name}(" in (TESTS / file).read_text(), each
    assert ROWS[row].stock.startswith((DEFECTS, PARTS))
    assert ROWS[row].ours
