"""A node says up or down only after enough results in a row."""

from hypothesis import given
from hypothesis import strategies as st

from node.health.vote import STREAK_MAX, Opinion, observe, wants_recheck


def recount(results: list[bool], rise: int, fall: int) -> bool | None:
    """Do the same from the whole history."""
    vote = None
    for end in range(1, len(results) + 1):
        history = results[:end]
        if len(history) >= rise and all(history[-rise:]):
            vote = True
        if len(history) >= fall and not any(history[-fall:]):
            vote = False
    return vote


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 5), st.integers(1, 5))
def test_votes_follow_streaks(results, rise, fall):
    """The vote after any history is the one that the last long enough streak gave."""
    opinion = Opinion()
    for up in results:
        opinion = observe(opinion, up, rise, fall)
    assert recount(results, rise, fall) == opinion.vote


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_a_recheck_is_wanted_exactly_while_the_result_speaks_against_the_vote(results):
    """Without a vote, or with the opposite one, the next probe should come soon."""
    opinion = Opinion()
    for up in results:
        opinion = observe(opinion, up, 2, 3)
    assert wants_recheck(opinion, results[-1]) == (recount(results, 2, 3) != results[-1])


def test_streaks_are_bounded():
    """An endpoint that is up for years does not count to infinity."""
    opinion = Opinion(True, STREAK_MAX, 0)
    assert opinion == observe(opinion, True, 2, 3)
