"""Every known defect of the library in one table: which test shows it closed, or why it cannot occur.

A test is named as ``file::test``; anything else is a reason. A row whose test is gone, or renamed, fails.
"""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

ROWS: dict[str, tuple[str, ...]] = {
    "commits a divergent tail while a snapshot arrives": (
        "raft/test_defects.py::test_a_snapshot_commits_nothing_but_itself",
        "sim/test_corrections.py::test_a_snapshot_commits_nothing_but_itself",
    ),
    "clears the journal after a kill around a compaction": (
        "raft/test_defects.py::test_a_restart_keeps_what_follows_the_snapshot",
        "raft/test_defects.py::test_a_restart_of_ours_keeps_what_follows_the_snapshot",
    ),
    "rewrites the journal in place": ("raft/test_journal.py::test_a_compaction_that_fails_loses_nothing",),
    "cuts entries that agree": (
        "raft/test_defects.py::test_acknowledged_entries_outlive_a_repeated_message",
        "sim/test_corrections.py::test_a_late_message_cuts_nothing_that_agrees",
    ),
    "counts acknowledgements of other terms": (
        "raft/test_defects.py::test_an_acknowledgement_of_another_term_counts_nothing",
        "sim/test_corrections.py::test_a_late_acknowledgement_of_another_term_counts_for_nothing",
    ),
    "changes the voters without limit": (
        "raft/test_defects.py::test_no_entry_of_the_library_changes_the_voters",
    ),
    "acknowledges a snapshot that it could not load, mixes two": (
        "raft/test_snapshots.py::test_a_received_snapshot_is_verified",
        "raft/test_snapshots.py::test_chunks_of_two_snapshots_never_mix",
        "sim/test_corrections.py::test_entries_behind_a_snapshot_stay",
        "sim/test_scenarios.py::test_the_answer_to_a_snapshot_may_get_lost",
    ),
    "syncs nothing, checks nothing it reads": (
        "raft/test_defects.py::test_a_power_loss_takes_nothing_acknowledged",
        "raft/test_journal.py::test_any_flipped_bit_is_refused",
        "raft/test_journal.py::test_the_commit_index_never_points_beyond_the_log",
        "sim/test_corrections.py::test_a_vote_outlives_the_power",
        "sim/test_corrections.py::test_what_is_acknowledged_outlives_the_power_of_all",
    ),
    "allows a journal without snapshots": (
        "raft/test_defects.py::test_a_journal_without_a_place_for_snapshots_cannot_be",
    ),
    "applies an entry again when its caller's callback fails": (
        "raft/test_defects.py::test_an_entry_is_applied_once_whatever_its_callback_does",
        "raft/test_replica.py::test_a_machine_that_raises_ends_the_log_loudly",
    ),
    "repeats a failing command for ever": (
        "raft/test_defects.py::test_an_empty_command_does_not_stop_the_log",
        "sim/test_scenarios.py::test_what_ends_the_log_is_not_lost_in_the_message_that_brought_it",
    ),
    "runs code that a peer sends": ("raft/test_defects.py::test_nothing_that_a_peer_sends_is_unpickled",),
    "lets a read-only peer lead": ("raft/test_defects.py::test_who_does_not_vote_cannot_lead",),
    "accepts frames that are played again": (
        "raft/test_transport_torture.py::test_frames_tampered_with_on_the_way_end_the_connection",
        "raft/test_handshake.py::test_a_recorded_handshake_cannot_be_played_again",
    ),
    "closes its port when descriptors run out": (
        "raft/test_transport_torture.py::test_running_out_of_file_descriptors_never_closes_the_port",
    ),
    "buffers what a stranger sends": (
        "raft/test_transport_torture.py::test_a_stranger_cannot_make_a_node_hold_much",
        "raft/test_transport_torture.py::test_messages_go_on_under_a_flood_of_strangers",
    ),
    "dies of a full disk": (
        "raft/test_journal.py::test_a_full_disk_ends_the_journal_and_keeps_what_was_confirmed",
        "sim/test_scenarios.py::test_a_failed_write_is_not_tried_again",
        "sim/test_scenarios.py::test_a_full_disk_met_while_voting_ends_the_node",
    ),
    "loses the first election to idle connections": (
        "raft/test_transport_torture.py::test_a_peer_that_falls_silent_is_noticed",
        "Pings keep idle connections; the library's own connection timeout never applies.",
    ),
    "waits half a minute for a dial": ("A dial ends after two seconds and is tried again at most two later.",),
    "goes back one entry a heartbeat": (
        "raft/test_defects.py::test_a_conflict_costs_one_answer",
        "sim/test_corrections.py::test_a_long_conflict_takes_few_messages",
    ),
    "forgets callers": (
        "sim/test_seeds.py::test_every_promise_holds_in_a_bad_world",
        "sim/test_scenarios.py::test_a_proposal_that_met_a_broken_journal_is_told_at_the_end",
    ),
    "floods who waits for a snapshot": (
        "raft/test_defects.py::test_a_follower_without_its_snapshot_is_not_flooded",
        "raft/test_sending.py::test_one_sign_of_life_a_round_while_no_piece_may_go",
    ),
    "cannot make a snapshot of what cannot be pickled": (
        "A machine gives its state as octets; nothing is pickled and nothing forks.",
    ),
    "numbers its methods by their order": ("A command is octets with a version of the machine's own.",),
    "makes its snapshots in the log's thread": (
        "Snapshots are written by a worker from an immutable version of the state.",
    ),
    "fails a command that it has queued": (
        "raft/test_admission.py::test_callers_are_limited_until_they_are_answered",
        "A proposal is refused before anything is done about it, or gets its true outcome.",
    ),
    "leaks connections, resolves names in the log's thread": (
        "raft/test_transport.py::test_the_newest_process_under_a_name_wins_for_good",
        "Addresses are IP addresses; a newer connection closes the older.",
    ),
    "leads alone for half a minute": (
        "raft/test_defects.py::test_a_leader_alone_steps_down_within_an_election_timeout",
        "sim/test_scenarios.py::test_an_isolated_leader_knows_within_an_election_timeout",
    ),
    "changes leaders for one broken link": (
        "raft/test_defects.py::test_who_hears_a_leader_keeps_it",
        "raft/test_defects.py::test_a_node_that_hears_nobody_raises_no_term",
        "sim/test_scenarios.py::test_one_broken_link_changes_nothing",
    ),
    "counts a repeated vote": (
        "raft/test_defects.py::test_a_voter_counts_once",
        "sim/test_corrections.py::test_a_voter_counts_once",
    ),
    "reads what others have replaced": (
        "sim/test_corrections.py::test_a_leader_that_was_replaced_answers_no_read",
        "raft/test_replica.py::test_a_barrier_shows_what_another_node_committed",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_closed_by_tests_that_are_there(row: str) -> None:
    """The table points at tests that exist, or says why none is needed."""
    for each in ROWS[row]:
        file, _, name = each.partition("::")
        if name:
            assert f"\ndef {name}(" in (TESTS / file).read_text(), each
        else:
            assert each.endswith("."), each
