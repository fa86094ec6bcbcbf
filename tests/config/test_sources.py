"""Which file is read, which node this is, and where values came from."""

import pytest

from node.config import ConfigError, load
from node.config.identity import NoIdentity, choose, is_own_address
from node.config.origin import dump_with_origin
from node.config.source import find
from tests.config.helpers import LONE, accepted

NODES = "".join(f'[[nodes]]\nname = "ns{n}"\nraft = "127.0.0.{n}:7300"\n' for n in (1, 2, 3))


def test_a_given_path_stands_before_conf_and_both_before_the_usual_places(tmp_path):
    """--config, CONF, ./cluster.toml, /etc/quorumdns/cluster.toml."""
    usual = tmp_path / "cluster.toml"
    usual.write_text("")
    assert ("a.toml", "") == (str(find("a.toml", {"CONF": "b.toml"}, [usual])[0]), "")
    path, note = find(None, {"CONF": "b.toml"}, [usual])
    assert ("b.toml", "[main] config overridden by envvar CONF: b.toml") == (str(path), note)
    assert usual == find(None, {}, [tmp_path / "no", usual])[0]


def test_no_file_at_all_is_told_with_the_places_that_were_looked_at(tmp_path):
    """The message says what to do next."""
    with pytest.raises(ConfigError) as caught:
        find(None, {}, [tmp_path / "cluster.toml"])
    assert str(tmp_path) in caught.value.render()
    assert "qdns dev" in caught.value.render()


@pytest.mark.parametrize(
    ("octets", "line", "column", "fragment"),
    [
        (b'[cluster]\nname = "\xff"\n', 2, 9, "0xff is not UTF-8"),
        (b"\xef\xbb\xbf[clutser]\r\n", 1, 1, "clutser"),
        (b"a = " + b"[" * 100_000, 1, 1, "nested too deeply"),
        (b"a = " + b"9" * 10_000, 1, 1, "invalid TOML"),
    ],
)
def test_octets_that_are_no_toml_are_refused_with_their_place(tmp_path, octets, line, column, fragment):
    """Whatever is in the file, the answer is a ConfigError."""
    path = tmp_path / "cluster.toml"
    path.write_bytes(octets)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    fault = caught.value.faults[0]
    assert (line, column, True) == (fault.line, fault.column, fragment in fault.message), fault


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\x00b"])
def test_what_cannot_be_read_is_told(tmp_path, name):
    """A missing file, a directory, an impossible name."""
    with pytest.raises(ConfigError, match="cannot read"):
        load(f"{tmp_path}/{name}", {})


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    """Everything has a limit."""
    monkeypatch.setattr("node.config.source.FILE_BYTES_MAX", 10)
    (tmp_path / "a.toml").write_text("# 34567890123")
    with pytest.raises(ConfigError, match="is larger than"):
        load(tmp_path / "a.toml", {})


def test_a_bad_zone_file_is_told_in_that_file(tmp_path):
    """A record's fault stands where the record stands."""
    (tmp_path / "z").write_text("a A 192.0.2.1\nb A nothing\n")
    text = '[[zones]]\nname = "example.com"\nnameservers = ["ns1.example.com"]\nfile = "z"\n'
    with pytest.raises(ConfigError) as caught:
        accepted(text, base=tmp_path)
    fault = caught.value.faults[0]
    assert (str(tmp_path / "z"), 2) == (fault.file, fault.line)
    assert "2 | b A nothing\n" in caught.value.render()


# --- which node -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "environ", "expected", "source"),
    [
        ("ns2", {"LOCAL_NODE": "ns1"}, "ns2", "flag"),
        (None, {"LOCAL_NODE": "ns3"}, "ns3", "environment"),
        (None, {"LOCAL_NODE": "127.0.0.2:7300"}, "ns2", "environment"),
        (None, {"LOCAL_NODE": "127.0.0.2:7380"}, "ns2", "environment"),
    ],
)
def test_the_flag_stands_before_the_environment(flag, environ, expected, source):
    """A node is named by its name, or by ip:port of raft or api."""
    config = accepted(NODES, environ, flag)
    assert (expected, source) == (config.node.name, config.node_source)


