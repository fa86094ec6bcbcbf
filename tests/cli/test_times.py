"""Times as people read and write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli import times


@pytest.mark.parametrize(
    ("expected", "seconds"),
    [
        ("0 s", 0),
        ("41 s", 41.9),
        ("1m", 60),
        ("2m 10s", 130),
        ("1h 1m", 3660),
        ("3d 4h", 273_600),
        ("1d", 86_430),
    ],
)
def test_a_span_has_its_two_largest_units(expected: str, seconds: float) -> None:
    """What is smaller than the second unit is left out."""
    assert expected == times.span(seconds)


@pytest.mark.parametrize(
    ("expected", "text"),
    [("4m ago", "2026-11-22T14:08:00.000Z"), ("0s ago", "2027-01-01T00:00:00Z"), ("-", None)],
)
def test_ago(expected: str, text: str | None) -> None:
    """A time that another clock puts into the future is now."""
    assert expected == times.ago(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("14:08:00", "2026-11-22T14:08:00.000Z"),
        ("2026-11-21 14:08:00", "2026-11-21T14:08:00Z"),
        ("soon", "soon"),
    ],
)
def test_the_clock_shows_the_date_of_other_days(expected: str, text: str) -> None:
    """Today's times need no date; what is no time is shown as it is."""
    assert expected == times.clock(text)


@pytest.mark.parametrize(
    ("expected", "text"), [(0.25, "250ms"), (5, "5s"), (5, "5"), (120, "2m"), (5400, "1.5h"), (604_800, "7d")]
)
def test_durations(expected: float, text: str) -> None:
    """A number without a unit is in seconds."""
    assert expected == times.duration_s(text)


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5w", "1e3", "5 5", "inf", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The message shows how durations are written."""
    with pytest.raises(ValueError, match="is not a duration such as"):
        times.duration_s(text)


@given(st.integers(0, 10**12))
def test_grouped_digits_are_the_same_number(number: int) -> None:
    """Only spaces are put in, and never more than three digits stand together."""
    text = times.grouped(number)
    assert number == int(text.replace(" ", ""))
    assert all(len(group) <= 3 for group in text.split(" "))


def test_since_reads_points_in_time_and_durations() -> None:
    """``10m`` is ten minutes back from now."""
    assert times.parse("2026-11-22T14:02:03Z") == times.since("10m")
    assert times.parse("2026-11-22T14:00:00+01:00") == times.since("2026-11-22T13:00:00Z")
