"""Valid files: what every key becomes."""

import base64
import shutil
from pathlib import Path

import pytest

from node.config import load
from node.config.addresses import host_of
from node.config.model import ApiTls, HealthDefaults, Secondary
from node.config.rules_dns import cookie_octets
from node.config.secret import Secret
from node.health.service import Check, Endpoint
from node.zone.name import from_text, to_text
from node.zone.rrset import CNAME, MX, NS, SOA, TXT, A
from tests.config.helpers import LONE, SERVICE, accepted, write_certificate

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def complete(tmp_path):
    """Load the complete example from a folder of its own, with the secrets that it refers to."""
    for file in DATA.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "token-ci").write_text("0123456789abcdef0123\n")
    (tmp_path / "token-ci").chmod(0o600)
    (tmp_path / "raft-secret").write_bytes(b"x" * 32)
    for name, digits in (("cookie-new", "0a" * 16), ("cookie-old", "0b" * 16)):
        (tmp_path / name).write_text(digits + "\n")
        (tmp_path / name).chmod(0o600)
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    environ = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "TSIG_PUSH_KNOT": base64.b64encode(b"k" * 64).decode(),
        "LOCAL_NODE": "ns3",
    }
    return load(tmp_path / "complete.toml", environ), environ


def test_nodes_have_their_addresses_and_this_one_its_own(complete):
    """One file for all: {address} is the node's own, api has the scheme, bind stands for NAT."""
    config, _ = complete
    assert ["ns1", "ns2", "ns3"] == [node.name for node in config.nodes]
    assert "https://10.0.1.1:7380" == config.nodes[1].api
    assert "ns3" == config.node.name
    assert ("[2001:db8::3]:7300", "[::]:7300") == (config.node.raft, config.node.bind)
    assert "https://[2001:db8::3]:7380" == config.node.api
    assert ("[2001:db8::3]:53", "[::1]:53") == config.dns.listen
    assert "[2001:db8::3]:7380" == config.api.listen
    assert config.base / "run/ns3.sock" == config.api.socket
    tls = ApiTls(
        config.base / "tls/ns3-api.pem",
        Secret(f"file:{config.base}/tls/ns3-api.key"),
        config.base / "tls/api-ca.pem",
    )
    assert tls == config.api.tls
    assert ("10.0.0.1:53", "[::1]:53") == config.nodes[0].dns


def test_settings_are_in_the_units_of_the_program(complete):
    """Durations become seconds or milliseconds, as the names say."""
    config, _ = complete
    assert ((0.4, 1.4), 0.1, 5000) == (
        config.raft.election_timeout_s,
        config.raft.heartbeat_s,
        config.raft.snapshot_entries,
    )
    assert Path("/var/lib/quorumdns") == config.raft.data_dir
    assert (7, 1400) == (config.dns.default_ttl, config.dns.udp_payload)
    assert HealthDefaults(5000, 2000, 1000, 3, 4, 60) == config.health
    assert ("warning", "json") == (config.log.level, config.log.format)


def test_zones_become_commands_with_parsed_records(complete):
    """Names are relative to the zone, the ttl of a record without one is the zone's default."""
    config, _ = complete
    zone = config.zones[0]
    assert ["ns1.example.com.", "ns2.example.com.", "ns3.example.com."] == list(
        map(to_text, zone.settings.nameservers)
    )
    assert "host\\.master.example.com." == to_text(zone.settings.contact)
    assert (7, 30) == (zone.settings.default_ttl, zone.settings.negative_ttl)
    by_key = {(each.name, each.type): each for each in zone.rrsets}
    assert 300 == by_key[from_text("example.com"), MX].ttl
    assert 7 == by_key[from_text("mail.example.com"), A].ttl


def test_a_zone_file_with_an_soa_says_the_settings_itself(complete):
    """An existing master file is taken as it is: SOA, NS, serial and all; $INCLUDE is beside it."""
    config, _ = complete
    zone = config.zones[1]
    assert "hostmaster.example.org." == to_text(zone.settings.contact)
    assert (7200, 900, 1_209_600, 300) == (
        zone.settings.refresh_s,
        zone.settings.retry_s,
        zone.settings.expire_s,
        zone.settings.negative_ttl,
    )
    assert from_text("ns2.example.net") == zone.settings.nameservers[0]
    assert {SOA, NS, A, CNAME} == {each.type for each in zone.rrsets}