def test_the_choice_by_the_environment_is_noted_for_the_log():
    """The operator reads in the log what decided."""
    assert ("[main] local_node overridden by envvar LOCAL_NODE: ns3",) == accepted(
        NODES, {"LOCAL_NODE": "ns3"}
    ).notes


def test_without_a_wish_the_node_is_the_one_with_an_address_of_this_machine():
    """One file on three machines needs no further word."""
    nodes = accepted(NODES, {}, "ns1").nodes
    assert "ns2" == choose(nodes, None, {}, is_own=lambda address: address == "127.0.0.2").node.name


@pytest.mark.parametrize("own", [set(), {"127.0.0.1", "127.0.0.3"}])
def test_none_or_two_nodes_of_this_machine_are_told_with_the_candidates(own):
    """Guessing would start the wrong node on its data."""
    nodes = accepted(NODES, {}, "ns1").nodes
    with pytest.raises(NoIdentity, match=r"ns1 .*ns3"):
        choose(nodes, None, {}, is_own=own.__contains__)


def test_a_command_that_needs_no_node_runs_on_a_machine_that_is_none(tmp_path):
    """Checking or planning is done from anywhere; a wrong wish is still wrong."""
    path = tmp_path / "cluster.toml"
    path.write_text(
        NODES.replace("127.0.0", "203.0.113") + '[cluster]\nsecret = "env:S"\n[api]\nlisten = "127.0.0.1:1"\n'
    )
    config = load(path, {"S": "x" * 32}, needs_node=False)
    assert ("ns1", "unknown") == (config.node.name, config.node_source)
    assert ["no-identity"] == [each.code for each in config.warnings]
    with pytest.raises(ConfigError, match="no node of this file"):
        load(path, {"S": "x" * 32}, "ns9", needs_node=False)


def test_an_unknown_node_is_told_with_the_closest_name():
    """A slip of the finger is explained."""
    with pytest.raises(ConfigError) as caught:
        accepted(NODES, {"LOCAL_NODE": "ns22"})
    assert 'did you mean "ns2"?' in caught.value.render()


def test_loopback_is_an_address_of_this_machine_and_a_documentation_address_is_not():
    """Asked of the kernel, by binding."""
    assert (True, False) == (is_own_address("127.0.0.1"), is_own_address("203.0.113.77"))


# --- where values came from -----------------------------------------------------------------------


def test_every_value_is_shown_with_its_origin(tmp_path):
    """Flag, environment, file with line, default; what is worked out is shown as it came out."""
    path = tmp_path / "cluster.toml"
    path.write_text(LONE)
    environ = {"QDNS_LOG_LEVEL": "debug", "STATE_DIRECTORY": "/state"}
    found = {each.path: each for each in dump_with_origin(load(path, environ), environ)}
    assert ('"debug"', "environment", "QDNS_LOG_LEVEL") == (
        found["log.level"].value,
        found["log.level"].source,
        found["log.level"].where,
    )
    assert ('["127.0.0.1:9000"]', "file", f"{path}:5") == (
        found["dns.listen"].value,
        found["dns.listen"].source,
        found["dns.listen"].where,
    )
    assert ('"2s"', "default") == (found["health.interval"].value, found["health.interval"].source)
    assert '"/state/node1"' == found["raft.data_dir"].value
    assert ('"node1"', "default", "the only node") == (
        found["node"].value,
        found["node"].source,
        found["node"].where,
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://hooks.example:8443/services/T0/hunter2", '"https://hooks.example:8443/..."'),
        ("file:/etc/quorumdns/secrets/hook", '"file:/etc/quorumdns/secrets/hook"'),
    ],
)
def test_of_a_receivers_url_only_the_server_is_shown(tmp_path, written, shown):
    """The rest of it is what lets write there; a reference is shown as it is."""
    path = tmp_path / "cluster.toml"
    path.write_text(f'{LONE}[[notify]]\nname = "hook"\ntype = "webhook"\nurl = "{written}"\n')
    config = load(path, {})
    assert [shown] == [each.value for each in dump_with_origin(config, {}) if each.path == "notify[0].url"]
