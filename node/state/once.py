"""Each ticket is used once: of a further entry with it only the first one's result is told again.

A proposer whose try ended without an outcome tries again under the same ticket, on whatever node. What the
first entry with a ticket came to is kept in a book: one for the nodes' own numbers, one for the keys that
users of the API choose, so that neither pushes the other out. A refusal is kept like a success, since a
caller who was told of it must not find its command carried out later.

A book is bounded. The log drives what is forgotten, by position alone: a further row makes the oldest go.
The wall clocks in the entries have no part in it; one wrong clock would empty the books. Nothing is done
twice for that: a book knows the index of the newest row it lost, and an entry without a row whose proposer
began before that index is refused as stale, for it may be a repetition. Rows are per ticket and not per
client, so the proposals of one node may overtake each other.
"""

import hashlib
from collections.abc import Callable, Iterator

import msgspec
from immutables import Map

from node.state.command import Entry, Ticket
from node.state.state import Applied, Book, Changed, Kept, Refused, Result, State, advanced

TRIES_MAX = 8_192
"""Rows of the nodes' own tickets: seconds, for the time of a few tries."""
KEYS_MAX = 10_000
"""Rows of keys that users chose: as many writes with a key, however long that takes."""

_encode = msgspec.msgpack.Encoder().encode


def carry_out(
    state: State, index: int, entry: Entry, first_time: Callable[[State, int, Entry], Applied]
) -> Applied:
    """Apply an entry by ``first_time``, unless its ticket was used or may have been."""
    ticket = entry.ticket
    if ticket is None:
        return first_time(state, index, entry)
    result = find(state, ticket, index)
    if result is None and ticket.since < _book(state, ticket).forgotten_index:
        result = Refused(index, "stale", "this may be a repetition of what is forgotten; nothing was changed")
    if result is not None:
        return Applied(advanced(state, index), result, Changed())
    applied = first_time(state, index, entry)
    return msgspec.structs.replace(applied, state=_with(applied.state, _kept(ticket, applied.result)))


def find(state: State, ticket: Ticket, index: int = 0) -> Result | None:
    """Return what the ticket's first entry came to, None when there is none.

    Another request under its key is refused, as of ``index``.
    """
    book = _book(state, ticket)
    number = book.numbers.get((ticket.client, ticket.key))
    if number is None:
        return None
    kept = book.rows[number]
    if kept.digest != ticket.digest:
        text = f"the key {ticket.key} was used for another request; nothing was changed"
        return Refused(index, "key-reused", text, "take a new key for a new request")
    return kept.result


def added(book: Book, kept: Kept, rows_max: int) -> Book:
    """Return the book with a further row, and without the oldest ones that are too many."""
    rows, numbers = book.rows.mutate(), book.numbers.mutate()
    rows[book.next] = kept
    numbers[kept.client, kept.key] = book.next
    digest, forgotten_index = book.digest ^ _digest(book.next, kept), book.forgotten_index
    oldest = book.next + 1 - len(rows)
    while len(rows) > rows_max:
        gone = rows.pop(oldest)
        del numbers[gone.client, gone.key]
        digest ^= _digest(oldest, gone)
        forgotten_index = gone.result.index
        oldest += 1
    return Book(rows.finish(), numbers.finish(), book.next + 1, forgotten_index, digest)


def rows_of(book: Book) -> Iterator[Kept]:
    """Yield a book's rows, the oldest first."""
    return (book.rows[number] for number in range(book.next - len(book.rows), book.next))


def book_of(rows: list[Kept], following: int, forgotten_index: int) -> Book:
    """Return the book with these rows, of which the last one's number is before ``following``."""
    numbered = list(enumerate(rows, following - len(rows)))
    digest = 0
    for number, each in numbered:
        digest ^= _digest(number, each)
    tickets: list[tuple[tuple[str, int | str], int]] = [
        ((each.client, each.key), number) for number, each in numbered
    ]
    return Book(Map(numbered), Map(tickets), following, forgotten_index, digest)


def _kept(ticket: Ticket, result: Result) -> Kept:
    accepted, refused = (None, result) if isinstance(result, Refused) else (result, None)
    return Kept(ticket.client, ticket.key, ticket.digest, accepted, refused)


def _with(state: State, kept: Kept) -> State:
    if isinstance(kept.key, int):
        return msgspec.structs.replace(state, tries=added(state.tries, kept, TRIES_MAX))
    return msgspec.structs.replace(state, keys=added(state.keys, kept, KEYS_MAX))


def _book(state: State, ticket: Ticket) -> Book:
    return state.tries if isinstance(ticket.key, int) else state.keys


def _digest(number: int, kept: Kept) -> int:
    return int.from_bytes(hashlib.blake2b(_encode((number, kept)), digest_size=16).digest(), "big")