def test_services_become_checks_and_endpoints(complete):
    """The template gives kind, port and path; keys of the service stand over [health]."""
    www, api, db = complete[0].services
    assert Check(kind="https", port=443, path="/health") == www.check
    assert ("192.0.2.10", "192.0.2.11", "2001:db8::12") == tuple(each.address for each in www.endpoints)
    assert (5000, 2000, 1000, 3, 4, 60) == (
        www.interval_ms,
        www.timeout_ms,
        www.recheck_ms,
        www.rise,
        www.fall,
        www.fail_open_percent,
    )
    assert (
        Check(
            kind="https",
            port=8443,
            path="/ready?full=1",
            method="HEAD",
            host="api.internal",
            expect_status=((200, 299), (301, 301)),
            expect_body='"status": ?"ok"',
            headers=(("X-Probe", "qdns"),),
            verify=False,
        )
        == api.check
    )
    assert ("active-standby", 1000, 300, 250, 1, 2, 100) == (
        api.mode,
        api.interval_ms,
        api.timeout_ms,
        api.recheck_ms,
        api.rise,
        api.fall,
        api.fail_open_percent,
    )
    assert Endpoint("192.0.2.20", "fra", 1, 3) == api.endpoints[0]
    assert ("ns2", "ns3") == api.endpoints[1].probe_from
    assert Check(kind="tcp", port=6379, send="PING\r\n", expect="PONG") == db.check
    assert (from_text("example.org"), 7) == (db.zone, db.ttl)


def test_push_targets_name_their_keys(complete):
    """Targets hold names only; what nobody named is called after its server."""
    config, environ = complete
    knot, other = config.targets
    assert ("knot-eu", "rfc2136", "203.0.113.10:5353", "all", "push-knot", "knsupdate", 2000) == (
        knot.name,
        knot.kind,
        knot.server,
        knot.what,
        knot.tsig,
        knot.method,
        knot.min_interval_ms,
    )
    assert ("203.0.113.11", "203.0.113.11:53", "services", "native") == (
        other.name,
        other.server,
        other.what,
        other.method,
    )
    key = config.tsig[0]
    assert ("push-knot", "hmac-sha512", 88) == (key.name, key.algorithm, len(key.secret.read(environ)))


def test_dns_says_who_may_what(complete):
    """Keys and networks as they are, addresses with their ports, each grant a name and types."""
    config, environ = complete
    dns, key = config.dns, config.tsig[2]
    assert (("[2001:db8::3]:853",), "ns3.prod", "ours") == (dns.tls_listen, dns.nsid, dns.version)
    assert [("ns-xfr", None), ("", "10.0.0.0/8")] == [
        (each.key, each.network and str(each.network)) for each in dns.allow_transfer
    ]
    assert ["certbot", ""] == [each.key for each in dns.allow_update]
    assert (Secondary("203.0.113.53:53"), Secondary("[2001:db8::53]:5353", "ns-xfr")) == dns.also_notify
    assert (("192.0.2.53:53",), 2, 86_400) == (dns.forward, len(dns.forward_for), dns.serve_stale_for_s)
    assert (20, 3, 25, 48, 1) == (
        dns.rate_limit.responses_per_s,
        dns.rate_limit.slip,
        dns.rate_limit.ipv4_prefix,
        dns.rate_limit.ipv6_prefix,
        len(dns.rate_limit.exempt),
    )
    assert 3 == dns.answerers
    assert "python" == dns.reader
    assert [b"\x0a" * 16, b"\x0b" * 16] == [cookie_octets(each, environ) for each in dns.cookie_secrets]
    assert key.grants[0].covers(from_text("_acme-challenge.www.example.com"), TXT)
    assert not key.grants[0].covers(from_text("_acme-challenge.www.example.com"), A)
    assert key.grants[1].covers(from_text("a.b.dyn.example.com"), A)


def test_dns_is_careful_by_default():
    """Answers are rate-limited, zones stay here, nothing is forwarded, the version is nobody's business."""
    dns = accepted("").dns
    assert dns.answerers is None
    assert "auto" == dns.reader
    assert (50, 2, 24, 56) == (
        dns.rate_limit.responses_per_s,
        dns.rate_limit.slip,
        dns.rate_limit.ipv4_prefix,
        dns.rate_limit.ipv6_prefix,
    )
    assert ["127.0.0.0/8", "::1/128"] == [str(each) for each in dns.rate_limit.exempt]
    assert ["127.0.0.0/8", "::1/128"] == [str(each.network) for each in dns.allow_transfer]
    assert ((), (), "", "node1", True) == (dns.forward, dns.also_notify, dns.version, dns.nsid, dns.cookies)
    assert (None, None) == (dns.allow_update, dns.serve_stale_for_s)
    assert accepted("[dns]\nrate_limit = false\n").dns.rate_limit is None


