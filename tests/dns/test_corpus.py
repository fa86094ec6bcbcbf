"""The corpus of the fuzzer, replayed."""

from pathlib import Path

import pytest

from tests.dns.invariants import judge

CORPUS = sorted((Path(__file__).parent.parent / "corpus" / "dns").glob("*.bin"))


@pytest.mark.parametrize("path", CORPUS, ids=[path.stem for path in CORPUS])
def test_every_packet_keeps_the_invariant(path: Path) -> None:
    """What once broke something, and what a fuzzer starts from."""
    judge(path.read_bytes())


def test_the_corpus_is_there() -> None:
    """Seeds of each kind: queries, options, updates, notifies, signatures, broken ones."""
    assert len(CORPUS) > 20
