"""Commands from the log: what was written is read, and anything else is told as no command."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.state.command import (
    FORMAT,
    FORMATS,
    BadCommand,
    Command,
    DropVotes,
    Entry,
    SetFormat,
    decode,
    encode,
    format_of,
)
from tests.state.examples import ENTRIES, GOLDEN, kinds

FIELDS = GOLDEN.with_name("command-fields.json")
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


def test_every_kind_is_in_the_golden_file() -> None:
    """A new kind is added to the golden file when it comes: python -m tests.state.examples."""
    assert kinds() == {each["kind"] for each in json.loads(GOLDEN.read_text())}


def test_the_golden_commands_are_still_read() -> None:
    """What an earlier version wrote means the same to this one, kind by kind and field by field."""
    for each in json.loads(GOLDEN.read_text()):
        octets = bytes.fromhex(each["octets"])
        assert ENTRIES[each["number"]] == decode(octets), each["kind"]
        assert octets[0] == format_of(decode(octets).command)


def fields_below(type_: Any, found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Add the fields of all structs that a type is made of, by the struct's name."""
    if isinstance(type_, msgspec.inspect.StructType):
        name = f"{type_.cls.__module__}.{type_.cls.__name__}"
        if name not in found:
            found[name] = [each.name for each in type_.fields]
            for field in type_.fields:
                fields_below(field.type, found)
    for part in ("types", "item_types", "item_type", "key_type", "value_type"):
        inner = getattr(type_, part, ())
        for each in inner if isinstance(inner, tuple) else (inner,):
            fields_below(each, found)
    return found


def test_no_field_comes_without_a_format() -> None:
    """An older node drops what it does not know, and its State would go another way: say in the file which format has it.

    ``format_of`` has to ask for that format where the field is used; its proposers wait until the cluster is at it.
    """
    known = json.loads(FIELDS.read_text())
    found = fields_below(msgspec.inspect.type_info(Command), {})
    assert {name: [*fields] for name, fields in known.items()} == found
    assert {*range(1, FORMAT + 1)} == {since for fields in known.values() for since in fields.values()}


def test_an_entry_tells_which_format_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old kinds stay readable for old nodes; a kind of format 2 is read by those who read that."""
    monkeypatch.setitem(FORMATS, DropVotes, 2)
    old, new = encode(ENTRY), encode(Entry(DropVotes("ns1"), 0))
    assert (1, 2) == (old[0], new[0])
    assert ENTRY == decode(old, 1) == decode(old, 2)
    assert DropVotes("ns1") == decode(new, 2).command
    with pytest.raises(BadCommand, match="format 2 is not known here, 1 is the newest"):
        decode(new, 1)
