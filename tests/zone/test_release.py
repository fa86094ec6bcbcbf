"""Letting go in steps."""

from node.zone.release import STEP, release


def test_everything_goes_in_steps() -> None:
    """Lists and dicts are emptied, with a pause after each thousand."""
    for things in (list(range(2 * STEP + 1)), dict.fromkeys(range(2 * STEP + 1)), [], {}):
        expected, pauses = -(-len(things) // STEP), []
        release(things, lambda found=pauses: found.append(1))  # type: ignore[misc]
        assert (0, expected) == (len(things), len(pauses))
