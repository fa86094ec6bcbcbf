"""Verdicts against an obviously right, slow twin."""

import itertools

from node.health.verdict import decide, quorum


def test_quorum_is_a_strict_majority() -> None:
    """1 of 1, 2 of 2, 2 of 3, 3 of 4, 3 of 5."""
    assert [1, 2, 2, 3, 3] == [quorum(count) for count in (1, 2, 3, 4, 5)]


def test_every_case_up_to_five_voters() -> None:
    """A side wins when more than half of the configured voters are on it; else the last verdict stays."""
    for count in range(1, 6):
        voters = [f"n{number}" for number in range(count)]
        for said in itertools.product((True, False, None), repeat=count):
            votes = {name: vote for name, vote in zip(voters, said, strict=True) if vote is not None}
            for last in ("up", "down", "undecided"):
                up, down = said.count(True), said.count(False)
                expected = "up" if 2 * up > count else "down" if 2 * down > count else last
                assert expected == decide(votes, voters, last)


def test_others_than_the_voters_do_not_count() -> None:
    """A removed node's vote is nothing, and without voters nothing is decided."""
    assert "up" == decide({"x": False, "y": False, "n1": True}, ["n1"], "undecided")
    assert "up" == decide({"x": False}, [], "up")
