"""Whatever a file holds, loading ends with a Config or a ConfigError, and says what a reload takes."""

import json
import time
from pathlib import Path

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.config import Config, ConfigError, loads, to_json
from node.config.compare import Difference, compare
from node.config.findings import Findings
from node.config.reader import load_source
from node.config.schema import Root
from node.config.source import Source
from node.config.toml_text import toml_key, toml_value
from node.config.validate import validate
from tests.config.helpers import LONE, SERVICE, accepted

DATA = Path(__file__).parent / "data"
COMPLETE = (DATA / "complete.toml").read_text()
SEED = (DATA / "rrdnsd.json").read_text()
SPLINTERS = st.sampled_from(
    [*"[]{}\"'=.#5\\,é\n\x00", '"""', "-1", "true", '"{}"', "1979-05-27", "inf", "9" * 12, "a.b=1", "zones=[]"]
) | st.sampled_from(["[[x]]\n", "[services]\n", "[[services]]\n", "[[nodes]]\n"])


@st.composite
def mutated(draw, text):
    """Cut, swap and insert pieces of a valid file."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        other = draw(st.integers(0, max(0, len(text) - 20)))
        piece = draw(SPLINTERS | st.just("") | st.just(text[other : other + 20]))
        text = text[:start] + piece + text[end:]
    return text


def faults_in(source):
    """Load a text and return what is wrong with it; nothing when it is accepted."""
    try:
        load_source(source, {}, "ns1")
    except ConfigError as error:
        return error
    return ConfigError([])


def assert_well_told(source):
    """Faults have places inside of the text, and can be shown."""
    error = faults_in(source)
    lines = source.text.count("\n") + 1
    assert [] == [each for each in error.faults if each.file == source.name and not 0 <= each.line <= lines]
    assert bool(error.faults) == any(each.level == "error" for each in error.faults)
    assert bool(error.faults) == bool(error.render())
    assert len(error.faults) == len(json.loads(to_json(error.faults)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(COMPLETE))
def test_a_mutated_toml_is_loaded_or_refused(text):
    """No other exception than ConfigError leaves ``load``."""
    assert_well_told(Source("c.toml", text, DATA))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(SEED))
def test_a_mutated_json_is_loaded_or_refused(text):
    """The same for rrdnsd's files."""
    assert_well_told(Source("r.json", text, DATA, is_json=True))


_junk = st.one_of(
    st.sampled_from(
        [
            "",
            "{}",
            "http://{}",
            "x://{}:1/{}",
            "{}:99999",
            "[::1]:1",
            "0.0.0.0:53",
            "::",
            "-1s",
            "100%",
            "env:X",
        ]
    ),
    st.sampled_from(
        [
            "a..b",
            "*.example.com",
            "www.example.com",
            "example.com",
            "@ A 1\n( A",
            "$INCLUDE /",
            "\x00",
            "(",
            "ns1",
        ]
    ),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.lists(st.sampled_from(["192.0.2.1", "ns9", "{}", "200-99", "1s"]), max_size=3),
    st.just({}),
    st.text(max_size=6),
)


def places(data, path=()):
    """List the path of everything in some data."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [found for key, inner in pairs for found in ((*path, key), *places(inner, (*path, key)))]


def replaced(data, path, value):
    """Return data with one thing in it replaced; where the path leads nowhere, nothing is."""
    if not path:
        return value
    if isinstance(data, dict):
        return {
            key: replaced(inner, path[1:], value) if key == path[0] else inner for key, inner in data.items()
        }
    if isinstance(data, list):
        return [replaced(inner, path[1:], value) if key == path[0] else inner for key, inner in enumerate(data)]
    return data


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(places(tomli.loads(COMPLETE))), _junk), min_size=1, max_size=3))
def test_a_file_with_some_values_replaced_is_loaded_or_refused(changes):
    """Files that parse reach the schema and the rules, whatever their values are."""
    data = tomli.loads(COMPLETE)
    for path, value in changes:
        data = replaced(data, path, value)
    text = "".join(f"{toml_key(key)} = {toml_value(value)}\n" for key, value in data.items())
    assert_well_told(Source("c.toml", text, DATA))


_words = st.sampled_from(
    [
        "cluster",
        "nodes",
        "name",
        "raft",
        "services",
        "fqdn",
        "healthcheck",
        "endpoints",
        "zones",
        "push",
        "tsig",
        "api",
        "tokens",
        "dns",
        "listen",
        "health",
        "interval",
        "records",
        "url",
        "tcp",
        "headers",
        "tls",
        "address",
        "log",
    ]
)
_data = st.recursive(
    st.none() | st.integers() | st.booleans() | st.floats() | st.text(max_size=8) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_words, _data, max_size=5))
def test_data_of_any_shape_is_judged(data):
    """Wrong types in wrong places are findings, never a crash; what is left still validates."""
    findings = Findings()
    valid = validate(data, findings)
    assert isinstance(valid.root, Root)
    assert bool(valid.dropped) == findings.has_errors


def test_two_thousand_services_load_in_good_time():
    """A large file is no reason to wait, faults or not."""
    text = LONE + "".join(SERVICE.replace("www", f"w{n}") for n in range(2000))
    started = time.perf_counter()
    assert 2000 == len(accepted(text).services)
    with pytest.raises(ConfigError):
        loads(text + "ttl = 0\n", {})
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("", Difference()),
        ('[cluster]\nname = "other"\n', Difference(restart=("cluster",))),
        ('[raft]\nheartbeat = "60ms"\n', Difference(restart=("raft",))),
        ('[api]\nlisten = "127.0.0.1:1234"\n', Difference(restart=("nodes", "api.listen"))),
        ('[log]\nlevel = "debug"\n', Difference(reload=("log",))),
        (SERVICE, Difference(apply=("services",))),
        ('[[tsig]]\nname = "k"\nsecret = "env:K"\n', Difference(reload=("tsig",))),
    ],
)
def test_a_reload_knows_what_a_change_takes(change, expected):
    """Addresses need a restart, the log's own things need ``apply``, the rest is taken over."""
    difference = compare(accepted(LONE), accepted(LONE + change))
    assert expected == difference
    assert bool(change) == bool(difference)
    assert isinstance(accepted(LONE), Config)
