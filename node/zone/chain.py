"""A sequence that is never changed: with one element more and the oldest ones less it is another one.

A tuple of a thousand elements would be copied whole for each further one, and each of its elements looked at.
Here the elements stand in blocks, which the next sequence shares; at most two of them are made anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar, overload

T = TypeVar("T")

BLOCK: Final = 32
"""About the square root of how many elements the longest ones have."""


class Chain(Sequence[T]):
    """Equal to every chain and tuple of equal elements; what slices of it give are tuples."""

    __slots__ = ("_blocks", "_count", "_last")

    def __init__(self, elements: Iterable[T] = ()) -> None:
        given = tuple(elements)
        whole = len(given) - len(given) % BLOCK
        self._blocks = tuple(given[begin : begin + BLOCK] for begin in range(0, whole, BLOCK))
        """Each of ``BLOCK`` elements, but for the first, which may be shorter."""
        self._last = given[whole:]
        self._count = len(given)

    def followed_by(self, element: T, gone: int = 0) -> "Chain[T]":
        """Return the chain with a further element, and without so many of the oldest ones."""
        after: Chain[T] = Chain.__new__(Chain)
        blocks, last = self._without(gone) if gone else (self._blocks, self._last)
        last = (*last, element)
        is_full = len(last) == BLOCK
        after._blocks, after._last = ((*blocks, last), ()) if is_full else (blocks, last)
        after._count = self._count - gone + 1
        return after

    def _without(self, gone: int) -> tuple[tuple[tuple[T, ...], ...], tuple[T, ...]]:
        """Return the blocks and the last elements that are left."""
        begin = 0
        while begin < len(self._blocks) and gone >= len(self._blocks[begin]):
            gone -= len(self._blocks[begin])
            begin += 1
        blocks = self._blocks[begin:]
        if blocks:
            return (blocks[0][gone:], *blocks[1:]), self._last
        return (), self._last[gone:]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        for block in self._blocks:
            yield from block
        yield from self._last

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        if isinstance(place, slice):
            return tuple(self)[place]
        position = place if place >= 0 else place + self._count
        if not 0 <= position < self._count:
            raise IndexError(f"there is no element {place} of {self._count}")
        if self._blocks:
            first = self._blocks[0]
            if position < len(first):
                return first[position]
            number, position = divmod(position - len(first), BLOCK)
            if number + 1 < len(self._blocks):
                return self._blocks[number + 1][position]
        return self._last[position]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chain | tuple):
            return NotImplemented
        return len(self) == len(other) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Chain({list(self)!r})"
