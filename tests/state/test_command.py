"""Commands from the log: what was written is read, and anything else is told as no command."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from node.state.command import BadCommand, Entry, SetFormat, decode, encode

ENTRY = Entry(command=SetFormat(format=1), at_ms=1_700_000_000_000, actor="a name", reason="because")


def test_what_was_written_is_read() -> None:
    """An entry comes back as it was."""
    assert ENTRY == decode(encode(ENTRY))


@given(st.integers(0, len(encode(ENTRY)) - 1), st.integers(1, 255), st.binary(max_size=60))
def test_other_octets_are_no_command_or_another(position: int, flip: int, other: bytes) -> None:
    """Whatever the octets, reading them gives an entry or ``BadCommand``: applying is total."""
    data = encode(ENTRY)
    for octets in (
        data[:position] + bytes((data[position] ^ flip,)) + data[position + 1 :],
        other,
        data[:position],
    ):
        with suppress(BadCommand):
            assert isinstance(decode(octets), Entry)