def test_secrets_are_read_when_asked_for(complete):
    """The configuration holds references, the values come from where they say."""
    config, environ = complete
    assert b"x" * 32 == config.cluster.secret.read(environ)
    assert b"0123456789abcdef0123" == config.api.tokens[0].secret.read(environ)
    assert ("records:write", "read") == config.api.tokens[0].scopes
    assert "0123456789abcdef" not in repr(config)
    assert () == config.warnings


def test_the_seed_holds_everything_that_the_log_will_own(complete):
    """An empty cluster is filled in one entry."""
    config, _ = complete
    seed = config.seed()
    assert (3, 2, 3, 2) == (len(seed.members), len(seed.zones), len(seed.services), len(seed.targets))
    assert ("ns1", "10.0.0.1:7300", "https://10.0.0.1:7380", "fra") == (
        seed.members[0].name,
        seed.members[0].raft,
        seed.members[0].api,
        seed.members[0].site,
    )


def test_the_checked_in_file_is_three_nodes_on_loopback():
    """It needs no secret, no root and no port below 1024, and gives no warning."""
    configs = [load(ROOT / "cluster.toml", {}, name) for name in ("ns1", "ns2", "ns3")]
    assert ["127.0.0.1", "127.0.0.2", "127.0.0.3"] == [host_of(each.dns.listen[0]) for each in configs]
    assert 1 == len({each.shared_hash for each in configs})
    assert [()] * 3 == [each.warnings for each in configs]
    assert 3 == len({each.raft.data_dir for each in configs})


def test_the_smallest_useful_file_is_one_service_and_a_target():
    """No nodes: a cluster of one on loopback, which answers no DNS when it has no zone."""
    push = '[[push]]\ntype = "rfc2136"\nserver = "192.0.2.53"\nzones = ["example.com"]\n'
    config = accepted(SERVICE + push)
    assert ("node1", "127.0.0.1:7300", "http://127.0.0.1:7380") == (
        config.node.name,
        config.node.raft,
        config.node.api,
    )
    assert () == config.dns.listen
    assert from_text("example.com") == config.services[0].zone
    assert HealthDefaults(2000, 1000, 500, 2, 3, 50) == config.health


def test_an_empty_file_is_a_node_alone():
    """Every key has a default."""
    assert "node1" == accepted("").node.name


def test_zones_without_a_listener_are_answered_on_loopback():
    """Nothing is open to the world that nobody asked for."""
    assert ("127.0.0.1:53",) == accepted(LONE.split("[dns]")[0]).dns.listen


def test_a_service_lives_in_the_longest_zone_that_holds_it():
    """``zone`` may be left out."""
    inner = '[[zones]]\nname = "www.example.com"\nnameservers = ["ns1.example.com"]\n'
    assert from_text("www.example.com") == accepted(LONE + inner + SERVICE).services[0].zone


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/private/q"}, "/var/lib/private/q/node1"),
        ({"XDG_STATE_HOME": "/users/a/state"}, "/users/a/state/quorumdns/node1"),
        ({"HOME": "/users/a"}, "/users/a/.local/state/quorumdns/node1"),
    ],
)
def test_the_log_is_kept_where_the_system_keeps_such_things(environ, expected, monkeypatch):
    """systemd's state directory, else the user's; each node has a directory of its own."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert expected == str(accepted("", environ).raft.data_dir)


def test_the_environment_stands_over_the_log_table():
    """QDNS_LOG_LEVEL and QDNS_LOG_FORMAT win over [log]."""
    config = accepted('[log]\nlevel = "error"\n', {"QDNS_LOG_LEVEL": "debug", "QDNS_LOG_FORMAT": "json"})
    assert ("debug", "json") == (config.log.level, config.log.format)


def test_the_shared_hash_follows_meaning_and_nothing_else():
    """Comments, spaces and what is this machine's own do not count; a ttl does."""
    base = accepted(LONE + SERVICE)
    same = accepted(
        "# a comment\n" + LONE + SERVICE + '[log]\nlevel = "debug"\n[raft]\ndata_dir = "elsewhere"\n'
    )
    other = accepted(LONE + SERVICE + "ttl = 6\n")
    assert base.shared_hash == same.shared_hash
    assert base.shared_hash != other.shared_hash
