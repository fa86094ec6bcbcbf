"""Names: one canonical form, text and wire, order and kinship."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.zone.name import (
    ROOT,
    BadName,
    from_labels,
    from_text,
    from_wire,
    is_within,
    iter_ancestors,
    iter_labels,
    parent,
    relative_text,
    sort_key,
    to_text,
    wildcard_of,
)

LABELS = st.lists(st.binary(min_size=1, max_size=20), max_size=8)


@given(LABELS)
def test_text_and_wire_bring_a_name_back(labels: list[bytes]) -> None:
    """Any octets survive the way through text (RFC 1035 section 5.1) and through wire."""
    name = from_labels(labels)
    assert name == from_text(to_text(name))
    assert name == from_wire(name)
    assert [label.lower() for label in labels] == list(iter_labels(name))


@given(LABELS, LABELS)
def test_a_relative_text_is_completed_by_its_origin(labels: list[bytes], above: list[bytes]) -> None:
    """``relative_text`` and ``from_text`` with the same origin are inverse."""
    origin = from_labels(above)
    name = from_labels([*labels, *above])
    assert name == from_text(relative_text(name, origin), origin)


def test_case_makes_no_difference() -> None:
    """RFC 4343 section 2."""
    assert from_text("WWW.Example.ORG") == from_text("www.example.org.")
    assert from_wire(b"\x03WWW\x00") == from_text("www")


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (".", b"\x00"),
        ("a", b"\x01a\x00"),
        ("a\\.b.c", b"\x03a.b\x01c\x00"),
        ("\\000\\255", b"\x02\x00\xff\x00"),
        ("\\\\.x", b"\x01\\\x01x\x00"),
        ("bücher.example", b"\x0dxn--bcher-kva\x07example\x00"),
        ("*.x", b"\x01*\x01x\x00"),
    ],
)
def test_text_means_these_octets(text: str, wire: bytes) -> None:
    """Escapes, A-labels, the root."""
    assert wire == from_text(text)


@pytest.mark.parametrize(
    "text",
    ["", "..", "a..b", ".a", "a\\", "a\\25", "a\\256", "a\\é", "a" * 64, ".".join(["a" * 63] * 4), "bü..x"],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    """Empty labels, broken escapes, 63 and 255 octets (RFC 1035 section 2.3.4)."""
    with pytest.raises(BadName):
        from_text(text)


@pytest.mark.parametrize(
    "wire", [b"", b"\x01a", b"\x00\x00", b"\xc0\x00", b"\x40" + b"a" * 64 + b"\x00", b"\x05abc\x00"]
)
def test_octets_that_are_no_name_are_refused(wire: bytes) -> None:
    """Cut short, too much, a pointer, a long label."""
    with pytest.raises(BadName):
        from_wire(wire)


def test_limits_are_reached_exactly() -> None:
    """63 octets a label and 255 a name are allowed (RFC 1035 section 2.3.4)."""
    longest = from_labels([b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61])
    assert 255 == len(longest)
    with pytest.raises(BadName):
        from_labels([b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 62])
    with pytest.raises(BadName):
        wildcard_of(longest)


def test_names_sort_as_in_the_rfc() -> None:
    """The example of RFC 4034 section 6.1."""
    ordered = [
        "example",
        "a.example",
        "yljkjljk.a.example",
        "Z.a.example",
        "zABC.a.EXAMPLE",
        "z.example",
        "\\001.z.example",
        "*.z.example",
        "\\200.z.example",
    ]
    names = [from_text(text) for text in ordered]
    assert names == sorted(set(names), key=sort_key)


@given(LABELS, LABELS)
def test_kinship_follows_the_labels(labels: list[bytes], others: list[bytes]) -> None:
    """A name lies within another when that one's labels end its own; octets that look alike do not count."""
    name, other = from_labels(labels), from_labels(others)
    own, theirs = list(iter_labels(name)), list(iter_labels(other))
    assert (len(theirs) == 0 or own[-len(theirs) :] == theirs) == is_within(name, other)


def test_kinship_is_not_fooled_by_octets() -> None:
    """A label may hold the wire form of a name."""
    assert not is_within(from_labels([b"x\x03foo"]), from_labels([b"foo"]))


def test_ancestors_end_at_the_root() -> None:
    """A name, its parent, and so on."""
    assert ["a.b.", "b.", "."] == [to_text(name) for name in iter_ancestors(from_text("a.b"))]
    assert ROOT == parent(ROOT)
