"""Answers are read the same however their octets are cut, and never beyond the limits."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from node.probe.http_reader import BODY_OCTETS_MAX, BadAnswer, HttpReader

HEAD = b"HTTP/1.1 200 OK\r\n"


def read(*pieces: bytes) -> tuple[object, bytes] | str:
    """Read the pieces to the end; return status and body, or what is wrong."""
    reader = HttpReader(wants_body=True)
    try:
        for piece in pieces:
            if reader.feed(piece):
                return reader.status, bytes(reader.body)
        reader.finish()
    except BadAnswer as error:
        return str(error)
    return reader.status, bytes(reader.body)


def chunked(body: bytes, sizes: list[int]) -> bytes:
    out = bytearray()
    while body:
        size = sizes.pop() if sizes else len(body)
        out += f"{len(body[:size]):x};q=1\r\n".encode() + body[:size] + b"\r\n"
        body = body[size:]
    return bytes(out) + b"0\r\nTrailer: x\r\n\r\n"


@given(
    st.binary(max_size=300),
    st.lists(st.integers(1, 40)),
    st.lists(st.integers(0, 500), max_size=20),
    st.sampled_from("clx"),
)
def test_cuts_make_no_difference(body, sizes, cuts, framing):
    """Any body in any framing comes out whole, wherever the network cuts it."""
    heads = {
        "c": b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, sizes),
        "l": b"Content-Length: %d\r\n\r\n" % len(body) + body,
        "x": b"\r\n" + body,
    }
    octets = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + HEAD + heads[framing]
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    pieces = [octets[start:end] for start, end in pairwise(edges)]
    assert (200, body) == read(*pieces)


@given(st.binary(max_size=400), st.binary(max_size=400))
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0", b"\r\n")
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b"")
@example(b"HTTP/1.1 999 OK\r\n\r\n", b"")
def test_garbage_never_raises_anything_else(first, second):
    """Whatever the octets, the reader returns or raises ``BadAnswer``."""
    for start in (b"", HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", HEAD + b"Content-Length: 5\r\n\r\n"):
        found = read(start + first, second)
        assert isinstance(found, str) or len(found[1]) <= BODY_OCTETS_MAX


def test_the_body_is_capped_in_every_framing():
    """No more than the cap is kept, and the reading ends there."""
    body = b"x" * (BODY_OCTETS_MAX + 5)
    for octets in (
        b"\r\n" + body,
        b"Content-Length: 99999999\r\n\r\n" + body,
        b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, []),
        b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, [1000] * 60),
    ):
        assert (200, body[:BODY_OCTETS_MAX]) == read(HEAD + octets)


def test_equal_lengths_count_as_one():
    """Repeated equal Content-Length fields are one (RFC 9110 section 8.6)."""
    assert (200, b"ok") == read(HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok")


def test_the_transfer_encoding_wins_over_a_length():
    """With both, the chunks count (RFC 9112 section 6.3)."""
    assert (200, b"ok") == read(
        HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
