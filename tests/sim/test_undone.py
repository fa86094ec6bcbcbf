"""The simulation is worth its time: without a correction it finds what breaks."""

import pytest

from tests.sim.run import run_seed
from tests.sim.undone import first_noticed

NOTICED = {
    "sync before disclosure": 9,
    "prefix skip on append": 2,
    "read barrier": 34,
}
"""A seed that found it once; other chances follow from other code, so more are tried.

These three are noticed by many seeds. The rarer ones have a witness each that is played step by step:
see ``test_sensitivity``.
"""


@pytest.mark.parametrize("name", NOTICED)
def test_what_is_undone_is_noticed(name: str) -> None:
    """Some seed fails without the correction, and does not with it."""
    seed = NOTICED[name]
    found = first_noticed(name, [seed, *range(1, 250)], run_seed)
    assert found is not None
    run_seed(found[0])
