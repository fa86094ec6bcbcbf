"""Patterns over other people's text are bounded in time, whatever they are."""

import asyncio
import time

import pytest

from node.probe.pattern import Patterns, PatternTooSlow, is_plain


def search(*questions, then=None):
    async def play():
        patterns = Patterns()
        try:
            return [await patterns.search(*question) for question in questions]
        finally:
            await patterns.close()

    return asyncio.run(play())


def test_plain_patterns_are_told_from_branching_ones():
    """Only what neither repeats nor branches is searched in the event loop's own thread."""
    assert [True] * 4 == [is_plain(text) for text in ("healthy", "^ok$", '"status": "ok"', r"[a-f]\.x")]
    branching = ("a*", "a+", "a?", "a{3}", "a|b", "(a)", r"(.)\1", "a" * 201)
    assert [False] * 8 == [is_plain(text) for text in branching]


def test_both_ways_find_the_same():
    """The worker says what the engine says."""
    questions = [("ok", "it is ok"), ("^ok$", "it is ok"), ("o+k", "it is ook"), ("(x|y)z", "it is ok")]
    assert [True, False, True, False] == search(*questions)


def test_a_broken_pattern_is_never_found():
    """A pattern that the engine refuses finds nothing and breaks nothing."""
    assert [False, False, True] == search(("[", "["), ("(", "("), ("a+", "a"))


def test_a_slow_pattern_ends_in_time_and_harms_no_other():
    """The search is cut off, the pattern is set aside, and the next one gets a fresh worker."""

    async def play():
        patterns = Patterns()
        text = "a" * 3000 + "!"
        try:
            with pytest.raises(PatternTooSlow):
                await patterns.search("(a+)+$", text)
            started = time.monotonic()
            with pytest.raises(PatternTooSlow):
                await patterns.search("(a+)+$", text)
            assert time.monotonic() - started < 0.05
            assert await patterns.search("a+!", text)
        finally:
            await patterns.close()

    started = time.monotonic()
    asyncio.run(play())
    assert time.monotonic() - started < 3


def test_the_loop_goes_on_during_a_slow_search():
    """While a pattern backtracks, everything else keeps its turn."""

    async def play():
        patterns = Patterns()
        await patterns.search("a+", "a")
        slow = asyncio.create_task(patterns.search("(a+)+$", "a" * 3000 + "!"))
        longest = 0.0
        while not slow.done():
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)
        with pytest.raises(PatternTooSlow):
            slow.result()
        await patterns.close()
        return longest

    assert asyncio.run(play()) < 0.15


def test_a_cancelled_search_leaves_no_answer_behind():
    """The next question never gets the answer of one that was given up."""

    async def play():
        patterns = Patterns()
        try:
            for _ in range(5):
                slow = asyncio.create_task(patterns.search("a+b", "ab" * 30_000))
                await asyncio.sleep(0)
                slow.cancel()
                assert not await patterns.search("x+y", "ab")
        finally:
            await patterns.close()

    asyncio.run(play())
