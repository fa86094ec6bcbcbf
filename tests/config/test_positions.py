"""The key index: where keys and values stand, whatever the way they are written."""

import json

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from node.config.positions import Index
from node.config.toml_text import toml_key, toml_value

TEXT = '''\
top = 1 # [not] = a table
dotted.a . "b c" = [1, 2]

[table] # x = 1
  'quoted' = "a \\" # = ]"
text = """
one = 1
\\"""two" """
raw = \'\'\'[[no]]
\'\'\'
when = 1979-05-27 07:32:00
[[list]]
name = { in.ner = [ { x = 1 }, { y = "}" } ], z = 2 }
[list.sub]
k = 1
[[list]]
name = 3
[[list.deep]]
v = 4
[[list.deep]]
v = 5
'''


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("top",), "1"),
        (("dotted", "a", "b c"), "[1, 2]"),
        (("dotted", "a", "b c", 1), "2"),
        (("table", "quoted"), '"a \\" # = ]"'),
        (("table", "text"), '"""\none = 1\n\\"""two" """'),
        (("table", "raw"), "'''[[no]]\n'''"),
        (("table", "when"), "1979-05-27 07:32:00"),
        (("list", 0, "name", "in", "ner", 1, "y"), '"}"'),
        (("list", 0, "name", "z"), "2"),
        (("list", 0, "sub", "k"), "1"),
        (("list", 1, "name"), "3"),
        (("list", 1, "deep", 1, "v"), "5"),
    ],
)
def test_a_value_is_found_at_its_path(path, value):
    """Tables, arrays of tables, inline tables, dotted and quoted keys, all kinds of strings."""
    span = Index(TEXT).value_span(path)
    assert value == TEXT[span.start : span.end]


def test_a_table_is_found_at_its_header_and_what_is_unknown_at_what_holds_it():
    """The nearest thing around stands in for what is not there."""
    index = Index(TEXT)
    header = index.key_span(("list", 1, "missing"))
    assert "[[list]]" == TEXT[header.start : header.end]
    assert (16, 1) == index.place(header.start)
    assert Index("").value_span(("a",)) is None


def test_json_is_indexed_too():
    """rrdnsd's files get places as well."""
    text = '{ "a": [ {"b\\u0041": "x"}, null ],\n "c": -1.5e3 }'
    index = Index(text, is_json=True)
    for path, value in ((("a", 0, "bA"), '"x"'), (("a", 1), "null"), (("c",), "-1.5e3")):
        span = index.value_span(path)
        assert value == text[span.start : span.end]


_keys = st.text("ab-_1. \"'\\#=[]é", min_size=1, max_size=5)
_values = st.recursive(
    st.integers(-99, 99) | st.booleans() | st.text("ab \"'\\#=[]{},\n\té", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)


def leaves(value, path=()):
    """Yield every path with the value that stands there."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path, value


@given(st.dictionaries(_keys, _values, max_size=4))
def test_the_text_found_at_a_path_is_the_value_that_the_parser_gave(data):
    """Over TOML: what the index points at, read on its own, is the parsed value."""
    text = "".join(f"{toml_key(key)} = {toml_value(value)}\n" for key, value in data.items())
    parsed = tomli.loads(text)
    assert data == parsed
    index = Index(text)
    for path, value in leaves(parsed):
        span = index.values[path]
        assert {"x": value} == tomli.loads(f"x = {text[span.start : span.end]}")


@given(st.dictionaries(_keys, _values, max_size=4))
def test_the_same_holds_for_json(data):
    """Over JSON: what the index points at, read on its own, is the parsed value."""
    text = json.dumps(data, indent=1)
    index = Index(text, is_json=True)
    for path, value in leaves(data):
        span = index.values[path]
        assert value == json.loads(text[span.start : span.end])


@given(st.text("a=[]{}\"'\\#.,\n 1", max_size=60))
def test_a_text_that_no_parser_accepts_does_no_harm(text):
    """The index of a malformed text stops early and says what it knows."""
    index = Index(text)
    assert all(
        0 <= span.start <= span.end <= len(text) for span in (*index.keys.values(), *index.values.values())
    )
