"""The comparison itself can fail: it finds what is lost, forged, refused but there, and wrong."""

import pytest

from tests.cluster.ledger import Ledger, compare

HELD = {"w1": ['"w1"'], "w2": ['"w2"']}


def ledger(*fates: tuple[str, str]) -> Ledger:
    """Return a ledger with the fates of writes."""
    made = Ledger()
    for name, code in fates:
        made.note(name, 1, code)
    return made


def test_acknowledged_and_unknown_writes_may_be_there() -> None:
    """What was acknowledged is there; what nobody knows of may or may not be."""
    compare("ns1", HELD, ledger(("w1", "ok"), ("w2", "outcome_unknown"), ("w3", "outcome_unknown")))


@pytest.mark.parametrize(
    ("fates", "held", "fault"),
    [
        ((("w1", "ok"), ("w2", "ok"), ("w3", "ok")), HELD, "1 writes are lost: w3"),
        ((("w1", "ok"), ("w2", "no_leader")), HELD, "1 writes are refused but there: w2"),
        ((("w1", "ok"),), HELD, "1 writes are forged: w2"),
        ((("w1", "ok"),), {"w1": ['"w2"']}, "1 writes are wrong: w1"),
    ],
)
def test_what_must_not_be(fates: tuple[tuple[str, str], ...], held: dict[str, list[str]], fault: str) -> None:
    """Each kind of difference is an error that names the writes."""
    with pytest.raises(AssertionError, match=fault):
        compare("ns1", held, ledger(*fates))
