"""rrdnsd's JSON: read as it is, with that program's behaviour, and converted."""

import json
from pathlib import Path

import pytest
import tomli

from node.config import ConfigError, load, loads
from node.config.origin import dump_with_origin
from node.config.rrdnsd_convert import convert
from node.config.source import read
from node.health.service import Check

SEED = Path(__file__).parent / "data" / "rrdnsd.json"


@pytest.fixture
def changed(tmp_path):
    """Write the seed's example with some keys changed; None takes a key out."""

    def write(**keys):
        data = json.loads(SEED.read_text()) | keys
        path = tmp_path / "rrdnsd.json"
        path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}, indent=2))
        return path

    return write


def faults(path, environ=None):
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return [each for each in caught.value.faults if each.level == "error"]


def test_the_documented_example_runs_unchanged():
    """CONF=rrdnsd.json LOCAL_NODE=127.0.0.1:3333: the API there, raft 1000 above, no DNS of our own."""
    config = load(None, {"CONF": str(SEED), "LOCAL_NODE": "127.0.0.1:3334"})
    assert ("n2", "127.0.0.1:4334", "http://127.0.0.1:3334") == (
        config.node.name,
        config.node.raft,
        config.node.api,
    )
    assert ("127.0.0.1:3334", ()) == (config.api.listen, config.dns.listen)
    assert f"[main] config overridden by envvar CONF: {SEED}" in config.notes
    assert config.is_rrdnsd


def test_without_local_node_in_the_environment_the_files_own_counts():
    """``local_node`` is one of ``nodes``."""
    config = load(SEED, {})
    assert ("n1", "file") == (config.node.name, config.node_source)


def test_nodes_on_one_machine_keep_their_logs_apart():
    """Three nodes of one file on one address need three directories."""
    environ = {"STATE_DIRECTORY": "/state"}
    found = {load(SEED, environ | {"LOCAL_NODE": f"127.0.0.1:333{n}"}).raft.data_dir for n in (3, 4, 5)}
    assert 3 == len(found)


def test_the_behaviour_is_kept():
    """A probe a second, one datapoint decides, fail-open only when asked for."""
    (service,) = load(SEED, {}).services
    assert (1000, 1, 1, 100) == (service.interval_ms, service.rise, service.fall, service.fail_open_percent)
    assert service.timeout_ms < service.interval_ms
    assert Check(kind="http", port=8778) == service.check
    assert (5, ("127.0.0.1", "127.0.0.2")) == (service.ttl, tuple(each.address for each in service.endpoints))


def test_every_resolver_becomes_a_push_target(changed):
    """All zones to each server, by the program that the file names."""
    config = load(changed(update_resolvers=["127.0.0.1:5454", "[::1]:5454"], update_method="nsupdate"), {})
    assert [("127.0.0.1:5454", "nsupdate"), ("[::1]:5454", "nsupdate")] == [
        (each.server, each.method) for each in config.targets
    ]
    assert {"rfc2136"} == {each.kind for each in config.targets}
    assert [1, 1] == [len(each.zones) for each in config.targets]


def test_no_resolver_is_legal(changed):
    """Then nothing is pushed."""
    assert () == load(changed(update_resolvers=[]), {}).targets


@pytest.mark.parametrize(
    ("given", "name", "algorithm"),
    [("k.example:c2VjcmV0", "k.example", "hmac-sha256"), ("hmac-sha512:k:c2VjcmV0", "k", "hmac-sha512")],
)
def test_credentials_become_a_key_that_is_never_shown(changed, given, name, algorithm):
    """The value stays in memory; targets name the key."""
    config = load(changed(update_credentials=given), {})
    (key,) = config.tsig
    assert (name, algorithm, b"c2VjcmV0") == (key.name, key.algorithm, key.secret.read({}))
    assert name == config.targets[0].tsig
    origins = dump_with_origin(config, {})
    assert "c2VjcmV0" not in repr((config, origins))


def test_bad_credentials_are_told_without_showing_them(changed):
    """Neither the message nor the excerpt holds them."""
    path = changed(update_credentials="hunter2")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert "TSIG key" in caught.value.render()
    assert "hunter2" not in caught.value.render()


def test_later_keys_of_the_program_are_known(changed):
    """Per-service intervals, fail-open, log level and the switch of the API."""
    service = json.loads(SEED.read_text())["services"][0] | {"probe_interval_ms": 5000}
    config = load(
        changed(services=[service], enable_fail_open=True, loglevel="warn", api={"enabled": False}), {}
    )
    assert (5000, 50) == (config.services[0].interval_ms, config.services[0].fail_open_percent)
    assert "warning" == config.log.level
    assert any("the API stays on" in each.message for each in config.warnings)


