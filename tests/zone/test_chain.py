"""Chains against tuples, which is what they stand for."""

import random

import pytest

from node.zone.chain import BLOCK, Chain


def test_is_what_a_tuple_would_be() -> None:
    rng = random.Random(41)
    chain, twin = Chain[int](), ()
    for number in range(3_000):
        gone = rng.choice((0, 0, 1, 1, 2, rng.randrange(3 * BLOCK))) if len(twin) > rng.randrange(300) else 0
        gone = min(gone, len(twin))
        before = chain
        chain, former, twin = chain.followed_by(number, gone), twin, (*twin[gone:], number)
        assert (before, chain) == (former, twin)
        assert (len(chain), list(reversed(chain))) == (len(twin), list(reversed(twin)))
        assert [chain[place] for place in range(-len(twin), len(twin))] == [*twin, *twin]
        begin = rng.randrange(len(twin))
        assert chain[begin:] == twin[begin:]
        assert Chain(twin) == chain
        assert hash(Chain(twin)) == hash(chain)


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK])
def test_goes_on_from_any_length(count: int) -> None:
    chain = Chain(range(count))
    assert chain.followed_by(-1, gone=count) == (-1,)
    assert chain.followed_by(-1) == (*range(count), -1)
    assert chain == tuple(range(count))
    assert chain != tuple(range(1, count + 2))
    for place in (count, -count - 1):
        with pytest.raises(IndexError):
            chain[place]