def test_https_is_for_a_proxy_and_said_so(changed):
    """The scheme goes into the nodes' API addresses; TLS is not guessed."""
    config = load(changed(nodes_protocol="https"), {})
    assert "https://127.0.0.1:3333" == config.node.api
    assert any("a proxy must stand before it" in each.message for each in config.warnings)


def test_comment_keys_are_ignored_at_any_depth(changed):
    """Keys that start with an underscore hold anything."""
    assert load(changed(_x={"y": [1]}, api={"_z": 5}), {})


@pytest.mark.parametrize(
    ("keys", "path", "fragment"),
    [
        ({"conf_version": 2}, "conf_version", "2 is not possible here"),
        ({"conf_version": None}, "conf_version", 'missing required key "conf_version"'),
        ({"nodse": []}, "nodse", 'unknown key "nodse"'),
        ({"update_method": "dynu"}, "update_method", '"dynu" is not possible here'),
        ({"nodes": ["127.0.0.1"]}, "nodes[0]", "has no port"),
        ({"nodes": ["127.0.0.1:65000"]}, "nodes", "must be at most 65535"),
        ({"nodes": ["10.0.0.1:3333"], "local_node": "10.0.0.1:3333"}, "nodes[0]", "secret is required"),
        ({"update_resolvers": ["ns.example"]}, "update_resolvers[0]", "is not an address"),
        ({"local_node": "127.0.0.1:1"}, "", "which is no node of this file"),
        ({"probe_interval_ms": 1}, "probe_interval_ms", "greater than or equal to 100"),
    ],
)
def test_a_fault_is_told_in_the_words_of_the_json(changed, keys, path, fragment):
    """Path, line and column are those of the file that the person wrote."""
    fault = faults(changed(**keys))[0]
    assert (path, True) == (fault.path, fragment in fault.message), fault
    assert not path or fault.line


def test_a_bad_address_is_found_at_its_line(changed):
    """A fault of what the JSON became is told where it came from."""
    service = json.loads(SEED.read_text())["services"][0] | {"ipaddrs": ["127.0.0.1", "127.0.0.300"]}
    path = changed(services=[service])
    line = next(n for n, each in enumerate(path.read_text().split("\n"), 1) if "127.0.0.300" in each)
    (fault,) = faults(path)
    assert (line, "services[0].ipaddrs[1]") == (fault.line, fault.path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": NaN}', '{"a" 1}', "[" * 100_000, '{"conf_version": ' + "9" * 5000 + "}"]
)
def test_what_is_no_json_object_is_told(tmp_path, text):
    """Whatever is in the file, the answer is a ConfigError."""
    path = tmp_path / "r.json"
    path.write_text(text)
    assert faults(path)


# --- converting -----------------------------------------------------------------------------------


def test_the_converted_file_means_the_same():
    """Nodes, services, targets and settings are those of the JSON."""
    converted = convert(read(SEED))
    again, direct = loads(converted.text, {}, "n1"), load(SEED, {})
    assert (direct.nodes, direct.services, direct.targets, direct.health, direct.shared_hash) == (
        again.nodes,
        again.services,
        again.targets,
        again.health,
        again.shared_hash,
    )
    assert "127.0.0.1:3333" == converted.local_node
    assert "# comment: three nodes, one service\n" in converted.text


def test_credentials_go_to_a_file_of_their_own(changed):
    """The text refers to it; the value is handed over beside."""
    converted = convert(read(changed(update_credentials="k:c2VjcmV0")), "keys/push")
    assert b"c2VjcmV0" == converted.credentials
    assert "c2VjcmV0" not in converted.text + repr(converted)
    assert "file:keys/push" == tomli.loads(converted.text)["tsig"][0]["secret"]


def test_off_loopback_the_converted_file_asks_for_secrets(changed):
    """JSON has no key for them, so the file refers to variables that somebody must set."""
    nodes = ["10.0.0.1:3333", "10.0.0.2:3333", "10.0.0.3:3333"]
    converted = convert(read(changed(nodes=nodes, local_node="10.0.0.2:3333")))
    assert ("QDNS_RAFT_SECRET", "QDNS_ADMIN_TOKEN") == converted.to_provide
    environ = dict.fromkeys(converted.to_provide, "x" * 32) | {"LOCAL_NODE": converted.local_node}
    assert "n2" == loads(converted.text, environ).node.name


def test_a_comment_cannot_add_a_line_to_the_converted_file(changed):
    """Whatever a comment key holds stays a comment."""
    converted = convert(read(changed(_x="a\n[log]\rlevel = 1\x00\x7f")))
    assert "info" == tomli.loads(converted.text)["log"]["level"]


def test_a_json_with_faults_is_not_converted(changed):
    """The faults are those of ``load``."""
    with pytest.raises(ConfigError, match="no port"):
        convert(read(changed(update_resolvers=["127.0.0.1:5454"], nodes=["127.0.0.1"])))
    with pytest.raises(ConfigError, match="is not an address"):
        convert(read(changed(update_resolvers=["x"])))
